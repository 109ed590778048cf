/**
 * What separates the kernel's network from the configured one.
 *
 * Pure: configurations and a snapshot come in, steps go out, in an order in which each can be carried out:
 * what is not wanted goes from routes down to links, then what is wanted comes from links up to routes.
 *
 * Invariant: touched are only routes of our own protocol number, addresses of families that are or were
 * configured, neighbours and virtual links that are or were configured. Link-local addresses and addresses
 * with a lifetime belong to the kernel and to DHCP.
 */
import { type AddressFamily, familyOf } from "../lib/inet/address.ts";
import {
  type FixedNeighbour,
  type NetworkAddress,
  type NetworkLink,
  type NetworkRoute,
  type NetworkSnapshot,
  RT_SCOPE_UNIVERSE,
} from "../lib/netlink/network-snapshot.ts";
import {
  type FamilyConfig,
  type InterfaceConfig,
  type NetworkConfig,
  STATIC_METRIC,
  type StaticRoute,
  type VirtualConfig,
} from "./config.ts";
import type { NetworkOperation } from "./operation.ts";

/** rtm_protocol of our routes: numbers above 4 are free for routing daemons (linux/rtnetlink.h). */
export const ROUTE_PROTOCOL = 0xf1;

/** RTN_* by our names. */
const TYPE_NAMES: Readonly<Record<number, StaticRoute["type"]>> = {
  1: "unicast",
  6: "blackhole",
  7: "unreachable",
  8: "prohibit",
};

/** Returns the steps from `snapshot` to `wanted`; `previous` is what was configured before. */
export function planNetwork(
  wanted: NetworkConfig,
  previous: NetworkConfig,
  snapshot: NetworkSnapshot,
): NetworkOperation[] {
  const planner = new Planner(wanted, previous, snapshot);
  return [...planner.listRemovals(), ...planner.listAdditions()];
}

class Planner {
  readonly #wanted: NetworkConfig;
  readonly #previous: NetworkConfig;
  readonly #snapshot: NetworkSnapshot;
  readonly #links: ReadonlyMap<string, NetworkLink>;
  readonly #names: ReadonlyMap<number, string>;
  /** Names of interfaces that go, or go and come again. */
  readonly #leaving: ReadonlySet<string>;

  constructor(wanted: NetworkConfig, previous: NetworkConfig, snapshot: NetworkSnapshot) {
    this.#wanted = wanted;
    this.#previous = previous;
    this.#snapshot = snapshot;
    this.#links = new Map(snapshot.links.map((link) => [link.name, link]));
    this.#names = new Map(snapshot.links.map((link) => [link.index, link.name]));
    this.#leaving = new Set(this.#listLeaving().map(({ name }) => name));
  }

  listRemovals(): NetworkOperation[] {
    const operations: NetworkOperation[] = [];
    for (const route of this.#listOwnRoutes()) {
      const stays = this.#wanted.routes.some((wanted) => this.#isSameRoute(wanted, route));
      if (!stays) operations.push({ kind: "delete-route", route: this.#toConfig(route) });
    }
    for (const entry of this.#listInterfaces()) {
      operations.push(...this.#removeNeighbours(entry), ...this.#removeAddresses(entry));
    }
    for (const { name, virtual } of this.#listLeaving()) {
      operations.push({ kind: "delete-link", interfaceName: name, virtual });
    }
    return operations;
  }

  listAdditions(): NetworkOperation[] {
    const operations: NetworkOperation[] = [];
    const ordered = [...this.#wanted.interfaces].sort((a, b) => rank(a) - rank(b));
    for (const entry of ordered) operations.push(...this.#addLink(entry));
    for (const entry of ordered) {
      if (!this.#willExist(entry)) continue;
      for (const family of [4, 6] as const) operations.push(...this.#addFamily(entry, family));
    }
    const own = this.#listOwnRoutes();
    for (const route of this.#wanted.routes) {
      const exists = own.some((found) => this.#isSameRoute(route, found));
      if (!exists) operations.push({ kind: "add-route", route });
    }
    return operations;
  }

  /** Virtual links that were configured and are not any more, or are configured otherwise now. */
  #listLeaving(): { readonly name: string; readonly virtual: VirtualConfig }[] {
    const candidates = [...this.#previous.interfaces, ...this.#wanted.interfaces];
    const leaving = new Map<string, VirtualConfig>();
    for (const { name, virtual } of candidates) {
      const link = this.#links.get(name);
      if (virtual === undefined || link?.kind !== virtual.kind) continue;
      const wanted = this.#wanted.interfaces.find((entry) => entry.name === name)?.virtual;
      const before = this.#previous.interfaces.find((entry) => entry.name === name)?.virtual;
      const changed = before !== undefined && JSON.stringify(before) !== JSON.stringify(wanted);
      const differs = wanted !== undefined && link.virtualId !== wanted.id;
      if (wanted === undefined || changed || differs) leaving.set(name, before ?? virtual);
    }
    return [...leaving].map(([name, virtual]) => ({ name, virtual }));
  }

  #willExist(entry: InterfaceConfig): boolean {
    return entry.virtual !== undefined || this.#links.has(entry.name);
  }

  #addLink(entry: InterfaceConfig): NetworkOperation[] {
    const { name, virtual, enabled, mtuBytes } = entry;
    if (!this.#willExist(entry)) return [];
    const operations: NetworkOperation[] = [];
    const link = this.#leaving.has(name) ? undefined : this.#links.get(name);
    if (link === undefined && virtual !== undefined) {
      operations.push({ kind: "add-link", interfaceName: name, virtual });
    }
    if (mtuBytes !== undefined && link?.mtuBytes !== mtuBytes) {
      const previousBytes = link?.mtuBytes ?? mtuBytes;
      operations.push({ kind: "set-mtu", interfaceName: name, mtuBytes, previousBytes });
    }
    if ((link?.enabled ?? false) !== enabled) {
      operations.push({ kind: "set-enabled", interfaceName: name, enabled });
    }
    return operations;
  }

  #addFamily(entry: InterfaceConfig, family: AddressFamily): NetworkOperation[] {
    const wanted = family === 4 ? entry.ipv4 : entry.ipv6;
    if (wanted?.enabled !== true) return [];
    const interfaceName = entry.name;
    const has = this.#leaving.has(interfaceName) ? undefined : this.#links.get(interfaceName);
    const operations: NetworkOperation[] = [];
    for (const { address, lengthBits } of wanted.addresses) {
      const found = this.#snapshot.addresses.some(
        (other) =>
          other.linkIndex === has?.index &&
          other.address === address &&
          other.lengthBits === lengthBits,
      );
      if (!found) operations.push({ kind: "add-address", interfaceName, address, lengthBits });
    }
    for (const { address, mac } of wanted.neighbours) {
      const found = this.#snapshot.neighbours.some(
        (other) => other.linkIndex === has?.index && other.address === address && other.mac === mac,
      );
      if (!found) operations.push({ kind: "set-neighbour", interfaceName, address, mac });
    }
    return operations;
  }

  /** Every interface that is or was configured, with both configurations. */
  #listInterfaces(): Both[] {
    const names = new Set(
      [...this.#wanted.interfaces, ...this.#previous.interfaces].map(({ name }) => name),
    );
    return [...names].flatMap((name) => {
      const link = this.#links.get(name);
      if (link === undefined) return [];
      const wanted = this.#wanted.interfaces.find((entry) => entry.name === name);
      const previous = this.#previous.interfaces.find((entry) => entry.name === name);
      return [{ link, wanted, previous }];
    });
  }

  #removeAddresses({ link, wanted, previous }: Both): NetworkOperation[] {
    const here = this.#snapshot.addresses.filter(
      (address) => address.linkIndex === link.index && isOurs(address),
    );
    return here.flatMap(({ address, lengthBits }): NetworkOperation[] => {
      const family = familyOf(address);
      const now = pickFamily(wanted, family);
      const before = pickFamily(previous, family);
      const isSame = (one: { address: string; lengthBits: number }): boolean =>
        one.address === address && one.lengthBits === lengthBits;
      const managed = now !== undefined || before?.addresses.some(isSame) === true;
      const stays = now?.enabled === true && now.addresses.some(isSame);
      if (!managed || stays) return [];
      return [{ kind: "delete-address", interfaceName: link.name, address, lengthBits }];
    });
  }

  #removeNeighbours({ link, wanted, previous }: Both): NetworkOperation[] {
    const before = [...(previous?.ipv4?.neighbours ?? []), ...(previous?.ipv6?.neighbours ?? [])];
    const now = [...(wanted?.ipv4?.neighbours ?? []), ...(wanted?.ipv6?.neighbours ?? [])];
    return this.#snapshot.neighbours
      .filter((entry: FixedNeighbour) => entry.linkIndex === link.index)
      .filter(({ address }) => before.some((one) => one.address === address))
      .filter(({ address }) => !now.some((one) => one.address === address))
      .map(({ address, mac }) => ({
        kind: "delete-neighbour",
        interfaceName: link.name,
        address,
        mac,
      }));
  }

  #listOwnRoutes(): NetworkRoute[] {
    return this.#snapshot.routes.filter(
      (route) => route.protocol === ROUTE_PROTOCOL && TYPE_NAMES[route.type] !== undefined,
    );
  }

  #isSameRoute(wanted: StaticRoute, found: NetworkRoute): boolean {
    const { destination, type, nextHops } = wanted;
    if (TYPE_NAMES[found.type] !== type || found.lengthBits !== destination.lengthBits)
      return false;
    if (familyOf(destination.address) !== found.family) return false;
    if (found.lengthBits > 0 && found.destination !== destination.address) return false;
    if (found.metric !== STATIC_METRIC) return false;
    if (type !== "unicast") return true; // IPv6 names the loopback interface here.
    if (found.nextHops.length !== nextHops.length) return false;
    return nextHops.every((hop) =>
      found.nextHops.some(
        (one) =>
          one.gateway === hop.gateway &&
          (hop.interfaceName === undefined || this.#names.get(one.linkIndex) === hop.interfaceName),
      ),
    );
  }

  #toConfig(route: NetworkRoute): StaticRoute {
    const any = (route.family === 4 ? "0.0.0.0" : "::") as StaticRoute["destination"]["address"];
    const type = TYPE_NAMES[route.type] ?? "unicast";
    const nextHops = type === "unicast" ? route.nextHops : [];
    return {
      destination: { address: route.destination ?? any, lengthBits: route.lengthBits },
      type,
      nextHops: nextHops.map(({ linkIndex, gateway }) => ({
        interfaceName: this.#names.get(linkIndex),
        gateway,
      })),
    };
  }
}

interface Both {
  readonly link: NetworkLink;
  readonly wanted: InterfaceConfig | undefined;
  readonly previous: InterfaceConfig | undefined;
}

/** A VLAN comes after the interface that carries it. */
function rank({ virtual }: InterfaceConfig): number {
  return virtual?.kind === "vlan" ? 1 : 0;
}

function pickFamily(
  entry: InterfaceConfig | undefined,
  family: AddressFamily,
): FamilyConfig | undefined {
  return family === 4 ? entry?.ipv4 : entry?.ipv6;
}

function isOurs(address: NetworkAddress): boolean {
  return address.permanent && address.scope === RT_SCOPE_UNIVERSE;
}
