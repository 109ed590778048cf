/**
 * The counter law, tenant by tenant: what endpoints sent is what the path took, and what it gave is what they got.
 *
 * sent(endpoints)     = fast + passed          at the host's ports
 * passed              = received(VM)           at the VM's own interfaces
 * received(endpoints) = fast + sent(VM)        the fast path itself drops nothing
 *
 * Effect: attaches a counting program of its own to every interface; reads the controller's metrics for the
 * path's side. Invariant: what is judged and what judges share no counter and no code.
 */

import { EndpointCounter } from "../../lab/endpoint-counter.ts";
import type { Lab } from "../../lab/lab.ts";
import { FlowliftError } from "../../lib/base/errors.ts";
import type { MacAddress } from "../../lib/inet/address.ts";
import { parseMacAddress } from "../../lib/inet/address.ts";
import { type Metrics, readMetrics } from "./metrics.ts";

const NETNS_DIRECTORY = "/run/netns";
/** The law is read when nothing moves: twice the same, or this often at most. */
const SETTLE_TRIES_MAX = 50;
const SETTLE_PAUSE_MS = 100;

export interface Sum {
  readonly packets: number;
  readonly bytes: number;
}

interface Reading {
  readonly endpointsSent: Sum;
  readonly endpointsReceived: Sum;
  readonly vmSent: Sum;
  readonly vmReceived: Sum;
  readonly fast: Sum;
  readonly passed: Sum;
}

/** What the law says about the time between two quiet moments. */
export interface Balance {
  readonly throughFastPath: Sum;
  readonly throughVm: Sum;
  readonly errorPackets: number;
  readonly errorBytes: number;
}

export class Ledger {
  readonly #lab: Lab;
  readonly #tenant: string;
  readonly #vm: string;
  readonly #endpoints: readonly EndpointCounter[];
  readonly #interfaces: readonly EndpointCounter[];
  #opening: Reading | undefined;

  private constructor(
    lab: Lab,
    tenant: string,
    vm: string,
    endpoints: readonly EndpointCounter[],
    interfaces: readonly EndpointCounter[],
  ) {
    this.#lab = lab;
    this.#tenant = tenant;
    this.#vm = vm;
    this.#endpoints = endpoints;
    this.#interfaces = interfaces;
  }

  /** Attaches the counters of a tenant's appliance `name` and of all its hosts. */
  static attach(lab: Lab, tenant: string, name: string): Ledger {
    const appliance = lab.description.appliances.find(
      (one) => one.tenant === tenant && one.name === name,
    );
    if (appliance === undefined) throw new FlowliftError("LAB_FAILED", `No appliance "${tenant}"`);
    const hosts = lab.description.hosts.filter((host) => host.tenant === tenant);
    const vmMacs = appliance.interfaces.map(({ mac }) => macOf(mac));
    const endpoints = hosts.map((host) =>
      EndpointCounter.attach({
        netnsPath: `${NETNS_DIRECTORY}/${host.netns}`,
        interfaceName: host.interface,
        macs: vmMacs,
      }),
    );
    const interfaces = appliance.interfaces.map((entry) =>
      EndpointCounter.attach({
        netnsPath: `${NETNS_DIRECTORY}/${appliance.netns}`,
        // Nobody can look into a VM; what its virtio NIC is given and gives passes its tap.
        ...(appliance.machine === undefined
          ? { interfaceName: entry.name }
          : { interfaceName: entry.hostPort, behindTap: macOf(entry.mac) }),
        macs: hosts.filter(({ segment }) => segment === entry.segment).map(({ mac }) => macOf(mac)),
      }),
    );
    return new Ledger(lab, tenant, appliance.vm, endpoints, interfaces);
  }

  /** Opens the account at a quiet moment. */
  async open(): Promise<void> {
    this.#opening = await this.#readQuiet();
  }

  /** Returns the present sums since open(), without waiting for quiet: for the live table. */
  async peek(): Promise<{ readonly fast: Sum; readonly passed: Sum }> {
    const now = await this.#read();
    const opening = this.#opening ?? now;
    return { fast: minus(now.fast, opening.fast), passed: minus(now.passed, opening.passed) };
  }

  /** Closes the account at a quiet moment. */
  async balance(): Promise<Balance> {
    const now = await this.#readQuiet();
    const opening = this.#opening;
    if (opening === undefined) throw new FlowliftError("LAB_FAILED", "The ledger was never opened");
    const of = (name: keyof Reading): Sum => minus(now[name], opening[name]);
    const [fast, passed] = [of("fast"), of("passed")];
    const error = (kind: keyof Sum): number =>
      Math.abs(of("endpointsSent")[kind] - fast[kind] - passed[kind]) +
      Math.abs(passed[kind] - of("vmReceived")[kind]) +
      Math.abs(of("endpointsReceived")[kind] - fast[kind] - of("vmSent")[kind]);
    return {
      throughFastPath: fast,
      throughVm: passed,
      errorPackets: error("packets"),
      errorBytes: error("bytes"),
    };
  }

  detach(): void {
    for (const counter of [...this.#endpoints, ...this.#interfaces]) counter.detach();
  }

  async #readQuiet(): Promise<Reading> {
    let last = await this.#read();
    for (let tries = 0; tries < SETTLE_TRIES_MAX; tries++) {
      await new Promise((resolve) => setTimeout(resolve, SETTLE_PAUSE_MS));
      const next = await this.#read();
      if (JSON.stringify(next) === JSON.stringify(last)) return next;
      last = next;
    }
    throw new FlowliftError("LAB_FAILED", `Tenant "${this.#tenant}" did not come to rest`);
  }

  async #read(): Promise<Reading> {
    const metrics = await readMetrics(this.#lab);
    const path = (kind: string): number =>
      metricOf(metrics, `flowlift_vm_${kind}_total`, this.#tenant, this.#vm);
    const endpoints = this.#endpoints.map((counter) => counter.read());
    const interfaces = this.#interfaces.map((counter) => counter.read());
    return {
      endpointsSent: sumOf(endpoints.map(({ sent }) => sent)),
      endpointsReceived: sumOf(endpoints.map(({ received }) => received)),
      vmSent: sumOf(interfaces.map(({ sent }) => sent)),
      vmReceived: sumOf(interfaces.map(({ received }) => received)),
      fast: { packets: path("fast_packets"), bytes: path("fast_bytes") },
      passed: { packets: path("passed_packets"), bytes: path("passed_bytes") },
    };
  }
}

function metricOf(metrics: Metrics, name: string, tenant: string, vm: string): number {
  for (const [key, value] of metrics) {
    if (!key.startsWith(`${name}{`) || !key.includes(`tenant="${tenant}"`)) continue;
    if (key.includes(`vm="${vm}"`)) return value;
  }
  return 0; // A VM that never had a packet has no row.
}

function sumOf(tallies: readonly { readonly packets: bigint; readonly bytes: bigint }[]): Sum {
  let [packets, bytes] = [0n, 0n];
  for (const tally of tallies) {
    packets += tally.packets;
    bytes += tally.bytes;
  }
  return { packets: Number(packets), bytes: Number(bytes) };
}

function minus(left: Sum, right: Sum): Sum {
  return { packets: left.packets - right.packets, bytes: left.bytes - right.bytes };
}

function macOf(text: string): MacAddress {
  const mac = parseMacAddress(text);
  if (mac === undefined) throw new FlowliftError("LAB_FAILED", `"${text}" is no MAC address`);
  return mac;
}
