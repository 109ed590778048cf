/**
 * Follows the host's interfaces and the addresses that its bridges see, for one set of ports.
 *
 * Effect: asks the host network. What follows from it goes to the binding and to `onNeighbour`.
 */
import type { Link } from "../lib/netlink/route-messages.ts";
import type { FastPathPort, NeighbourLocation } from "./driver.ts";
import type { HostNetwork, HostNetworkEvent } from "./host-network.ts";
import { NeighbourTable } from "./neighbour-table.ts";

/** Who programs ports; `bpf/port-binding.ts` is the real one. */
export interface LinkUser {
  setPorts(ports: readonly FastPathPort[]): readonly number[];
  setLinks(links: ReadonlyMap<string, Link>): readonly number[];
  portAt(ifindex: number): FastPathPort | undefined;
}

export class HostView {
  readonly #network: HostNetwork;
  readonly #user: LinkUser;
  readonly #links = new Map<number, Link>();
  readonly #neighbours: NeighbourTable;
  readonly #held: HostNetworkEvent[] = [];
  #listings = 0;
  /** Called when a relisting after lost events failed: the view is stale from then on. */
  onFailure: (error: unknown) => void = () => {};

  constructor(
    network: HostNetwork,
    user: LinkUser,
    onNeighbour: (location: NeighbourLocation) => void,
  ) {
    this.#network = network;
    this.#user = user;
    this.#neighbours = new NeighbourTable(onNeighbour);
    network.onEvents = (events) => this.#follow(events);
  }

  listNeighbours(): readonly NeighbourLocation[] {
    return this.#neighbours.list();
  }

  listLinks(): IterableIterator<Link> {
    return this.#links.values();
  }

  /** Replaces the set of ports, then looks at everything again. */
  async configure(ports: readonly FastPathPort[]): Promise<void> {
    await this.refresh();
    this.#forgetPorts(this.#user.setPorts(ports));
    await this.refresh();
  }

  /** Looks at every link and address again; links that are not there any more are gone. */
  async refresh(): Promise<void> {
    this.#listings++;
    let events: readonly HostNetworkEvent[];
    try {
      events = await this.#network.list();
    } finally {
      this.#listings--;
    }
    this.#links.clear();
    this.#apply(events, true);
    // What happened during the listing is newer than the list.
    if (this.#listings === 0) this.#apply(this.#held.splice(0));
  }

  close(): void {
    this.#network.close();
  }

  #follow(events: readonly HostNetworkEvent[]): void {
    if (this.#listings > 0) this.#held.push(...events);
    else this.#apply(events);
    if (!events.some(({ kind }) => kind === "overrun")) return;
    this.refresh().catch((error: unknown) => this.onFailure(error));
  }

  #apply(events: readonly HostNetworkEvent[], isComplete = false): void {
    let changed = isComplete;
    for (const event of events) {
      if (event.kind === "link") {
        this.#links.set(event.link.index, event.link);
        changed = true;
      } else if (event.kind === "link-gone") {
        this.#links.delete(event.ifindex);
        changed = true;
      }
    }
    // Links first: an address that was seen at a new port must find it bound.
    if (changed) {
      const byName = new Map(Array.from(this.#links.values(), (link) => [link.name, link]));
      this.#forgetPorts(this.#user.setLinks(byName));
    }
    for (const event of events) {
      if (event.kind !== "seen") continue;
      const port = this.#user.portAt(event.ifindex);
      if (port !== undefined) this.#neighbours.learn(port.segmentId, event.mac, port.portId);
    }
  }

  #forgetPorts(portIds: readonly number[]): void {
    for (const portId of portIds) this.#neighbours.forgetPort(portId);
  }
}
