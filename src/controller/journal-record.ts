/**
 * The lines of the journal: which flows were granted, what was told, what was acknowledged.
 *
 * Pure: values ⇄ JSON lines; the frequent ones are short (journal-line.ts). Replaying the lines in order gives the flows that the fast path may hold and
 * the events that were not acknowledged.
 */
import type { FlowHandle } from "../fast-path/driver.ts";
import type { Epoch, FlowEvent, OffloadFlow } from "../offload-protocol/messages.ts";
import { decodeShortLine, encodeShortActivated, encodeShortFlow } from "./journal-line.ts";

export type JournalRecord =
  | { readonly kind: "granted"; readonly flow: JournalFlow }
  | {
      readonly kind: "event";
      readonly vmKey: string;
      readonly handle: FlowHandle;
      /** What the flow was granted with, for the same answer to the same request. */
      readonly idleTimeoutMs: number;
      readonly event: FlowEvent;
    }
  | { readonly kind: "acknowledged"; readonly vmKey: string; readonly sequence: bigint }
  /** An update changed the flow, or compaction wrote it anew. */
  | { readonly kind: "changed"; readonly flow: JournalFlow }
  /** The first number that the VM's next event may have. */
  | { readonly kind: "sequence"; readonly vmKey: string; readonly next: bigint };

/** A flow as the journal keeps it. */
export interface JournalFlow {
  readonly vmKey: string;
  readonly epoch: Epoch;
  readonly handle: FlowHandle;
  readonly generation: number;
  readonly flow: OffloadFlow;
  /** Whether the fast path has confirmed it. */
  readonly isActive: boolean;
  /** Where the original and the reply leave. */
  readonly egressPortIds: readonly [number, number | undefined];
}

export interface JournalledEvent {
  readonly event: FlowEvent;
  readonly idleTimeoutMs: number;
}

/** What the journal says of one virtual machine. */
export interface JournalledVm {
  readonly flows: Map<FlowHandle, JournalFlow>;
  readonly events: JournalledEvent[];
  nextSequence: bigint;
}

/** Numbers above 2^53 travel as text with a final "n"; no text of a flow looks like that. */
function replace(_key: string, value: unknown): unknown {
  return typeof value === "bigint" ? `${value}n` : value;
}

function revive(_key: string, value: unknown): unknown {
  return typeof value === "string" && /^\d{1,20}n$/.test(value)
    ? BigInt(value.slice(0, -1))
    : value;
}

/** Returns one line with its end. */
export function encodeJournalRecord(record: JournalRecord): string {
  if (record.kind === "granted" || record.kind === "changed") {
    return `${encodeShortFlow(record.kind, record.flow)}\n`;
  }
  if (record.kind === "event" && record.event.what.kind === "activated") {
    const { vmKey, handle, idleTimeoutMs, event } = record;
    const { directions } = record.event.what;
    return `${encodeShortActivated({ vmKey, handle, idleTimeoutMs, event, directions })}\n`;
  }
  return `${JSON.stringify(record, replace)}\n`;
}

/** Returns the record, or undefined for a line that is torn or none of ours. */
export function decodeJournalRecord(line: string): JournalRecord | undefined {
  try {
    if (line.startsWith("[")) return decodeShortLine(JSON.parse(line) as unknown[]);
    const record = JSON.parse(line, revive) as JournalRecord;
    return typeof record === "object" && typeof record.kind === "string" ? record : undefined;
  } catch {
    return undefined;
  }
}

/** Adds one record to what is known. */
export function applyJournalRecord(vms: Map<string, JournalledVm>, record: JournalRecord): void {
  const vm = vmOf(vms, "flow" in record ? record.flow.vmKey : record.vmKey);
  switch (record.kind) {
    case "granted":
    case "changed":
      vm.flows.set(record.flow.handle, record.flow);
      return;
    case "event":
      // Compaction may have written it already.
      if (record.event.sequence >= vm.nextSequence) {
        vm.events.push({ event: record.event, idleTimeoutMs: record.idleTimeoutMs });
        vm.nextSequence = record.event.sequence + 1n;
      }
      noteEvent(vm, record.handle, record.event);
      return;
    case "acknowledged":
      forgetAcknowledged(vm.events, record.sequence);
      return;
    case "sequence":
      if (record.next > vm.nextSequence) vm.nextSequence = record.next;
  }
}

function noteEvent(vm: JournalledVm, handle: FlowHandle, event: FlowEvent): void {
  const flow = vm.flows.get(handle);
  if (flow === undefined) return;
  if (event.what.kind === "activated") vm.flows.set(handle, { ...flow, isActive: true });
  else vm.flows.delete(handle);
}

function forgetAcknowledged(events: JournalledEvent[], sequence: bigint): void {
  let count = 0;
  while ((events[count]?.event.sequence ?? sequence + 1n) <= sequence) count++;
  events.splice(0, count);
}

function vmOf(vms: Map<string, JournalledVm>, vmKey: string): JournalledVm {
  const present = vms.get(vmKey);
  if (present !== undefined) return present;
  const vm: JournalledVm = { flows: new Map(), events: [], nextSequence: 1n };
  vms.set(vmKey, vm);
  return vm;
}

/** Returns the shortest journal that says the same. */
export function compactJournal(vms: ReadonlyMap<string, JournalledVm>): JournalRecord[] {
  const records: JournalRecord[] = [];
  for (const [vmKey, vm] of vms) {
    for (const flow of vm.flows.values()) records.push({ kind: "changed", flow });
    // Handle 0 is no flow's: the flow of a told end is gone already.
    for (const event of vm.events) records.push({ kind: "event", vmKey, handle: 0, ...event });
    records.push({ kind: "sequence", vmKey, next: vm.nextSequence });
  }
  return records;
}
