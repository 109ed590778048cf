/** The isolation claim in a real lab: agent, controller and bridge; and that it sees every planted hole. */
import { randomBytes } from "node:crypto";
import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { type IsolationResult, runIsolation } from "../../src/cli/demo/isolation.ts";
import { addProbes } from "../../src/cli/demo/isolation-lab.ts";
import type { LabDefinition } from "../../src/lab/definition.ts";
import type { Lab } from "../../src/lab/lab.ts";
import { startLab } from "../../src/lab/start-lab.ts";
import { SILENT_LOG } from "../../src/lib/base/log.ts";
import { findProjectRoot } from "../../src/lib/base/project-root.ts";
import { LAB_DIST_DIRECTORY } from "../support/lab-dist.ts";

/** Two tenants with nothing but the probes. */
const PROBES: LabDefinition = addProbes({
  name: "isolation",
  adminPort: 0,
  tenants: ["red", "blue"].map((name) => ({
    name,
    segments: [],
    externalPools: [],
    appliances: [],
    hosts: [],
  })),
});

/** 22 fields of a flow, the 16 addresses and ports for IPv6 again, 11 references to what exists. */
const REQUESTS = 49;

/** Messages that name nothing of anybody's when red writes them: there is nothing to count or audit. */
const UNCOUNTED: readonly string[] = [
  "withdraw-offload policy-tag",
  "withdraw-offload all, epoch",
  "get-flows after-epoch, after-flow-id",
  "acknowledge-events sequence",
  "renew-lease epoch",
];

let lab: Lab | undefined;
let folder: string | undefined;
afterEach(async () => {
  await lab?.stop();
  lab = undefined;
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  folder = undefined;
});

async function start(
  definition: LabDefinition = PROBES,
  distDirectory: string = LAB_DIST_DIRECTORY,
): Promise<Lab> {
  lab = await startLab(definition, {
    name: `i${randomBytes(4).toString("hex")}`,
    distDirectory,
    processes: ["agent", "controller", "bridge"],
    log: SILENT_LOG,
  });
  return lab;
}

async function askAdmin<T>(path: string): Promise<T> {
  const controller = lab?.description.controller;
  const token = readFileSync(controller?.tokenFile ?? "", "utf8").trim();
  const headers = { authorization: `Bearer ${token}` };
  return (await (await fetch(`${controller?.adminUrl}${path}`, { headers })).json()) as T;
}

interface VmReport {
  readonly tenant: string;
  readonly refusal: readonly { readonly reason: string; readonly flows: number }[];
  readonly "unacknowledged-events": number;
}

interface Audit {
  readonly entries: readonly Readonly<Record<string, unknown>>[];
}

/** How often each word comes. */
function tally(words: readonly unknown[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const word of words) counts[String(word)] = (counts[String(word)] ?? 0) + 1;
  return counts;
}

test("every field is refused, counted and audited, and granted to its rightful tenant", async () => {
  const running = await start();
  const lines: string[] = [];
  const result = await runIsolation(running, (line) => lines.push(line));
  expect(result).toMatchObject({
    crossTenantRequests: REQUESTS,
    refused: REQUESTS,
    applied: 0,
    controlsGranted: REQUESTS,
  });
  expect(new Set(result.cases.map(({ field }) => field)).size).toBe(REQUESTS + 2);
  expect(lines.length).toBeGreaterThan(0);

  const reasons = result.cases
    .filter(({ field, hostile }) => !UNCOUNTED.includes(field) && !hostile.includes("rpc-error"))
    .map(({ hostile }) => hostile.replace("refused: ", ""));
  expect(reasons).toHaveLength(REQUESTS - UNCOUNTED.length);
  const vms = await askAdmin<VmReport[]>("/vms");
  const red = vms.find(({ tenant }) => tenant === "red");
  expect(
    Object.fromEntries(red?.refusal.map(({ reason, flows }) => [reason, flows]) ?? []),
  ).toEqual(tally(reasons));
  expect(vms.find(({ tenant }) => tenant === "blue")?.refusal).toEqual([]);
  const audit = await askAdmin<Audit>("/audit?last=4096");
  const reds = audit.entries.filter(({ tenant }) => tenant === "red");
  expect(tally(reds.map(({ reason }) => reason))).toEqual({
    ...tally(reasons),
    "unknown-element": 2,
  });
  for (const { what, detail } of reds) {
    expect(["flow-refused", "flow-unknown", "rpc-error"]).toContain(what);
    expect(detail).toBeTruthy();
  }

  // Nothing is left, so a second time is like the first.
  expect(await askAdmin("/flows")).toMatchObject({ total: 0 });
  expect(vms.map((vm) => vm["unacknowledged-events"])).toEqual([0, 0]);
  const again = await runIsolation(running, () => {});
  expect(again.cases).toEqual(result.cases);
});

/** Gives red what only blue has: prefixes, pools, ports; MAC addresses cannot be given. */
function entitleRed(definition: LabDefinition, what: "prefixes" | "everything"): LabDefinition {
  const [red, blue] = definition.tenants;
  if (red === undefined || blue === undefined) throw new Error("there are two tenants");
  const pools = blue.externalPools.map(({ ports: _, ...pool }) => pool);
  const entitled = {
    ...red,
    segments: blue.segments,
    ...(what === "everything" ? { externalPools: pools } : {}),
  };
  return { ...definition, tenants: [entitled, blue] };
}

function notRefused(result: IsolationResult): string[] {
  return result.cases
    .filter(({ hostile }) => !hostile.startsWith("refused"))
    .map(({ field }) => field);
}

test("a prefix too many shows as requests granted, entries in the maps and packets forwarded", async () => {
  const running = await start(entitleRed(PROBES, "prefixes"));
  const result = await runIsolation(running, () => {});
  const fields = [
    "original match source-address",
    "reply rewrite destination-address",
    "original rewrite destination-address",
    "reply match source-address",
  ];
  expect(notRefused(result)).toEqual(
    ["", " (IPv6)"].flatMap((suffix) => fields.map((field) => `request-offload ${field}${suffix}`)),
  );
  const texts = new Set(result.cases.map(({ hostile }) => hostile));
  expect(texts).toContain("granted, it is in the maps, its packets are forwarded");
  expect(texts).not.toContain("granted");
  expect(result).toMatchObject({
    crossTenantRequests: REQUESTS,
    refused: REQUESTS - 8,
    applied: 8,
    controlsGranted: REQUESTS,
  });
});

/** Checks taken out of the built controller: file, what stands there, what stands there instead. */
const HOLES: readonly (readonly [file: string, intact: string, broken: string])[] = [
  [
    "authorise.js",
    "vm.vnics.get(direction.match.vnic)",
    "(vm.vnics.get(direction.match.vnic) ?? strangers(vm, direction.match.vnic))",
  ],
  [
    "authorise.js",
    "vm.vnics.get(direction.egress.vnic)",
    "(vm.vnics.get(direction.egress.vnic) ?? strangers(vm, direction.egress.vnic))",
  ],
  [
    "authorise.js",
    "function resolveVnics(",
    `function strangers(vm, mac) {
       const [inside, outside] = vm.vnics.values();
       return { ...(mac.endsWith("3") ? inside : outside), mac };
     }
     function resolveVnics(`,
  ],
  [
    "authorise.js",
    "const portId = locate(segment.id, nextHop);",
    `const portId = locate(segment.id, nextHop) ?? locate(segment.id, "02:f1:ee:00:00:10")
       ?? locate(segment.id, "02:f1:ee:00:00:11");`,
  ],
  [
    "flow-table.js",
    "find(vmKey, key) {",
    `ofAll(vmKey) {
       const own = this.ofVm(vmKey);
       return new Map([...this.#byVm.values(), own].flatMap((flows) => [...flows]));
     }
     find(vmKey, key) {`,
  ],
  [
    "update-flow.js",
    "core.table.find(state.vm.key, flowKey(request.epoch, request.flowId))",
    "core.table.ofAll(state.vm.key).get(flowKey(request.epoch, request.flowId))",
  ],
  [
    "vm-requests.js",
    "const flows = core.table.ofVm(state.vm.key);",
    "const flows = core.table.ofAll(state.vm.key);",
  ],
  [
    "vm-requests.js",
    "[...core.table.ofVm(state.vm.key).values()]",
    "[...core.table.ofAll(state.vm.key).values()]",
  ],
  [
    "vm-requests.js",
    "const acked = state.events.acknowledge(sequence);",
    `for (const other of core.vms.values()) if (other !== state) other.events.acknowledge(sequence);
     const acked = state.events.acknowledge(sequence);`,
  ],
  [
    "vm-requests.js",
    "state.hasRenewed = true;",
    `state.hasRenewed = true;
     for (const { vm, generation } of core.vms.values()) {
       core.emit({ kind: "set-slot", slot: vm.slot, generation, leaseMs: core.leaseMs });
     }`,
  ],
];

/** Builds a controller that checks nothing of whose something is; returns its folder. */
function plantHoles(): string {
  const name = `.build/holes-${randomBytes(4).toString("hex")}`;
  folder = join(findProjectRoot(), name);
  cpSync(join(findProjectRoot(), LAB_DIST_DIRECTORY), folder, { recursive: true });
  for (const [file, intact, broken] of HOLES) {
    const path = join(folder, "controller", file);
    const text = readFileSync(path, "utf8");
    expect(text.split(intact), `"${intact}" stands in ${file} once`).toHaveLength(2);
    writeFileSync(
      path,
      text.replace(intact, () => broken),
    );
  }
  return name;
}

test("with every check taken out of the controller, every single request shows as applied", async () => {
  const running = await start(entitleRed(PROBES, "everything"), plantHoles());
  expect(existsSync(folder ?? "")).toBe(true);
  const result = await runIsolation(running, () => {});
  expect(result.cases.filter(({ hostile }) => hostile.startsWith("refused: "))).toHaveLength(2);
  expect(result).toMatchObject({ crossTenantRequests: REQUESTS, refused: 0, applied: REQUESTS });
});
