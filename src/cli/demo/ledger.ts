/**
 * Reads both sides of the counter law (counter-law.ts) for one tenant.
 *
 * Effect: attaches a counting program of its own to every interface; reads the controller's metrics for the
 * path's side. Invariant: what is judged and what judges share no counter and no code.
 */

import { EndpointCounter } from "../../lab/endpoint-counter.ts";
import type { Lab } from "../../lab/lab.ts";
import { type PacketSum, VmAccount } from "../../lab/vm-account.ts";
import { FlowliftError } from "../../lib/base/errors.ts";
import type { MacAddress } from "../../lib/inet/address.ts";
import { parseMacAddress } from "../../lib/inet/address.ts";
import { type Balance, balanceOf, type Reading, subtract } from "./counter-law.ts";
import { type Metrics, readMetrics } from "./metrics.ts";

const NETNS_DIRECTORY = "/run/netns";
/** The law is read when nothing moves: twice the same, or this often at most. */
const SETTLE_TRIES_MAX = 50;
const SETTLE_PAUSE_MS = 100;

export class Ledger {
  readonly #lab: Lab;
  readonly #tenant: string;
  readonly #vm: string;
  readonly #endpoints: readonly EndpointCounter[];
  readonly #interfaces: readonly EndpointCounter[];
  /** Absent where the appliance is a VM: nobody can look into it. */
  readonly #account: VmAccount | undefined;
  #opening: Reading | undefined;

  private constructor(
    lab: Lab,
    tenant: string,
    vm: string,
    endpoints: readonly EndpointCounter[],
    interfaces: readonly EndpointCounter[],
    account: VmAccount | undefined,
  ) {
    this.#lab = lab;
    this.#tenant = tenant;
    this.#vm = vm;
    this.#endpoints = endpoints;
    this.#interfaces = interfaces;
    this.#account = account;
  }

  /** Attaches the counters of a tenant's appliance `name` and of all its hosts. */
  static async attach(lab: Lab, tenant: string, name: string): Promise<Ledger> {
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
    const account =
      appliance.machine === undefined
        ? await VmAccount.attach(`${NETNS_DIRECTORY}/${appliance.netns}`)
        : undefined;
    return new Ledger(lab, tenant, appliance.vm, endpoints, interfaces, account);
  }

  /** Opens the account at a quiet moment. */
  async open(): Promise<void> {
    this.#opening = await this.#readQuiet();
  }

  /** Returns the present sums since open(), without waiting for quiet: for the live table. */
  async peek(): Promise<{ readonly fast: PacketSum; readonly passed: PacketSum }> {
    const now = await this.#read();
    const opening = this.#opening ?? now;
    return { fast: subtract(now.fast, opening.fast), passed: subtract(now.passed, opening.passed) };
  }

  /** Closes the account at a quiet moment. */
  async balance(): Promise<Balance> {
    const now = await this.#readQuiet();
    const opening = this.#opening;
    if (opening === undefined) throw new FlowliftError("LAB_FAILED", "The ledger was never opened");
    return balanceOf(opening, now);
  }

  async detach(): Promise<void> {
    for (const counter of [...this.#endpoints, ...this.#interfaces]) counter.detach();
    await this.#account?.detach();
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
      inside: await this.#account?.read(),
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

function sumOf(
  tallies: readonly { readonly packets: bigint; readonly bytes: bigint }[],
): PacketSum {
  let [packets, bytes] = [0n, 0n];
  for (const tally of tallies) {
    packets += tally.packets;
    bytes += tally.bytes;
  }
  return { packets: Number(packets), bytes: Number(bytes) };
}

function macOf(text: string): MacAddress {
  const mac = parseMacAddress(text);
  if (mac === undefined) throw new FlowliftError("LAB_FAILED", `"${text}" is no MAC address`);
  return mac;
}
