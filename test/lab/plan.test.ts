import { expect, test } from "vitest";
import { planControllerConfig } from "../../src/lab/controller-config.ts";
import { defaultLabFile, readLabFile } from "../../src/lab/lab-file.ts";
import { listNamespaces, listPorts, planLab } from "../../src/lab/plan.ts";
import { findProjectRoot } from "../../src/lib/base/project-root.ts";
import { YangContext } from "../../src/lib/yang/yang-context.ts";
import { defaultYangDirectories } from "../../src/lib/yang/yang-directories.ts";

const definition = readLabFile(defaultLabFile());
const plan = planLab(definition, "t1");

test("planLab() gives every interface its own MAC address and port", () => {
  const macs = plan.machines.flatMap((machine) => machine.interfaces.map((entry) => entry.mac));
  const ports = listPorts(plan).map((port) => port.interfaceName);
  expect(macs.length).toBe(18);
  expect(new Set(macs).size).toBe(macs.length);
  expect(new Set(ports).size).toBe(macs.length);
  expect(macs.every((mac) => (Number.parseInt(mac.slice(0, 2), 16) & 3) === 2)).toBe(true);
});

test("planLab() keeps tenants on bridges of their own", () => {
  for (const segment of plan.segments) {
    const tenants = listPorts(plan)
      .filter((port) => port.bridge === segment.bridge)
      .map((port) => port.tenant);
    expect(new Set(tenants)).toEqual(new Set([segment.tenant]));
  }
});

test("planLab() is deterministic", () => {
  expect(planLab(definition, "t1")).toEqual(plan);
});

test("every namespace carries the lab's name and is unique", () => {
  const names = listNamespaces(plan);
  expect(names[0]).toBe("fl-t1-host");
  expect(names.every((name) => name.startsWith("fl-t1-"))).toBe(true);
  expect(new Set(names).size).toBe(names.length);
});

test("planControllerConfig() gives data that flowlift-controller accepts", () => {
  const yang = YangContext.create({
    searchDirectories: defaultYangDirectories(findProjectRoot()),
    modules: [{ name: "flowlift-controller" }],
  });
  for (const agentSocket of ["/run/agent.sock", undefined]) {
    const config = planControllerConfig(definition, plan, { agentSocket });
    const parsed = yang.parseConfig(JSON.stringify(config), "json");
    expect(parsed.ok ? "" : parsed.error).toBe("");
  }
  yang.destroy();
});
