/**
 * Storms of new UDP flows: how fast they become active, and what each costs. Effect: frames in a lab.
 *
 * Two programs write one frame for each flow, at a fixed rate; at the server a BPF program sends it back, at
 * the clients another counts the answers. Conntrack, rules, events, requests and answers are those of any flow.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { PacketReflector } from "../../lab/packet-reflector.ts";
import { inNetworkNamespace } from "../../lib/bpf/network-namespace.ts";
import { ConntrackTable } from "../../lib/conntrack/table.ts";
import { readProcessSec, readSoftInterruptSec } from "./processor-time.ts";
import { type BenchRig, SERVER_ADDRESS } from "./rig.ts";

/** Each client has its own source ports, so that address translation finds them free. */
const CLIENTS = [
  { host: "client1", sourcePort: 10_000 },
  { host: "client2", sourcePort: 35_000 },
];
export const STORM_FLOWS = 50_000;
/** More than the target, so that the path is what decides. */
export const STORM_RATE_PER_SEC = 30_000;
const FIRST_PORT = 9300;
const LAST_PORT = 9599;
const POLL_MS = 50;
/** What is still on its way arrives within this time. */
const QUIET_MS = 1000;
/** Nothing became active for this long: the storm is over, although flows are missing. */
const STALLED_MS = 5000;
/** Before the first is active. */
const SILENT_MS = 20_000;
const CLOSED_MS_MAX = 30_000;
const ACTIVE_COUNT = "flowlift_time_to_active_seconds_count";
const STORM_SEC_MAX = 60;

/** The processes that a flow passes, as the lab names them. */
export const STORM_PROCESSES: readonly string[] = ["red-gw/data", "bridge", "controller", "agent"];

export interface StormResult {
  readonly sent: number;
  readonly answered: number;
  readonly active: number;
  /** Between the first and the last that became active; 0 when none did. */
  readonly activePerSec: number;
  /** Processor time a flow, in microseconds, for each of STORM_PROCESSES. */
  readonly processUs: readonly number[];
  /** Of the programs that write the frames, and of the kernel's way of all packets, the echo among it. */
  readonly restUs: number;
}

/** Attaches both ends, runs one storm of flows that nobody had before, and closes them again. */
export class StormSite {
  readonly #rig: BenchRig;
  readonly #ends: readonly PacketReflector[];
  readonly #table: ConntrackTable;
  #nextPort = FIRST_PORT;

  constructor(rig: BenchRig) {
    this.#rig = rig;
    const attach = (host: string, role: "reflect" | "absorb"): PacketReflector =>
      PacketReflector.attach({
        ...{ role, netnsPath: netnsPathOf(rig, `red/${host}`), interfaceName: "eth0" },
        ...{ firstPort: FIRST_PORT, lastPort: LAST_PORT },
      });
    this.#ends = [attach("www", "reflect"), ...CLIENTS.map(({ host }) => attach(host, "absorb"))];
    this.#table = inNetworkNamespace(netnsPathOf(rig, "red/gw"), () => new ConntrackTable());
  }

  /** `isOffloaded` false: nothing will become active, and the end of the programs is the end. */
  async run(isOffloaded: boolean): Promise<StormResult> {
    const [before, answeredBefore, cpuBefore] = [
      await this.#countActive(),
      this.#answered(),
      this.#cpu(),
    ];
    const port = this.#nextPort++;
    const programs = CLIENTS.map(({ host, sourcePort }) =>
      this.#rig.start(`red/${host}`, "udp-storm", {
        ...this.#rig.neighbourOf("red", host),
        ...{ address: SERVER_ADDRESS, port, sourcePort, seconds: STORM_SEC_MAX },
        flows: STORM_FLOWS / CLIENTS.length,
        ratePerSec: STORM_RATE_PER_SEC / CLIENTS.length,
      }),
    );
    const sentOf = Promise.all(programs.map((program) => program.result));
    const { first, last } = isOffloaded
      ? await this.#watch(before)
      : await sentOf.then(() => ({ first: NEVER, last: NEVER }));
    const cpuAfter = this.#cpu();
    const programResults = await sentOf;
    const sumOf = (name: string): number =>
      programResults.reduce((sum, result) => sum + (result[name] ?? 0), 0);
    const sent = sumOf("sent");
    const answered = this.#answered() - answeredBefore;
    const flows = isOffloaded ? last.count - before : sent;
    const seconds = (last.at - first.at) / 1000;
    const perFlow = (after: number, start: number): number =>
      flows === 0 ? 0 : ((after - start) * 1e6) / flows;
    const processUs = cpuAfter.processes.map((sec, i) => perFlow(sec, cpuBefore.processes[i] ?? 0));
    await this.#closeFlows();
    return {
      ...{ sent, answered, active: last.count === 0 ? 0 : last.count - before, processUs },
      activePerSec: seconds > 0 ? (last.count - first.count) / seconds : 0,
      restUs: perFlow(cpuAfter.packets + sumOf("processorSec"), cpuBefore.packets),
    };
  }

  close(): void {
    for (const end of this.#ends) end.detach();
    this.#table.close();
  }

  async #watch(before: number): Promise<{ first: Seen; last: Seen }> {
    let first = NEVER;
    let last: Seen = { at: performance.now(), count: before };
    while (last.count - before < STORM_FLOWS) {
      await sleep(POLL_MS);
      const count = await this.#countActive();
      const at = performance.now();
      if (count > last.count) last = { at, count };
      if (first === NEVER && count > before) first = last;
      if (at - last.at > (first === NEVER ? SILENT_MS : STALLED_MS)) break;
    }
    return { first, last };
  }

  /** Ends every connection in the VM, and waits until the fast path holds none. */
  async #closeFlows(): Promise<void> {
    this.#table.flush();
    const until = performance.now() + CLOSED_MS_MAX;
    while (performance.now() < until) {
      const metrics = await this.#rig.readMetrics();
      const held = [...metrics].filter(([name]) => name.startsWith("flowlift_flows{"));
      if (held.every(([, count]) => count === 0)) break;
      await sleep(QUIET_MS / 4);
    }
    await sleep(QUIET_MS);
  }

  async #countActive(): Promise<number> {
    return (await this.#rig.readMetrics()).get(ACTIVE_COUNT) ?? 0;
  }

  #answered(): number {
    return this.#ends.slice(1).reduce((sum, end) => sum + Number(end.read()), 0);
  }

  #cpu(): { readonly packets: number; readonly processes: readonly number[] } {
    const all = this.#rig.lab.listProcesses();
    const pids = STORM_PROCESSES.map((name) => all.find((one) => one.name === name)?.record?.pid);
    return {
      packets: readSoftInterruptSec(),
      processes: pids.map((pid) => (pid === undefined ? 0 : readProcessSec(pid))),
    };
  }
}

interface Seen {
  readonly at: number;
  readonly count: number;
}

const NEVER: Seen = { at: 0, count: 0 };

function netnsPathOf(rig: BenchRig, machine: string): string {
  return `/run/netns/${rig.lab.netnsOf(machine)}`;
}
