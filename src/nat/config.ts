/**
 * The NAT's typed configuration, from `ietf-nat`.
 *
 * Pure. Source: RFC 8512 §2, appendix A. What the kernel-only NAT cannot do is refused with its path.
 */
import { err, ok, type Result } from "../lib/base/result.ts";
import { type IpPrefix, maskAddress, parseIpAddress } from "../lib/inet/address.ts";
import { type InterfaceName, parseInterfaceName } from "../lib/nft/identifier.ts";
import {
  childList,
  childNode,
  type DataNode,
  listStep,
  ProblemCollector,
  readBoolean,
  readIdentity,
  readNumber,
  readText,
} from "../lib/service/data-reader.ts";
import type { ConfigData, ConfigProblem, ServiceContext } from "../lib/service/provider.ts";
import { parseMapping, type StaticMapping } from "./mapping.ts";
import { type AddressRange, countAddresses, joinPrefixes, POOL_ADDRESSES_MAX } from "./pool.ts";

/** Both ends belong to the range, as in `ietf-nat`. */
export interface PortRange {
  readonly startPort: number;
  readonly endPort: number;
}

export interface PassThrough {
  readonly prefix: IpPrefix;
  /** Destination port; undefined: all. */
  readonly port?: number;
}

export interface NatTimers {
  readonly udpSec: number;
  readonly tcpIdleSec: number;
  readonly tcpOpeningSec: number;
  readonly tcpClosingSec: number;
  readonly icmpSec: number;
  /** How long a TCP port stays unused after its connection closed. */
  readonly holdDownSec: number;
}

export interface NatPolicy {
  readonly id: number;
  readonly externalInterface: InterfaceName;
  readonly pool: readonly AddressRange[];
  readonly ports?: PortRange;
  /** Empty: every internal host. */
  readonly subscribers: readonly IpPrefix[];
  readonly timers: NatTimers;
}

export interface NatInstance {
  readonly id: number;
  readonly policies: readonly NatPolicy[];
  readonly passThrough: readonly PassThrough[];
  readonly mappings: readonly StaticMapping[];
}

export interface NatConfig {
  readonly instances: readonly NatInstance[];
}

const ROOT = "/ietf-nat:nat/instances";

/** Defaults of RFC 8512's `timers`. */
export const TIMERS_DEFAULT: NatTimers = {
  udpSec: 300,
  tcpIdleSec: 7440,
  tcpOpeningSec: 240,
  tcpClosingSec: 240,
  icmpSec: 60,
  holdDownSec: 120,
};

/** Returns the configuration, or the first thing in it that cannot be carried out. */
export function parseNatConfig(
  data: ConfigData,
  _context: ServiceContext,
): Result<NatConfig, ConfigProblem> {
  const problems = new ProblemCollector();
  const list = childList(childNode(childNode(data, "ietf-nat:nat"), "instances"), "instance");
  const instances = list
    .filter((node) => readBoolean(node, "enable", true))
    .map((node) => parseInstance(node, problems));
  return problems.first === undefined ? ok({ instances }) : err(problems.first);
}

function parseInstance(node: DataNode, problems: ProblemCollector): NatInstance {
  const id = readNumber(node, "id") ?? 0;
  const path = `${ROOT}/${listStep("instance", "id", `${id}`)}`;
  const type = readIdentity(node, "type") ?? "napt44";
  if (type !== "napt44") problems.add(`${path}/type`, `"${type}" is not supported, napt44 is`);
  const policies = childList(node, "policy").flatMap(
    (policy) => parsePolicy(policy, path, problems) ?? [],
  );
  const mappings = childList(childNode(node, "mapping-table"), "mapping-entry").flatMap(
    (entry) => parseMapping(entry, `${path}/mapping-table`, problems) ?? [],
  );
  const passThrough = childList(node, "nat-pass-through").flatMap((entry): PassThrough[] => {
    const prefix = parseIpv4Prefix(readText(entry, "prefix"));
    const port = readNumber(entry, "port");
    return prefix === undefined ? [] : [{ prefix, ...(port === undefined ? {} : { port }) }];
  });
  return { id, policies, mappings: mappings.sort((a, b) => a.index - b.index), passThrough };
}

/** Leaves of a policy whose only supported value is the given one. */
const ONLY: Readonly<Record<string, readonly string[]>> = {
  "address-allocation-type": ["paired", "arbitrary"],
  "port-allocation-type": ["port-preservation"],
  "mapping-type": ["edm"],
  "filtering-type": ["edf"],
};

const POLICY_MEMBERS = [
  ...["id", "external-ip-address-pool", "port-set-restrict", "subscriber-match", "timers"],
  ...["external-realm", "transport-protocols", "dst-nat-enable", "all-algs-enable"],
  ...Object.keys(ONLY),
];

function parsePolicy(
  node: DataNode,
  parent: string,
  problems: ProblemCollector,
): NatPolicy | undefined {
  const id = readNumber(node, "id") ?? 0;
  const path = `${parent}/${listStep("policy", "id", `${id}`)}`;
  problems.refuseUnknown(node, path, POLICY_MEMBERS);
  for (const [leaf, allowed] of Object.entries(ONLY)) {
    const value = readText(node, leaf);
    if (value === undefined || allowed.includes(value)) continue;
    problems.add(`${path}/${leaf}`, `"${value}" is not supported, ${allowed.join(" or ")} is`);
  }
  const external = readText(childNode(node, "external-realm"), "external-interface");
  const externalInterface = parseInterfaceName(external ?? "");
  if (externalInterface === undefined) {
    return problems.add(`${path}/external-realm/external-interface`, "an interface is needed");
  }
  const pool = joinPrefixes(readPrefixes(node, "external-ip-address-pool", "external-ip-pool"));
  if (pool.length === 0) problems.add(`${path}/external-ip-address-pool`, "an address is needed");
  if (pool.length > 1 && countAddresses(pool) > POOL_ADDRESSES_MAX) {
    problems.add(
      `${path}/external-ip-address-pool`,
      `a pool of separate ranges holds at most ${POOL_ADDRESSES_MAX} addresses`,
    );
  }
  const ports = parsePorts(childNode(node, "port-set-restrict"));
  return {
    id,
    externalInterface,
    pool,
    ...(ports === undefined ? {} : { ports }),
    subscribers: readPrefixes(node, "subscriber-match", "subnet"),
    timers: parseTimers(childNode(node, "timers")),
  };
}

function readPrefixes(node: DataNode, list: string, leaf: string): IpPrefix[] {
  return childList(node, list).flatMap((entry) => parseIpv4Prefix(readText(entry, leaf)) ?? []);
}

/** Bits below the length do not count (RFC 6991 §4). */
function parseIpv4Prefix(text: string | undefined): IpPrefix | undefined {
  const [addressText = "", lengthText = "32"] = (text ?? "").split("/");
  const address = parseIpAddress(addressText);
  if (address === undefined || address.includes(":")) return undefined;
  const lengthBits = Number(lengthText);
  return { address: maskAddress(address, lengthBits), lengthBits };
}

/** Returns a `port-number` container's range; a start alone is one port. */
export function parsePorts(node: DataNode): PortRange | undefined {
  const startPort = readNumber(node, "start-port-number");
  if (startPort === undefined) return undefined;
  return { startPort, endPort: readNumber(node, "end-port-number") ?? startPort };
}

function parseTimers(node: DataNode): NatTimers {
  return {
    udpSec: readNumber(node, "udp-timeout") ?? TIMERS_DEFAULT.udpSec,
    tcpIdleSec: readNumber(node, "tcp-idle-timeout") ?? TIMERS_DEFAULT.tcpIdleSec,
    tcpOpeningSec: readNumber(node, "tcp-trans-open-timeout") ?? TIMERS_DEFAULT.tcpOpeningSec,
    tcpClosingSec: readNumber(node, "tcp-trans-close-timeout") ?? TIMERS_DEFAULT.tcpClosingSec,
    icmpSec: readNumber(node, "icmp-timeout") ?? TIMERS_DEFAULT.icmpSec,
    holdDownSec: readNumber(node, "hold-down-timeout") ?? TIMERS_DEFAULT.holdDownSec,
  };
}
