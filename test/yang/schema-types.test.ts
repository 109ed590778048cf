import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { findProjectRoot } from "../../src/lib/base/project-root.ts";
import type { FlowliftControllerData } from "../../src/lib/yang/generated/flowlift-controller.ts";
import type { FlowliftLabData } from "../../src/lib/yang/generated/flowlift-lab.ts";
import type { FlowliftLoadBalancerData } from "../../src/lib/yang/generated/flowlift-load-balancer.ts";
import type { IetfNatData, NatInstances } from "../../src/lib/yang/generated/ietf-nat.ts";
import { renderTypes } from "../../src/lib/yang/schema-types.ts";
import { readShape } from "../../src/lib/yang/yang-js-view.ts";
import { YANG_DIRECTORIES } from "./yang-fixture.ts";

const ROOT = findProjectRoot();
const GENERATED = join(ROOT, "src/lib/yang/generated");

/** Modules of ours with configuration of their own; augments of others' are not in yang-js's view. */
const TYPED_MODULES = ["flowlift-controller", "flowlift-lab", "flowlift-load-balancer", "ietf-nat"];

describe("generated types", () => {
  test.each(TYPED_MODULES)("are those of %s", (name) => {
    const shape = readShape(name, YANG_DIRECTORIES);
    if (!shape.ok) throw new Error(shape.error.message);
    const text = renderTypes(name, shape.value);
    const file = join(GENERATED, `${name}.ts`);
    if (process.env["UPDATE_EXPECTED"] === "1") {
      mkdirSync(GENERATED, { recursive: true });
      writeFileSync(file, text);
    }
    expect(readFileSync(file, "utf8")).toBe(text);
  });

  test("are there for nothing else", () => {
    const expected = TYPED_MODULES.map((name) => `${name}.ts`);
    if (process.env["UPDATE_EXPECTED"] === "1" && existsSync(GENERATED)) {
      for (const file of readdirSync(GENERATED)) {
        if (!expected.includes(file)) rmSync(join(GENERATED, file));
      }
    }
    expect(readdirSync(GENERATED).sort()).toEqual(expected);
  });

  test("hold data as people write it, keys and mandatory leaves included", () => {
    const nat: IetfNatData = {
      "ietf-nat:nat": {
        instances: { instance: [{ id: 1, policy: [{ id: 1, "mapping-type": "eim" }] }] },
      },
    };
    const services: Required<FlowliftLoadBalancerData>["flowlift-load-balancer:load-balancer"] = {};
    const others: FlowliftControllerData & FlowliftLabData = {};
    type Instance = NonNullable<NatInstances["instance"]>[number];
    // @ts-expect-error: `id` is the list's key.
    const keyless: Instance = { name: "red" };
    // @ts-expect-error: no such name of the enumeration.
    const misnamed: Instance = { id: 1, "per-interface-binding": "no" };
    expect([nat, services, others, keyless, misnamed]).toHaveLength(5);
  });
});

describe("readShape()", () => {
  test("says that yang-js cannot read RFC 8519, nor what imports it", () => {
    for (const name of ["ietf-access-control-list", "flowlift-zones"]) {
      const shape = readShape(name, YANG_DIRECTORIES);
      expect(shape).toMatchObject({ ok: false, error: { kind: "yang-js-refuses" } });
      if (!shape.ok) expect(shape.error.message).toMatch(/if-feature/);
    }
  });

  test("says that a module is nowhere", () => {
    const shape = readShape("no-such", YANG_DIRECTORIES);
    expect(shape).toMatchObject({
      ok: false,
      error: { message: expect.stringContaining('"no-such"') as string },
    });
  });
});
