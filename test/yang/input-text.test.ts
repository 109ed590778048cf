import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { JSON_DEPTH_MAX } from "../../src/lib/yang/input-text.ts";
import { YangContext } from "../../src/lib/yang/yang-context.ts";
import type { YangProblem } from "../../src/lib/yang/yang-problem.ts";
import { productContext, withModule, YANG_DIRECTORIES } from "./yang-fixture.ts";

let yang: YangContext;

beforeAll(() => {
  yang = productContext([{ name: "ietf-nat", features: "all" }]);
});

afterAll(() => {
  yang.destroy();
});

function problemOf(text: string | Uint8Array, format: "json" | "xml" = "json"): YangProblem {
  const parsed = yang.parseConfig(text, format);
  if (parsed.ok) throw new Error(`accepted: ${parsed.value.print("json")}`);
  return parsed.error;
}

describe("parseConfig() refuses text that is not well-formed", () => {
  test.each([
    ["truncated JSON that libyang alone takes for empty", '{"x":', "json"],
    ["empty JSON", "", "json"],
    ["a JSON array", "[]", "json"],
    ["JSON null", "null", "json"],
    ["two JSON values", "{} {}", "json"],
    ["a NUL in JSON", '{"a\0b":1}', "json"],
    ["a name without module at the top", '{"nat":{}}', "json"],
    ["truncated XML", "<nat", "xml"],
    [
      "an XML element that is not closed",
      '<nat xmlns="urn:ietf:params:xml:ns:yang:ietf-nat">',
      "xml",
    ],
    ["text", "nat", "xml"],
    ["a document type", '<!DOCTYPE nat [<!ENTITY a "b">]><nat/>', "xml"],
    [
      "an entity nobody defined",
      '<nat xmlns="urn:ietf:params:xml:ns:yang:ietf-nat">&a;</nat>',
      "xml",
    ],
    ["a NUL in XML", '<nat xmlns="urn:ietf:params:xml:ns:yang:ietf-nat"/>\0<x/>', "xml"],
  ] as const)("%s", (_, text, format) => {
    expect(problemOf(text, format)).toMatchObject({ kind: "yang-invalid", malformed: true });
  });

  test("bytes that are not UTF-8", () => {
    const bytes = Buffer.concat([
      Buffer.from('<nat xmlns="urn:ietf:params:xml:ns:yang:ietf-nat"><instances>'),
      Buffer.from([0xff, 0xfe]),
      Buffer.from("</instances></nat>"),
    ]);
    expect(problemOf(bytes, "xml").kind).toBe("yang-invalid");
    expect(problemOf(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])).kind).toBe(
      "yang-invalid",
    );
  });

  test("200,000 nested XML elements", () => {
    const open = `<a xmlns="urn:x">${"<a>".repeat(200_000)}`;
    expect(problemOf(`${open}${"</a>".repeat(200_001)}`, "xml").kind).toBe("yang-invalid");
  });

  test("XML nested too deeply inside of anydata", () => {
    withModule("anydata a;", (context) => {
      const deep = (levels: number): string =>
        `<a xmlns="urn:t">${"<b>".repeat(levels)}${"</b>".repeat(levels)}</a>`;
      expect(context.parseConfig(deep(100), "xml").ok).toBe(true);
      expect(context.parseConfig(deep(20_000), "xml").ok).toBe(false);
    });
  });

  test("JSON nested one level deeper than JSON_DEPTH_MAX", () => {
    withModule("anydata a;", (context) => {
      // The object around it, the anydata and its members make up the rest.
      const deep = (levels: number): string =>
        `{"t:a":${'{"b":'.repeat(levels)}1${"}".repeat(levels + 1)}`;
      expect(context.parseConfig(deep(JSON_DEPTH_MAX - 2), "json").ok).toBe(true);
      expect(context.parseConfig(deep(JSON_DEPTH_MAX - 1), "json").ok).toBe(true);
      const tooDeep = context.parseConfig(deep(JSON_DEPTH_MAX), "json");
      expect(tooDeep).toMatchObject({ ok: false, error: { malformed: true } });
    });
  });

  test("brackets inside of JSON strings do not count as nesting", () => {
    const name = `${"[{".repeat(JSON_DEPTH_MAX)}\\"`;
    const text = JSON.stringify({ "ietf-nat:nat": { instances: { instance: [{ id: 1, name }] } } });
    expect(yang.parseConfig(text, "json").ok).toBe(true);
  });
});

test("create() bounds the bytes of each text", () => {
  const text = '<nat xmlns="urn:ietf:params:xml:ns:yang:ietf-nat"/>';
  const parse = (inputBytesMax: number): boolean => {
    const context = YangContext.create({
      searchDirectories: YANG_DIRECTORIES,
      modules: [{ name: "ietf-nat", features: ["napt44"] }],
      inputBytesMax,
    });
    const { ok } = context.parseConfig(text, "xml");
    context.destroy();
    return ok;
  };
  expect([text.length + 1, text.length, text.length - 1].map(parse)).toEqual([true, true, false]);
});
