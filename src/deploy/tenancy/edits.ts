/**
 * What `flowlift tenant` and `flowlift vm` ask the controller to change, as content of `<config>`.
 *
 * Pure. What is new is created and what is old deleted, never merged: two operators cannot overwrite each
 * other, and nobody takes another tenant's port by naming it.
 */
import { NS_NETCONF } from "../../lib/netconf/names.ts";
import { escapeXml } from "../../lib/xml/tree.ts";
import type { ControllerView, TenantView } from "./controller-view.ts";
import type { VmName } from "./names.ts";
import type { Data, TenantFile, TenantPort } from "./tenant-file.ts";

export const NS_CONTROLLER = "urn:flowlift:controller";

type Operation = "create" | "delete" | "merge";

/** A virtual machine to be attached. */
export interface AttachedVm extends VmName {
  readonly host: string;
  readonly socketPath: string;
  readonly mode: "connect" | "listen";
  readonly vnics: readonly {
    readonly mac: string;
    readonly segment: string;
    readonly interfaceName: string;
  }[];
  readonly flowsMax: number | undefined;
}

/** Adds a tenant with its ports; `merge` changes one that exists. */
export function formatAddTenant(file: TenantFile, operation: "create" | "merge"): string {
  const tenant = formatMember("tenant", file.tenant, operation);
  return formatRoot(formatPorts(file.name, file.ports, operation) + tenant);
}

/** Deletes a tenant, its virtual machines and every port that is its own. */
export function formatRemoveTenant(tenant: TenantView, view: ControllerView): string {
  const ports = view.hosts.map((host) => {
    const own = host.ports.filter((port) => port.tenant === tenant.name);
    return formatPortDeletions(
      host.name,
      own.map(({ interfaceName }) => interfaceName),
    );
  });
  const deleted = formatMember("tenant", { name: tenant.name }, "delete");
  return formatRoot(deleted + ports.join(""));
}

/** Creates a virtual machine, and those ports that the host does not have yet. */
export function formatAttach(vm: AttachedVm, known: ReadonlySet<string>): string {
  const ports = vm.vnics
    .filter(({ interfaceName }) => !known.has(interfaceName))
    .map(({ interfaceName, segment }) => ({
      host: vm.host,
      port: { interface: interfaceName, segment },
    }));
  const machine = {
    name: vm.vm,
    host: vm.host,
    "offload-port": { socket: vm.socketPath, mode: vm.mode },
    vnic: vm.vnics.map(({ mac, segment, interfaceName }) => ({
      mac,
      segment,
      port: interfaceName,
    })),
    ...(vm.flowsMax === undefined ? {} : { quota: { "flows-max": vm.flowsMax } }),
  };
  const inside = formatMember("virtual-machine", machine, "create");
  const tenant = `<tenant><name>${escapeXml(vm.tenant)}</name>${inside}</tenant>`;
  return formatRoot(formatPorts(vm.tenant, ports, "create") + tenant);
}

/** Deletes a virtual machine and the ports of its vNICs. */
export function formatDetach(name: VmName, host: string, ports: readonly string[]): string {
  const machine = formatMember("virtual-machine", { name: name.vm }, "delete");
  const tenant = `<tenant><name>${escapeXml(name.tenant)}</name>${machine}</tenant>`;
  return formatRoot(tenant + formatPortDeletions(host, ports));
}

function formatRoot(inside: string): string {
  const spaces = `xmlns="${NS_CONTROLLER}" xmlns:nc="${NS_NETCONF}"`;
  return `<controller ${spaces}>${inside}</controller>`;
}

function formatPorts(tenant: string, ports: readonly TenantPort[], operation: Operation): string {
  const hosts = [...new Set(ports.map(({ host }) => host))];
  return hosts
    .map((host) => {
      const own = ports.filter((port) => port.host === host);
      const formatted = own.map(({ port }) => formatMember("port", { ...port, tenant }, operation));
      return `<host><name>${escapeXml(host)}</name>${formatted.join("")}</host>`;
    })
    .join("");
}

function formatPortDeletions(host: string, interfaceNames: readonly string[]): string {
  if (interfaceNames.length === 0) return "";
  const deletions = interfaceNames.map((name) =>
    formatMember("port", { interface: name }, "delete"),
  );
  return `<host><name>${escapeXml(host)}</name>${deletions.join("")}</host>`;
}

/** Keys come first, as NETCONF wants them (RFC 7950 §7.8.5). */
const KEYS: readonly string[] = ["name", "mac", "interface"];

/** A member of RFC 7951 data as elements; only this module's own nodes occur. */
function formatMember(name: string, value: unknown, operation?: Operation): string {
  if (Array.isArray(value))
    return value.map((item) => formatMember(name, item, operation)).join("");
  const attribute = operation === undefined ? "" : ` nc:operation="${operation}"`;
  if (typeof value !== "object" || value === null) {
    return `<${name}${attribute}>${escapeXml(String(value))}</${name}>`;
  }
  const data = value as Data;
  const members = Object.keys(data).sort((a, b) => rank(a) - rank(b));
  const inside = members.map((member) => formatMember(member, data[member])).join("");
  return `<${name}${attribute}>${inside}</${name}>`;
}

function rank(member: string): number {
  return KEYS.includes(member) ? 0 : 1;
}
