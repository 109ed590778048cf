/**
 * Every process is killed in turn under traffic of two tenants: no connection is lost, offload comes back,
 * the other tenant notices nothing, nothing leaks, and the next commit works.
 */
import { randomInt } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Lab } from "../../src/lab/lab.ts";
import { defaultLabFile, readLabFile } from "../../src/lab/lab-file.ts";
import { startLab } from "../../src/lab/start-lab.ts";
import { createLog } from "../../src/lib/base/log.ts";
import { campaignOptions, campaignSize } from "../support/campaign.ts";
import { LabCli } from "../support/lab-cli.ts";
import { LAB_DIST_DIRECTORY } from "../support/lab-dist.ts";
import {
  activeTcpFlows,
  commit,
  commitSoon,
  crash,
  DrillTraffic,
  eventually,
  HELD_CONNECTIONS,
  listAgentHandles,
  listFlows,
  listVms,
  readPackets,
  setLease,
  UDP_PORT,
  untilOffloaded,
  withNetconf,
} from "./drill-site.ts";

const HOSTS = ["client1", "www"];
/** Below it a bridge that stands still counts as dead. */
const SHORT_LEASE_MS = 2_000;
const LEASE_MS = 30_000;
const BRIDGE_STOPPED_MS = 3_500;
/** RFC 4787 allows no less than 120; what is shorter shows the difference at once. */
const SHORT_UDP_SEC = 130;
const STORM_KILLS = campaignSize(6, 200);
const STORM_PAUSE_MS_MAX = 400;
const RED_ALL = ["red-gw/data", "red-gw/manage", "red-gw/helper"];

const cli = new LabCli();
let lab: Lab;
const traffic = new Map<string, DrillTraffic>();
const figures: string[] = [];

beforeAll(async () => {
  const definition = readLabFile(defaultLabFile());
  const tenants = definition.tenants.map((tenant) => ({
    ...tenant,
    hosts: tenant.hosts.filter(({ name }) => HOSTS.includes(name)),
  }));
  lab = await startLab(
    { ...definition, tenants },
    {
      name: cli.name,
      runDirectory: cli.runDirectory,
      distDirectory: LAB_DIST_DIRECTORY,
      log: createLog("lab", "error"),
    },
  );
  for (const tenant of ["red", "blue"]) traffic.set(tenant, await DrillTraffic.start(lab, tenant));
  await Promise.all(["red-gw", "blue-gw"].map((vm) => untilOffloaded(lab, vm)));
});
afterAll(async () => {
  process.stderr.write(`${figures.join("\n")}\n`);
  await lab.stop();
  cli.dispose();
});

/** Numbers from 0 to 1 that a seed brings again (mulberry32). */
function randomSource(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function trafficOf(tenant: string): DrillTraffic {
  const found = traffic.get(tenant);
  if (found === undefined) throw new Error(`no traffic of ${tenant}`);
  return found;
}

/** An ACL that nothing refers to: each commit of it is a new one, and none touches a flow. */
function formatAcl(name: string): string {
  return (
    `<acls xmlns="urn:ietf:params:xml:ns:yang:ietf-access-control-list"><acl><name>${name}</name>` +
    `<type>ipv4-acl-type</type><aces><ace><name>all</name><matches><ipv4><protocol>6</protocol></ipv4>` +
    `</matches><actions><forwarding>accept</forwarding></actions></ace></aces></acl></acls>`
  );
}

async function identities(vm: string): Promise<string[]> {
  const flows = await activeTcpFlows(lab, vm);
  return flows.map(({ epoch, flowId, handle }) => `${epoch} ${flowId} ${handle}`).toSorted();
}

async function expectAgreement(): Promise<void> {
  await eventually("agent and controller hold the same flows", async () => {
    const agent = await listAgentHandles(lab);
    const flows = [...(await listFlows(lab, "red-gw")), ...(await listFlows(lab, "blue-gw"))];
    const handles = flows.map(({ handle }) => handle).toSorted((a, b) => a - b);
    return JSON.stringify(agent) === JSON.stringify(handles);
  });
}

/** What must hold after whatever happened. */
async function expectRecovered(name: string, sinceMs: number): Promise<void> {
  await Promise.all(["red-gw", "blue-gw"].map((vm) => untilOffloaded(lab, vm)));
  const backMs = performance.now() - sinceMs;
  await Promise.all([...traffic.values()].map((one) => one.moreRounds(2)));
  for (const one of traffic.values()) {
    expect(one.failed, `${one.tenant}: ${name}`).toBe(0);
    expect(one.udpCorrupted).toBe(0);
    expect(one.udpLost, `${one.tenant}: ${name}`).toBeLessThanOrEqual(one.udpSent / 100);
  }
  for (const vm of ["red-gw", "blue-gw"]) {
    const before = await readPackets(lab, vm);
    await trafficOf(vm.slice(0, -3)).moreRounds(2);
    expect((await readPackets(lab, vm)).fast).toBeGreaterThan(before.fast);
  }
  const committingMs = performance.now();
  const reply = await commitSoon(lab, "red-gw", formatAcl(`after-${name}`));
  const committedMs = performance.now() - committingMs;
  expect(reply).not.toContain("late-revocations");
  await untilOffloaded(lab, "red-gw");
  await expectAgreement();
  const [red, blue] = [trafficOf("red"), trafficOf("blue")];
  figures.push(
    `${name}: offload of both tenants seen ${backMs.toFixed(0)} ms after the kill, commit ${committedMs.toFixed(0)} ms; longest round ` +
      `red ${red.longestRoundMs.toFixed(0)} ms, blue ${blue.longestRoundMs.toFixed(0)} ms; ` +
      `UDP lost red ${red.udpLost} of ${red.udpSent}, blue ${blue.udpLost} of ${blue.udpSent}`,
  );
  for (const one of traffic.values()) one.longestRoundMs = 0;
}

test.each(["red-gw/data", "red-gw/manage", "red-gw/helper", RED_ALL.join(" ")])(
  "kill -9 of %s: red lives on, and blue keeps the very same flows",
  async (names) => {
    const killed = names.split(" ");
    const blue = await identities("blue-gw");
    expect(blue).toHaveLength(HELD_CONNECTIONS);
    const packets = await readPackets(lab, "blue-gw");
    const sinceMs = performance.now();
    await crash(lab, killed);
    expect(await identities("blue-gw")).toEqual(blue);
    expect((await readPackets(lab, "blue-gw")).fast).toBeGreaterThan(packets.fast);
    await expectRecovered(killed.join("+").replaceAll("/", "-"), sinceMs);
    expect(await identities("blue-gw")).toEqual(blue);
  },
);

test.each(["bridge", "controller", "agent", "bridge controller"])(
  "kill -9 of %s: both tenants' connections live and are offloaded",
  async (names) => {
    const killed = names.split(" ");
    const sinceMs = performance.now();
    await crash(lab, killed);
    await expectRecovered(killed.join("+"), sinceMs);
  },
);

test(
  `${STORM_KILLS} kills at random, also of what is just coming back: afterwards all is as before`,
  campaignOptions(),
  async () => {
    const seed = randomInt(2 ** 32);
    figures.push(`storm: seed ${seed}`);
    const pick = randomSource(seed);
    const names = lab.listProcesses().map(({ name }) => name);
    for (let kill = 0; kill < STORM_KILLS; kill++) {
      const name = names[Math.floor(pick() * names.length)] ?? "";
      lab.signalProcess(name, "SIGKILL");
      await new Promise((resolve) => setTimeout(resolve, pick() * STORM_PAUSE_MS_MAX));
    }
    const sinceMs = performance.now();
    await new Promise((resolve) => setTimeout(resolve, STORM_PAUSE_MS_MAX)); // The last end is noticed.
    for (const name of names) await lab.waitReady(name);
    await expectRecovered(`storm-of-${STORM_KILLS}`, sinceMs);
  },
);

test("a bridge that stands still for longer than the lease: the VM takes over, and gives back", async () => {
  await setLease(lab, SHORT_LEASE_MS);
  // A lease that was given stays; a new session brings the next one at once.
  await crash(lab, ["bridge"]);
  await eventually("both leases are short", async () => {
    const vms = await listVms(lab);
    return vms.every((vm) => vm.connected && vm["lease-left"] <= SHORT_LEASE_MS);
  });
  await Promise.all(["red-gw", "blue-gw"].map((vm) => untilOffloaded(lab, vm)));
  const sinceMs = performance.now();
  lab.signalProcess("bridge", "SIGSTOP");
  try {
    await new Promise((resolve) => setTimeout(resolve, BRIDGE_STOPPED_MS));
    for (const vm of ["red-gw", "blue-gw"]) {
      const before = await readPackets(lab, vm);
      await trafficOf(vm.slice(0, -3)).moreRounds(2);
      const after = await readPackets(lab, vm);
      expect(after.fast - before.fast, vm).toBe(0);
      expect(after.passed - before.passed, vm).toBeGreaterThan(2 * HELD_CONNECTIONS);
    }
  } finally {
    lab.signalProcess("bridge", "SIGCONT");
  }
  await setLease(lab, LEASE_MS);
  await expectRecovered("bridge-stopped", sinceMs);
});

test("after all traffic has ended no TCP flow is left, and idle UDP flows are all there is", async () => {
  for (const one of traffic.values()) {
    expect(await one.stop()).toMatchObject({ failedConnections: 0, errors: {} });
    figures.push(`${one.tenant}: ${one.rounds} rounds, UDP lost ${one.udpLost} of ${one.udpSent}`);
  }
  for (const vm of ["red-gw", "blue-gw"]) {
    await eventually(`no TCP flow of ${vm} is left`, async () => {
      const flows = await listFlows(lab, vm);
      return flows.every(({ original }) => original.match.protocol !== 6);
    });
    const before = await readPackets(lab, vm);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect((await readPackets(lab, vm)).fast).toBe(before.fast);
  }
  await expectAgreement();
});

/** Seconds that the appliance's conntrack still gives the idle UDP flows to a port. */
async function udpSecondsLeft(port: number): Promise<number[]> {
  const privileges = { uid: 0, gid: 0, capabilities: "all" } as const;
  const words = ["cat", "/proc/net/nf_conntrack"];
  const { stdout } = await lab.run("red/gw", words, { privileges });
  const lines = stdout.split("\n").filter((line) => line.includes(`dport=${port} `));
  return lines.map((line) => Number(/^\S+ +\d+ udp +17 (\d+) /.exec(line)?.[1]));
}

test("a commit's shorter timers hold for flows that were offloaded before it", async () => {
  expect((await listFlows(lab, "red-gw")).length).toBeGreaterThan(0);
  expect(Math.max(...(await udpSecondsLeft(UDP_PORT)))).toBeGreaterThan(SHORT_UDP_SEC);
  const timers =
    `<nat xmlns="urn:ietf:params:xml:ns:yang:ietf-nat"><instances><instance><id>1</id><policy>` +
    `<id>1</id><timers><udp-timeout>${SHORT_UDP_SEC}</udp-timeout></timers></policy></instance>` +
    `</instances></nat>`;
  await commit(lab, "red-gw", timers);
  // Another commit takes all flows back, and each gets what is left of its time.
  const policy = (enabled: boolean): string =>
    `<offload-policy xmlns="urn:flowlift:zones"><enabled>${enabled}</enabled></offload-policy>`;
  await commit(lab, "red-gw", policy(false));
  expect(await listFlows(lab, "red-gw")).toEqual([]);
  await eventually("the conntrack entries have the new timeout", async () => {
    const left = await udpSecondsLeft(UDP_PORT);
    return left.length > 0 && left.every((seconds) => seconds <= SHORT_UDP_SEC);
  });
  await commit(lab, "red-gw", policy(true));
});

const SETTING = (hostName: string): string =>
  `<appliance xmlns="urn:flowlift:system"><auto-save>${hostName === "kept"}</auto-save></appliance>` +
  formatAcl(hostName);

async function hasAcl(name: string): Promise<boolean> {
  return await withNetconf(lab, "red-gw", async (netconf) => {
    const filter = `<filter><acls xmlns="urn:ietf:params:xml:ns:yang:ietf-access-control-list"/></filter>`;
    const running = `<get-config><source><running/></source>${filter}</get-config>`;
    return (await netconf.mustCall(running)).includes(`<name>${name}</name>`);
  });
}

test("a reboot loads startup, a crash restores running; auto-save makes them the same", async () => {
  await commit(lab, "red-gw", SETTING("lost"));
  await crash(lab, RED_ALL);
  expect(await hasAcl("lost")).toBe(true);
  const redFlows = await listFlows(lab, "red-gw");
  const neighbour = await DrillTraffic.start(lab, "blue");
  await untilOffloaded(lab, "blue-gw");
  const blue = await identities("blue-gw");
  const startedMs = performance.now();
  await lab.rebootAppliance("red-gw");
  figures.push(`reboot: ${(performance.now() - startedMs).toFixed(0)} ms`);
  expect(await hasAcl("lost")).toBe(false);
  expect(await hasAcl("after-red-gw-data")).toBe(true);
  await eventually("no flow of the boot before is left", async () => {
    const epochs = new Set(redFlows.map(({ epoch }) => epoch));
    return (await listFlows(lab, "red-gw")).every(({ epoch }) => !epochs.has(epoch));
  });
  await expectAgreement();
  await commit(lab, "red-gw", SETTING("kept"));
  await lab.rebootAppliance("red-gw");
  expect(await hasAcl("kept")).toBe(true);
  const again = await DrillTraffic.start(lab, "red");
  await untilOffloaded(lab, "red-gw");
  expect(await identities("blue-gw")).toEqual(blue);
  for (const one of [again, neighbour]) {
    expect(await one.stop()).toMatchObject({ failedConnections: 0, errors: {} });
  }
});
