/**
 * The documents of a VM's first boot: who it is, who may log in, its interfaces, its configuration.
 *
 * Pure. Source: cloud-init's NoCloud and network-config version 2. JSON is YAML, so nothing needs quoting.
 */
import { familyOf, type IpAddress, maskAddress, parseIpAddress } from "../../lib/inet/address.ts";
import type { LabRoute } from "../definition.ts";
import type { PlannedInterface, PlannedMachine } from "../plan.ts";

export interface SeedFacts {
  readonly instanceId: string;
  readonly hostName: string;
  /** One line of an authorized_keys file. */
  readonly publicKey: string;
  /** RFC 7951 data. */
  readonly configuration: Readonly<Record<string, unknown>>;
}

/** Content by the name of the document. */
export type SeedDocuments = Readonly<
  Record<"meta-data" | "user-data" | "network-config" | "day0", string>
>;

/** Returns all four documents. */
export function formatSeeds(machine: PlannedMachine, facts: SeedFacts): SeedDocuments {
  const { instanceId, hostName, publicKey, configuration } = facts;
  return {
    "meta-data": formatJson({ "instance-id": instanceId, "local-hostname": hostName }),
    "user-data": `#cloud-config\n${formatJson({ ssh_authorized_keys: [publicKey] })}`,
    "network-config": formatJson(planNetworkConfig(machine)),
    day0: formatJson(configuration),
  };
}

function formatJson(value: unknown): string {
  return `${JSON.stringify(value, null, 1)}\n`;
}

/** Returns network-config version 2: interfaces are found by MAC address and get the lab file's names. */
export function planNetworkConfig(machine: PlannedMachine): Readonly<Record<string, unknown>> {
  const ethernets = machine.interfaces.map((entry) => {
    const routes = machine.routes.filter((route) => belongsTo(route, entry, machine));
    const own = {
      match: { macaddress: entry.mac },
      "set-name": entry.name,
      dhcp4: false,
      dhcp6: false,
      "accept-ra": false,
      addresses: entry.addresses,
      ...(routes.length === 0
        ? {}
        : {
            routes: routes.map(({ destination, nextHop }) => ({ to: destination, via: nextHop })),
          }),
    };
    return [entry.name, own] as const;
  });
  return { version: 2, ethernets: Object.fromEntries(ethernets) };
}

/** A route goes with the interface on whose network its next hop is; with the first one, if on none. */
function belongsTo(route: LabRoute, entry: PlannedInterface, machine: PlannedMachine): boolean {
  const nextHop = parseIpAddress(route.nextHop);
  if (nextHop === undefined) return false;
  const owner = machine.interfaces.find((one) => isOnLink(nextHop, one)) ?? machine.interfaces[0];
  return owner?.name === entry.name;
}

function isOnLink(address: IpAddress, entry: PlannedInterface): boolean {
  return entry.addresses.some((text) => {
    const [own = "", length = ""] = text.split("/");
    const parsed = parseIpAddress(own);
    if (parsed === undefined || familyOf(parsed) !== familyOf(address)) return false;
    return maskAddress(parsed, Number(length)) === maskAddress(address, Number(length));
  });
}
