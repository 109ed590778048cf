import { appendFileSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { toJournalFlow } from "../../src/controller/adopt.ts";
import { NO_COUNTERS } from "../../src/controller/flow-table.ts";
import { JOURNAL_NAME, Journal } from "../../src/controller/journal.ts";
import {
  applyJournalRecord,
  compactJournal,
  decodeJournalRecord,
  encodeJournalRecord,
  type JournalledVm,
  type JournalRecord,
} from "../../src/controller/journal-record.ts";
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

test("decode(encode(record)) is the record, and random lines are none", () => {
  for (const record of story()) {
    expect(decodeJournalRecord(encodeJournalRecord(record).trimEnd())).toEqual(record);
  }
  expect(decodeJournalRecord("")).toBeUndefined();
  expect(decodeJournalRecord('{"kind":')).toBeUndefined();
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

test("a journal whose last line is torn loses that line only", () => {
  const { journal } = Journal.open(directory);
  for (const record of story()) journal.append(record);
  journal.close();
  appendFileSync(join(directory, JOURNAL_NAME), '{"kind":"granted","flow":{"vmKey":"red');
  const again = Journal.open(directory);
  expect(again.tornLines).toBe(1);
  expect(again.vms).toEqual(replay(story()));
  again.journal.close();
  expect(Journal.open(directory).tornLines).toBe(0);
  expect(statSync(join(directory, JOURNAL_NAME)).mode & 0o777).toBe(0o600);
});
