import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { FlowliftError } from "../../src/lib/base/errors.ts";
import { SILENT_LOG } from "../../src/lib/base/log.ts";
import { findProjectRoot } from "../../src/lib/base/project-root.ts";
import { err, ok } from "../../src/lib/base/result.ts";
import { parseXml } from "../../src/lib/xml/tree.ts";
import { YangContext } from "../../src/lib/yang/yang-context.ts";
import { defaultYangDirectories } from "../../src/lib/yang/yang-directories.ts";
import type { Applier } from "../../src/management/applier.ts";
import { ConfigStore } from "../../src/management/config-store.ts";
import type { Actor } from "../../src/management/core/journal-record.ts";
import { readEditPayload } from "../../src/management/edit-payload.ts";
import { buildSchema } from "../../src/management/schema-build.ts";
import { loadDatastores } from "../../src/management/startup.ts";

let yang: YangContext;
let store: ConfigStore;
let steps: string[];
let folder: string;
let failing: string | undefined;

beforeAll(() => {
  yang = YangContext.create({
    searchDirectories: defaultYangDirectories(findProjectRoot()),
    modules: [
      { name: "ietf-netconf" },
      { name: "flowlift-edit" },
      { name: "iana-if-type" },
      { name: "ietf-interfaces" },
      { name: "flowlift-system" },
    ],
  });
});
afterAll(() => yang.destroy());

/** Each step is recorded before it fails, if it is the one that fails. */
const applier: Applier = {
  prepare: async () => {
    steps.push("prepare");
    return failing === "prepare"
      ? err({ kind: "config-not-applicable", path: "/p", message: "m" })
      : ok(undefined);
  },
  commit: async () => {
    steps.push("commit");
    if (failing === "commit") throw new FlowliftError("LOCAL_RPC_TIMEOUT", "slow");
    await new Promise((resolve) => setTimeout(resolve, 5));
    return { late: [] };
  },
  abort: async () => {
    steps.push("abort");
    if (failing === "abort") throw new FlowliftError("LOCAL_RPC_CLOSED", "gone");
  },
  getState: async () => ({}),
};

/** Who commits. */
const BY: Actor = { user: "eve", sessionId: 7, sourceHost: "::1", protocol: "netconf-ssh" };

function makeStore(): ConfigStore {
  return new ConfigStore({
    yang,
    schema: buildSchema(yang.walkSchema()),
    applier,
    stateDirectory: folder,
    bootId: "b",
    savesStartup: (config) => config["flowlift-system:appliance"] === undefined,
    log: SILENT_LOG,
  });
}

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "flowlift-store-"));
  steps = [];
  failing = undefined;
  store = makeStore();
  await loadDatastores(store, { dayZeroConfig: undefined, log: SILENT_LOG });
  const append = store.log.append.bind(store.log);
  store.log.append = async (record) => {
    steps.push(`append ${record.kind}${"startup" in record && record.startup ? "+startup" : ""}`);
    if (failing === "write" || failing === "abort") {
      throw new FlowliftError("STATE_FILE_UNWRITABLE", "full");
    }
    await append(record);
  };
  return () => rmSync(folder, { recursive: true, force: true });
});

function edit(inner: string): string | undefined {
  const xml = parseXml(
    `<config xmlns:nc="urn:ietf:params:xml:ns:netconf:base:1.0">${inner}</config>`,
  );
  if (!xml.ok) throw new Error(xml.error.message);
  const edits = readEditPayload(yang, store.schema, xml.value, {});
  if (!edits.ok) return edits.error.tag;
  const next = store.edited(store.read("candidate"), edits.value, "merge");
  if (!next.ok) return next.error.tag;
  store.candidate.set(next.value);
  return undefined;
}
const INTERFACE = (name: string, type = "ethernetCsmacd"): string =>
  '<interfaces xmlns="urn:ietf:params:xml:ns:yang:ietf-interfaces"><interface>' +
  `<name>${name}</name><type xmlns:t="urn:ietf:params:xml:ns:yang:iana-if-type">t:${type}</type></interface></interfaces>`;
const NO_AUTO_SAVE =
  '<appliance xmlns="urn:flowlift:system"><auto-save>false</auto-save></appliance>';

describe("ConfigStore.commit()", () => {
  test("validates, prepares, applies, stores, in this order", async () => {
    edit(INTERFACE("eth0"));
    expect(store.candidate.isModified).toBe(true);
    expect(await store.commit({ actor: BY })).toEqual(ok({ late: [], commitId: 1 }));
    expect(steps).toEqual(["prepare", "commit", "append commit+startup"]);
    expect(store.candidate.isModified).toBe(false);
    expect(store.read("startup")).toBe(store.read("running"));
  });

  test("stores no startup when the new configuration says so", async () => {
    edit(NO_AUTO_SAVE);
    await store.commit({ actor: BY });
    expect(steps.at(-1)).toBe("append commit");
    expect(store.read("startup").size).toBe(0);
  });

  test.each([
    ["prepare", ["prepare"], "operation-failed"],
    ["commit", ["prepare", "commit", "abort"], "operation-failed"],
    ["write", ["prepare", "commit", "append commit+startup", "abort"], "operation-failed"],
    ["abort", ["prepare", "commit", "append commit+startup", "abort"], "operation-failed"],
  ])("leaves running and candidate as they were when %s fails", async (what, expected, tag) => {
    failing = what;
    const before = store.read("running");
    edit(INTERFACE("eth0"));
    const candidate = store.read("candidate");
    const result = await store.commit({ actor: BY });
    expect(result.ok ? "" : result.error.tag).toBe(tag);
    expect(steps).toEqual(expected);
    expect(store.read("running")).toBe(before);
    expect(store.read("candidate")).toBe(candidate);
    failing = undefined;
    expect((await store.commit({ actor: BY })).ok).toBe(true);
  });

  test("asks the applier nothing for a configuration that is not valid", async () => {
    edit(
      '<interfaces xmlns="urn:ietf:params:xml:ns:yang:ietf-interfaces"><interface><name>x</name></interface></interfaces>',
    );
    const result = await store.commit({ actor: BY });
    expect(result.ok ? "" : result.error).toMatchObject({ tag: "data-missing" });
    expect(steps).toEqual([]);
  });

  test("runs one after the other, and keeps an edit that comes in between", async () => {
    edit(INTERFACE("eth0"));
    const first = store.commit({ actor: BY });
    while (!steps.includes("commit")) await new Promise((resolve) => setImmediate(resolve));
    const asked = store.read("candidate");
    edit(INTERFACE("eth1"));
    expect((await first).ok).toBe(true);
    expect(store.read("running")).toBe(asked);
    expect(store.candidate.isModified).toBe(true);
    const [second, third] = await Promise.all([
      store.commit({ actor: BY }),
      store.commit({ actor: BY }),
    ]);
    expect([second.ok, third.ok]).toEqual([true, true]);
    expect(steps.filter((step) => step === "prepare")).toHaveLength(2);
    expect(steps.join(" ")).not.toMatch(/prepare prepare|commit commit/);
  });

  test("survives the way to disk and back, identities and all", async () => {
    edit(INTERFACE("eth0"));
    await store.commit({ actor: BY });
    const text = store.formatJson(store.read("running"));
    expect(text).toContain("iana-if-type:ethernetCsmacd");
    const again = makeStore();
    await loadDatastores(again, { dayZeroConfig: undefined, log: SILENT_LOG });
    expect(again.formatJson(again.read("running"))).toBe(text);
    expect(again.formatJson(again.read("startup"))).toBe(text);
    expect(again.log.listCommits()).toMatchObject([{ id: 1, user: "eve", how: "commit" }]);
  });
});

describe("readEditPayload()", () => {
  test.each([
    ["an identity of another module", INTERFACE("e", "nothingLikeIt"), "invalid-value"],
    [
      "an annotation that only we use, on a key",
      '<interfaces xmlns="urn:ietf:params:xml:ns:yang:ietf-interfaces"><interface xmlns:e="urn:flowlift:edit" e:removed-leaves="-ietf-interfaces:name"><name>x</name></interface></interfaces>',
      undefined,
    ],
    [
      "an unknown attribute",
      '<interfaces xmlns="urn:ietf:params:xml:ns:yang:ietf-interfaces" colour="red"/>',
      "unknown-attribute",
    ],
    ["no namespace", "<interfaces/>", "unknown-namespace"],
    [
      "text between elements",
      '<interfaces xmlns="urn:ietf:params:xml:ns:yang:ietf-interfaces">hi<interface><name>x</name></interface></interfaces>',
      "bad-element",
    ],
  ])("answers %s", (_name, xml, tag) => {
    const before = store.read("candidate");
    expect(edit(xml)).toBe(tag);
    if (tag !== undefined) expect(store.read("candidate")).toBe(before);
  });

  test("keeps canonical values, and removes a leaf without its value", () => {
    const inner = (extra: string): string =>
      `<interfaces xmlns="urn:ietf:params:xml:ns:yang:ietf-interfaces"><interface><name>x</name>${extra}</interface></interfaces>`;
    edit(INTERFACE("x") + inner("<enabled>false</enabled>"));
    expect(edit(inner('<enabled nc:operation="delete"/>'))).toBeUndefined();
    expect(edit(inner('<enabled nc:operation="delete"/>'))).toBe("data-missing");
    expect(edit(inner('<enabled nc:operation="remove"/>'))).toBeUndefined();
    expect(store.validate(store.read("candidate"))).toBeUndefined();
    expect(store.json.write(store.read("candidate"))).toEqual({
      "ietf-interfaces:interfaces": {
        interface: [{ name: "x", type: "iana-if-type:ethernetCsmacd" }],
      },
    });
  });
});
