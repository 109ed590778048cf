/** Hostile bytes: random ones by seed, and every input that ever failed. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { NetconfMachine } from "../../src/cli/fuzz/netconf-machine.ts";
import { Random } from "../../src/cli/fuzz/random.ts";
import { fuzzNetconf } from "../../src/cli/fuzz.ts";
import { findProjectRoot } from "../../src/lib/base/project-root.ts";
import { defaultYangDirectories } from "../../src/lib/yang/yang-directories.ts";
import { campaignOptions, campaignSize } from "../support/campaign.ts";

const CASES = join(findProjectRoot(), "test", "regression", "netconf");
/** Four campaigns: together at least a million inputs with --full. */
const INPUTS = campaignSize(100, 260_000);

test.each([1, 2, 3, 4])(
  `${INPUTS} broken messages of seed %i are answered, and nothing breaks`,
  campaignOptions(),
  async (seed) => {
    const { failures, outcomes } = await fuzzNetconf(INPUTS, seed);
    expect(failures.map(({ input, reason }) => `${input.toString("base64")} ${reason}`)).toEqual(
      [],
    );
    expect(outcomes.size).toBeGreaterThan(10);
  },
);

test("every input that once failed is answered", async () => {
  const machine = await NetconfMachine.create({
    searchDirectories: defaultYangDirectories(findProjectRoot()),
    modules: [{ name: "ietf-interfaces" }],
  });
  const cases = readdirSync(CASES);
  expect(cases.length).toBeGreaterThan(0);
  for (const name of cases) {
    const input = readFileSync(join(CASES, name));
    expect(await machine.feed(input, new Random(1)), name).toBeUndefined();
  }
  machine.dispose();
});
