import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { diffRoots, formatChanges } from "../../src/management/core/diff.ts";
import { formatEdit } from "../../src/management/core/edit-text.ts";
import { type DataRoot, EMPTY_ROOT } from "../../src/management/data-node.ts";
import { formatRoot } from "../../src/management/data-xml.ts";
import { applyEdit } from "../../src/management/edit-engine.ts";
import { readCanonicalXml } from "../../src/management/edit-payload.ts";
import { HAND_SCHEMA, treeOf } from "./hand-schema.ts";

function apply(base: DataRoot, xml: string): DataRoot {
  const edits = readCanonicalXml(HAND_SCHEMA, xml);
  if (!edits.ok) throw new Error(edits.error.message);
  const next = applyEdit(base, edits.value, "merge");
  if (!next.ok) throw new Error(next.error.message);
  return next.value;
}

const value = fc.constantFrom("1", "2", "a<b", "c&d", "'q'", "");
const key = fc.constantFrom("k1", "k2", "k3", "k4", "x'y");
const leaf = (name: string): fc.Arbitrary<string> =>
  value.map((text) => `<${name}>${text.replace("&", "&amp;").replace("<", "&lt;")}</${name}>`);
const list = (name: string): fc.Arbitrary<string> =>
  fc
    .uniqueArray(key, { maxLength: 4 })
    .chain((keys) =>
      fc.tuple(...keys.map((k) => leaf(name === "step" ? "v" : "a").map((l) => [k, l]))),
    )
    .map((entries) => entries.map(([k, l]) => `<${name}><k>${k}</k>${l}</${name}>`).join(""));
const leafList = (name: string): fc.Arbitrary<string> =>
  fc
    .uniqueArray(key, { maxLength: 4 })
    .map((keys) => keys.map((k) => `<${name}>${k}</${name}>`).join(""));
const tree = fc
  .tuple(
    fc.option(leaf("note"), { nil: "" }),
    fc.option(
      leaf("size").map((size) => `<box>${size}</box>`),
      { nil: "" },
    ),
    fc.constantFrom("", "<mark/>", "<mark><why>w</why></mark>"),
    fc.constantFrom("", "<tcp>1</tcp>", "<udp>1</udp><udp-mode>m</udp-mode>", "<udp>2</udp>"),
    list("item"),
    list("step"),
    leafList("tag"),
    leafList("turn"),
  )
  .map((parts) => parts.join(""));

/** Only entries of one user-ordered list have an order. */
function sorted(root: DataRoot): string {
  const text = formatRoot(root);
  const steps = text.match(/<step>.*?<\/step>/g) ?? [];
  const turns = text.match(/<turn>.*?<\/turn>/g) ?? [];
  const others = text
    .replace(/<step>.*?<\/step>|<turn>.*?<\/turn>/g, "")
    .split(/(?=<)/)
    .sort();
  return [...steps, ...turns, ...others].join("");
}

describe("formatEdit()", () => {
  test("makes one tree of the other, and back, in order", () => {
    fc.assert(
      fc.property(tree, tree, (left, right) => {
        const before = left === "" ? EMPTY_ROOT : treeOf(left);
        const after = right === "" ? EMPTY_ROOT : treeOf(right);
        expect(sorted(apply(before, formatEdit(before, after)))).toBe(sorted(after));
        expect(sorted(apply(after, formatEdit(after, before)))).toBe(sorted(before));
      }),
      { numRuns: 300 },
    );
  });

  test("is empty exactly when nothing differs", () => {
    fc.assert(
      fc.property(tree, tree, (left, right) => {
        const before = treeOf(left);
        const after = treeOf(right);
        const isSame = diffRoots(before, after).length === 0;
        expect(isSame).toBe(sorted(before) === sorted(after));
      }),
      { numRuns: 200 },
    );
  });
});

describe("formatChanges()", () => {
  test("names each node, with what it was and is", () => {
    const before = treeOf(
      "<note>a</note><item><k>1</k><a>x</a></item><turn>p</turn><turn>q</turn>",
    );
    const after = treeOf("<note>b</note><item><k>2</k><a>y</a></item><turn>q</turn><turn>p</turn>");
    expect(formatChanges(diffRoots(before, after)).split("\n")).toEqual([
      "~ /hand:top/note: a -> b",
      "- /hand:top/item[k='1']",
      "- /hand:top/item[k='1']/a: x",
      "+ /hand:top/item[k='2']",
      "+ /hand:top/item[k='2']/a: y",
      "~ /hand:top/turn[.='q'] (moved)",
      "~ /hand:top/turn[.='p'] (moved)",
    ]);
  });
});
