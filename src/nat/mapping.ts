/**
 * Static mappings: port forwarding and one-to-one translation.
 *
 * Pure. Both directions: (internal, port) => (external, port') for what the internal host starts, and
 * (external, port') => (internal, port) for what arrives. Source: RFC 8512 §2.8, appendix A.
 */
import { type IpAddress, parseIpAddress } from "../lib/inet/address.ts";
import {
  childNode,
  type DataNode,
  listStep,
  type ProblemCollector,
  readNumber,
  readText,
} from "../lib/service/data-reader.ts";

export interface StaticMapping {
  readonly index: number;
  /** Undefined: every protocol. */
  readonly protocol?: 6 | 17;
  readonly internalAddress: IpAddress;
  readonly externalAddress: IpAddress;
  /** Undefined: every port. Ranges of more than one port have equal numbers on both sides. */
  readonly ports?: MappingPorts;
}

export interface MappingPorts {
  readonly externalStart: number;
  readonly externalEnd: number;
  readonly internalStart: number;
}

/** Returns the mapping, or undefined for entries that are not static or that cannot be carried out. */
export function parseMapping(
  node: DataNode,
  parent: string,
  problems: ProblemCollector,
): StaticMapping | undefined {
  const index = readNumber(node, "index") ?? 0;
  const path = `${parent}/${listStep("mapping-entry", "index", `${index}`)}`;
  if ((readText(node, "type") ?? "static") !== "static") return undefined;
  const internalAddress = singleAddress(readText(node, "internal-src-address"));
  const externalAddress = singleAddress(readText(node, "external-src-address"));
  if (internalAddress === undefined || externalAddress === undefined) {
    return problems.add(path, "one internal and one external IPv4 source address are needed");
  }
  const protocol = readNumber(node, "transport-protocol");
  if (protocol !== undefined && protocol !== 6 && protocol !== 17) {
    return problems.add(`${path}/transport-protocol`, "only 6 (TCP) and 17 (UDP) are supported");
  }
  const ports = parseMappingPorts(node, protocol, path, problems);
  if (ports === "refused") return undefined;
  return {
    index,
    ...(protocol === undefined ? {} : { protocol }),
    internalAddress,
    externalAddress,
    ...(ports === undefined ? {} : { ports }),
  };
}

function parseMappingPorts(
  node: DataNode,
  protocol: number | undefined,
  path: string,
  problems: ProblemCollector,
): MappingPorts | "refused" | undefined {
  const external = childNode(node, "external-src-port");
  const internal = childNode(node, "internal-src-port");
  const externalStart = readNumber(external, "start-port-number");
  const internalStart = readNumber(internal, "start-port-number") ?? externalStart;
  if (externalStart === undefined || internalStart === undefined) {
    if (internalStart === undefined) return undefined;
    problems.add(`${path}/external-src-port`, "is needed beside internal-src-port");
    return "refused";
  }
  if (protocol === undefined) {
    problems.add(`${path}/transport-protocol`, "ports need a protocol");
    return "refused";
  }
  const externalEnd = readNumber(external, "end-port-number") ?? externalStart;
  const internalEnd = readNumber(internal, "end-port-number") ?? internalStart;
  const single = externalEnd === externalStart && internalEnd === internalStart;
  const equal = externalStart === internalStart && externalEnd === internalEnd;
  if (!single && !equal && "end-port-number" in internal) {
    problems.add(path, "a range of ports keeps its numbers, or the mapping has one port");
    return "refused";
  }
  if (!single && externalStart !== internalStart) {
    problems.add(path, "a range of ports keeps its numbers, or the mapping has one port");
    return "refused";
  }
  return { externalStart, externalEnd, internalStart };
}

/** `inet:ip-prefix` of one IPv4 address. */
function singleAddress(text: string | undefined): IpAddress | undefined {
  const [addressText = "", lengthText = "32"] = (text ?? "").split("/");
  const address = parseIpAddress(addressText);
  if (address === undefined || address.includes(":") || lengthText !== "32") return undefined;
  return address;
}

/** Returns the internal port that an external one leads to, or undefined when it is not mapped. */
export function internalPortOf(mapping: StaticMapping, externalPort: number): number | undefined {
  const { ports } = mapping;
  if (ports === undefined) return externalPort;
  if (externalPort < ports.externalStart || externalPort > ports.externalEnd) return undefined;
  return ports.internalStart + externalPort - ports.externalStart;
}
