/**
 * One step from the network that is to the network that is wanted; each can be taken back.
 *
 * Pure: data and its text.
 */
import type { IpAddress, MacAddress } from "../lib/inet/address.ts";
import type { NextHopConfig, StaticRoute, VirtualConfig } from "./config.ts";

interface RouteStep<Kind extends string> {
  readonly kind: Kind;
  readonly route: StaticRoute;
}

/** Interfaces are named, not numbered: some of them exist only after an earlier step. */
interface InterfaceStep<Kind extends string> {
  readonly kind: Kind;
  readonly interfaceName: string;
}

interface AddressStep<Kind extends string> extends InterfaceStep<Kind> {
  readonly address: IpAddress;
  readonly lengthBits: number;
}

interface NeighbourStep<Kind extends string> extends InterfaceStep<Kind> {
  readonly address: IpAddress;
  readonly mac: MacAddress;
}

interface LinkStep<Kind extends string> extends InterfaceStep<Kind> {
  readonly virtual: VirtualConfig;
}

interface EnabledStep extends InterfaceStep<"set-enabled"> {
  readonly enabled: boolean;
}

interface MtuStep extends InterfaceStep<"set-mtu"> {
  readonly mtuBytes: number;
  readonly previousBytes: number;
}

export type NetworkOperation =
  | RouteStep<"add-route">
  | RouteStep<"delete-route">
  | AddressStep<"add-address">
  | AddressStep<"delete-address">
  | NeighbourStep<"set-neighbour">
  | NeighbourStep<"delete-neighbour">
  | LinkStep<"add-link">
  | LinkStep<"delete-link">
  | EnabledStep
  | MtuStep;

/** Returns the step that takes `operation` back. */
export function invertOperation(operation: NetworkOperation): NetworkOperation {
  switch (operation.kind) {
    case "add-route":
      return { ...operation, kind: "delete-route" };
    case "delete-route":
      return { ...operation, kind: "add-route" };
    case "add-address":
      return { ...operation, kind: "delete-address" };
    case "delete-address":
      return { ...operation, kind: "add-address" };
    case "set-neighbour":
      return { ...operation, kind: "delete-neighbour" };
    case "delete-neighbour":
      return { ...operation, kind: "set-neighbour" };
    case "add-link":
      return { ...operation, kind: "delete-link" };
    case "delete-link":
      return { ...operation, kind: "add-link" };
    case "set-enabled":
      return { ...operation, enabled: !operation.enabled };
    case "set-mtu": {
      const { mtuBytes, previousBytes } = operation;
      return { ...operation, mtuBytes: previousBytes, previousBytes: mtuBytes };
    }
  }
}

/** Returns what the step is about: `interface "eth0"`, `route to 10.0.0.0/8`, … */
export function nameObject(operation: NetworkOperation): string {
  switch (operation.kind) {
    case "add-route":
    case "delete-route":
      return `route to ${formatPrefix(operation.route)}`;
    case "add-address":
    case "delete-address":
      return `address ${operation.address}/${operation.lengthBits} of "${operation.interfaceName}"`;
    case "set-neighbour":
    case "delete-neighbour":
      return `neighbour ${operation.address} of "${operation.interfaceName}"`;
    default:
      return `interface "${operation.interfaceName}"`;
  }
}

/** Returns the step as an instruction: `add route to 10.0.0.0/8 by 192.0.2.1`. */
export function describeOperation(operation: NetworkOperation): string {
  const object = nameObject(operation);
  switch (operation.kind) {
    case "add-route":
      return `add ${object} ${formatNextHops(operation.route)}`;
    case "set-neighbour":
      return `fix ${object} at ${operation.mac}`;
    case "set-enabled":
      return `set ${object} ${operation.enabled ? "up" : "down"}`;
    case "set-mtu":
      return `set the MTU of ${object} from ${operation.previousBytes} to ${operation.mtuBytes}`;
    default:
      return `${operation.kind.startsWith("add") ? "add" : "delete"} ${object}`;
  }
}

/** Returns how the kernel differs from what is wanted, seen from the step that would mend it. */
export function describeDifference(operation: NetworkOperation): string {
  switch (operation.kind) {
    case "add-route":
    case "add-address":
    case "set-neighbour":
    case "add-link":
      return "is configured and not in the kernel";
    case "delete-route":
    case "delete-address":
    case "delete-neighbour":
    case "delete-link":
      return "is in the kernel and not configured";
    case "set-enabled":
      return operation.enabled
        ? "is down and configured as enabled"
        : "is up and configured as disabled";
    case "set-mtu":
      return `has MTU ${operation.previousBytes} and is configured with ${operation.mtuBytes}`;
  }
}

function formatPrefix({ destination }: StaticRoute): string {
  return `${destination.address}/${destination.lengthBits}`;
}

function formatNextHops(route: StaticRoute): string {
  if (route.type !== "unicast") return `as ${route.type}`;
  return `by ${route.nextHops.map(formatNextHop).join(" and ")}`;
}

function formatNextHop(hop: NextHopConfig): string {
  const { gateway, interfaceName } = hop;
  if (gateway === undefined) return `"${interfaceName}"`;
  return interfaceName === undefined ? gateway : `${gateway} at "${interfaceName}"`;
}
