/**
 * What libvirt's `qemu` hook tells, and what is to be done about it.
 *
 * Pure. Source: libvirt's "Hooks for specific system management": arguments are the guest's name, an operation,
 * a sub-operation and an extra argument; the domain's XML comes on standard input.
 */
import { err, ok, type Result } from "../../lib/base/result.ts";
import { OFFLOAD_PORT_NAME } from "../../lib/guest/contract.ts";
import { parseMacAddress } from "../../lib/inet/address.ts";
import { parseXml, type XmlElement } from "../../lib/xml/tree.ts";
import { isName, type VmName } from "../tenancy/names.ts";
import { NS_VM } from "./domain-xml.ts";

/** A domain's XML has a few kilobytes. */
export const DOMAIN_BYTES_MAX: number = 1024 * 1024;

export type HookAction =
  | {
      readonly kind: "attach";
      readonly name: VmName;
      readonly socketPath: string;
      readonly vnics: readonly {
        readonly mac: string;
        readonly segment: string;
        readonly interfaceName: string;
      }[];
    }
  | { readonly kind: "detach"; readonly name: VmName }
  /** Another operation, or a domain that is none of ours. */
  | { readonly kind: "nothing" };

export type HookError = { readonly kind: "domain-unusable"; readonly message: string };

/** Operations at which a guest runs, and has its taps, and at which it has ended. */
const ATTACH: ReadonlySet<string> = new Set(["started begin", "reconnect begin"]);
const DETACH: ReadonlySet<string> = new Set(["stopped end", "release end"]);

/** Returns what the hook shall do. */
export function planHook(
  operation: string,
  subOperation: string,
  domain: string,
): Result<HookAction, HookError> {
  const event = `${operation} ${subOperation}`;
  if (!ATTACH.has(event) && !DETACH.has(event)) return ok({ kind: "nothing" });
  if (Buffer.byteLength(domain) > DOMAIN_BYTES_MAX) return fail("it is too large");
  const root = parseXml(domain);
  if (!root.ok) return fail(root.error.message);
  const [own] = childrenOf(childrenOf(root.value, "metadata")[0], "vm").filter(
    ({ namespace }) => namespace === NS_VM,
  );
  if (own === undefined) return ok({ kind: "nothing" });
  const name = { tenant: attributeOf(own, "tenant"), vm: attributeOf(own, "name") };
  if (!isName(name.tenant) || !isName(name.vm)) return fail("flowlift:vm has no tenant and name");
  return DETACH.has(event) ? ok({ kind: "detach", name }) : planAttach(root.value, own, name);
}

function planAttach(
  domain: XmlElement,
  own: XmlElement,
  name: VmName,
): Result<HookAction, HookError> {
  const devices = childrenOf(domain, "devices")[0];
  const channel = childrenOf(devices, "channel").find(
    (one) => attributeOf(childrenOf(one, "target")[0], "name") === OFFLOAD_PORT_NAME,
  );
  const socketPath = attributeOf(childrenOf(channel, "source")[0], "path");
  if (!socketPath.startsWith("/")) return fail(`it has no channel "${OFFLOAD_PORT_NAME}"`);
  const taps = new Map(
    childrenOf(devices, "interface").map((entry) => [
      attributeOf(childrenOf(entry, "mac")[0], "address").toLowerCase(),
      attributeOf(childrenOf(entry, "target")[0], "dev"),
    ]),
  );
  const vnics = [];
  for (const vnic of childrenOf(own, "vnic")) {
    const mac = parseMacAddress(attributeOf(vnic, "mac"));
    const segment = attributeOf(vnic, "segment");
    if (mac === undefined || !isName(segment)) return fail("a flowlift:vnic has no mac or segment");
    const interfaceName = taps.get(mac) ?? "";
    if (interfaceName === "") return fail(`the interface ${mac} has no target device`);
    vnics.push({ mac, segment, interfaceName });
  }
  if (vnics.length === 0) return fail("flowlift:vm has no vnic");
  return ok({ kind: "attach", name, socketPath, vnics });
}

function childrenOf(element: XmlElement | undefined, local: string): readonly XmlElement[] {
  return element?.children.filter((child) => child.local === local) ?? [];
}

function attributeOf(element: XmlElement | undefined, name: string): string {
  return element?.attributes.find((attribute) => attribute.local === name)?.value ?? "";
}

function fail(why: string): Result<never, HookError> {
  return err({ kind: "domain-unusable", message: `The domain cannot be used: ${why}` });
}
