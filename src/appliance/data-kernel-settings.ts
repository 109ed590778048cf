/**
 * The kernel's settings of the appliance's own namespace.
 *
 * Effect: writes below /proc/sys/net. CAP_NET_ADMIN is enough, root is not needed.
 * Source: Documentation/networking/nf_conntrack-sysctl.rst, ip-sysctl.rst.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { FlowliftError } from "../lib/base/errors.ts";
import type { TimeoutSettings } from "../nat/timeouts.ts";

const ROOT = "/proc/sys/net";

/** Events and counters before the first flow; no pick-up of unknown connections in mid-stream. */
const TRACKING: Readonly<Record<string, number>> = {
  "netfilter/nf_conntrack_events": 1,
  "netfilter/nf_conntrack_acct": 1,
  "netfilter/nf_conntrack_tcp_loose": 0,
  "netfilter/nf_conntrack_tcp_ignore_invalid_rst": 1,
};

const FORWARDING: Readonly<Record<string, number>> = {
  "ipv4/ip_forward": 1,
  "ipv6/conf/all/forwarding": 1,
};

/** Sets up connection tracking. Throws ENVIRONMENT_LACKS. */
export function applyTrackingSettings(): void {
  writeSettings(TRACKING);
}

/** Turns forwarding on; only after a ruleset stands in the kernel. Throws ENVIRONMENT_LACKS. */
export function enableForwarding(): void {
  writeSettings(FORWARDING);
}

/** Sets idle timeouts. Throws ENVIRONMENT_LACKS. */
export function applyTimeouts(timeouts: TimeoutSettings): void {
  writeSettings(
    Object.fromEntries(
      Object.entries(timeouts).map(([name, value]) => [`netfilter/${name}`, value]),
    ),
  );
}

function writeSettings(settings: Readonly<Record<string, number>>): void {
  for (const [name, value] of Object.entries(settings)) {
    const path = `${ROOT}/${name}`;
    try {
      // A write of the same value is left out: others may watch the file.
      if (readFileSync(path, "utf8").trim() !== `${value}`) writeFileSync(path, `${value}\n`);
    } catch (cause) {
      throw new FlowliftError("ENVIRONMENT_LACKS", `Cannot set "${path}" to ${value}`, { cause });
    }
  }
}
