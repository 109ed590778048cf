import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { expect, test } from "vitest";
import { findProjectRoot } from "../../src/lib/base/project-root.ts";

/** Runs in a thread of its own on the built files: parses as long as it is told to. */
const PROGRAM = `
const { parentPort, workerData } = require("node:worker_threads");
(async () => {
  const { YangContext } = await import(workerData.root + "/dist/lib/yang/yang-context.js");
  const { defaultYangDirectories } = await import(workerData.root + "/dist/lib/yang/yang-directories.js");
  const yang = YangContext.create({
    searchDirectories: defaultYangDirectories(workerData.root),
    modules: [{ name: "ietf-nat", features: ["napt44"] }],
  });
  let refusals = 0;
  for (let round = 0; round < 2000; round += 1) {
    const id = round % 2;
    const text = JSON.stringify({ "ietf-nat:nat": { instances: { instance: [{ id }] } } });
    const parsed = yang.parseConfig(text, "json");
    if (parsed.ok) parsed.value.free();
    else if (parsed.error.path === "/ietf-nat:nat/instances/instance[id='0']/id") refusals += 1;
  }
  yang.destroy();
  parentPort.postMessage(refusals);
})().catch((error) => parentPort.postMessage(String(error)));
`;

test("threads validate side by side, each with its own context and its own errors", async () => {
  const workers = Array.from(
    { length: 3 },
    () => new Worker(PROGRAM, { eval: true, workerData: { root: join(findProjectRoot()) } }),
  );
  const answers = await Promise.all(
    workers.map(
      (worker) =>
        new Promise((resolve, reject) => {
          worker.once("message", resolve);
          worker.once("error", reject);
        }),
    ),
  );
  await Promise.all(workers.map((worker) => worker.terminate()));
  expect(answers).toEqual([1000, 1000, 1000]);
});
