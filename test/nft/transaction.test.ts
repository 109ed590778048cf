import { expect, test } from "vitest";
import { closedRuleset, APPLIANCE_TABLE as TABLE } from "../../src/appliance/ruleset.ts";
import { contentChain } from "../../src/lib/nft/chain.ts";
import { NftApplyError } from "../../src/lib/nft/errors.ts";
import { objectName } from "../../src/lib/nft/identifier.ts";
import type { Nft } from "../../src/lib/nft/libnftables.ts";
import { ACCEPT, DROP, type Ruleset } from "../../src/lib/nft/nodes.ts";
import { EMPTY_INVENTORY, NftTable, planTransaction } from "../../src/lib/nft/transaction.ts";

const OLD = contentChain("acl", [[ACCEPT]]);
const NEW = contentChain("acl", [[DROP]]);
const KEPT = contentChain("vs", [[ACCEPT]]);
const RULESET: Ruleset = {
  ...closedRuleset(),
  chains: [NEW, KEPT],
  counters: [objectName("kept"), objectName("added")],
};
const INVENTORY = {
  exists: true,
  baseChains: new Set(["forward", "somebody-elses"]),
  chains: new Set([OLD.name, KEPT.name]),
  counters: new Set(["kept", "gone"]),
};

/** "verb object name" of each command. */
function summary(commands: readonly unknown[]): string[] {
  return commands.map((command) => {
    const [[verb, object] = ["", {}]] = Object.entries(command as Record<string, object>);
    const [[kind, fields] = ["", {}]] = Object.entries(object as Record<string, object>);
    const { name, chain } = fields as { name?: string; chain?: string };
    return `${verb} ${kind} ${name ?? chain}`;
  });
}

test("planTransaction() adds, keeps and deletes, and never deletes a base chain", () => {
  const plan = summary(planTransaction(TABLE, INVENTORY, RULESET));
  expect(plan).toContain("add counter added");
  expect(plan).toContain(`add chain ${NEW.name}`);
  expect(plan).toContain(`delete chain ${OLD.name}`);
  expect(plan).toContain("delete counter gone");
  expect(plan.filter((line) => line.endsWith(` ${KEPT.name}`))).toEqual([]);
  expect(plan.filter((line) => line.endsWith(" kept"))).toEqual([]);
  expect(plan.filter((line) => line.includes("somebody-elses"))).toEqual([]);
  expect(plan).not.toContain("delete chain forward");
});

test("planTransaction() empties what refers to a chain before it deletes the chain", () => {
  const plan = summary(planTransaction(TABLE, INVENTORY, RULESET));
  expect(plan.indexOf("flush chain forward")).toBeLessThan(
    plan.indexOf(`delete chain ${OLD.name}`),
  );
  expect(plan.indexOf(`delete chain ${OLD.name}`)).toBeLessThan(
    plan.indexOf("delete counter gone"),
  );
});

test("planTransaction() of an empty table creates every base chain with its policy", () => {
  const plan = planTransaction(TABLE, EMPTY_INVENTORY, closedRuleset());
  const text = JSON.stringify(plan);
  expect(text).toContain('"hook":"forward","prio":0,"policy":"drop"');
  expect(text).toContain('"hook":"input","prio":0,"policy":"drop"');
});

/** Answers lists with an empty table, and everything else as told. */
function fakeNft(accepts: () => boolean): { nft: Nft; runs: string[] } {
  const runs: string[] = [];
  const nft: Nft = {
    async run(command) {
      runs.push(command);
      if (command.includes('"list"'))
        return { accepted: true, output: '{"nftables":[]}', errorText: "" };
      const accepted = accepts();
      return { accepted, output: "", errorText: accepted ? "" : "Error: no" };
    },
    async close() {},
  };
  return { nft, runs };
}

test("apply() throws NFT_APPLY_REJECTED with the library's words", async () => {
  const table = new NftTable(fakeNft(() => false).nft, TABLE);
  const error = await table.apply(RULESET).catch((cause: unknown) => cause);
  expect(error).toBeInstanceOf(NftApplyError);
  expect(error).toMatchObject({ code: "NFT_APPLY_REJECTED", reason: "Error: no" });
});

test("apply() looks again when the table is not as it was left", async () => {
  const answers = [true, false, true];
  const { nft, runs } = fakeNft(() => answers.shift() ?? false);
  const table = new NftTable(nft, TABLE);
  await table.apply(RULESET);
  await table.apply(closedRuleset());
  expect(runs.filter((run) => run.includes('"list"'))).toHaveLength(2);
});

test("check() and the apply() that follows share one look and one plan", async () => {
  const { nft, runs } = fakeNft(() => true);
  const table = new NftTable(nft, TABLE);
  await table.check(RULESET);
  await table.apply(RULESET);
  expect(runs).toHaveLength(3);
  expect(runs[1]).toBe(runs[2]);
});
