import { expect, test } from "vitest";
import { ApplianceApplier } from "../../src/appliance/manage-applier.ts";
import type { DataLink } from "../../src/appliance/manage-data-link.ts";
import { FlowliftError } from "../../src/lib/base/errors.ts";
import { SILENT_LOG } from "../../src/lib/base/log.ts";

interface Prepared {
  readonly transactionId: string;
  readonly asksKernel: boolean;
}

function applierWith(prepared: Prepared[], commit: () => Promise<never>): ApplianceApplier {
  const dataLink = {
    prepare: async (transactionId: string, _config: unknown, asksKernel: boolean) => {
      prepared.push({ transactionId, asksKernel });
      return { ok: true, value: undefined };
    },
    commit,
  } as unknown as DataLink;
  const options = {
    dataLink,
    helperSocket: "/nowhere",
    bootId: "b",
    version: "0",
    firstBoot: () => ({}),
    log: SILENT_LOG,
  };
  return new ApplianceApplier(options);
}

const refuse = async (): Promise<never> => {
  throw new FlowliftError("NFT_APPLY_REJECTED", "the kernel says no");
};

test("the kernel is asked beforehand only when the host's name changes before the ruleset", async () => {
  const prepared: Prepared[] = [];
  const applier = applierWith(prepared, refuse);
  await applier.prepare("plain", {});
  await applier.prepare("named", { "ietf-system:system": { hostname: "edge" } });
  expect(prepared.map(({ asksKernel }) => asksKernel)).toEqual([false, true]);
});

test("what the kernel refuses at commit is the commit's failure", async () => {
  const applier = applierWith([], refuse);
  await applier.prepare("plain", {});
  await expect(applier.commit("plain")).rejects.toThrow("the kernel says no");
});
