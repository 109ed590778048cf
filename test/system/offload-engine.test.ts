import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { ConntrackEntry } from "../../src/lib/conntrack/entry.ts";
import type { OffloadState, PolicyOutcome } from "../../src/offload/handle.ts";
import { LAB_DIST_DIRECTORY } from "../support/lab-dist.ts";
import { ConntrackLab, type LabProcess } from "./conntrack-lab.ts";
import { OffloadPeer } from "./offload-peer.ts";

/** Ingress interface 1, egress interface 2, worthy after four packets, closing at the first FIN or RST. */
const RULESET = `
table ip t {
  chain forward {
    type filter hook forward priority 0;
    ct state new accept
    ct packets > 4 ct mark and 0x8 == 0x0 ct mark set ct mark or 0x00020108
    tcp flags & (fin | rst) != 0x0 ct mark set ct mark or 0x10
  }
  chain postrouting { type nat hook postrouting priority 100; oifname "out0" masquerade; }
}
`;

let lab: ConntrackLab;
let folder: string;
let peer: OffloadPeer;
let probe: LabProcess;

beforeEach(async () => {
  lab = new ConntrackLab();
  lab.up(RULESET);
  folder = mkdtempSync(join(tmpdir(), "flowlift-engine-"));
  peer = new OffloadPeer(socketPath());
  probe = await startProbe();
  const server = lab.start("server", "conntrack-traffic.mjs", "tcp-server", "80");
  expect(await server.line()).toBe("READY");
});

afterEach(() => {
  peer.close();
  lab.down();
  rmSync(folder, { recursive: true, force: true });
});

function socketPath(): string {
  return join(folder, "serial.sock");
}

async function startProbe(): Promise<LabProcess> {
  const script = "offload-engine-probe.mjs";
  const started = lab.start("router", script, LAB_DIST_DIRECTORY, socketPath());
  expect(await started.line()).toBe("READY");
  return started;
}

async function connect(): Promise<LabProcess> {
  const client = lab.start("client", "conntrack-traffic.mjs", "tcp", "10.9.2.2", "80");
  expect(await client.line()).toBe("READY");
  return client;
}

async function until(holds: (state: OffloadState) => boolean): Promise<OffloadState> {
  for (let attempt = 0; ; attempt++) {
    const state = await probe.ask<OffloadState>("state");
    if (holds(state)) return state;
    if (attempt >= 100) throw new Error(`it never came so far: ${JSON.stringify(state)}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function linkMac(name: string): string {
  const out = execFileSync("ip", ["-n", lab.name("router"), "-j", "link", "show", name]);
  return (JSON.parse(out.toString()) as { address: string }[])[0]?.address ?? "";
}

function neighbourMac(name: string): string {
  const out = execFileSync("ip", ["-n", lab.name("router"), "-j", "neigh", "show", "dev", name]);
  const [first] = JSON.parse(out.toString()) as { lladdr: string }[];
  return first?.lladdr ?? "";
}

test("a real connection is requested as it arrives and leaves, becomes active, and ends with its FIN", async () => {
  const client = await connect();
  const active = await until((state) => state.flowsByState.active === 1);
  expect(active.timeToActive.count).toBe(1);
  const [holding] = peer.controller.held.values();
  const { original, reply } = holding?.flow ?? {};
  expect(original).toEqual({
    match: {
      vnic: linkMac("in0"),
      protocol: 6,
      sourceAddress: "10.9.1.2",
      destinationAddress: "10.9.2.2",
      sourcePort: expect.any(Number),
      destinationPort: 80,
    },
    rewrite: { sourceAddress: "10.9.2.1" },
    egress: { vnic: linkMac("out0"), nextHop: neighbourMac("out0"), mtuBytes: 1500 },
  });
  expect(reply?.match.vnic).toBe(linkMac("out0"));
  expect(reply?.rewrite).toEqual({ destinationAddress: "10.9.1.2" });
  expect(reply?.egress).toEqual({
    vnic: linkMac("in0"),
    nextHop: neighbourMac("in0"),
    mtuBytes: 1500,
  });
  client.endInput();
  const ended = await until((state) => state.flowsByState.active === 0);
  expect(ended.closesByCause).toEqual({ withdrawn: 1 });
  expect(peer.controller.held.size).toBe(0);
  expect(await probe.stop()).toBe(0);
});

test("a policy that forbids a connection withdraws it first and then deletes its entry", async () => {
  await connect();
  await until((state) => state.flowsByState.active === 1);
  // As in the appliance: the rules forbid it first, so that no packet makes a new entry.
  const rules =
    "{ chain forward { type filter hook forward priority -10; tcp dport 80 drop; tcp sport 80 drop; }; }";
  const nft = ["netns", "exec", lab.name("router"), "nft"];
  execFileSync("ip", [...nft, `add table inet forbid ${rules}`]);
  const outcome = await probe.ask<PolicyOutcome>("forbid 80");
  execFileSync("ip", [...nft, "delete table inet forbid"]);
  expect(outcome).toEqual({ cutFlows: 1, cutOffloadedFlows: 1, late: [] });
  expect(peer.controller.held.size).toBe(0);
  const state = await probe.ask<OffloadState>("state");
  expect(state.flowsByState.active).toBe(0);
});

test("a process that is killed adopts its flow when it is started again", async () => {
  await connect();
  await until((state) => state.flowsByState.active === 1);
  probe.kill();
  probe = await startProbe();
  const state = await until(({ flowsByState }) => flowsByState.active === 1);
  expect(state.counts["flows-adopted"]).toBe(1);
  const kinds = peer.controller.answered.map(({ kind }) => kind);
  expect(kinds.filter((kind) => kind === "request-offload")).toHaveLength(1);
  expect(kinds).not.toContain("withdraw-offload");
});

test("an offloaded entry has no window checks; one that somebody deletes is withdrawn", async () => {
  await connect();
  await until((state) => state.flowsByState.active === 1);
  const entries = await probe.ask<ConntrackEntry[]>("entries");
  const entry = entries.find(({ original }) => original.destinationPort === 80);
  expect(entry).toMatchObject({ mark: 0x0002_0108, liberal: true });
  execFileSync("ip", ["netns", "exec", lab.name("router"), "conntrack", "-D", "-p", "tcp"], {
    stdio: "ignore",
  });
  const state = await until(({ closesByCause }) => closesByCause.withdrawn === 1);
  expect(state.counts["entries-ended-while-offloaded"]).toBe(1);
});

test("a neighbour that gets another address is told to the controller in place", async () => {
  await connect();
  await until((state) => state.flowsByState.active === 1);
  const router = lab.name("router");
  const mac = "02:00:00:00:00:77";
  execFileSync("ip", ["-n", router, "neigh", "replace", "10.9.2.2", "lladdr", mac, "dev", "out0"]);
  await until((state) => state.counts["paths-changed-updated"] === 1);
  const update = peer.controller.answered.find(({ kind }) => kind === "update-offload");
  expect(update).toMatchObject({ originalEgress: { nextHop: mac, mtuBytes: 1500 } });
});

test("a controller that goes away and comes back finds the flow as it was", async () => {
  await connect();
  await until((state) => state.flowsByState.active === 1);
  const { controller } = peer;
  peer.close();
  await until((state) => state.session === "down");
  peer = new OffloadPeer(socketPath(), controller);
  const state = await until(({ session }) => session === "up");
  expect(state.flowsByState.active).toBe(1);
  expect(controller.held.size).toBe(1);
});
