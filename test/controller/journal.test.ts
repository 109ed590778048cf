import { appendFileSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { toJournalFlow } from "../../src/controller/adopt.ts";
import { NO_COUNTERS } from "../../src/controller/flow-key.ts";
import { JOURNAL_NAME, Journal, SLICE_RECORDS } from "../../src/controller/journal.ts";
import {
  applyJournalRecord,
  compactJournal,
  decodeJournalRecord,
  type JournalledVm,
  type JournalRecord,
  writeJournalRecord,
} from "../../src/controller/journal-record.ts";
import { FlowPlaces } from "../../src/offload-protocol/cbor-decode-request.ts";
import { CborWriter, SIZE_BYTES } from "../../src/offload-protocol/cbor-writer.ts";
import { decodeRpc, encodeRpc } from "../../src/offload-protocol/codec-cbor.ts";
import { EPOCH, natFlow, World } from "./world.ts";

let directory = "";

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "flowlift-g-journal-"));
});

afterEach(() => rmSync(directory, { recursive: true }));

/** Two flows granted and told active, one of them closed, one event acknowledged. */
function story(): JournalRecord[] {
  const world = new World();
  world.request([natFlow(1n), natFlow(2n)]);
  const [first, second] = [...world.core.table.list()];
  if (first === undefined || second === undefined) throw new Error("two flows are held");
  const vmKey = "red/gateway";
  const event = (
    sequence: bigint,
    flowId: bigint,
    handle: number,
    isEnd: boolean,
  ): JournalRecord => ({
    kind: "event",
    vmKey,
    handle,
    idleTimeoutMs: 60_000,
    event: {
      sequence,
      epoch: EPOCH,
      flowId,
      what: isEnd
        ? { kind: "closed", cause: "idle", counters: NO_COUNTERS }
        : { kind: "activated", directions: "both" },
    },
  });
  return [
    { kind: "granted", flow: toJournalFlow(first) },
    { kind: "granted", flow: toJournalFlow(second) },
    event(5n, 1n, 1, false),
    event(6n, 2n, 2, false),
    event(7n, 1n, 1, true),
    { kind: "acknowledged", vmKey, sequence: 5n },
  ];
}

function replay(records: readonly JournalRecord[]): Map<string, JournalledVm> {
  const vms = new Map<string, JournalledVm>();
  for (const record of records) applyJournalRecord(vms, record);
  return vms;
}

/** A record's bytes without its length. */
function encode(record: JournalRecord): Buffer {
  const writer = new CborWriter();
  writeJournalRecord(writer, record);
  const bytes = writer.finish();
  expect(bytes.readUInt32BE(0)).toBe(bytes.length - SIZE_BYTES);
  return bytes.subarray(SIZE_BYTES);
}

test("decode(encode(record)) is the record, and other bytes are none", () => {
  const more: JournalRecord[] = [{ kind: "sequence", vmKey: "red/gateway", next: 1n << 60n }];
  for (const record of [...story(), ...more]) {
    const bytes = encode(record);
    expect(decodeJournalRecord(bytes)).toEqual(record);
    expect(decodeJournalRecord(bytes.subarray(0, -1))).toBeUndefined();
  }
  expect(decodeJournalRecord(Buffer.alloc(0))).toBeUndefined();
  expect(decodeJournalRecord(Buffer.from('{"kind":'))).toBeUndefined();
});

test("replaying gives the flows that may be held and the events nobody acknowledged", () => {
  const vm = replay(story()).get("red/gateway");
  expect([...(vm?.flows.keys() ?? [])]).toEqual([2]);
  expect(vm?.flows.get(2)?.isActive).toBe(true);
  expect(vm?.events.map(({ event }) => event.sequence)).toEqual([6n, 7n]);
  expect(vm?.nextSequence).toBe(8n);
});

test("a compacted journal says the same, even followed by what it already contains", () => {
  const before = replay(story());
  const compacted = compactJournal(before);
  expect(replay(compacted)).toEqual(before);
  expect(replay([...compacted, ...story().slice(3, 5)])).toEqual(before);
});

test("a journal whose last record is torn loses that record only", () => {
  const { journal } = Journal.open(directory);
  for (const record of story()) journal.append(record);
  journal.close();
  appendFileSync(join(directory, JOURNAL_NAME), '{"kind":"granted","flow":{"vmKey":"red');
  const again = Journal.open(directory);
  expect(again.tornRecords).toBe(1);
  expect(again.vms).toEqual(replay(story()));
  again.journal.close();
  expect(Journal.open(directory).tornRecords).toBe(0);
  expect(statSync(join(directory, JOURNAL_NAME)).mode & 0o777).toBe(0o600);
});

test("a journal of another version is refused with a message that says what to do", () => {
  writeFileSync(join(directory, JOURNAL_NAME), '["granted","red/gateway"]\n');
  expect(() => Journal.open(directory)).toThrow(/no journal of this version; remove it/);
});

/** Waits until other work had its turn. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("a compaction in slices loses nothing of what is appended meanwhile", async () => {
  const { journal } = Journal.open(directory);
  const records = story();
  const [granted] = records;
  if (granted?.kind !== "granted") throw new Error("the story begins with a flow");
  const flows = Array.from({ length: 2 * SLICE_RECORDS + 1 }, (_, index): JournalRecord => {
    const handle = 1000 + index;
    return { kind: "changed", flow: { ...granted.flow, handle } };
  });
  journal.compactInSlices(compactJournal(replay(records)).slice(1), flows);
  await turn();
  // The end of a flow that is written already, and of one that is not.
  const expected = replay([...compactJournal(replay(records)).slice(1), ...flows]);
  for (const [index, handle] of [1000, 1000 + 2 * SLICE_RECORDS].entries()) {
    const event: JournalRecord = {
      kind: "event",
      vmKey: "red/gateway",
      handle,
      idleTimeoutMs: 1,
      event: {
        sequence: 8n + BigInt(index),
        epoch: EPOCH,
        flowId: 1n,
        what: { kind: "closed", cause: "idle", counters: NO_COUNTERS },
      },
    };
    journal.append(event);
    journal.flush();
    applyJournalRecord(expected, event);
  }
  flows.pop(); // Its flow is held no longer: a core does not tell of it.
  for (let count = 0; count < 5; count++) await turn();
  journal.close();
  const { vms, tornRecords, journal: again } = Journal.open(directory);
  expect(tornRecords).toBe(0);
  expect(vms).toEqual(expected);
  again.close();
});

test("a process that dies in the middle of a compaction leaves the old journal", async () => {
  const { journal } = Journal.open(directory);
  for (const record of story()) journal.append(record);
  journal.flush();
  journal.compactInSlices([], story());
  journal.close(); // Before a single turn.
  const { vms, journal: again } = Journal.open(directory);
  expect(vms).toEqual(replay(story()));
  again.close();
});

test("a flow that came in CBOR is journalled by its bytes, and reads the same", () => {
  const [granted] = story();
  if (granted?.kind !== "granted") throw new Error("the story begins with a flow");
  const writer = new CborWriter();
  const { flow } = granted.flow;
  const places = new FlowPlaces();
  const message = encodeRpc("7", {
    kind: "request-offload",
    epoch: EPOCH,
    flows: [natFlow(9n), flow],
  });
  expect(decodeRpc(message, places).ok).toBe(true);
  expect(places.count).toBe(2);
  const encoded = { bytes: places.bytes, start: places.at[1] ?? 0, end: places.at[2] ?? 0 };
  writeJournalRecord(writer, { ...granted, encoded });
  expect(decodeJournalRecord(writer.finish().subarray(SIZE_BYTES))).toEqual(granted);
});
