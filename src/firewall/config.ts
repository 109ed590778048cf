/**
 * The firewall's typed configuration, from `ietf-access-control-list` and `flowlift-zones`.
 *
 * Pure. Source: RFC 8519 §4; yang/flowlift-zones.yang.
 */
import { err, ok, type Result } from "../lib/base/result.ts";
import { type InterfaceName, parseInterfaceName } from "../lib/nft/identifier.ts";
import {
  childList,
  childNode,
  type DataNode,
  listStep,
  optionalNode,
  ProblemCollector,
  readBoolean,
  readNumber,
  readText,
  readTexts,
} from "../lib/service/data-reader.ts";
import type { ConfigData, ConfigProblem, ServiceContext } from "../lib/service/provider.ts";
import { type Acl, type FirewallAction, parseAcl } from "./ace.ts";

export type HostService = "netconf" | "netconf-tls" | "ping" | "restconf";

/** ACLs of one interface and direction, in order. */
export interface Attachment {
  readonly interfaceName: InterfaceName;
  readonly direction: "ingress" | "egress";
  readonly acls: readonly Acl[];
}

export interface Zone {
  readonly name: string;
  readonly interfaces: readonly InterfaceName[];
  readonly hostInbound: readonly HostService[];
}

export interface ZonePolicy {
  readonly name: string;
  readonly from: string;
  readonly to: string;
  readonly acls: readonly Acl[];
  readonly action: FirewallAction;
  readonly offload: boolean;
}

export interface FirewallConfig {
  readonly attachments: readonly Attachment[];
  /** Undefined: RESTCONF is not served. */
  readonly restconfPort?: number;
  /** Undefined: NETCONF over TLS is not served. */
  readonly netconfTlsPort?: number;
  /** Undefined: the zone firewall is off. */
  readonly zones?: { readonly zones: readonly Zone[]; readonly policies: readonly ZonePolicy[] };
}

/** Of yang/flowlift-restconf.yang. */
const RESTCONF_PORT_DEFAULT = 443;
/** Of yang/flowlift-tls.yang. */
const NETCONF_TLS_PORT_DEFAULT = 6513;
const ACLS_PATH = "/ietf-access-control-list:acls";
const ZONES_PATH = "/flowlift-zones:zones";

/** Returns the configuration, or the first thing in it that cannot be carried out. */
export function parseFirewallConfig(
  data: ConfigData,
  _context: ServiceContext,
): Result<FirewallConfig, ConfigProblem> {
  const problems = new ProblemCollector();
  const root = childNode(data, "ietf-access-control-list:acls");
  const acls = new Map<string, Acl>();
  for (const node of childList(root, "acl")) {
    const acl = parseAcl(node, ACLS_PATH, problems);
    acls.set(acl.name, acl);
  }
  const attachments = childList(childNode(root, "attachment-points"), "interface").flatMap((node) =>
    parseAttachment(node, acls, problems),
  );
  const zonesNode = optionalNode(data, "flowlift-zones:zones");
  const zones = zonesNode === undefined ? undefined : parseZones(zonesNode, acls, problems);
  if (problems.first !== undefined) return err(problems.first);
  const restconfPort = readPort(data, "flowlift-restconf:restconf", RESTCONF_PORT_DEFAULT);
  const netconfTlsPort = readPort(data, "flowlift-tls:netconf-tls", NETCONF_TLS_PORT_DEFAULT);
  return ok({
    attachments,
    ...(restconfPort === undefined ? {} : { restconfPort }),
    ...(netconfTlsPort === undefined ? {} : { netconfTlsPort }),
    ...(zones === undefined ? {} : { zones }),
  });
}

/** Undefined: what the container configures is not enabled. */
function readPort(data: ConfigData, container: string, otherwise: number): number | undefined {
  const node = childNode(data, container);
  if (!readBoolean(node, "enabled", false)) return undefined;
  return readNumber(node, "port") ?? otherwise;
}

function parseAttachment(
  node: DataNode,
  acls: ReadonlyMap<string, Acl>,
  problems: ProblemCollector,
): Attachment[] {
  const id = readText(node, "interface-id") ?? "";
  const path = `${ACLS_PATH}/attachment-points/${listStep("interface", "interface-id", id)}`;
  const interfaceName = checkInterface(id, path, problems);
  if (interfaceName === undefined) return [];
  const attachments: Attachment[] = [];
  for (const direction of ["ingress", "egress"] as const) {
    const sets = childList(childNode(childNode(node, direction), "acl-sets"), "acl-set");
    const names = sets.map((set) => readText(set, "name") ?? "");
    if (names.length === 0) continue;
    const found = names.flatMap((name) => acls.get(name) ?? []);
    refuseInterfaceMatches(found, direction, path, problems);
    attachments.push({ interfaceName, direction, acls: found });
  }
  return attachments;
}

/** An ACL is judged where only one of the two interfaces is known, or where the match is pointless. */
function refuseInterfaceMatches(
  acls: readonly Acl[],
  direction: "ingress" | "egress",
  path: string,
  problems: ProblemCollector,
): void {
  for (const acl of acls) {
    const hit = acl.aces.find((ace) =>
      direction === "ingress" ? ace.match.egressInterface : undefined,
    );
    if (hit === undefined) continue;
    problems.add(
      `${path}/${direction}`,
      `ACE "${hit.name}" of ACL "${acl.name}" matches the egress interface, which is not known at ingress`,
    );
  }
}

function parseZones(
  node: DataNode,
  acls: ReadonlyMap<string, Acl>,
  problems: ProblemCollector,
): NonNullable<FirewallConfig["zones"]> {
  const zones = childList(node, "zone").map((zone): Zone => {
    const name = readText(zone, "name") ?? "";
    const path = `${ZONES_PATH}/${listStep("zone", "name", name)}/interface`;
    const interfaces = readTexts(zone, "interface").flatMap(
      (id) => checkInterface(id, path, problems) ?? [],
    );
    return { name, interfaces, hostInbound: readTexts(zone, "host-inbound") as HostService[] };
  });
  const policies = childList(node, "policy").map(
    (policy): ZonePolicy => ({
      name: readText(policy, "name") ?? "",
      from: readText(policy, "from") ?? "",
      to: readText(policy, "to") ?? "",
      acls: readTexts(policy, "acl").flatMap((name) => acls.get(name) ?? []),
      action: readAction(policy),
      offload: readBoolean(policy, "offload", true),
    }),
  );
  return { zones, policies };
}

/** Anything but the two other words drops: a missing action must not open the firewall. */
function readAction(policy: DataNode): FirewallAction {
  const action = readText(policy, "action");
  return action === "accept" || action === "reject" ? action : "drop";
}

function checkInterface(
  id: string,
  path: string,
  problems: ProblemCollector,
): InterfaceName | undefined {
  const name = parseInterfaceName(id);
  if (name !== undefined) return name;
  return problems.add(path, `"${id}" cannot be the name of an interface`);
}
