/**
 * The host's links and bridge forwarding entries, now and as they change.
 *
 * Effect: rtnetlink of the namespace that the process runs in. Tests put another object behind the interface.
 */
import type { MacAddress } from "../lib/inet/address.ts";
import type { EventReader } from "../lib/netlink/event-reader.ts";
import { monitorRoutes, RouteTable } from "../lib/netlink/route.ts";
import {
  type Link,
  type Neighbour,
  NUD_PERMANENT,
  type RouteEvent,
  RTNLGRP_LINK,
  RTNLGRP_NEIGH,
} from "../lib/netlink/route-messages.ts";

export type HostNetworkEvent =
  | { readonly kind: "link"; readonly link: Link }
  | { readonly kind: "link-gone"; readonly ifindex: number }
  | { readonly kind: "seen"; readonly ifindex: number; readonly mac: MacAddress }
  /** Events were lost: look at everything again. */
  | { readonly kind: "overrun" };

export interface HostNetwork {
  /** Links, then every address that a bridge has seen. */
  list(): Promise<readonly HostNetworkEvent[]>;
  /** Set before the first list. */
  onEvents: (events: readonly HostNetworkEvent[]) => void;
  close(): void;
}

/** Watches the namespace of the calling process. */
export class KernelHostNetwork implements HostNetwork {
  onEvents: (events: readonly HostNetworkEvent[]) => void = () => {};
  readonly #routes: RouteTable = new RouteTable();
  readonly #monitor: EventReader;

  constructor() {
    this.#monitor = monitorRoutes({
      groups: [RTNLGRP_LINK, RTNLGRP_NEIGH],
      onEvents: (events) => this.onEvents(events.flatMap(translate)),
    });
  }

  async list(): Promise<readonly HostNetworkEvent[]> {
    const links = await this.#routes.listLinks();
    const neighbours = await this.#routes.listNeighbours("bridge");
    return [
      ...links.map((link): HostNetworkEvent => ({ kind: "link", link })),
      ...neighbours.flatMap(translateNeighbour),
    ];
  }

  close(): void {
    this.#monitor.close();
    this.#routes.close();
  }
}

function translate(event: RouteEvent): readonly HostNetworkEvent[] {
  switch (event.kind) {
    case "overrun":
      return [{ kind: "overrun" }];
    case "link":
      return event.change === "new"
        ? [{ kind: "link", link: event.link }]
        : [{ kind: "link-gone", ifindex: event.link.index }];
    case "neighbour":
      // A bridge forgets what is forwarded past it; that says nothing about where an address lives.
      return event.change === "new" ? translateNeighbour(event.neighbour) : [];
    default:
      return [];
  }
}

/** Entries of a bridge, learned or static; not those of the bridge's and the ports' own addresses. */
function translateNeighbour(neighbour: Neighbour): readonly HostNetworkEvent[] {
  const { family, mac, master, state, linkIndex } = neighbour;
  if (family !== "bridge" || mac === undefined || master === undefined) return [];
  if ((state & NUD_PERMANENT) !== 0) return [];
  return [{ kind: "seen", ifindex: linkIndex, mac }];
}
