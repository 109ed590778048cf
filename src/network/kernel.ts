/**
 * Carries single steps out in the kernel.
 *
 * Effect: rtnetlink reads and changes of the namespace; CAP_NET_ADMIN.
 */
import { FlowliftError } from "../lib/base/errors.ts";
import {
  NetworkChanger,
  type RouteChange,
  type VirtualLink,
} from "../lib/netlink/network-change.ts";
import { type NetworkSnapshot, readNetwork } from "../lib/netlink/network-snapshot.ts";
import { STATIC_METRIC, type StaticRoute, type VirtualConfig } from "./config.ts";
import type { NetworkKernel } from "./network.ts";
import type { NetworkOperation } from "./operation.ts";
import { ROUTE_PROTOCOL } from "./plan.ts";

type ExistingInterfaceOperation = Exclude<
  NetworkOperation,
  { readonly kind: "add-route" | "delete-route" | "add-link" | "delete-link" }
>;

export class LinuxNetwork implements NetworkKernel {
  readonly #changer: NetworkChanger = new NetworkChanger();
  /** By name; undefined after a step that changed which interfaces there are. */
  #indexes: ReadonlyMap<string, number> | undefined;

  async read(): Promise<NetworkSnapshot> {
    const snapshot = await readNetwork();
    this.#indexes = new Map(snapshot.links.map((link) => [link.name, link.index]));
    return snapshot;
  }

  async carryOut(operation: NetworkOperation): Promise<void> {
    if (this.#indexes === undefined) await this.read();
    if (operation.kind === "add-route") {
      this.#changer.addRoute(this.#route(operation.route));
    } else if (operation.kind === "delete-route") {
      this.#changer.deleteRoute(this.#route(operation.route));
    } else if (operation.kind === "add-link") {
      this.#changer.addLink(operation.interfaceName, this.#link(operation.virtual));
      this.#indexes = undefined;
    } else if (operation.kind === "delete-link") {
      const { interfaceName } = operation;
      this.#changer.deleteLink(interfaceName, this.#indexOf(interfaceName));
      this.#indexes = undefined;
    } else {
      this.#changeInterface(operation);
    }
  }

  close(): void {
    this.#changer.close();
  }

  #changeInterface(operation: ExistingInterfaceOperation): void {
    const { interfaceName } = operation;
    const linkIndex = this.#indexOf(interfaceName);
    switch (operation.kind) {
      case "add-address":
        this.#changer.addAddress({ ...operation, linkIndex });
        break;
      case "delete-address":
        this.#changer.deleteAddress({ ...operation, linkIndex });
        break;
      case "set-neighbour":
        this.#changer.setNeighbour({ ...operation, linkIndex });
        break;
      case "delete-neighbour":
        this.#changer.deleteNeighbour({ ...operation, linkIndex });
        break;
      case "set-enabled":
        this.#changer.setEnabled(interfaceName, linkIndex, operation.enabled);
        break;
      case "set-mtu":
        this.#changer.setMtu(interfaceName, linkIndex, operation.mtuBytes);
        break;
    }
  }

  #indexOf(name: string): number {
    const index = this.#indexes?.get(name);
    if (index !== undefined) return index;
    throw new FlowliftError("NETWORK_APPLY_FAILED", `There is no interface "${name}"`);
  }

  #link(virtual: VirtualConfig): VirtualLink {
    if (virtual.kind === "vlan") {
      return { kind: "vlan", id: virtual.id, parentIndex: this.#indexOf(virtual.parent) };
    }
    const { id, port, remote, local } = virtual;
    return { kind: "vxlan", id, port, remote, ...(local === undefined ? {} : { local }) };
  }

  #route({ destination, type, nextHops }: StaticRoute): RouteChange {
    return {
      destination: destination.address,
      lengthBits: destination.lengthBits,
      type,
      protocol: ROUTE_PROTOCOL,
      metric: STATIC_METRIC,
      nextHops: nextHops.map(({ interfaceName, gateway }) => ({
        linkIndex: interfaceName === undefined ? 0 : this.#indexOf(interfaceName),
        ...(gateway === undefined ? {} : { gateway }),
      })),
    };
  }
}
