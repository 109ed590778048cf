import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { EMPTY_ROOT } from "../../src/management/data-node.ts";
import { formatRoot } from "../../src/management/data-xml.ts";
import { applyEdit } from "../../src/management/edit-engine.ts";
import { readCanonicalXml } from "../../src/management/edit-payload.ts";
import { campaignOptions, campaignSize } from "../support/campaign.ts";
import { edit, HAND_SCHEMA, NC, NS, treeOf, YANG } from "./hand-schema.ts";

/** Random cases; `flowlift test --full` runs many more. */
const RUNS = campaignSize(200, 10_000);

const top = (inner: string, attributes = ""): string =>
  `<top xmlns="${NS}" ${NC} ${YANG} ${attributes}>${inner}</top>`;
const shown = (result: ReturnType<typeof edit>): string =>
  typeof result === "string"
    ? result
    : formatRoot(result).replace(`<top xmlns="${NS}">`, "").replace("</top>", "");

const BASE = "<note>n</note><item><k>1</k><a>x</a><box><size>9</size></box></item>";

describe("applyEdit()", () => {
  test.each([
    ["merges a leaf", "<note>m</note>", BASE.replace(">n<", ">m<")],
    ["merges into an entry", "<item><k>1</k><a>y</a></item>", BASE.replace(">x<", ">y<")],
    ["adds an entry", "<item><k>2</k></item>", `${BASE}<item><k>2</k></item>`],
    [
      "replaces an entry whole",
      '<item nc:operation="replace"><k>1</k><a>z</a></item>',
      "<note>n</note><item><k>1</k><a>z</a></item>",
    ],
    [
      "creates what is absent",
      '<item nc:operation="create"><k>2</k></item>',
      `${BASE}<item><k>2</k></item>`,
    ],
    ["refuses to create what exists", '<item nc:operation="create"><k>1</k></item>', "data-exists"],
    ["refuses to create a leaf that exists", '<note nc:operation="create">z</note>', "data-exists"],
    ["deletes an entry", '<item nc:operation="delete"><k>1</k></item>', "<note>n</note>"],
    [
      "refuses to delete what is absent",
      '<item nc:operation="delete"><k>2</k></item>',
      "data-missing",
    ],
    ["removes what is absent", '<item nc:operation="remove"><k>2</k></item>', BASE],
    [
      "deletes a container",
      '<item><k>1</k><box nc:operation="delete"/></item>',
      "<note>n</note><item><k>1</k><a>x</a></item>",
    ],
    [
      "refuses to delete a container without content",
      '<box nc:operation="delete"/>',
      "data-missing",
    ],
    ["keeps no empty container", "<box/>", BASE],
    ["keeps an empty container with presence", "<mark/>", `<note>n</note>${BASE.slice(14)}<mark/>`],
    ["refuses an unknown element", "<nothing/>", "unknown-element"],
    ["refuses an unknown operation", '<note nc:operation="paint">z</note>', "bad-attribute"],
    [
      "lets a child override its parent's operation",
      '<item nc:operation="replace"><k>1</k><a nc:operation="create">z</a></item>',
      "<note>n</note><item><k>1</k><a>z</a></item>",
    ],
  ])("%s", (_name, inner, expected) => {
    const before = treeOf(BASE);
    const after = shown(edit(before, top(inner)));
    const sorted = (text: string): string =>
      text
        .split(/(?=<note|<item|<mark)/)
        .sort()
        .join("");
    expect(sorted(after)).toBe(sorted(expected));
    // Whatever happened, the tree before is whole.
    expect(shown(before)).toBe(BASE);
  });

  test("keeps one case of a choice", () => {
    const udp = treeOf("<udp>1</udp><udp-mode>fast</udp-mode>");
    expect(shown(edit(udp, top("<tcp>2</tcp>")))).toBe("<tcp>2</tcp>");
    expect(shown(edit(udp, top("<udp>3</udp>")))).toBe("<udp>3</udp><udp-mode>fast</udp-mode>");
    expect(shown(edit(udp, top('<tcp nc:operation="remove"/>')))).toBe(shown(udp));
  });

  test("keeps entries apart whose keys differ only in where they are cut", () => {
    const root = treeOf("<pair><x>a</x><y>bc</y></pair><pair><x>ab</x><y>c</y></pair>");
    expect(shown(root).match(/<pair>/g)).toHaveLength(2);
  });

  describe("default-operation", () => {
    test("none changes nothing by itself and wants every level to exist", () => {
      const root = treeOf(BASE);
      const deep = top('<item><k>1</k><a nc:operation="replace">q</a></item>');
      expect(shown(edit(root, deep, "none"))).toBe(BASE.replace(">x<", ">q<"));
      expect(edit(root, top("<item><k>2</k></item>"), "none")).toBe("data-missing");
      expect(shown(edit(root, top("<note>zz</note>"), "none"))).toBe(BASE);
      expect(edit(EMPTY_ROOT, top("<note>zz</note>"), "none")).toBe("data-missing");
    });

    test("replace leaves only what the edit holds", () => {
      const root = edit(treeOf(BASE), `<other xmlns="${NS}"><x>1</x></other>`);
      if (typeof root === "string") throw new Error(root);
      expect(shown(edit(root, top("<note>only</note>"), "replace"))).toBe("<note>only</note>");
      expect(formatRoot(edit(root, "", "replace") as typeof root)).toBe("");
    });
  });

  describe("user order", () => {
    const steps = (text: string): string =>
      [...text.matchAll(/<(?:k|turn)>(\w+)/g)].map((m) => m[1]).join("");
    const base = "<step><k>a</k></step><step><k>b</k></step><step><k>c</k></step>";
    const insert = (attributes: string, k = "x"): string =>
      shown(edit(treeOf(base), top(`<step ${attributes}><k>${k}</k></step>`)));

    test.each([
      ["appends without insert", "", "x", "abcx"],
      ["first", 'yang:insert="first"', "x", "xabc"],
      ["last moves", 'yang:insert="last"', "a", "bca"],
      ["before", `yang:insert="before" yang:key="[k='b']"`, "x", "axbc"],
      ["after", `yang:insert="after" yang:key="[k='b']"`, "x", "abxc"],
      ["moves forward", `yang:insert="after" yang:key="[k='c']"`, "a", "bca"],
      ["moves backward", `yang:insert="before" yang:key="[k='a']"`, "c", "cab"],
      ["next to itself stays", `yang:insert="before" yang:key="[k='b']"`, "b", "abc"],
      ["keeps the place of what exists", "", "b", "abc"],
    ])("%s", (_name, attributes, k, expected) => {
      expect(steps(insert(attributes, k))).toBe(expected);
    });

    test("orders a leaf-list by value", () => {
      const root = treeOf("<turn>a</turn><turn>b</turn>");
      const moved = edit(root, top('<turn yang:insert="before" yang:value="a">b</turn>'));
      expect(steps(shown(moved))).toBe("ba");
    });

    test.each([
      ["an anchor that is absent", `yang:insert="after" yang:key="[k='zz']"`, "bad-attribute"],
      ["no anchor", 'yang:insert="after"', "missing-attribute"],
      ["a word that is no place", 'yang:insert="middle"', "bad-attribute"],
      [
        "an anchor that names other keys",
        `yang:insert="after" yang:key="[q='a'][k='a']"`,
        "bad-attribute",
      ],
    ])("refuses %s", (_name, attributes, expected) => {
      expect(insert(attributes)).toBe(expected);
    });

    test("refuses insert where the system orders", () => {
      expect(edit(EMPTY_ROOT, top('<item yang:insert="first"><k>1</k></item>'))).toBe(
        "bad-attribute",
      );
    });
  });

  test("names the instance in the error's path", () => {
    const edits = readCanonicalXml(
      HAND_SCHEMA,
      top(`<pair nc:operation="delete"><x>it's</x><y>2</y></pair>`),
    );
    if (!edits.ok) throw new Error(edits.error.message);
    const result = applyEdit(EMPTY_ROOT, edits.value, "merge");
    expect(result.ok ? "" : result.error.path).toBe(`/hand:top/pair[x="it's"][y='2']`);
  });
});

/** The same, on plain objects: entry => a => value. */
type Model = Readonly<Record<string, string | null>>;
const OPERATIONS = ["merge", "replace", "create", "delete", "remove"] as const;

function editModel(model: Model, k: string, operation: string, a: string | null): Model | string {
  const exists = model[k] !== undefined;
  if (operation === "create" && exists) return "data-exists";
  if (operation === "delete" && !exists) return "data-missing";
  const { [k]: before, ...others } = model;
  if (operation === "delete" || operation === "remove") return others;
  const kept = operation === "merge" ? (a ?? before ?? null) : a;
  return { ...model, [k]: kept };
}

test(
  `applyEdit() agrees with a simple model over random edits (${RUNS} cases)`,
  campaignOptions(),
  () => {
    const step = fc.record({
      k: fc.constantFrom("1", "2", "3"),
      operation: fc.constantFrom(...OPERATIONS),
      a: fc.option(fc.constantFrom("x", "y")),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
        let model: Model = {};
        let root = EMPTY_ROOT;
        for (const { k, operation, a } of steps) {
          const leaf = a === null ? "" : `<a>${a}</a>`;
          const xml = top(`<item nc:operation="${operation}"><k>${k}</k>${leaf}</item>`);
          const nextModel = editModel(model, k, operation, a);
          const next = edit(root, xml);
          if (typeof nextModel === "string" || typeof next === "string") {
            expect(next).toBe(nextModel);
            continue;
          }
          model = nextModel;
          root = next;
          const entries = Object.entries(model).map(
            ([key, value]) =>
              `<item><k>${key}</k>${value === null ? "" : `<a>${value}</a>`}</item>`,
          );
          const actual = shown(root)
            .split(/(?=<item>)/)
            .sort()
            .join("");
          expect(actual).toBe(entries.sort().join(""));
        }
      }),
      { numRuns: RUNS },
    );
  },
);
