/**
 * Where packets go next: routes and neighbours of the namespace, known at once.
 *
 * Effect: rtnetlink requests and one monitor. Answers come from memory; an unknown neighbour is probed and
 * `onChanged` tells when it was found, moved or lost.
 * Limit: ROUTES_CACHED_MAX destinations remembered, then anew.
 */
import type { Clock } from "../lib/base/clock.ts";
import { describeError } from "../lib/base/errors.ts";
import type { Log } from "../lib/base/log.ts";
import { type IpAddress, type MacAddress, parseIpAddress } from "../lib/inet/address.ts";
import type { EventReader } from "../lib/netlink/event-reader.ts";
import { monitorRoutes, RouteTable } from "../lib/netlink/route.ts";
import {
  type Link,
  type Neighbour,
  NUD_FAILED,
  NUD_STALE,
  NUD_VALID,
  type Route,
  type RouteEvent,
  RTN_UNICAST,
} from "../lib/netlink/route-messages.ts";
import type { Hop } from "./engine-types.ts";

export const ROUTES_CACHED_MAX = 65_536;
/** A neighbour is probed at most so often. */
const PROBE_PAUSE_MS = 1_000;
/** Changes that come together are told together. */
const GATHER_MS = 10;

interface KnownNeighbour {
  readonly mac: MacAddress;
  readonly state: number;
}

export class NextHops {
  readonly #table: RouteTable = new RouteTable();
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #onChanged: () => void;
  readonly #monitor: EventReader;
  readonly #links = new Map<number, Link>();
  readonly #neighbours = new Map<string, KnownNeighbour>();
  readonly #routes = new Map<IpAddress, Route | "none">();
  /** Neighbours whose address was given out, and when each was probed last. */
  readonly #used = new Map<string, number>();
  #gather: NodeJS.Timeout | undefined;

  private constructor(clock: Clock, log: Log, onChanged: () => void) {
    this.#clock = clock;
    this.#log = log;
    this.#onChanged = onChanged;
    this.#monitor = monitorRoutes({ onEvents: (events) => this.#onEvents(events) });
  }

  /** Resolves when links and neighbours are known. */
  static async open(clock: Clock, log: Log, onChanged: () => void): Promise<NextHops> {
    const hops = new NextHops(clock, log, onChanged);
    await hops.#list();
    return hops;
  }

  /** Returns at once where a packet to `destination` goes. */
  locate(destination: IpAddress): Hop {
    const route = this.#lookup(destination);
    if (route === "none" || route.type !== RTN_UNICAST || route.outLinkIndex === undefined) {
      return { kind: "not-forwarded" };
    }
    const link = this.#links.get(route.outLinkIndex);
    if (link === undefined || !link.up) return { kind: "not-forwarded" };
    const via = route.gateway ?? destination;
    const key = neighbourKey(link.index, via);
    const neighbour = this.#neighbours.get(key);
    if (neighbour === undefined) {
      this.#probe(key);
      return { kind: "unresolved" };
    }
    if (!this.#used.has(key)) this.#used.set(key, Number.NEGATIVE_INFINITY);
    const mtuBytes = Math.min(link.mtuBytes, route.mtuBytes ?? link.mtuBytes);
    return { kind: "hop", interfaceName: link.name, nextHop: neighbour.mac, mtuBytes };
  }

  /**
   * Makes the kernel look whether neighbours of offloaded flows are still there: without packets on the slow
   * path it would never ask. Call it now and then while flows are offloaded.
   */
  verify(): void {
    for (const key of this.#used.keys()) {
      const state = this.#neighbours.get(key)?.state ?? NUD_FAILED;
      if ((state & (NUD_STALE | NUD_FAILED)) !== 0) this.#probe(key);
    }
  }

  close(): void {
    clearTimeout(this.#gather);
    this.#monitor.close();
    this.#table.close();
  }

  #lookup(destination: IpAddress): Route | "none" {
    const known = this.#routes.get(destination);
    if (known !== undefined) return known;
    if (this.#routes.size >= ROUTES_CACHED_MAX) this.#routes.clear();
    let route: Route | "none" = "none";
    try {
      route = this.#table.lookupRoute(destination) ?? "none";
    } catch (error) {
      this.#log.warn("a route cannot be looked up", { reason: describeError(error) });
    }
    this.#routes.set(destination, route);
    return route;
  }

  #probe(key: string): void {
    const now = this.#clock.nowMs();
    if (now - (this.#used.get(key) ?? Number.NEGATIVE_INFINITY) < PROBE_PAUSE_MS) return;
    if (this.#used.size >= ROUTES_CACHED_MAX) this.#used.clear();
    this.#used.set(key, now);
    const [index = "", text = ""] = key.split(" ");
    const address = parseIpAddress(text);
    if (address === undefined) return;
    try {
      this.#table.probeNeighbour(Number(index), address);
    } catch (error) {
      this.#log.debug("a neighbour cannot be probed", { reason: describeError(error) });
    }
  }

  async #list(): Promise<void> {
    const [links, neighbours] = [
      await this.#table.listLinks(),
      await this.#table.listNeighbours("ip"),
    ];
    this.#links.clear();
    this.#routes.clear();
    this.#neighbours.clear();
    for (const link of links) this.#links.set(link.index, link);
    for (const neighbour of neighbours) this.#takeNeighbour("new", neighbour);
    this.#changed();
  }

  #onEvents(events: readonly RouteEvent[]): void {
    for (const event of events) {
      switch (event.kind) {
        case "link":
          this.#takeLink(event.change, event.link);
          break;
        case "neighbour":
          if (this.#takeNeighbour(event.change, event.neighbour)) this.#changed();
          break;
        case "address":
        case "route":
          this.#routes.clear();
          this.#changed();
          break;
        case "overrun":
          this.#list().catch((error: unknown) => {
            this.#log.error("links cannot be listed", { reason: describeError(error) });
          });
          break;
      }
    }
  }

  #takeLink(change: "new" | "deleted", link: Link): void {
    const before = this.#links.get(link.index);
    if (change === "deleted") this.#links.delete(link.index);
    else this.#links.set(link.index, link);
    const same =
      change === "new" &&
      before?.up === link.up &&
      before.name === link.name &&
      before.mac === link.mac &&
      before.mtuBytes === link.mtuBytes;
    if (same) return;
    this.#routes.clear(); // A link that goes down takes its IPv4 routes without an event.
    this.#changed();
  }

  /** Returns whether somebody who used it must look again. */
  #takeNeighbour(change: "new" | "deleted", neighbour: Neighbour): boolean {
    const { address, mac, state, linkIndex } = neighbour;
    if (address === undefined || neighbour.family === "bridge") return false;
    const key = neighbourKey(linkIndex, address);
    const before = this.#neighbours.get(key);
    if (change === "deleted" && (state & NUD_FAILED) === 0 && this.#used.has(key)) {
      // The kernel forgot an unused entry; whether the neighbour moved is found out by asking.
      this.#probe(key);
      return false;
    }
    if (change === "deleted" || (state & NUD_VALID) === 0 || mac === undefined) {
      if ((state & NUD_FAILED) === 0 && change === "new") return false; // Being resolved.
      this.#neighbours.delete(key);
      return before !== undefined && this.#used.has(key);
    }
    this.#neighbours.set(key, { mac, state });
    return before?.mac !== mac && this.#used.has(key);
  }

  #changed(): void {
    this.#gather ??= setTimeout(() => {
      this.#gather = undefined;
      this.#onChanged();
    }, GATHER_MS);
  }
}

function neighbourKey(linkIndex: number, address: IpAddress): string {
  return `${linkIndex} ${address}`;
}
