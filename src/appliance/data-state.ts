/** Operational data of the data plane as RFC 7951 data. Effect: reads counters and the conntrack table. */
import { readFirewallState } from "../firewall/state.ts";
import { readLoadBalancerState } from "../lb/state.ts";
import type { ConntrackTable } from "../lib/conntrack/table.ts";
import type { NftTable } from "../lib/nft/transaction.ts";
import type { ConfigData } from "../lib/service/provider.ts";
import { NatStateCollector } from "../nat/state.ts";
import type { OffloadState } from "../offload/handle.ts";
import type { ApplianceConfig } from "./data-config.ts";

export interface StateSources {
  readonly config: ApplianceConfig | undefined;
  readonly table: NftTable;
  readonly conntrack: ConntrackTable;
  readonly offload: OffloadState | undefined;
  /** When counting began, as `yang:date-and-time`. */
  readonly discontinuityTime: string;
}

/** Returns the data; without a configuration only what offload knows. */
export async function readState(sources: StateSources): Promise<ConfigData> {
  const offload = formatOffload(sources.offload);
  if (sources.config === undefined) return offload;
  const counters = await sources.table.readCounters();
  const nat = new NatStateCollector();
  if (sources.config.nat.instances.length > 0) {
    await sources.conntrack.dump((entry) => nat.add(entry), { family: 4 });
  }
  return {
    ...nat.read(sources.config.nat, counters, sources.discontinuityTime),
    ...readLoadBalancerState(sources.config.lb, counters),
    ...readFirewallState(sources.config.firewall, counters),
    ...offload,
  };
}

function formatOffload(state: OffloadState | undefined): ConfigData {
  if (state === undefined) return {};
  return {
    "flowlift-offload-state:offload-state": {
      session: state.session,
      epoch: state.epoch,
      credit: state.credit,
      "activated-total": `${state.activatedTotal}`,
      "time-to-active": {
        count: `${state.timeToActive.count}`,
        ...formatMs("p50", state.timeToActive.p50Ms),
        ...formatMs("p99", state.timeToActive.p99Ms),
        bucket: state.timeToActive.buckets.map(({ upToMs, count }) => ({
          "up-to": Math.round(1000 * upToMs),
          count: `${count}`,
        })),
      },
      flows: Object.entries(state.flowsByState).map(([name, count]) => ({ state: name, count })),
      refusal: Object.entries(state.refusalsByReason).map(([reason, count]) => ({
        reason,
        count: `${count}`,
      })),
      close: Object.entries(state.closesByCause).map(([cause, count]) => ({
        cause,
        count: `${count}`,
      })),
      count: Object.entries(state.counts).map(([name, value]) => ({ name, value: `${value}` })),
      rule: state.rules.map((rule) => ({
        attachment: rule.attachment,
        direction: rule.direction,
        name: rule.name,
        "fast-packets": `${rule.fastPackets}`,
        "fast-octets": `${rule.fastBytes}`,
      })),
    },
  };
}

/** `decimal64` with three digits; nothing before the first measurement. */
function formatMs(name: string, milliseconds: number | undefined): Record<string, string> {
  return milliseconds === undefined ? {} : { [name]: milliseconds.toFixed(3) };
}
