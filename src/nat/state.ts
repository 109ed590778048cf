/**
 * Turns conntrack entries and counters into `ietf-nat`'s operational data.
 *
 * Pure. A dynamic mapping is one translated connection: the kernel knows no mapping apart from it.
 * Limit: MAPPINGS_SHOWN_MAX entries; the totals count all.
 */
import type { ConntrackEntry } from "../lib/conntrack/entry.ts";
import type { CounterValue } from "../lib/nft/transaction.ts";
import type { ConfigData } from "../lib/service/provider.ts";
import type { NatConfig } from "./config.ts";
import { UNSOLICITED_COUNTER } from "./ruleset.ts";

export const MAPPINGS_SHOWN_MAX = 1000;

/** Collects entries one by one, so that a large table is never held. */
export class NatStateCollector {
  readonly #shown: ConntrackEntry[] = [];
  readonly #subscribers = new Set<string>();
  readonly #byProtocol = new Map<number, number>();
  #sentPackets = 0n;
  #sentBytes = 0n;
  #receivedPackets = 0n;
  #receivedBytes = 0n;

  /** Takes every entry of the table; those whose source is not translated do not count. */
  add(entry: ConntrackEntry): void {
    if (!isSourceTranslated(entry)) return;
    const { protocol } = entry.original;
    this.#byProtocol.set(protocol, (this.#byProtocol.get(protocol) ?? 0) + 1);
    this.#subscribers.add(entry.original.sourceAddress);
    this.#sentPackets += entry.originalCounters?.packets ?? 0n;
    this.#sentBytes += entry.originalCounters?.bytes ?? 0n;
    this.#receivedPackets += entry.replyCounters?.packets ?? 0n;
    this.#receivedBytes += entry.replyCounters?.bytes ?? 0n;
    if (this.#shown.length < MAPPINGS_SHOWN_MAX) this.#shown.push(entry);
  }

  /** Returns RFC 7951 data for the first instance; `discontinuityTime` is `yang:date-and-time`. */
  read(
    config: NatConfig,
    counters: ReadonlyMap<string, CounterValue>,
    discontinuityTime: string,
  ): ConfigData {
    const [instance] = config.instances;
    if (instance === undefined) return {};
    const taken = new Set(instance.mappings.map((mapping) => mapping.index));
    const entries = this.#shown.filter((entry) => !taken.has(entry.id)).map(formatMapping);
    const dropped = counters.get(UNSOLICITED_COUNTER);
    const total = [...this.#byProtocol.values()].reduce((sum, count) => sum + count, 0);
    const statistics = {
      "discontinuity-time": discontinuityTime,
      "traffic-statistics": {
        "sent-packets": `${this.#sentPackets}`,
        "sent-bytes": `${this.#sentBytes}`,
        "rcvd-packets": `${this.#receivedPackets}`,
        "rcvd-bytes": `${this.#receivedBytes}`,
        "dropped-packets": `${dropped?.packets ?? 0n}`,
        "dropped-bytes": `${dropped?.bytes ?? 0n}`,
      },
      "mappings-statistics": {
        "total-active-subscribers": this.#subscribers.size,
        "total-port-mappings": total,
        "total-per-protocol": [...this.#byProtocol].map(([id, count]) => ({
          "protocol-id": id,
          total: count,
        })),
      },
    };
    return {
      "ietf-nat:nat": {
        instances: {
          instance: [
            {
              id: instance.id,
              ...(entries.length === 0 ? {} : { "mapping-table": { "mapping-entry": entries } }),
              statistics,
            },
          ],
        },
      },
    };
  }
}

function isSourceTranslated(entry: ConntrackEntry): boolean {
  const { original, reply } = entry;
  if (original.sourceAddress.includes(":")) return false;
  const hasPorts = original.protocol === 6 || original.protocol === 17;
  return (
    original.sourceAddress !== reply.destinationAddress ||
    (hasPorts && original.sourcePort !== reply.destinationPort)
  );
}

function formatMapping(entry: ConntrackEntry) {
  const { original, reply } = entry;
  return {
    index: entry.id,
    type: "dynamic-implicit",
    "transport-protocol": original.protocol,
    "internal-src-address": `${original.sourceAddress}/32`,
    "internal-src-port": { "start-port-number": original.sourcePort },
    "external-src-address": `${reply.destinationAddress}/32`,
    "external-src-port": { "start-port-number": reply.destinationPort },
    ...(entry.timeoutSec === undefined ? {} : { lifetime: entry.timeoutSec }),
  };
}
