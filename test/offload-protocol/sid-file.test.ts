/** The SIDs of the code are those of the .sid file (RFC 9595), and of the module's every node. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { findProjectRoot } from "../../src/lib/base/project-root.ts";
import type { SchemaNode as YangNode } from "../../src/lib/yang/schema-tree.ts";
import { YangContext } from "../../src/lib/yang/yang-context.ts";
import { defaultYangDirectories } from "../../src/lib/yang/yang-directories.ts";
import { SCHEMA } from "../../src/offload-protocol/cbor-schema.ts";
import type { SchemaChildren } from "../../src/offload-protocol/cbor-schema-nodes.ts";
import { SID_OF_RPC } from "../../src/offload-protocol/cbor-sids.ts";
import { OFFLOAD_REVISION } from "../../src/offload-protocol/hello.ts";

const MODULE = "flowlift-offload";
const FILE = join(findProjectRoot(), `yang/${MODULE}@${OFFLOAD_REVISION}.sid`);
const ENTRY_POINT = 60_000;
const SIZE = 300;

interface Item {
  readonly namespace: "module" | "data";
  readonly identifier: string;
  readonly sid: string;
}

/** Every node below a parent, as path and SID. */
function listNodes(path: string, parent: number, children: SchemaChildren): [string, number][] {
  return [...children].flatMap(([delta, node]): [string, number][] => {
    const isRpc = Object.values(SID_OF_RPC).includes(parent);
    const part = isRpc ? `/${node.part ?? "input"}` : "";
    const own = `${path}${part}/${parent === 0 ? `${MODULE}:` : ""}${node.name}`;
    const sid = parent + delta;
    return [[own, sid], ...listNodes(own, sid, node.children ?? new Map())];
  });
}

function listItems(): Item[] {
  const nodes = listNodes("", 0, SCHEMA);
  for (const [kind, sid] of Object.entries(SID_OF_RPC)) {
    nodes.push([`/${MODULE}:${kind}/input`, sid + 1], [`/${MODULE}:${kind}/output`, sid + 2]);
  }
  nodes.sort(([, a], [, b]) => a - b);
  const data = nodes.map(
    ([identifier, sid]): Item => ({ namespace: "data", identifier, sid: `${sid}` }),
  );
  return [{ namespace: "module", identifier: MODULE, sid: `${ENTRY_POINT}` }, ...data];
}

function formatFile(): string {
  const content = {
    "ietf-sid-file:sid-file": {
      "module-name": MODULE,
      "module-revision": OFFLOAD_REVISION,
      "sid-file-status": "published",
      description: "SIDs of the range for experiments (RFC 9595)",
      "assignment-range": [{ "entry-point": `${ENTRY_POINT}`, size: `${SIZE}` }],
      item: listItems().map((item) => ({ status: "stable", ...item })),
    },
  };
  return `${JSON.stringify(content, undefined, 2)}\n`;
}

if (process.env["UPDATE_EXPECTED"] === "1") writeFileSync(FILE, formatFile());

const yang = YangContext.create({
  searchDirectories: defaultYangDirectories(findProjectRoot()),
  modules: [{ name: MODULE }],
});
afterAll(() => yang.destroy());

test("the .sid file says what the code uses", () => {
  expect(readFileSync(FILE, "utf8")).toBe(formatFile());
});

test("every SID lies in the range and belongs to one node", () => {
  const sids = listItems().map(({ sid }) => Number(sid));
  expect(new Set(sids).size).toBe(sids.length);
  expect(Math.min(...sids)).toBe(ENTRY_POINT);
  expect(Math.max(...sids)).toBeLessThan(ENTRY_POINT + SIZE);
});

/** Every data node of the module, an operation's input and output included. */
function listYangNodes(path: string, nodes: readonly YangNode[]): string[] {
  return nodes.flatMap((node) => {
    const own = `${path}/${path === "" ? `${MODULE}:` : ""}${node.name}`;
    if (node.kind !== "rpc") return [own, ...listYangNodes(own, node.children)];
    const input = listYangNodes(`${own}/input`, node.children);
    const output = listYangNodes(`${own}/output`, node.output);
    return [own, `${own}/input`, `${own}/output`, ...input, ...output];
  });
}

test("every node of the module has a SID, and nothing else has", () => {
  const roots = yang.walkSchema().roots.filter(({ module }) => module === MODULE);
  const expected = listYangNodes("", roots);
  expect(expected.length).toBeGreaterThan(150);
  const found = listItems()
    .filter(({ namespace }) => namespace === "data")
    .map(({ identifier }) => identifier);
  expect(found.sort()).toEqual(expected.sort());
});
