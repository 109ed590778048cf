/**
 * Compiles virtual services to destination translation in the kernel.
 *
 * Pure. One map leads from (address, protocol, port) to a chain for each virtual service; its second map
 * leads from the place in the cycle, or from the client's hash, to a chain for each real server.
 */
import { MARK_SERVICE_LB } from "../lib/conntrack/mark-bits.ts";
import { type AddressFamily, familyOf } from "../lib/inet/address.ts";
import { contentChain } from "../lib/nft/chain.ts";
import { EMPTY_FRAGMENT, type RulesetFragment } from "../lib/nft/fragment.ts";
import type { ObjectName } from "../lib/nft/identifier.ts";
import {
  type Chain,
  DROP,
  equals,
  number,
  payload,
  type Rule,
  type Selector,
  type Value,
  type Verdict,
} from "../lib/nft/nodes.ts";
import type { ServiceContext } from "../lib/service/provider.ts";
import type { LoadBalancerConfig, RealServer, VirtualService } from "./config.ts";
import { refusedCounter, serverCounter } from "./counters.ts";
import { interleave } from "./schedule.ts";

/** Returns the fragment. */
export function compileLoadBalancer(
  config: LoadBalancerConfig,
  _context: ServiceContext,
): RulesetFragment {
  const chains: Chain[] = [];
  const counters: ObjectName[] = [];
  const entries: Record<AddressFamily, (readonly [Value, Verdict])[]> = { 4: [], 6: [] };
  for (const service of config.virtualServices.filter((candidate) => candidate.enabled)) {
    const servers = service.realServers.filter((server) => server.enabled);
    const serverChains = servers.map((server) => compileServer(service, server));
    const chain = compileService(service, servers, serverChains);
    chains.push(...serverChains, chain);
    counters.push(refusedCounter(service.name));
    const key: Value = {
      kind: "tuple",
      parts: [
        { kind: "address", address: service.vip },
        number(service.protocol),
        number(service.port),
      ],
    };
    entries[familyOf(service.vip)].push([key, { kind: "goto", chain: chain.name }]);
  }
  // Counters of disabled servers stay: enabling one again goes on where it stopped.
  for (const service of config.virtualServices) {
    counters.push(...service.realServers.map((server) => serverCounter(service.name, server.name)));
  }
  const destinationNat = ([4, 6] as const).flatMap((family) => dispatch(family, entries[family]));
  return { ...EMPTY_FRAGMENT, chains, counters: [...new Set(counters)], destinationNat };
}

function dispatch(
  family: AddressFamily,
  entries: readonly (readonly [Value, Verdict])[],
): readonly Rule[] {
  if (entries.length === 0) return [];
  const key: Selector = {
    kind: "concat",
    parts: [
      payload(family === 4 ? "ip" : "ip6", "daddr"),
      { kind: "meta", key: "l4proto" },
      payload("th", "dport"),
    ],
  };
  return [[{ kind: "verdict-map", key, entries }]];
}

function compileServer(service: VirtualService, server: RealServer): Chain {
  const family = familyOf(server.address);
  return contentChain("server", [
    [
      equals({ kind: "meta", key: "l4proto" }, number(service.protocol)),
      { kind: "count", counter: serverCounter(service.name, server.name) },
      { kind: "dnat", family, address: server.address, port: server.port },
    ],
  ]);
}

function compileService(
  service: VirtualService,
  servers: readonly RealServer[],
  serverChains: readonly Chain[],
): Chain {
  const refused: Rule = [{ kind: "count", counter: refusedCounter(service.name) }, DROP];
  if (servers.length === 0) return contentChain("vs", [refused]);
  const slots = interleave(servers.map((server) => server.weight));
  const entries = slots.flatMap((serverIndex, slot): (readonly [Value, Verdict])[] => {
    const chain = serverChains[serverIndex];
    return chain === undefined ? [] : [[number(slot), { kind: "goto", chain: chain.name }]];
  });
  const choose: Rule = [{ kind: "verdict-map", key: slotSelector(service, slots.length), entries }];
  return contentChain("vs", [[{ kind: "mark-or", bits: MARK_SERVICE_LB }], choose, refused]);
}

function slotSelector(service: VirtualService, modulus: number): Selector {
  if (service.scheduler === "weighted-round-robin") return { kind: "round-robin", modulus };
  const of = payload(familyOf(service.vip) === 4 ? "ip" : "ip6", "saddr");
  return { kind: "hash", of, modulus, seed: service.hashSeed };
}
