/**
 * Which Linux capabilities this process has.
 *
 * Effect: reads /proc/self/status. Source: linux/capability.h.
 */
import { readFileSync } from "node:fs";
import { FlowliftError } from "./errors.ts";

const CAPABILITY_BITS = {
  CAP_NET_ADMIN: 12n,
  CAP_SYS_ADMIN: 21n,
  CAP_BPF: 39n,
} as const;

export type Capability = keyof typeof CAPABILITY_BITS;

/** Returns those of `wanted` that the text of a status file does not show as effective. Pure. */
export function listMissingCapabilities(
  status: string,
  wanted: readonly Capability[],
): readonly Capability[] {
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? "0"}`);
  const has = (name: Capability): boolean => (effective & (1n << CAPABILITY_BITS[name])) !== 0n;
  // CAP_BPF was split from CAP_SYS_ADMIN, which still grants it.
  return wanted.filter((name) => !has(name) && !(name === "CAP_BPF" && has("CAP_SYS_ADMIN")));
}

/** Throws ENVIRONMENT_LACKS with the names of what is missing. */
export function requireCapabilities(who: string, wanted: readonly Capability[]): void {
  const missing = listMissingCapabilities(readFileSync("/proc/self/status", "utf8"), wanted);
  if (missing.length === 0) return;
  const names = missing.join(" and ");
  throw new FlowliftError(
    "ENVIRONMENT_LACKS",
    `${who} lacks ${names}; start it as root or with that capability`,
  );
}
