/**
 * The records of the journal: which flows were granted, what was told, what was acknowledged.
 *
 * Pure: values ⇄ CBOR, with flows and events as the serial port has them. Replaying the records in order
 * gives the flows that the fast path may hold and the events that were not acknowledged.
 *
 *   [0 | 1, vm, epoch, handle, generation, active, port, port back | null, flow]   granted | changed
 *   [2, vm, handle, timeout, event]     [3, vm, sequence]   acknowledged     [4, vm, next]   sequence
 */
import type { FlowHandle } from "../fast-path/driver.ts";
import { readFlow } from "../offload-protocol/cbor-decode-flow.ts";
import { readEvent } from "../offload-protocol/cbor-decode-server.ts";
import { writeEvent } from "../offload-protocol/cbor-encode-message.ts";
import { flowPairs, writeFlow } from "../offload-protocol/cbor-flow.ts";
import { readEpoch } from "../offload-protocol/cbor-leaf.ts";
import { CBOR_REFUSED, CborReader } from "../offload-protocol/cbor-reader.ts";
import type { CborWriter } from "../offload-protocol/cbor-writer.ts";
import type { Epoch, FlowEvent, OffloadFlow } from "../offload-protocol/messages.ts";
import type { EncodedFlow } from "./core-effect.ts";

export type JournalRecord =
  | {
      readonly kind: "granted";
      readonly flow: JournalFlow;
      /** The flow as the serial port had it, to be copied; never read back. */
      readonly encoded?: EncodedFlow | undefined;
    }
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

const KIND_GRANTED = 0;
const KIND_CHANGED = 1;
const KIND_EVENT = 2;
const KIND_ACKNOWLEDGED = 3;
const KIND_SEQUENCE = 4;
/** More than a record takes beside its flow or event. */
const RECORD_BYTES_MAX = 512;

/** Writes one record, preceded by its length. */
export function writeJournalRecord(writer: CborWriter, record: JournalRecord): void {
  const start = writer.beginSized();
  writer.reserve(RECORD_BYTES_MAX);
  switch (record.kind) {
    case "granted":
    case "changed":
      writeJournalFlow(writer, record);
      break;
    case "event":
      writer.array(5);
      writer.uint(KIND_EVENT);
      writer.text(record.vmKey);
      writer.uint(record.handle);
      writer.uint(record.idleTimeoutMs);
      writeEvent(writer, record.event);
      break;
    case "acknowledged":
    case "sequence":
      writer.array(3);
      writer.uint(record.kind === "sequence" ? KIND_SEQUENCE : KIND_ACKNOWLEDGED);
      writer.text(record.vmKey);
      writer.uint64(record.kind === "sequence" ? record.next : record.sequence);
  }
  writer.endSized(start);
}

function writeJournalFlow(
  writer: CborWriter,
  record: Extract<JournalRecord, { readonly kind: "granted" | "changed" }>,
): void {
  const { vmKey, epoch, handle, generation, flow, isActive, egressPortIds } = record.flow;
  const [port, portBack] = egressPortIds;
  writer.array(9);
  writer.uint(record.kind === "granted" ? KIND_GRANTED : KIND_CHANGED);
  writer.text(vmKey);
  writer.reserve(RECORD_BYTES_MAX);
  writer.shortText(epoch);
  writer.uint(handle);
  writer.uint(generation);
  writer.boolean(isActive);
  writer.uint(port);
  if (portBack === undefined) writer.null();
  else writer.uint(portBack);
  const encoded = record.kind === "granted" ? record.encoded : undefined;
  if (encoded !== undefined) writer.encoded(encoded.bytes, encoded.start, encoded.end);
  else {
    writer.map(flowPairs(flow));
    writeFlow(writer, flow);
  }
}

/** Returns the record without its length, or undefined for bytes that are none of ours. */
export function decodeJournalRecord(bytes: Buffer): JournalRecord | undefined {
  const reader = new CborReader(bytes);
  try {
    const record = readRecord(reader);
    reader.end();
    return record;
  } catch (reason) {
    if (reason !== CBOR_REFUSED) throw reason;
    return undefined;
  }
}

function readRecord(reader: CborReader): JournalRecord {
  const items = reader.array();
  const kind = reader.key();
  const vmKey = reader.text();
  if (kind === KIND_GRANTED || kind === KIND_CHANGED) {
    if (items !== 9) reader.refuse();
    const flow = readJournalFlow(reader, vmKey);
    return { kind: kind === KIND_GRANTED ? "granted" : "changed", flow };
  }
  if (kind === KIND_EVENT) {
    if (items !== 5) reader.refuse();
    const handle = reader.uint(Number.MAX_SAFE_INTEGER);
    const idleTimeoutMs = reader.uint(Number.MAX_SAFE_INTEGER);
    return { kind: "event", vmKey, handle, idleTimeoutMs, event: readEvent(reader) };
  }
  if (items !== 3) reader.refuse();
  if (kind === KIND_SEQUENCE) return { kind: "sequence", vmKey, next: reader.uint64() };
  if (kind !== KIND_ACKNOWLEDGED) reader.refuse();
  return { kind: "acknowledged", vmKey, sequence: reader.uint64() };
}

function readJournalFlow(reader: CborReader, vmKey: string): JournalFlow {
  const epoch = readEpoch(reader);
  const handle = reader.uint(Number.MAX_SAFE_INTEGER);
  const generation = reader.uint(Number.MAX_SAFE_INTEGER);
  const isActive = reader.boolean();
  const port = reader.uint(Number.MAX_SAFE_INTEGER);
  const hasBack = !reader.isNull;
  const portBack = hasBack ? reader.uint(Number.MAX_SAFE_INTEGER) : undefined;
  if (!hasBack) reader.null();
  const flow = readFlow(reader);
  return { vmKey, epoch, handle, generation, flow, isActive, egressPortIds: [port, portBack] };
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
