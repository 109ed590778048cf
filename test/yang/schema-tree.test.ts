import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { SchemaNode, SchemaTree } from "../../src/lib/yang/schema-tree.ts";
import type { YangContext } from "../../src/lib/yang/yang-context.ts";
import { productContext, withModule } from "./yang-fixture.ts";

let yang: YangContext;
let schema: SchemaTree;

beforeAll(() => {
  yang = productContext();
  schema = yang.walkSchema();
});

afterAll(() => {
  yang.destroy();
});

const ACL = "/ietf-access-control-list:acls/acl";
const ACL_NAMESPACE = "urn:ietf:params:xml:ns:yang:ietf-access-control-list";

describe("walkSchema()", () => {
  test("reads a list with its keys and its order", () => {
    expect(schema.find(ACL)).toMatchObject({ kind: "list", keys: ["name"], orderedBy: "system" });
    expect(schema.find(`${ACL}/aces/ace`)).toMatchObject({ orderedBy: "user", config: true });
    expect(schema.find(`${ACL}/name`)).toMatchObject({ kind: "leaf", isKey: true });
    expect(schema.find(`${ACL}/type`)).toMatchObject({ isKey: false, baseType: "identityref" });
  });

  test("reads several keys in the order of the key statement", () => {
    withModule('list l { key "b a"; leaf a { type int8; } leaf b { type int64; } }', (context) => {
      const list = context.walkSchema().find("/t:l");
      expect(list?.keys).toEqual(["b", "a"]);
      expect(list?.children.map(({ baseType }) => baseType).sort()).toEqual(["int64", "int8"]);
    });
  });

  test("says which nodes are state", () => {
    expect(schema.find(`${ACL}/aces/ace/statistics/matched-packets`)?.config).toBe(false);
  });

  test("gives augmented nodes their own module", () => {
    const path = "/ietf-interfaces:interfaces/interface/ietf-ip:ipv4/mtu";
    expect(schema.find(path)).toMatchObject({
      module: "ietf-ip",
      namespace: "urn:ietf:params:xml:ns:yang:ietf-ip",
      baseType: "uint16",
    });
  });

  test("names the cases in which a node lies, outermost first", () => {
    const ports = schema.find(`${ACL}/aces/ace/matches/tcp/source-port/lower-port`);
    expect(ports?.cases).toEqual([
      { choice: "source-port", case: "range-or-operator" },
      { choice: "port-range-or-operator", case: "range" },
    ]);
    expect(schema.find(`${ACL}/aces/ace/matches/tcp`)?.cases).toEqual([
      { choice: "l4", case: "tcp" },
    ]);
  });

  test("reads an rpc's input and output", () => {
    const rpc = schema.find("/flowlift-offload:renew-lease");
    expect(rpc?.kind).toBe("rpc");
    expect(rpc?.children.map(({ name }) => name)).toEqual(["epoch"]);
    expect(rpc?.output.map(({ name }) => name)).toEqual(["lease"]);
  });

  test("reads presence, mandatory, leaf-lists, actions and anydata", () => {
    const body = `container p { presence x; leaf m { type string; mandatory true; } anydata d;
      action a { input { leaf i { type empty; } } } }
      leaf-list u { ordered-by user; type decimal64 { fraction-digits 1; } }
      notification n;`;
    withModule(body, (context) => {
      const tree = context.walkSchema();
      expect(tree.find("/t:p")).toMatchObject({ presence: true, kind: "container" });
      expect(tree.find("/t:p/m")).toMatchObject({ mandatory: true, presence: false });
      expect(tree.find("/t:p/d")?.kind).toBe("anydata");
      expect(tree.find("/t:u")).toMatchObject({ orderedBy: "user", baseType: "decimal64" });
      expect(tree.find("/t:n")?.kind).toBe("notification");
      expect(tree.find("/t:p")?.children.map(({ name }) => name)).not.toContain("i");
    });
  });

  test("every container's path is one at which libyang creates data", () => {
    const insideOf = (node: SchemaNode): SchemaNode[] =>
      node.parent === undefined ? [node] : [node, ...insideOf(node.parent)];
    const containers = [...schema.all()].filter((node) =>
      insideOf(node).every(({ kind, config }) => kind === "container" && config),
    );
    expect(containers.length).toBeGreaterThan(10);
    for (const { path } of containers) {
      const tree = yang.emptyTree();
      expect(tree.newPath(path)).toEqual({ ok: true, value: undefined });
      expect(tree.get(path)?.path).toBe(path);
      tree.free();
    }
  });
});

describe("SchemaTree", () => {
  test("child() looks a node up by parent, namespace and local name", () => {
    const acls = schema.child(undefined, ACL_NAMESPACE, "acls");
    const acl = schema.child(acls, ACL_NAMESPACE, "acl");
    expect(acl?.path).toBe(ACL);
    expect(schema.child(acls, "urn:x", "acl")).toBeUndefined();
    expect(schema.child(acl, ACL_NAMESPACE, "acl")).toBeUndefined();
  });

  test("member() looks a node up by its RFC 7951 name", () => {
    const interfaces = schema.member(undefined, "ietf-interfaces:interfaces");
    const entry = schema.member(interfaces, "interface");
    expect(schema.member(entry, "ietf-ip:ipv4")?.name).toBe("ipv4");
    expect(schema.member(entry, "ipv4")).toBeUndefined();
  });

  test("find() ignores keys, whatever stands in them", () => {
    expect(schema.find(`${ACL}[name='a]/b["c']/aces/ace[name="x'/y"]/actions`)?.name).toBe(
      "actions",
    );
  });
});

describe("listModules() and getSchemaText()", () => {
  test("tell implemented modules from imported ones", () => {
    const conformance = new Map(yang.listModules().map((each) => [each.name, each.conformance]));
    expect(conformance.get("ietf-nat")).toBe("implement");
    expect(conformance.get("ietf-packet-fields")).toBe("import");
  });

  test("return a module's own text, in its revision only", () => {
    expect(yang.getSchemaText("ietf-nat")).toMatch(/^module ietf-nat \{/);
    expect(yang.getSchemaText("ietf-nat", "2019-01-10")).toContain("revision 2019-01-10");
    expect(yang.getSchemaText("ietf-nat", "2018-01-10")).toBeUndefined();
    expect(yang.getSchemaText("no-such")).toBeUndefined();
  });

  test("print a module that has no file", () => {
    expect(yang.getSchemaText("ietf-yang-metadata")).toMatch(/^module ietf-yang-metadata/);
  });

  test("every implemented module has a text", () => {
    const modules = yang.listModules().filter(({ conformance }) => conformance === "implement");
    for (const { name, revision } of modules) {
      expect(yang.getSchemaText(name, revision)).toContain(`module ${name}`);
    }
  });
});
