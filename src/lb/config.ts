/**
 * The load balancer's typed configuration, from `flowlift-load-balancer`.
 *
 * Pure. Source: yang/flowlift-load-balancer.yang.
 */
import { err, ok, type Result } from "../lib/base/result.ts";
import { type IpAddress, parseIpAddress } from "../lib/inet/address.ts";
import {
  childList,
  childNode,
  type DataNode,
  listStep,
  ProblemCollector,
  readBoolean,
  readNumber,
  readText,
} from "../lib/service/data-reader.ts";
import type { ConfigData, ConfigProblem, ServiceContext } from "../lib/service/provider.ts";
import { countSlots, SLOTS_MAX } from "./schedule.ts";

export type Scheduler = "weighted-round-robin" | "source-hash";

export interface RealServer {
  readonly name: string;
  readonly address: IpAddress;
  readonly port: number;
  readonly weight: number;
  readonly enabled: boolean;
}

export interface VirtualService {
  readonly name: string;
  readonly enabled: boolean;
  readonly vip: IpAddress;
  readonly protocol: 6 | 17;
  readonly port: number;
  readonly scheduler: Scheduler;
  readonly hashSeed: number;
  /** Sorted by name, so that the order of entries in a message changes nothing. */
  readonly realServers: readonly RealServer[];
}

export interface LoadBalancerConfig {
  readonly virtualServices: readonly VirtualService[];
}

const ROOT = "/flowlift-load-balancer:load-balancer";
const WEIGHT_DEFAULT = 1;
const SEED_DEFAULT = 1;

/** Returns the configuration, or the first thing in it that cannot be carried out. */
export function parseLoadBalancerConfig(
  data: ConfigData,
  _context: ServiceContext,
): Result<LoadBalancerConfig, ConfigProblem> {
  const problems = new ProblemCollector();
  const root = childNode(data, "flowlift-load-balancer:load-balancer");
  const virtualServices = childList(root, "virtual-service").flatMap(
    (node) => parseService(node, problems) ?? [],
  );
  virtualServices.sort((a, b) => compareNames(a.name, b.name));
  return problems.first === undefined ? ok({ virtualServices }) : err(problems.first);
}

function parseService(node: DataNode, problems: ProblemCollector): VirtualService | undefined {
  const name = readText(node, "name") ?? "";
  const path = `${ROOT}/${listStep("virtual-service", "name", name)}`;
  const vip = parseIpAddress(readText(node, "vip") ?? "");
  if (vip === undefined) return problems.add(`${path}/vip`, "not an address");
  const port = readNumber(node, "port") ?? 0;
  const realServers = childList(node, "real-server").flatMap(
    (server) => parseServer(server, port, path, problems) ?? [],
  );
  realServers.sort((a, b) => compareNames(a.name, b.name));
  const slots = countSlots(realServers.map((server) => server.weight));
  if (slots > SLOTS_MAX) {
    problems.add(path, `the weights need ${slots} places in a cycle, more than ${SLOTS_MAX}`);
  }
  return {
    name,
    enabled: readBoolean(node, "enabled", true),
    vip,
    protocol: readText(node, "protocol") === "udp" ? 17 : 6,
    port,
    scheduler:
      readText(node, "scheduler") === "source-hash" ? "source-hash" : "weighted-round-robin",
    hashSeed: readNumber(node, "source-hash-seed") ?? SEED_DEFAULT,
    realServers,
  };
}

function parseServer(
  node: DataNode,
  servicePort: number,
  parent: string,
  problems: ProblemCollector,
): RealServer | undefined {
  const name = readText(node, "name") ?? "";
  const path = `${parent}/${listStep("real-server", "name", name)}`;
  const address = parseIpAddress(readText(node, "address") ?? "");
  if (address === undefined) return problems.add(`${path}/address`, "not an address");
  return {
    name,
    address,
    port: readNumber(node, "port") ?? servicePort,
    weight: readNumber(node, "weight") ?? WEIGHT_DEFAULT,
    enabled: readBoolean(node, "enabled", true),
  };
}

/** By code units: the same on every machine and in every locale. */
function compareNames(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
