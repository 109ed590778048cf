/**
 * On which host port each MAC address of a segment lives.
 *
 * Pure. Frames that the fast path redirects teach a bridge nothing, so its entries age out under live
 * traffic: what was learned stays while the port exists and nobody else claims the address.
 */
import type { MacAddress } from "../lib/inet/address.ts";
import type { NeighbourLocation } from "./driver.ts";
import { placeKeyOf } from "./topology.ts";

/** Addresses kept; beyond it new ones are not learned (their flows are refused as location-unknown). */
export const NEIGHBOURS_MAX = 65_536;

export class NeighbourTable {
  readonly #locations = new Map<string, NeighbourLocation>();
  readonly #report: (location: NeighbourLocation) => void;
  readonly #neighboursMax: number;

  /** `report` gets each change. */
  constructor(
    report: (location: NeighbourLocation) => void,
    neighboursMax: number = NEIGHBOURS_MAX,
  ) {
    this.#report = report;
    this.#neighboursMax = neighboursMax;
  }

  list(): readonly NeighbourLocation[] {
    return [...this.#locations.values()];
  }

  /** An address was seen at a port. Returns false when there is no room for it. */
  learn(segmentId: number, mac: MacAddress, portId: number): boolean {
    const key = placeKeyOf(segmentId, mac);
    const known = this.#locations.get(key);
    if (known?.portId === portId) return true;
    if (known === undefined && this.#locations.size >= this.#neighboursMax) return false;
    const location: NeighbourLocation = { segmentId, mac, portId };
    this.#locations.set(key, location);
    this.#report(location);
    return true;
  }

  /** A port vanished, and with it whatever lived there. */
  forgetPort(portId: number): void {
    for (const [key, location] of this.#locations) {
      if (location.portId !== portId) continue;
      this.#locations.delete(key);
      this.#report({ segmentId: location.segmentId, mac: location.mac, portId: undefined });
    }
  }
}
