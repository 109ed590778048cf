/** A small schema made by hand, and a short way to write data and edits for it. */

import { type DataRoot, EMPTY_ROOT } from "../../src/management/data-node.ts";
import { applyEdit } from "../../src/management/edit-engine.ts";
import type { DefaultOperation } from "../../src/management/edit-node.ts";
import { readCanonicalXml } from "../../src/management/edit-payload.ts";
import type { ChoiceCase, Schema, SchemaKind, SchemaNode } from "../../src/management/schema.ts";

export const NS = "urn:test:hand";
export const NC = 'xmlns:nc="urn:ietf:params:xml:ns:netconf:base:1.0"';
export const YANG = 'xmlns:yang="urn:ietf:params:xml:ns:yang:1"';

interface NodeSpec {
  readonly name: string;
  readonly kind: SchemaKind;
  readonly presence?: boolean;
  readonly userOrdered?: boolean;
  readonly keys?: readonly string[];
  readonly choices?: readonly ChoiceCase[];
  readonly children?: readonly NodeSpec[];
}

function build(spec: NodeSpec, parent: SchemaNode | undefined): SchemaNode {
  const node = {
    kind: spec.kind,
    name: spec.name,
    module: "hand",
    namespace: NS,
    config: true,
    presence: spec.presence ?? false,
    userOrdered: spec.userOrdered ?? false,
    keys: spec.keys ?? [],
    choices: spec.choices ?? [],
    parent,
    children: new Map<string, readonly SchemaNode[]>(),
  };
  for (const child of spec.children ?? []) node.children.set(child.name, [build(child, node)]);
  return node;
}

const leaf = (name: string): NodeSpec => ({ name, kind: "leaf" });
const inCase = (name: string, caseName: string): NodeSpec => ({
  name,
  kind: "leaf",
  choices: [{ choice: "way", caseName }],
});

/** top { note, box { size }, mark!, tcp | udp | udp-mode, item* {k, a, box { size }}, step* [user], tag* } */
const TOP: NodeSpec = {
  name: "top",
  kind: "container",
  children: [
    leaf("note"),
    { name: "box", kind: "container", children: [leaf("size")] },
    { name: "mark", kind: "container", presence: true, children: [leaf("why")] },
    inCase("tcp", "tcp"),
    inCase("udp", "udp"),
    inCase("udp-mode", "udp"),
    {
      name: "item",
      kind: "list",
      keys: ["k"],
      children: [
        leaf("k"),
        leaf("a"),
        { name: "box", kind: "container", children: [leaf("size")] },
      ],
    },
    {
      name: "pair",
      kind: "list",
      keys: ["x", "y"],
      children: [leaf("x"), leaf("y"), leaf("v")],
    },
    {
      name: "step",
      kind: "list",
      keys: ["k"],
      userOrdered: true,
      children: [leaf("k"), leaf("v")],
    },
    { name: "tag", kind: "leaf-list" },
    { name: "turn", kind: "leaf-list", userOrdered: true },
  ],
};

const top = build(TOP, undefined);
export const HAND_SCHEMA: Schema = {
  roots: new Map([
    ["top", [top]],
    ["other", [build({ name: "other", kind: "container", children: [leaf("x")] }, undefined)]],
  ]),
};

/** Returns the tree after an edit whose XML is given, or the tag of the error. */
export function edit(
  root: DataRoot,
  xml: string,
  defaultOperation: DefaultOperation = "merge",
): DataRoot | string {
  const edits = readCanonicalXml(HAND_SCHEMA, xml);
  if (!edits.ok) return edits.error.tag;
  const result = applyEdit(root, edits.value, defaultOperation);
  return result.ok ? result.value : result.error.tag;
}

/** Returns the tree that this content of `top` describes; throws when it is wrong. */
export function treeOf(inner: string): DataRoot {
  const root = edit(EMPTY_ROOT, `<top xmlns="${NS}">${inner}</top>`);
  if (typeof root === "string") throw new Error(root);
  return root;
}
