/** Pins what each text of libyang becomes; a libyang that words it otherwise fails here. */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { rpcErrorOfYang } from "../../src/lib/netconf/yang-error.ts";
import { YangContext } from "../../src/lib/yang/yang-context.ts";

const MODULE = `module m {
  yang-version 1.1; namespace "urn:m"; prefix m;
  container top {
    leaf number { type uint8 { range "1..9"; } }
    leaf word { type string { pattern "[a-z]+"; } }
    leaf target { type leafref { path "/top/item/k"; } }
    leaf ruled { type string; must "../number" { error-message "number is needed"; error-app-tag "own-tag"; } }
    leaf plain { type string; must "../number"; }
    leaf when { when "../number = 5"; type string; }
    leaf state { config false; type string; }
    choice way { leaf left { type string; } leaf right { type string; } }
    container must-have { presence "x"; leaf needed { mandatory true; type string; } choice c { mandatory true; leaf q { type string; } } }
    list item { key "k"; unique "u"; leaf k { type string; } leaf u { type string; } }
    leaf-list few { type string; max-elements 1; }
    container some { presence "x"; leaf-list most { type string; min-elements 1; } }
  }
}`;

let folder: string;
let yang: YangContext;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "flowlift-yang-error-"));
  writeFileSync(join(folder, "m.yang"), MODULE);
  yang = YangContext.create({ searchDirectories: [folder], modules: [{ name: "m" }] });
});
afterAll(() => {
  yang.destroy();
  rmSync(folder, { recursive: true, force: true });
});

test.each([
  [
    "an unknown node",
    "<nothing/>",
    { tag: "unknown-element", info: [{ name: "bad-element", text: "nothing" }] },
  ],
  ["state", "<state>x</state>", { tag: "unknown-element" }],
  ["a range", "<number>10</number>", { tag: "invalid-value", path: "/m:top/number" }],
  ["a type", "<number>x</number>", { tag: "invalid-value" }],
  ["a pattern", "<word>A</word>", { tag: "invalid-value" }],
  [
    "a must with its own tag",
    "<ruled>x</ruled>",
    { tag: "operation-failed", appTag: "own-tag", message: "number is needed" },
  ],
  ["a must", "<plain>x</plain>", { tag: "operation-failed", appTag: "must-violation" }],
  ["a when", "<when>x</when>", { tag: "unknown-element" }],
  ["a leafref", "<target>x</target>", { tag: "data-missing", appTag: "instance-required" }],
  ["two cases", "<left>x</left><right>y</right>", { tag: "bad-element" }],
  ["a mandatory leaf", "<must-have><q>1</q></must-have>", { tag: "data-missing" }],
  [
    "a mandatory choice",
    "<must-have><needed>1</needed></must-have>",
    { tag: "data-missing", appTag: "missing-choice" },
  ],
  [
    "a missing key",
    "<item/>",
    { tag: "missing-element", info: [{ name: "bad-element", text: "k" }] },
  ],
  [
    "unique",
    "<item><k>1</k><u>x</u></item><item><k>2</k><u>x</u></item>",
    { tag: "operation-failed", appTag: "data-not-unique" },
  ],
  [
    "max-elements",
    "<few>1</few><few>2</few>",
    { tag: "operation-failed", appTag: "too-many-elements" },
  ],
  ["min-elements", "<some/>", { tag: "operation-failed", appTag: "too-few-elements" }],
  ["an entry twice", "<item><k>1</k></item><item><k>1</k></item>", { tag: "bad-element" }],
  ["a leaf twice", "<word>a</word><word>b</word>", { tag: "bad-element" }],
  ["a child of a leaf", "<word>a<b/></word>", { tag: "malformed-message" }],
])("%s", (_name, inner, expected) => {
  const parsed = yang.parseConfig(`<top xmlns="urn:m">${inner}</top>`, "xml");
  expect(parsed.ok ? "valid" : rpcErrorOfYang(parsed.error)).toMatchObject(expected);
});
