import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import Yang from "yang-js";
import { findProjectRoot } from "../../../src/lib/base/project-root.ts";
import { YangContext } from "../../../src/lib/yang/yang-context.ts";
import { CONSTRAINT_CASES, STRUCTURE_CASES } from "./constraint-cases.ts";
import type { ConstructCase } from "./construct-case.ts";
import { LIST_CASES } from "./list-cases.ts";
import { TYPE_CASES } from "./type-cases.ts";

const CONSTRUCT_CASES = [...TYPE_CASES, ...LIST_CASES, ...CONSTRAINT_CASES, ...STRUCTURE_CASES];

/** What an engine does with a case; "right": accepts every good and refuses every bad one. */
type Outcome = "right" | "accepts bad data" | "refuses good data" | "refuses the module";

const RECORD = join(
  findProjectRoot(),
  "test/conformance/yang-constructs/yang-js-outcomes.expected.json",
);

let directory: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "flowlift-yang-constructs-"));
});

afterAll(() => {
  rmSync(directory, { recursive: true, force: true });
});

function moduleText({ body }: ConstructCase): string {
  return `module t { yang-version 1.1; namespace "urn:t"; prefix t; ${body} }`;
}

function judge(each: ConstructCase, accepts: (data: unknown) => boolean): Outcome {
  if (!each.good.every(accepts)) return "refuses good data";
  return each.bad.some(accepts) ? "accepts bad data" : "right";
}

function runLibYang(each: ConstructCase): Outcome {
  writeFileSync(join(directory, "t.yang"), moduleText(each));
  const yang = YangContext.create({ searchDirectories: [directory], modules: [{ name: "t" }] });
  try {
    return judge(each, (data) => {
      const parsed = yang.parseConfig(JSON.stringify(data), "json");
      if (parsed.ok) parsed.value.free();
      return parsed.ok;
    });
  } finally {
    yang.destroy();
  }
}

interface YangJsSchema {
  eval(data: unknown): unknown;
}
const yangJs = Yang as unknown as { parse(text: string): YangJsSchema; clear(): void };

function runYangJs(each: ConstructCase): Outcome {
  const parse = (): YangJsSchema => {
    yangJs.clear();
    return yangJs.parse(moduleText(each));
  };
  try {
    parse();
  } catch {
    return "refuses the module";
  }
  return judge(each, (data) => {
    try {
      parse().eval(structuredClone(data));
      return true;
    } catch {
      return false;
    }
  });
}

describe("libyang", () => {
  test.each(CONSTRUCT_CASES)("judges rightly: $name", (each) => {
    expect(runLibYang(each)).toBe("right");
  });
});

test("yang-js judges each construct as recorded, so that an upstream change is noticed", () => {
  const outcomes = Object.fromEntries(CONSTRUCT_CASES.map((each) => [each.name, runYangJs(each)]));
  const text = `${JSON.stringify(outcomes, undefined, 2)}\n`;
  if (process.env["UPDATE_EXPECTED"] === "1") writeFileSync(RECORD, text);
  expect(JSON.parse(readFileSync(RECORD, "utf8"))).toEqual(outcomes);
});

test("yang-js is not fit to validate: it accepts bad data of must, when and leafref", () => {
  const recorded = JSON.parse(readFileSync(RECORD, "utf8")) as Record<string, Outcome>;
  for (const name of ["must on a leaf", "when on a leaf", "must counts a list"]) {
    expect(recorded[name]).toBe("accepts bad data");
  }
});

test("the table has one row for each name", () => {
  expect(new Set(CONSTRUCT_CASES.map(({ name }) => name)).size).toBe(CONSTRUCT_CASES.length);
  expect(CONSTRUCT_CASES.length).toBeGreaterThanOrEqual(55);
});
