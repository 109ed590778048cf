/**
 * Numbers that stand for policy objects in offload requests.
 *
 * Pure but for a memory of earlier answers, which are asked for again with every flow.
 * Limit: TAGS_MAX remembered, then it starts anew.
 */
import { createHash } from "node:crypto";

export const TAGS_MAX = 4096;

const tags = new Map<string, number>();

/** Returns 32 bits that depend on the object's kind and name only, never 0. */
export function policyTagOf(kind: string, name: string): number {
  const text = `${kind}:${name}`;
  const known = tags.get(text);
  if (known !== undefined) return known;
  const tag = createHash("sha256").update(text).digest().readUInt32BE(0) || 1;
  if (tags.size >= TAGS_MAX) tags.clear();
  tags.set(text, tag);
  return tag;
}
