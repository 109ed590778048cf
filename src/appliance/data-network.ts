/**
 * The appliance's interfaces: those it was given, those its configuration makes, and what is set on them.
 *
 * Effect: rtnetlink reads, changes and events of the namespace.
 * Invariant: a name keeps its place in the ct mark as long as the machine runs, also when the interface goes.
 * Limit: RULESET_INTERFACES_MAX names in one boot.
 */
import { describeError } from "../lib/base/errors.ts";
import type { Log } from "../lib/base/log.ts";
import { err, ok, type Result } from "../lib/base/result.ts";
import type { EventReader } from "../lib/netlink/event-reader.ts";
import { monitorRoutes, RouteTable } from "../lib/netlink/route.ts";
import {
  RTNLGRP_IPV4_IFADDR,
  RTNLGRP_IPV6_IFADDR,
  RTNLGRP_LINK,
} from "../lib/netlink/route-messages.ts";
import type { ApplianceInterface, ConfigData, ConfigProblem } from "../lib/service/provider.ts";
import { type NetworkConfig, parseNetworkConfig } from "../network/config.ts";
import { LinuxNetwork } from "../network/kernel.ts";
import { Network } from "../network/network.ts";
import { readNetworkState } from "../network/state.ts";
import { presentInterfaces, readInterfaces } from "./data-interfaces.ts";
import { RULESET_INTERFACES_MAX } from "./ruleset.ts";

/** Changes of links come in swarms; they are looked at together. */
const INTERFACES_SETTLE_MS = 50;
const INTERFACE_GROUPS = [RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR];

export interface DataNetworkOptions {
  /** In the order of the ct mark. */
  readonly names: readonly string[];
  readonly log: Log;
  /** Called with the interfaces that exist, when they have changed. */
  readonly onChange: (present: readonly ApplianceInterface[]) => void;
}

export class DataNetwork {
  readonly #options: DataNetworkOptions;
  readonly #routes: RouteTable = new RouteTable();
  readonly #kernel: LinuxNetwork = new LinuxNetwork();
  readonly #startedAt: string = new Date().toISOString();
  #names: readonly string[];
  #network: Network;
  #interfaces: readonly ApplianceInterface[] = [];
  #monitor: EventReader | undefined;
  #settling: NodeJS.Timeout | undefined;

  constructor(options: DataNetworkOptions) {
    this.#options = options;
    this.#names = options.names;
    this.#network = new Network(this.#kernel, options.log);
  }

  /** All names that have a place in the ct mark, in its order. */
  get names(): readonly string[] {
    return this.#names;
  }

  get interfaces(): readonly ApplianceInterface[] {
    return this.#interfaces;
  }

  async start(): Promise<void> {
    const onEvents = (): void => this.#changed();
    this.#monitor = monitorRoutes({ groups: INTERFACE_GROUPS, onEvents });
    await this.refresh();
  }

  /** Goes on where an earlier process was. */
  adopt(config: NetworkConfig, names: readonly string[]): void {
    const known = new Set(this.#names);
    this.#names = [...this.#names, ...names.filter((name) => !known.has(name))];
    this.#network = new Network(this.#kernel, this.#options.log, config);
  }

  /** Reads the network's part of a configuration; interfaces that it will make get their place. */
  async plan(data: ConfigData): Promise<Result<NetworkConfig, ConfigProblem>> {
    const config = parseNetworkConfig(data);
    if (!config.ok) return config;
    const fresh = config.value.interfaces.filter(
      ({ name, virtual }) => virtual !== undefined && !this.#names.includes(name),
    );
    if (this.#names.length + fresh.length > RULESET_INTERFACES_MAX) {
      const message = `more than ${RULESET_INTERFACES_MAX} interfaces since the machine has started`;
      return err({ kind: "config-not-applicable", path: "/ietf-interfaces:interfaces", message });
    }
    this.#names = [...this.#names, ...fresh.map(({ name }) => name)];
    await this.refresh();
    return ok(config.value);
  }

  /** See Network.apply. */
  apply(config: NetworkConfig): Promise<() => Promise<void>> {
    return this.#network.apply(config);
  }

  repair(): Promise<string[]> {
    return this.#network.repair();
  }

  async readState(): Promise<ConfigData> {
    return readNetworkState({
      snapshot: await this.#network.readSnapshot(),
      drift: await this.#network.readDrift(),
      discontinuityTime: this.#startedAt,
    });
  }

  /** Reads the interfaces and tells when they have changed. */
  async refresh(): Promise<void> {
    const interfaces = await readInterfaces(this.#routes, this.#names);
    if (JSON.stringify(interfaces) === JSON.stringify(this.#interfaces)) return;
    const came = this.#hasComer(interfaces);
    this.#interfaces = interfaces;
    this.#options.onChange(presentInterfaces(interfaces));
    if (came) await this.repair(); // What was configured for it waits since the commit.
  }

  stop(): void {
    clearTimeout(this.#settling);
    this.#monitor?.close();
    this.#routes.close();
    this.#kernel.close();
  }

  #hasComer(interfaces: readonly ApplianceInterface[]): boolean {
    const before = new Set(presentInterfaces(this.#interfaces).map(({ name }) => name));
    const configured = new Set(this.#network.config.interfaces.map(({ name }) => name));
    return presentInterfaces(interfaces).some(
      ({ name }) => configured.has(name) && !before.has(name),
    );
  }

  #changed(): void {
    if (this.#settling !== undefined) return;
    this.#settling = setTimeout(() => {
      this.#settling = undefined;
      this.refresh().catch((error: unknown) =>
        this.#options.log.error("Cannot follow the interfaces", { reason: describeError(error) }),
      );
    }, INTERFACES_SETTLE_MS);
  }
}
