/** The Python client, written from the document alone, against a real controller. */
import { spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { findProjectRoot } from "../../src/lib/base/project-root.ts";
import { ControllerSite } from "../controller/controller-process.ts";
import { connectSerial, VmClient } from "../controller/vm-client.ts";
import { EPOCH, natFlow } from "../controller/world.ts";
import { BridgeSite } from "../offload-bridge/bridge-site.ts";
import { MockController } from "../offload-protocol/mock-controller.ts";
import { eventually } from "../serial/eventually.ts";

const CLIENT = join(findProjectRoot(), "test/clients/offload_client.py");
const CLIENT_LINES_MAX = 300;

/** The flow as the client's file has it: names and nesting of the module. */
const FLOW = {
  "flow-id": "18446744073709551615",
  service: "nat",
  rule: [{ attachment: "eth0", direction: "ingress", name: "a<b" }],
  "policy-tag": "7",
  "policy-epoch": "1",
  directions: "both",
  original: {
    match: {
      vnic: "02:00:00:0a:00:01",
      protocol: "6",
      "source-address": "10.0.0.5",
      "destination-address": "198.51.100.7",
      "source-port": "2000",
      "destination-port": "443",
    },
    rewrite: { "source-address": "203.0.113.1", "source-port": "2000" },
    egress: { vnic: "02:00:00:0a:00:02", "next-hop": "02:00:00:0a:02:01", mtu: "1500" },
  },
  reply: {
    match: {
      vnic: "02:00:00:0a:00:02",
      protocol: "6",
      "source-address": "198.51.100.7",
      "destination-address": "203.0.113.1",
      "source-port": "443",
      "destination-port": "2000",
    },
    rewrite: { "destination-address": "10.0.0.5", "destination-port": "2000" },
    egress: { vnic: "02:00:00:0a:00:01", "next-hop": "02:00:00:0a:01:01", mtu: "1500" },
  },
  "idle-timeout": "60000",
  version: "1",
};

const disposables: { dispose(): Promise<void> }[] = [];
afterEach(async () => {
  for (const each of disposables.splice(0).reverse()) await each.dispose();
});

/** Runs the client to its end and returns its steps. */
function runClient(socket: string, folder: string): Promise<Record<string, unknown>[]> {
  const file = join(folder, "flow.json");
  writeFileSync(file, JSON.stringify(FLOW));
  const child = spawn("python3", ["-I", CLIENT, socket, file]);
  let [out, err] = ["", ""];
  child.stdout.on("data", (text: Buffer) => {
    out += text.toString();
  });
  child.stderr.on("data", (text: Buffer) => {
    err += text.toString();
  });
  return new Promise((resolve, reject) => {
    child.once("close", (code) => {
      const lines = out.trim().split("\n");
      if (code === 0) resolve(lines.map((line) => JSON.parse(line) as Record<string, unknown>));
      else reject(new Error(`exit ${code}: ${err}\n${out}`));
    });
  });
}

/** What each step of the client has to show. */
const STEPS = [
  { step: "open", sessions: 1 },
  { step: "lease", lease: "30000" },
  { step: "credit" },
  {
    step: "requested",
    result: {
      "flow-id": FLOW["flow-id"],
      outcome: "granted-pending",
      "effective-idle-timeout": "60000",
    },
  },
  { step: "event", "flow-id": FLOW["flow-id"], activated: { directions: "both" } },
  { step: "acknowledged", reply: { ok: "" } },
  { step: "refused", "rpc-error": { "error-tag": "unknown-element" } },
  { step: "open", sessions: 2 },
  { step: "held", flows: [{ ...FLOW, rule: FLOW.rule[0], state: "active" }] },
  { step: "repeated", result: { outcome: "granted-pending" } },
  {
    step: "withdrawn",
    closed: { "flow-id": FLOW["flow-id"], outcome: "closed", "original-counters": {} },
  },
  { step: "empty", flows: [] },
];

test("the Python client needs the standard library and at most 300 lines", () => {
  const text = readFileSync(CLIENT, "utf8");
  expect(text.trimEnd().split("\n").length).toBeLessThanOrEqual(CLIENT_LINES_MAX);
  const imports = Array.from(text.matchAll(/^(?:import|from) ([\w.]+)/gm), ([, name]) => name);
  const standard = [
    "json",
    "secrets",
    "socket",
    "sys",
    "time",
    "xml.etree.ElementTree",
    "xml.sax.saxutils",
  ];
  expect(imports).toEqual(standard);
});

test("the Python client offloads, withdraws and resynchronises against the mock", async () => {
  const mock = new MockController();
  disposables.push(mock);
  const config = join(findProjectRoot(), "examples/controller/two-tenants.json");
  const sockets = await mock.start(config);
  const steps = await runClient(sockets["red/gateway"] ?? "", mock.folder);
  expect(steps).toMatchObject(STEPS);
});

test("the Python client does the same through a real bridge and controller", async () => {
  const controller = new ControllerSite();
  disposables.push(controller);
  const { ready } = await controller.start();
  const bridge = new BridgeSite(controller.pki);
  disposables.push(bridge);
  bridge.writeSettings(ready["grpc"] ?? "");
  expect(await bridge.start().ready).toBe(true);
  const steps = await runClient(bridge.socketOf("red"), bridge.folder);
  expect(steps).toMatchObject(STEPS);
});

test("a flow outlives the bridge and its session; a killed bridge's VM finds it again", async () => {
  const controller = new ControllerSite();
  disposables.push(controller);
  const { ready } = await controller.start();
  const site = new BridgeSite(controller.pki);
  disposables.push(site);
  site.writeSettings(ready["grpc"] ?? "");
  const first = site.start();
  expect(await first.ready).toBe(true);
  const before = new VmClient(await connectSerial(site.socketOf("red")));
  await before.until(() => before.isOpen && before.credit !== undefined);
  await before.call({ kind: "request-offload", epoch: EPOCH, flows: [natFlow(1n)] });
  await before.until(() => before.events.length === 1);
  first.child.kill("SIGKILL");
  await before.until(() => before.ended !== undefined);
  const second = site.start();
  expect(await second.ready).toBe(true);
  const after = new VmClient(await connectSerial(site.socketOf("red")));
  disposables.push({ dispose: async () => after.close() });
  await after.until(() => after.isOpen);
  const held = await after.call({ kind: "get-flows", limit: 10 });
  expect(held).toMatchObject({ flows: [{ epoch: EPOCH, state: "active", flow: natFlow(1n) }] });
  // The event was not acknowledged, so the new session hears it again.
  await eventually(() => expect(after.events).toEqual(before.events));
});
