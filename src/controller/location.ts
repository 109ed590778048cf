/**
 * Where each MAC address of a host's segments is: which port reaches it.
 *
 * Pure. What the configuration says (vNICs, static neighbours) wins over what the agent learned, so that
 * no station can move a virtual machine by using its address.
 * Limit: NEIGHBOURS_MAX learned addresses; more are ignored and counted.
 */
import type { NeighbourLocation } from "../fast-path/driver.ts";
import type { MacAddress } from "../lib/inet/address.ts";
import type { Host } from "./model.ts";

export const NEIGHBOURS_MAX = 262_144;

export type LocationKey = string & { readonly brand: "LocationKey" };

/** Keys that were made lately, so that each is one text; more than these start anew. */
export const KEYS_REMEMBERED_MAX = 16_384;
const made: { readonly keys: Map<number, Map<MacAddress, LocationKey>>; count: number } = {
  keys: new Map(),
  count: 0,
};

/** Returns the key of an address on a segment. */
export function locationKey(segmentId: number, mac: MacAddress): LocationKey {
  const known = made.keys.get(segmentId)?.get(mac);
  return known ?? makeKey(segmentId, mac);
}

function makeKey(segmentId: number, mac: MacAddress): LocationKey {
  if (made.count >= KEYS_REMEMBERED_MAX) {
    made.keys.clear();
    made.count = 0;
  }
  const ofSegment = made.keys.get(segmentId) ?? new Map<MacAddress, LocationKey>();
  made.keys.set(segmentId, ofSegment);
  const key = `${segmentId}|${mac}` as LocationKey;
  ofSegment.set(mac, key);
  made.count++;
  return key;
}

function segmentOf(key: LocationKey): number {
  return Number(key.slice(0, key.indexOf("|")));
}

/** The locations of one host. */
export class LocationTable {
  #configured = new Map<LocationKey, number>();
  /** Which segment each port of the host belongs to. */
  #segmentOfPort = new Map<number, number>();
  readonly #learned = new Map<LocationKey, number>();
  #ignored = 0;
  /** The first port of each segment that is no virtual machine's. */
  #firstPort = new Map<number, number>();
  /** Takes an address that nobody has seen to be behind the segment's first port. */
  assumesUnknown = false;

  /** How many learned addresses found no room. */
  get ignored(): number {
    return this.#ignored;
  }

  /** Takes over the host's configuration; returns the keys whose port is another one now. */
  configure(host: Host): readonly LocationKey[] {
    const configured = new Map<LocationKey, number>();
    for (const port of host.ports) {
      for (const mac of port.staticNeighbours) {
        configured.set(locationKey(port.segment.id, mac), port.portId);
      }
    }
    for (const vm of host.vms) {
      for (const vnic of vm.vnics.values()) {
        configured.set(locationKey(vnic.segment.id, vnic.mac), vnic.portId);
      }
    }
    const keys = new Set([
      ...this.#configured.keys(),
      ...configured.keys(),
      ...this.#learned.keys(),
    ]);
    const before = new Map([...keys].map((key) => [key, this.#portOf(key)]));
    this.#configured = configured;
    const open = host.ports.filter((port) => !port.isVmPort).reverse();
    this.#firstPort = new Map(open.map((port) => [port.segment.id, port.portId]));
    this.#segmentOfPort = new Map(host.ports.map((port) => [port.portId, port.segment.id]));
    return [...keys].filter((key) => before.get(key) !== this.#portOf(key));
  }

  /** Takes over one report of the agent; returns whether the address has another port now. */
  learn(location: NeighbourLocation): boolean {
    const key = locationKey(location.segmentId, location.mac);
    const before = this.#portOf(key);
    if (location.portId === undefined) this.#learned.delete(key);
    else if (this.#learned.size < NEIGHBOURS_MAX || this.#learned.has(key)) {
      this.#learned.set(key, location.portId);
    } else this.#ignored++;
    return before !== undefined && before !== this.#portOf(key);
  }

  /** Takes over a whole list of the agent; returns the keys that have another port now, or none. */
  relearn(locations: readonly NeighbourLocation[]): readonly LocationKey[] {
    const before = new Map([...this.#learned.keys()].map((key) => [key, this.#portOf(key)]));
    this.#learned.clear();
    for (const location of locations) this.learn(location);
    return [...before]
      .filter(([key, port]) => port !== undefined && port !== this.#portOf(key))
      .map(([key]) => key);
  }

  /** Returns the port that reaches the address, or undefined when none is known. */
  portOf(segmentId: number, mac: MacAddress): number | undefined {
    return this.#portOf(locationKey(segmentId, mac), segmentId);
  }

  #portOf(key: LocationKey, segmentId: number = segmentOf(key)): number | undefined {
    const portId = this.#configured.get(key) ?? this.#learned.get(key);
    if (portId === undefined) {
      return this.assumesUnknown ? this.#firstPort.get(segmentId) : undefined;
    }
    return this.#segmentOfPort.get(portId) === segmentId ? portId : undefined;
  }
}
