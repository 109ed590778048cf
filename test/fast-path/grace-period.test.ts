import { expect, test } from "vitest";
import { GracePeriods } from "../../src/fast-path/bpf/grace-period.ts";

interface Started {
  finish(): void;
  fail(): void;
}

function makeGrace(): { grace: GracePeriods; started: Started[] } {
  const started: Started[] = [];
  const grace = new GracePeriods(
    () =>
      new Promise<void>((resolve, reject) => {
        started.push({ finish: resolve, fail: () => reject(new Error("no membarrier")) });
      }),
  );
  return { grace, started };
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("wait() never ends with a grace period that had begun before, and shares the next one", async () => {
  const { grace, started } = makeGrace();
  const done: string[] = [];
  void grace.wait().then(() => done.push("first"));
  void grace.wait().then(() => done.push("second"));
  void grace.wait().then(() => done.push("third"));
  expect(started).toHaveLength(1);
  started[0]?.finish();
  await turn();
  expect(done).toEqual(["first"]);
  expect(started).toHaveLength(2);
  started[1]?.finish();
  await turn();
  expect(done).toEqual(["first", "second", "third"]);
  void grace.wait();
  expect(started).toHaveLength(3);
});

test("a grace period that fails fails those who wait for it, not those who wait for the next", async () => {
  const { grace, started } = makeGrace();
  const first = grace.wait();
  const second = grace.wait();
  started[0]?.fail();
  await expect(first).rejects.toThrow("no membarrier");
  await turn();
  started[1]?.finish();
  await expect(second).resolves.toBeUndefined();
});
