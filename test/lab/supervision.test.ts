import { expect, test } from "vitest";
import { formatHostKey } from "../../src/lab/host-key.ts";
import { isAlive, recordProcess } from "../../src/lab/process-record.ts";
import {
  planRestartPause,
  RESTART_PAUSE_MAX_MS,
  RESTART_PAUSE_MIN_MS,
} from "../../src/lab/supervised-process.ts";

test("planRestartPause() doubles up to its bound", () => {
  expect(planRestartPause(0)).toBe(RESTART_PAUSE_MIN_MS);
  expect(planRestartPause(1)).toBe(2 * RESTART_PAUSE_MIN_MS);
  const pauses = Array.from({ length: 40 }, (_, failures) => planRestartPause(failures));
  expect(Math.max(...pauses)).toBe(RESTART_PAUSE_MAX_MS);
  expect(pauses).toEqual(pauses.toSorted((a, b) => a - b));
});

test("a record of this process is alive, one with another start time is not", () => {
  const record = recordProcess(process.pid);
  expect(record).toBeDefined();
  expect(isAlive(record!)).toBe(true);
  expect(isAlive({ pid: process.pid, startTime: "1" })).toBe(false);
  expect(recordProcess(2 ** 30)).toBeUndefined();
});

test("formatHostKey() is what a known_hosts file holds", () => {
  const name = Buffer.from("ssh-ed25519");
  const blob = Buffer.concat([Buffer.from([0, 0, 0, name.length]), name, Buffer.alloc(4)]);
  expect(formatHostKey(blob)).toBe(`ssh-ed25519 ${blob.toString("base64")}`);
});
