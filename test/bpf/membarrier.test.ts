/** When a grace period is had from the kernel, and when a fixed time takes its place. */
import { expect, test } from "vitest";
import {
  BOUNDED_WAIT_MS,
  type GraceKernel,
  makeGraceWait,
  waitForGracePeriod,
} from "../../src/lib/bpf/membarrier.ts";

function makeKernel(commands: number, answer: number): { kernel: GraceKernel; calls: string[] } {
  const calls: string[] = [];
  const kernel: GraceKernel = {
    query() {
      calls.push("query");
      return commands;
    },
    async waitGlobal() {
      calls.push("global");
      return answer;
    },
    async sleep(ms) {
      calls.push(`sleep ${ms}`);
    },
  };
  return { kernel, calls };
}

test("the kernel is asked once what it offers, and waits itself where it can", async () => {
  const { kernel, calls } = makeKernel(0b1_0001, 0);
  const wait = makeGraceWait(kernel);
  await wait();
  await wait();
  expect(calls).toEqual(["query", "global", "global"]);
});

test.each([
  ["leaves the command out, as with nohz_full", 0b1_0000],
  ["has no such call, or a sandbox forbids it", -1],
  ["offers nothing", 0],
])("a kernel that %s gets a bounded wait each time", async (_, commands) => {
  const { kernel, calls } = makeKernel(commands, 0);
  const wait = makeGraceWait(kernel);
  await wait();
  await wait();
  expect(calls).toEqual(["query", `sleep ${BOUNDED_WAIT_MS}`, `sleep ${BOUNDED_WAIT_MS}`]);
});

test("a kernel that refuses what it offered is not asked again", async () => {
  const { kernel, calls } = makeKernel(0b1, -1);
  const wait = makeGraceWait(kernel);
  await wait();
  await wait();
  const slept = `sleep ${BOUNDED_WAIT_MS}`;
  expect(calls).toEqual(["query", "global", slept, slept]);
});

test("this kernel's grace period ends", async () => {
  await waitForGracePeriod();
});
