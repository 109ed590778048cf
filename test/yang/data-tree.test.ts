import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { AssertionFailure } from "../../src/lib/base/assert.ts";
import { type DataTree, quoteXpath } from "../../src/lib/yang/data-tree.ts";
import type { YangContext } from "../../src/lib/yang/yang-context.ts";
import { productContext, withModule } from "./yang-fixture.ts";

let yang: YangContext;

beforeAll(() => {
  yang = productContext();
});

afterAll(() => {
  yang.destroy();
});

function treeOf(data: object, context: YangContext = yang): DataTree {
  const parsed = context.parseConfig(JSON.stringify(data), "json");
  if (!parsed.ok) throw new Error(parsed.error.message);
  return parsed.value;
}

const INSTANCE = "/ietf-nat:nat/instances/instance[id='1']";
const NAT = { "ietf-nat:nat": { instances: { instance: [{ id: 1, name: "red" }] } } };

const ace = (name: string): object => ({
  name,
  actions: { forwarding: "ietf-access-control-list:accept" },
});
const ACL = {
  "ietf-access-control-list:acls": {
    acl: [{ name: "a", aces: { ace: [ace("x"), ace("y"), ace("z")] } }],
  },
};
const acePath = (name: string): string =>
  `/ietf-access-control-list:acls/acl[name='a']/aces/ace[name='${name}']`;
const aceNames = (tree: DataTree): string[] => {
  const found = tree.find("/ietf-access-control-list:acls/acl/aces/ace/name");
  return found.ok ? found.value.map(({ value }) => value ?? "") : [];
};

describe("print()", () => {
  test("JSON and XML hold the same data, which parses again to an equal tree", () => {
    const tree = treeOf({ ...NAT, ...ACL });
    for (const format of ["json", "xml"] as const) {
      const again = yang.parseConfig(tree.print(format), format);
      expect(again.ok && again.value.equals(tree)).toBe(true);
    }
  });

  test("withDefaults chooses between what was set, what differs and everything", () => {
    const body =
      "container c { leaf a { type uint8; default 7; } leaf b { type uint8; default 8; } }";
    withModule(body, (context) => {
      const tree = treeOf({ "t:c": { a: 7 } }, context);
      expect(tree.toJson()).toEqual({ "t:c": { a: 7 } });
      expect(tree.toJson({ withDefaults: "trim" })).toEqual({ "t:c": {} });
      expect(tree.toJson({ withDefaults: "report-all" })).toEqual({ "t:c": { a: 7, b: 8 } });
      expect(tree.get("/t:c/b")).toMatchObject({ value: "8", isDefault: true });
      expect(tree.get("/t:c/a")?.isDefault).toBe(false);
    });
  });

  test("pretty breaks lines", () => {
    expect(treeOf(NAT).print("xml").split("\n")).toHaveLength(1);
    expect(treeOf(NAT).print("xml", { pretty: true }).split("\n").length).toBeGreaterThan(5);
  });

  test("printAt() prints one node, and nothing for one that is not there", () => {
    const tree = treeOf(NAT);
    expect(tree.printAt(`${INSTANCE}/name`, "xml")).toBe(
      '<name xmlns="urn:ietf:params:xml:ns:yang:ietf-nat">red</name>',
    );
    expect(tree.printAt(`${INSTANCE}/enable`, "xml")).toBeUndefined();
  });

  test("text that looks like markup survives", () => {
    const name = `<&>"'\u00e9\u{1f600}`;
    const tree = treeOf({ "ietf-nat:nat": { instances: { instance: [{ id: 1, name }] } } });
    expect(tree.get(`${INSTANCE}/name`)?.value).toBe(name);
    const again = yang.parseConfig(tree.print("xml"), "xml");
    expect(again.ok && again.value.get(`${INSTANCE}/name`)?.value).toBe(name);
  });
});

describe("newPath()", () => {
  test("creates parents, and gives an existing leaf a new value", () => {
    const tree = yang.emptyTree();
    expect(tree.isEmpty).toBe(true);
    expect(tree.newPath(`${INSTANCE}/name`, "red").ok).toBe(true);
    expect(tree.newPath(`${INSTANCE}/name`, "blue").ok).toBe(true);
    expect(tree.toJson()).toEqual({
      "ietf-nat:nat": { instances: { instance: [{ id: 1, name: "blue" }] } },
    });
  });

  test("keeps every top-level node, whichever comes first", () => {
    const tree = treeOf(NAT);
    expect(tree.newPath(acePath("x")).ok).toBe(true);
    expect(tree.newPath("/ietf-interfaces:interfaces/interface[name='eth0']").ok).toBe(true);
    expect(Object.keys(tree.toJson()).sort()).toEqual([
      "ietf-access-control-list:acls",
      "ietf-interfaces:interfaces",
      "ietf-nat:nat",
    ]);
  });

  test.each([
    ["a value of the wrong type", `${INSTANCE}/enable`, "maybe", /"maybe"/],
    ["an unknown node", `${INSTANCE}/colour`, "red", /colour/],
    ["a path that is none", "ietf-nat:nat[", null, /./],
    ["a NUL", `${INSTANCE}/name`, "a\0b", /code 0/],
  ])("refuses %s and names the path", (_, path, value, message) => {
    const created = yang.emptyTree().newPath(path, value);
    expect(created).toMatchObject({ ok: false, error: { path: expect.any(String) as string } });
    if (!created.ok) expect(created.error.message).toMatch(message);
  });
});

describe("remove()", () => {
  test("deletes a node with everything below", () => {
    const tree = treeOf(ACL);
    expect(tree.remove(acePath("y"))).toBe(true);
    expect(tree.remove(acePath("y"))).toBe(false);
    expect(aceNames(tree)).toEqual(["x", "z"]);
  });

  test("deletes the first top-level node, and the last one", () => {
    const tree = treeOf({ ...NAT, ...ACL });
    for (const path of ["/ietf-nat:nat", "/ietf-access-control-list:acls"]) {
      expect(tree.remove(path)).toBe(true);
    }
    expect(tree.get("/ietf-nat:nat")).toBeUndefined();
    expect(tree.toJson()).toEqual({});
  });
});

describe("move()", () => {
  test.each([
    ["z", "before", "x", ["z", "x", "y"]],
    ["x", "after", "y", ["y", "x", "z"]],
    ["x", "before", "x", ["x", "y", "z"]],
  ] as const)("puts %s %s %s", (name, where, anchor, expected) => {
    const tree = treeOf(ACL);
    expect(tree.move(acePath(name), where, acePath(anchor)).ok).toBe(true);
    expect(aceNames(tree)).toEqual(expected);
    expect(yang.validate(tree)).toBeUndefined();
  });

  test("refuses an entry that is not there and one of another list", () => {
    const tree = treeOf({ ...NAT, ...ACL });
    expect(tree.move(acePath("w"), "before", acePath("x")).ok).toBe(false);
    expect(tree.move(acePath("x"), "before", INSTANCE).ok).toBe(false);
    expect(aceNames(tree)).toEqual(["x", "y", "z"]);
  });

  test("moves a top-level entry that is the first of all", () => {
    withModule("leaf-list l { ordered-by user; type string; }", (context) => {
      const tree = treeOf({ "t:l": ["a", "b", "c"] }, context);
      expect(tree.move("/t:l[.='a']", "after", "/t:l[.='c']").ok).toBe(true);
      expect(tree.toJson()).toEqual({ "t:l": ["b", "c", "a"] });
    });
  });
});

describe("find()", () => {
  test("selects by XPath, predicates on values included", () => {
    const found = treeOf(ACL).find("//ietf-access-control-list:ace[name='y']");
    expect(found).toMatchObject({ ok: true, value: [{ path: acePath("y"), name: "ace" }] });
  });

  test("selects nothing in an empty tree", () => {
    expect(yang.emptyTree().find("//*")).toEqual({ ok: true, value: [] });
  });

  test("refuses what is no XPath", () => {
    expect(treeOf(NAT).find("//[")).toMatchObject({ ok: false });
  });
});

test("duplicate() gives a tree that changes alone", () => {
  const tree = treeOf(NAT);
  const copy = tree.duplicate();
  copy.remove("/ietf-nat:nat");
  expect(tree.isEmpty).toBe(false);
  expect(copy.equals(tree)).toBe(false);
});

test("a copy loses what a changed `when` no longer allows, as RFC 7950 §8.2 asks", () => {
  const policy = {
    id: 1,
    "port-allocation-type": "port-range-allocation",
    "port-set": { "port-set-size": 256 },
  };
  const tree = treeOf({
    "ietf-nat:nat": { instances: { instance: [{ id: 1, policy: [policy] }] } },
  });
  const copy = tree.duplicate();
  copy.newPath(`${INSTANCE}/policy[id='1']/port-allocation-type`, "random");
  expect(yang.validate(copy)).toBeUndefined();
  expect(copy.get(`${INSTANCE}/policy[id='1']/port-set`)).toBeUndefined();
});

test("merge() adds and replaces, and leaves the other tree alone", () => {
  const tree = treeOf(NAT);
  const other = treeOf({
    "ietf-nat:nat": { instances: { instance: [{ id: 1, name: "blue" }, { id: 2 }] } },
  });
  expect(tree.merge(other).ok).toBe(true);
  expect(tree.equals(other)).toBe(true);
  expect(tree.merge(yang.emptyTree()).ok).toBe(true);
  const empty = yang.emptyTree();
  expect(empty.merge(tree).ok && empty.equals(tree)).toBe(true);
});

test("copyAt() takes one node without its siblings", () => {
  const tree = treeOf({ ...NAT, ...ACL });
  const copy = tree.copyAt("/ietf-nat:nat");
  expect(copy?.toJson()).toEqual(NAT);
  expect(tree.copyAt(`${INSTANCE}/policy[id='1']`)).toBeUndefined();
});

test("a tree that was freed is not used again", () => {
  const tree = treeOf(NAT);
  tree.free();
  tree.free();
  expect(() => tree.print("json")).toThrow(AssertionFailure);
});

test("a tree outlives its context without touching its memory", () => {
  const context = productContext([{ name: "ietf-interfaces" }]);
  const tree = context.emptyTree();
  tree.newPath("/ietf-interfaces:interfaces/interface[name='a']");
  context.destroy();
  context.destroy();
  expect(() => tree.print("json")).toThrow(AssertionFailure);
  tree.free();
});

test("quoteXpath() quotes what can be quoted", () => {
  expect(quoteXpath("a")).toBe("'a'");
  expect(quoteXpath("it's")).toBe(`"it's"`);
  expect(quoteXpath(`'"`)).toBeUndefined();
});
