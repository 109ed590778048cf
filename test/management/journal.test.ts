import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  HISTORY_MAX,
  Journal,
  SUPERFLUOUS_RECORDS_MAX,
} from "../../src/management/core/journal.ts";
import { decodeJournal, type NewRecord } from "../../src/management/core/journal-record.ts";

let folder: string;
let open: Journal[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "flowlift-journal-"));
  open = [];
});
afterEach(async () => {
  for (const journal of open) await journal.close();
  rmSync(folder, { recursive: true, force: true });
});

const path = (): string => join(folder, "journal");

function make(): Journal {
  const journal = new Journal(folder);
  open.push(journal);
  return journal;
}

function commit(id: number): NewRecord {
  return {
    kind: "commit",
    id,
    time: "2026-11-21T00:00:00.000Z",
    user: "eve",
    sessionId: 1,
    sourceHost: "::1",
    protocol: "netconf-ssh",
    how: "commit",
    comment: "",
    changes: 1,
    startup: true,
    forward: `<f>${id}</f>`,
    backward: `<b>${id}</b>`,
  };
}

describe("Journal", () => {
  test("cut off at any byte, it keeps every whole record, and goes on behind them", async () => {
    const first = make();
    await first.open();
    for (let id = 1; id <= 3; id++) await first.append(commit(id));
    const whole = readFileSync(path());
    const ends = [...whole.entries()].filter(([, byte]) => byte === 10).map(([at]) => at + 1);
    for (let length = 0; length <= whole.length; length += 7) {
      writeFileSync(path(), whole);
      truncateSync(path(), length);
      const again = make();
      const { records, isDamaged } = await again.open();
      expect(records).toHaveLength(ends.filter((end) => end <= length).length);
      expect(isDamaged).toBe(false);
      await again.append(commit(9));
      await again.close();
      expect(decodeJournal(readFileSync(path())).records.at(-1)?.record).toMatchObject({ id: 9 });
    }
  });

  test("damaged in the middle, it keeps what is before, and a copy of the whole", async () => {
    const first = make();
    await first.open();
    for (let id = 1; id <= 3; id++) await first.append(commit(id));
    const bytes = readFileSync(path());
    const at = bytes.indexOf('"id":2');
    bytes[at + 5] = 0x37;
    writeFileSync(path(), bytes);
    const { records, isDamaged } = await make().open();
    expect(records.map((record) => (record.kind === "commit" ? record.id : 0))).toEqual([1]);
    expect(isDamaged).toBe(true);
    expect(readFileSync(`${path()}.unusable`)).toEqual(bytes);
  });

  test.each([HISTORY_MAX - 1, HISTORY_MAX, HISTORY_MAX + 1])(
    "of %i commits it lists the last ones, and reads them again after it was shortened",
    async (count) => {
      const journal = make();
      await journal.open();
      for (let id = 1; id <= count; id++) await journal.append(commit(id));
      const oldest = Math.max(1, count - HISTORY_MAX + 1);
      const ids = (): number[] => journal.listCommits().map(({ id }) => id);
      expect(ids()[0]).toBe(oldest);
      const { sequence } = journal;
      await journal.compact();
      expect(ids()).toHaveLength(Math.min(count, HISTORY_MAX));
      expect(await journal.readCommit(oldest)).toMatchObject({ backward: `<b>${oldest}</b>` });
      expect(journal.sequence).toBe(sequence);
      await journal.append(commit(count + 1));
      expect(journal.sequence).toBe(sequence + 1);
    },
  );

  test("asks to be shortened when too many records are superfluous", async () => {
    const journal = make();
    await journal.open();
    for (let count = 1; count <= SUPERFLUOUS_RECORDS_MAX; count++) {
      await journal.append({ kind: "settled", startup: false });
    }
    expect(journal.isCompactionDue).toBe(false);
    await journal.append({ kind: "settled", startup: false });
    expect(journal.isCompactionDue).toBe(true);
  });
});
