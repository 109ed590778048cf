/**
 * What the controller answers to `<get>`, as far as the commands show it or rest on it.
 *
 * Pure: XML in, a typed view out; unknown elements are passed over.
 */
import { err, ok, type Result } from "../../lib/base/result.ts";
import { parseXml, type XmlElement } from "../../lib/xml/tree.ts";

export interface VmView {
  readonly name: string;
  readonly host: string;
  /** Undefined: the bridge's own settings name it. */
  readonly socketPath: string | undefined;
  readonly vnics: readonly {
    readonly mac: string;
    readonly segment: string;
    readonly port: string;
  }[];
  readonly isConnected: boolean;
  readonly activeFlows: number;
  /** Why the bridge does not open the port. */
  readonly problem: string | undefined;
}

export interface TenantView {
  readonly name: string;
  readonly segments: readonly { readonly name: string; readonly prefixes: readonly string[] }[];
  readonly vms: readonly VmView[];
}

export interface HostView {
  readonly name: string;
  readonly ports: readonly {
    readonly interfaceName: string;
    readonly tenant: string;
    readonly segment: string;
  }[];
}

export interface ControllerView {
  readonly hosts: readonly HostView[];
  readonly tenants: readonly TenantView[];
}

export type ViewError = { readonly kind: "reply-unusable"; readonly message: string };

/** Reads an rpc-reply that holds `<data>`. */
export function parseControllerView(reply: string): Result<ControllerView, ViewError> {
  const root = parseXml(reply);
  if (!root.ok) return err({ kind: "reply-unusable", message: root.error.message });
  const data = childrenOf(root.value, "data")[0];
  if (data === undefined) return err({ kind: "reply-unusable", message: "The reply has no data" });
  const controller = childrenOf(data, "controller")[0];
  if (controller === undefined) return ok({ hosts: [], tenants: [] });
  return ok({
    hosts: childrenOf(controller, "host").map((host) => ({
      name: textOf(host, "name"),
      ports: childrenOf(host, "port").map((port) => ({
        interfaceName: textOf(port, "interface"),
        tenant: textOf(port, "tenant"),
        segment: textOf(port, "segment"),
      })),
    })),
    tenants: childrenOf(controller, "tenant").map((tenant) => ({
      name: textOf(tenant, "name"),
      segments: childrenOf(tenant, "segment").map((segment) => ({
        name: textOf(segment, "name"),
        prefixes: childrenOf(segment, "prefix").map(({ text }) => text.trim()),
      })),
      vms: childrenOf(tenant, "virtual-machine").map(readVm),
    })),
  });
}

function readVm(vm: XmlElement): VmView {
  const [port] = childrenOf(vm, "offload-port");
  const [state] = childrenOf(vm, "state");
  const problem = state === undefined ? "" : textOf(state, "offload-port-problem");
  return {
    name: textOf(vm, "name"),
    host: textOf(vm, "host"),
    socketPath: port === undefined ? undefined : textOf(port, "socket"),
    vnics: childrenOf(vm, "vnic").map((vnic) => ({
      mac: textOf(vnic, "mac"),
      segment: textOf(vnic, "segment"),
      port: textOf(vnic, "port"),
    })),
    isConnected: state !== undefined && textOf(state, "connected") === "true",
    activeFlows: state === undefined ? 0 : Number(textOf(state, "active-flows")),
    problem: problem === "" ? undefined : problem,
  };
}

function childrenOf(element: XmlElement, local: string): readonly XmlElement[] {
  return element.children.filter((child) => child.local === local);
}

function textOf(element: XmlElement, local: string): string {
  return childrenOf(element, local)[0]?.text.trim() ?? "";
}
