import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { FlowliftError } from "../../src/lib/base/errors.ts";
import { YangContext } from "../../src/lib/yang/yang-context.ts";
import { describeProblem, type YangProblem } from "../../src/lib/yang/yang-problem.ts";
import { productContext, withModule, YANG_DIRECTORIES } from "./yang-fixture.ts";

let yang: YangContext;

beforeAll(() => {
  yang = productContext();
});

afterAll(() => {
  yang.destroy();
});

function problemOf(text: string, format: "json" | "xml" = "json"): YangProblem {
  const parsed = yang.parseConfig(text, format);
  if (parsed.ok) throw new Error(`accepted: ${parsed.value.print("json")}`);
  return parsed.error;
}

const instance = (members: object): string =>
  JSON.stringify({ "ietf-nat:nat": { instances: { instance: [{ id: 1, ...members }] } } });

describe("create()", () => {
  test("loads every module of the product into one context", () => {
    const names = yang.listModules().map(({ name }) => name);
    expect(names).toContain("ietf-nat");
    expect(names).toContain("flowlift-offload");
    expect(new Set(names).size).toBe(names.length);
  });

  test("takes yang-library of 2019, though a package also has that of 2016", () => {
    const library = yang.listModules().find(({ name }) => name === "ietf-yang-library");
    expect(library?.revision).toBe("2019-01-04");
  });

  test("names a module that is nowhere, and where it looked", () => {
    const create = (): YangContext =>
      YangContext.create({ searchDirectories: YANG_DIRECTORIES, modules: [{ name: "no-such" }] });
    expect(create).toThrow(/"no-such".*not found in local searchdirs/);
    expect(create).toThrow(
      expect.objectContaining({ code: "YANG_MODULE_UNLOADABLE" }) as FlowliftError,
    );
  });

  test("refuses a revision that is not there", () => {
    const modules = [{ name: "ietf-nat", revision: "2017-01-01" }];
    expect(() => YangContext.create({ searchDirectories: YANG_DIRECTORIES, modules })).toThrow(
      /ietf-nat@2017-01-01/,
    );
  });

  test("refuses a feature that the module does not define", () => {
    const modules = [{ name: "ietf-nat", features: ["napt99"] }];
    expect(() => YangContext.create({ searchDirectories: YANG_DIRECTORIES, modules })).toThrow(
      /napt99/,
    );
  });

  test("refuses a directory that does not exist", () => {
    const create = (): YangContext =>
      YangContext.create({ searchDirectories: ["/no/such/directory"], modules: [] });
    expect(create).toThrow(/"\/no\/such\/directory"/);
  });

  test("supports the features that were asked for and no other", () => {
    const some = productContext([{ name: "ietf-nat", features: ["napt44"] }]);
    const nat = some.listModules().find(({ name }) => name === "ietf-nat");
    some.destroy();
    expect(nat?.features).toEqual(["napt44"]);
    expect(nat?.disabledFeatures).toContain("nat64");
  });
});

describe("parseConfig() names the leaf and the reason", () => {
  test.each([
    [
      "a value out of range",
      instance({ policy: [{ id: 1, "subscriber-mask-v6": 129 }] }),
      {
        path: "/ietf-nat:nat/instances/instance[id='1']/policy[id='1']/subscriber-mask-v6",
        message: /129.*range/,
      },
    ],
    [
      "a broken must",
      '{"ietf-nat:nat":{"instances":{"instance":[{"id":0}]}}}',
      {
        path: "/ietf-nat:nat/instances/instance[id='0']/id",
        message: /Must condition/,
        appTag: "must-violation",
      },
    ],
    [
      "a must's own message",
      instance({
        "mapping-table": {
          "mapping-entry": [
            { index: 1, "internal-src-port": { "start-port-number": 9, "end-port-number": 8 } },
          ],
        },
      }),
      { message: /'end-port-number' lies below 'start-port-number'/ },
    ],
    [
      "a missing mandatory leaf",
      instance({ "nat-pass-through": [{ id: 1 }] }),
      {
        schemaPath: "/ietf-nat:nat/instances/instance/nat-pass-through/prefix",
        message: /Mandatory node "prefix"/,
      },
    ],
    [
      "a reference to nothing",
      instance({
        policy: [{ id: 1, "external-realm": { "external-interface": "eth9" } }],
      }),
      {
        path: "/ietf-nat:nat/instances/instance[id='1']/policy[id='1']/external-realm/external-interface",
        message: /eth9/,
      },
    ],
    [
      "an unknown leaf",
      instance({ colour: "red" }),
      {
        path: "/ietf-nat:nat/instances/instance[id='1']",
        message: /"colour"/,
      },
    ],
    ["an unknown module", '{"no-such:x":{}}', { message: /"no-such"/ }],
    ["state in configuration", instance({ statistics: {} }), { message: /statistics/ }],
    [
      "a list entry without its key",
      '{"ietf-nat:nat":{"instances":{"instance":[{"name":"a"}]}}}',
      {
        message: /"id"/,
      },
    ],
  ])("%s", (_, text, expected) => {
    const problem = problemOf(text);
    expect(problem.kind).toBe("yang-invalid");
    expect(problem.malformed).toBeUndefined();
    expect(problem.message).toMatch(expected.message);
    expect(problem.message).not.toMatch(/\.$/);
    if ("path" in expected) expect(problem.path).toBe(expected.path);
    if ("schemaPath" in expected) expect(problem.schemaPath).toBe(expected.schemaPath);
    if ("appTag" in expected) expect(problem.appTag).toBe(expected.appTag);
  });

  test("the line of XML text", () => {
    const text =
      '<nat xmlns="urn:ietf:params:xml:ns:yang:ietf-nat">\n<instances>\n<x/></instances></nat>';
    expect(problemOf(text, "xml")).toMatchObject({
      line: 3,
      message: expect.stringContaining('"x"') as string,
    });
  });

  test("a key that holds quotes and brackets", () => {
    const name = `a"]/b[x='1`;
    const text = JSON.stringify({
      "ietf-access-control-list:acls": { acl: [{ name, type: "no-such" }] },
    });
    expect(problemOf(text).path).toContain("/ietf-access-control-list:acls/acl[name=");
  });

  test("describeProblem() says all of it in one line", () => {
    const line = describeProblem(problemOf(instance({ "per-interface-binding": "maybe" })));
    expect(line).toMatch(/^\/ietf-nat:nat.*per-interface-binding: .*"maybe".*\(line 1\)$/);
  });
});

describe("parseConfig() options", () => {
  test("strict: false drops what is unknown", () => {
    const parsed = yang.parseConfig(instance({ colour: "red" }), "json", { strict: false });
    expect(parsed.ok && parsed.value.print("json")).toBe(instance({}));
  });

  test("validate: false leaves constraints to validate()", () => {
    const parsed = yang.parseConfig(instance({ id: 0 }), "json", { validate: false });
    if (!parsed.ok) throw new Error(parsed.error.message);
    expect(yang.validate(parsed.value)).toMatchObject({ appTag: "must-violation" });
  });

  test("withState accepts state", () => {
    const statistics = { "discontinuity-time": "2026-11-21T00:00:00+00:00" };
    const parsed = yang.parseConfig(instance({ statistics }), "json", { withState: true });
    expect(parsed.ok).toBe(true);
  });

  test("an empty XML text and an empty JSON object are empty configurations", () => {
    for (const parsed of [yang.parseConfig("", "xml"), yang.parseConfig("{}", "json")]) {
      expect(parsed.ok && parsed.value.print("json")).toBe("{}");
    }
  });

  test("a mandatory leaf at the top is missed even when its module has no data", () => {
    withModule("container c { leaf v { type string; mandatory true; } }", (context) => {
      expect(context.parseConfig("{}", "json").ok).toBe(false);
    });
  });
});

test("parseConfig() and validate() carry 10,000 list entries", () => {
  const entries = Array.from({ length: 10_000 }, (_, index) => ({
    index,
    type: "static",
    "internal-src-address": `10.0.${index >> 8}.${index & 255}/32`,
    "external-src-port": { "start-port-number": 1024, "end-port-number": 1024 + index },
  }));
  const table = (list: object[]): string =>
    instance({ "mapping-table": { "mapping-entry": list } });
  const parsed = yang.parseConfig(table(entries), "json");
  if (!parsed.ok) throw new Error(parsed.error.message);
  expect(yang.validate(parsed.value)).toBeUndefined();
  parsed.value.free();
  const broken = entries.with(9_999, {
    ...(entries[9_999] as (typeof entries)[0]),
    "external-src-port": { "start-port-number": 9, "end-port-number": 8 },
  });
  expect(problemOf(table(broken)).path).toContain("mapping-entry[index='9999']");
});
