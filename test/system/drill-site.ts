/** Traffic that runs through restart drills in a real lab, and what is read before and after each. */
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { readAdmin, readMetrics } from "../../src/cli/demo/metrics.ts";
import { NetconfClient } from "../../src/cli/netconf-client.ts";
import { connectRemoteDriver } from "../../src/fast-path/remote-driver.ts";
import type { Lab } from "../../src/lab/lab.ts";
import { type RunningTraffic, startTraffic } from "../../src/lab/traffic/run-traffic.ts";

export const SERVER = "192.0.2.100";
export const TRANSFER_PORT = 9000;
export const UDP_PORT = 9053;
export const HELD_CONNECTIONS = 20;
const ROUND_BYTES = 60_000;
const ROUND_PAUSE_MS = 40;
/** Shorter than the VM's deadlines for a lost session, longer than any pause that a restart may cause. */
const ROUND_TIMEOUT_MS = 20_000;
const UDP_FLOWS = 4;
const UDP_RATE_PPS = 200;
const UDP_SEC = 3;
const WAIT_MS = 15_000;
/** From a READY to the first commit that is accepted. */
const COMMIT_WAIT_MS = 2_000;

export interface AdminFlow {
  readonly vm: string;
  readonly epoch: string;
  readonly flowId: string;
  readonly state: string;
  readonly handle: number;
  readonly original: { readonly match: { readonly protocol: number } };
  readonly counters: { readonly lastUsedMsAgo: string };
}

export async function eventually(
  what: string,
  held: () => Promise<boolean> | boolean,
  timeoutMs: number = WAIT_MS,
): Promise<number> {
  const startedMs = performance.now();
  while (!(await held())) {
    const elapsedMs = performance.now() - startedMs;
    if (elapsedMs > timeoutMs) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  return performance.now() - startedMs;
}

/** Held connections in endless hash-checked rounds, and UDP flows beside them. */
export class DrillTraffic {
  readonly tenant: string;
  readonly #client: RunningTraffic<"transfer-client">;
  readonly #servers: readonly { stop(): Promise<unknown> }[];
  readonly #loops: Promise<unknown>[] = [];
  #isEnding = false;
  rounds = 0;
  failed = 0;
  longestRoundMs = 0;
  udpSent = 0;
  udpLost = 0;
  udpCorrupted = 0;

  private constructor(
    tenant: string,
    client: RunningTraffic<"transfer-client">,
    servers: readonly { stop(): Promise<unknown> }[],
  ) {
    this.tenant = tenant;
    this.#client = client;
    this.#servers = servers;
  }

  static async start(lab: Lab, tenant: string): Promise<DrillTraffic> {
    const servers = await Promise.all([
      startTraffic(lab, `${tenant}/www`, "transfer-server", { port: TRANSFER_PORT }),
      startTraffic(lab, `${tenant}/www`, "udp-server", { port: UDP_PORT }),
    ]);
    const client = await startTraffic(lab, `${tenant}/client1`, "transfer-client", {
      target: SERVER,
      port: TRANSFER_PORT,
      connections: HELD_CONNECTIONS,
      uploadBytes: ROUND_BYTES,
      downloadBytes: ROUND_BYTES,
      rounds: 0,
      timeoutMs: ROUND_TIMEOUT_MS,
    });
    const traffic = new DrillTraffic(tenant, client, servers);
    traffic.#loops.push(traffic.#transfer(), traffic.#echo(lab));
    for (const loop of traffic.#loops) loop.catch(() => {}); // stop() tells.
    return traffic;
  }

  async #transfer(): Promise<void> {
    while (!this.#isEnding) {
      const { failed, durationMs } = await this.#client.transferRound();
      this.rounds++;
      this.failed += failed;
      this.longestRoundMs = Math.max(this.longestRoundMs, durationMs);
      await new Promise((resolve) => setTimeout(resolve, ROUND_PAUSE_MS));
    }
  }

  /** One short client after the other, so that each drill has young flows as well as old ones. */
  async #echo(lab: Lab): Promise<void> {
    while (!this.#isEnding) {
      const client = await startTraffic(lab, `${this.tenant}/client1`, "udp-client", {
        target: SERVER,
        port: UDP_PORT,
        flows: UDP_FLOWS,
        packetsPerFlow: (UDP_RATE_PPS * UDP_SEC) / UDP_FLOWS,
        ratePps: UDP_RATE_PPS,
      });
      const { sent, lost, corrupted } = await client.result;
      this.udpSent += sent;
      this.udpLost += lost;
      this.udpCorrupted += corrupted;
    }
  }

  /** Waits until `count` more rounds are over: each moves every connection's payload both ways. */
  async moreRounds(count: number): Promise<void> {
    const target = this.rounds + count;
    await eventually(`${count} more rounds of ${this.tenant}`, () => this.rounds >= target);
  }

  /** Ends the traffic, closes every connection in order, and returns how many had broken. */
  async stop(): Promise<{ readonly failedConnections: number; readonly errors: object }> {
    this.#isEnding = true;
    await Promise.all(this.#loops);
    const result = await this.#client.stop();
    await Promise.all(this.#servers.map((server) => server.stop()));
    return result;
  }
}

/** All flows that the controller holds of an appliance. */
export async function listFlows(lab: Lab, vm: string): Promise<AdminFlow[]> {
  const page = JSON.parse(await readAdmin(lab, `/flows?limit=1000&vm=${vm}`)) as {
    flows: AdminFlow[];
  };
  return page.flows;
}

export async function activeTcpFlows(lab: Lab, vm: string): Promise<AdminFlow[]> {
  const flows = await listFlows(lab, vm);
  return flows.filter(({ state, original }) => state === "active" && original.match.protocol === 6);
}

export interface AdminVm {
  readonly vm: string;
  readonly connected: boolean;
  readonly "driver-connected": boolean;
  readonly "lease-left": number;
}

export async function listVms(lab: Lab): Promise<AdminVm[]> {
  return JSON.parse(await readAdmin(lab, "/vms")) as AdminVm[];
}

/** Waits until an appliance's session and the fast path are there and exactly its held connections are offloaded. */
export async function untilOffloaded(lab: Lab, vm: string): Promise<number> {
  return await eventually(`${vm} is offloaded`, async () => {
    try {
      const one = (await listVms(lab)).find((each) => each.vm === vm);
      const isConnected = one?.connected === true && one["driver-connected"];
      return isConnected && (await activeTcpFlows(lab, vm)).length === HELD_CONNECTIONS;
    } catch {
      return false; // The controller is not back yet.
    }
  });
}

/** Packets of an appliance that were forwarded fast, and that went through it. */
export async function readPackets(
  lab: Lab,
  vm: string,
): Promise<{ readonly fast: number; readonly passed: number }> {
  const metrics = await readMetrics(lab);
  const sum = (path: "fast" | "passed"): number => {
    for (const [key, value] of metrics) {
      const isRow = key.startsWith(`flowlift_vm_${path}_packets_total{`);
      if (isRow && key.includes(`vm="${vm}"`)) return value;
    }
    return 0;
  };
  return { fast: sum("fast"), passed: sum("passed") };
}

/** What the agent holds, by handle. */
export async function listAgentHandles(lab: Lab): Promise<number[]> {
  const driver = await connectRemoteDriver(lab.description.agent?.socketPath ?? "");
  try {
    const flows = (await driver.listFlows?.()) ?? [];
    return flows.map(({ handle }) => handle).toSorted((a, b) => a - b);
  } finally {
    await driver.close();
  }
}

/** Ends processes as a crash would, at the same time, and waits until the supervisor has them serving again. */
export async function crash(lab: Lab, names: readonly string[]): Promise<number> {
  const countOf = (name: string): number =>
    lab.listProcesses().find((one) => one.name === name)?.restartCount ?? -1;
  const before = new Map(names.map((name) => [name, countOf(name)]));
  const startedMs = performance.now();
  for (const name of names) lab.signalProcess(name, "SIGKILL");
  for (const name of names) {
    await eventually(`${name} is restarted`, () => countOf(name) > (before.get(name) ?? 0));
    await lab.waitReady(name);
  }
  return performance.now() - startedMs;
}

/** Commits as an operator would who is told to try again while the data process is being found again. */
export async function commitSoon(lab: Lab, vm: string, config: string): Promise<string> {
  let reply = "";
  await eventually(
    "a commit is accepted",
    async () => {
      try {
        reply = await commit(lab, vm, config);
        return true;
      } catch (error) {
        if (!String(error).includes("try again later")) throw error;
        return false;
      }
    },
    COMMIT_WAIT_MS,
  );
  return reply;
}

/** Opens a session of its own, changes the policy, commits, and closes. */
export async function commit(lab: Lab, vm: string, config: string): Promise<string> {
  return await withNetconf(lab, vm, async (netconf) => {
    if (config !== "") await netconf.edit(config);
    return await netconf.commit();
  });
}

export async function withNetconf<T>(
  lab: Lab,
  vm: string,
  work: (netconf: NetconfClient) => Promise<T>,
): Promise<T> {
  const target = lab.description.appliances.find((one) => one.vm === vm)?.netconf;
  if (target === undefined) throw new Error(`${vm} has no NETCONF`);
  const netconf = await NetconfClient.connect(target);
  try {
    return await work(netconf);
  } finally {
    netconf.close();
  }
}

/** Gives the controller another lease, as an operator would: its file, then a reload. */
export async function setLease(lab: Lab, leaseMs: number): Promise<void> {
  const { controller } = lab.description;
  const tokenFile = controller?.tokenFile ?? "";
  const configFile = join(dirname(tokenFile), "config.json");
  const config = JSON.parse(readFileSync(configFile, "utf8")) as Record<string, object>;
  const root = "flowlift-controller:controller";
  writeFileSync(configFile, JSON.stringify({ [root]: { ...config[root], lease: leaseMs } }));
  const headers = { authorization: `Bearer ${readFileSync(tokenFile, "utf8").trim()}` };
  const answer = await fetch(`${controller?.adminUrl}/reload`, { method: "POST", headers });
  if (!answer.ok) throw new Error(`reload: ${await answer.text()}`);
}
