/** Flows and what happens to them, as the admin endpoint shows it. Pure. */
import type { FlowEvent, OffloadFlow } from "../offload-protocol/messages.ts";
import type { FlowRecord } from "./flow-record.ts";
import { toHeldFlow } from "./vm-requests.ts";

/** One flow event or refusal; 64-bit numbers are text. */
export interface FlowNews {
  readonly kind: FlowEvent["what"]["kind"] | "refused";
  readonly tenant: string;
  readonly vm: string;
  readonly epoch: string;
  readonly flowId: string;
  readonly sequence?: string;
  readonly directions?: string;
  readonly reason?: string;
  readonly cause?: string;
  readonly detail?: string;
  readonly tuple?: string;
  readonly timeToActiveMs?: number;
  readonly counters?: unknown;
}

/** Returns `6 10.0.0.5:4000 > 198.51.100.7:443`. */
export function describeTuple(flow: OffloadFlow): string {
  const { match } = flow.original;
  const from = `${match.sourceAddress}:${match.sourcePort}`;
  return `${match.protocol} ${from} > ${match.destinationAddress}:${match.destinationPort}`;
}

export function toNews(vmKey: string, event: FlowEvent, record: FlowRecord | undefined): FlowNews {
  const [tenant = "", vm = ""] = vmKey.split("/");
  const { what } = event;
  const times = record?.times;
  return {
    kind: what.kind,
    tenant,
    vm,
    epoch: event.epoch,
    flowId: String(event.flowId),
    sequence: String(event.sequence),
    ...(what.kind === "activated" ? { directions: what.directions } : {}),
    ...(what.kind === "activated" && times?.activeMs !== undefined
      ? { timeToActiveMs: times.activeMs - times.requestedMs }
      : {}),
    ...(what.kind === "refused-late" ? { reason: what.reason } : {}),
    ...(what.kind === "closed" ? { cause: what.cause, counters: toPlain(what.counters) } : {}),
    ...(record === undefined ? {} : { tuple: describeTuple(record.flow) }),
  };
}

/** Returns a flow for `GET /flows`; times are milliseconds since 1970. */
export function describeFlow(record: FlowRecord, host: string, nowMs: number): unknown {
  const [tenant = "", vm = ""] = record.vmKey.split("/");
  const held = toHeldFlow(record, nowMs);
  const sinceEpochMs = Date.now() - nowMs;
  const times = Object.fromEntries(
    Object.entries(record.times).map(([name, ms]) => [name, Math.round(sinceEpochMs + Number(ms))]),
  );
  return toPlain({
    tenant,
    vm,
    host,
    epoch: record.epoch,
    state: held.state,
    handle: record.fast.handle,
    ...record.flow,
    counters: held.counters,
    fastPath: record.fast,
    times,
  });
}

/** Returns the value with 64-bit numbers as text, since JSON has none. */
export function toPlain(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (_, member: unknown) =>
      typeof member === "bigint" ? String(member) : member,
    ),
  );
}
