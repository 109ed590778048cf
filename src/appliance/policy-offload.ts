/** Which accepted connections are worth offloading, from `flowlift-zones`. Pure. */
import { childNode, readBoolean, readNumber } from "../lib/service/data-reader.ts";
import type { ConfigData } from "../lib/service/provider.ts";

export interface OffloadPolicy {
  readonly enabled: boolean;
  /** A flow is worthy once it has carried more packets than this, both directions together. */
  readonly worthinessPackets: number;
  /** Every eligible flow is worthy from its first packet. */
  readonly everyFlow: boolean;
}

/** As the module's defaults. */
const WORTHINESS_PACKETS_DEFAULT = 16;

/** Returns the policy. */
export function parseOffloadPolicy(data: ConfigData): OffloadPolicy {
  const node = childNode(data, "flowlift-zones:offload-policy");
  const enabled = readBoolean(node, "enabled", true);
  const worthinessPackets = readNumber(node, "worthiness-packets") ?? WORTHINESS_PACKETS_DEFAULT;
  return { enabled, worthinessPackets, everyFlow: enabled && worthinessPackets === 0 };
}
