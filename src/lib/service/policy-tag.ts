/** Numbers that stand for policy objects in offload requests. Pure. */
import { createHash } from "node:crypto";

/** Returns 32 bits that depend on the object's kind and name only, never 0. */
export function policyTagOf(kind: string, name: string): number {
  const digest = createHash("sha256").update(`${kind}:${name}`).digest();
  return digest.readUInt32BE(0) || 1;
}
