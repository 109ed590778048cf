/**
 * Compiles the NAT's configuration to translation and filtering in the kernel.
 *
 * Pure. Destinations: static mappings. Sources: static mappings first, then the pool; a hairpinned
 * connection (internal host to an external endpoint of ours) gets an external source too (RFC 4787 REQ-9).
 * Filtering: what comes unsolicited from the external realm and hits no mapping is dropped.
 */
import { MARK_SERVICE_MASK, MARK_SERVICE_NAT } from "../lib/conntrack/mark-bits.ts";
import { contentChain } from "../lib/nft/chain.ts";
import { EMPTY_FRAGMENT, type RulesetFragment } from "../lib/nft/fragment.ts";
import { type ObjectName, objectName } from "../lib/nft/identifier.ts";
import {
  type Chain,
  DROP,
  differs,
  equals,
  INPUT_INTERFACE,
  jump,
  markIs,
  number,
  OUTPUT_INTERFACE,
  payload,
  prefixValue,
  type Rule,
  type SnatAddresses,
  type Statement,
} from "../lib/nft/nodes.ts";
import type { ServiceContext } from "../lib/service/provider.ts";
import type { NatConfig, NatInstance, NatPolicy, PassThrough } from "./config.ts";
import type { StaticMapping } from "./mapping.ts";
import { type AddressRange, listAddresses, numberAddress } from "./pool.ts";

/** Counts packets that came from the external realm without a mapping. */
export const UNSOLICITED_COUNTER: ObjectName = objectName("nat-unsolicited");

/** Changing it would give internal hosts other external addresses. */
const POOL_HASH_SEED = 0x666c_6f77;
/** svc 3 (firewall, the forward hook's default) without this bit is svc 1 (nat). */
const NOT_FIREWALL = 0xffff_fffd;

const IPV4: Statement = equals({ kind: "meta", key: "nfproto" }, { kind: "word", word: "ipv4" });

/** Returns the fragment. */
export function compileNat(config: NatConfig, _context: ServiceContext): RulesetFragment {
  const { instances } = config;
  if (instances.length === 0) return EMPTY_FRAGMENT;
  const chains = new Map<string, Chain>();
  const add = (chain: Chain): ObjectName => {
    chains.set(chain.name, chain);
    return chain.name;
  };
  const destinationNat = instances.flatMap((instance) =>
    instance.mappings.map((mapping) => forwardRule(mapping)),
  );
  const sourceNat = instances.flatMap((instance) => compileSources(instance, add));
  return {
    ...EMPTY_FRAGMENT,
    counters: [UNSOLICITED_COUNTER],
    chains: [...chains.values()],
    destinationNat,
    forward: instances.flatMap((instance) => instance.policies.flatMap(filterRules)),
    sourceNat,
  };
}

/** (external, port') => (internal, port), whoever asks. */
function forwardRule(mapping: StaticMapping): Rule {
  const { ports, protocol, internalAddress, externalAddress } = mapping;
  const single = ports !== undefined && ports.externalStart === ports.externalEnd;
  return [
    equals(payload("ip", "daddr"), { kind: "address", address: externalAddress }),
    ...protocolMatch(protocol),
    ...(ports === undefined
      ? []
      : [equals(payload("th", "dport"), rangeValue(ports.externalStart, ports.externalEnd))]),
    { kind: "mark-or", bits: MARK_SERVICE_NAT },
    {
      kind: "dnat",
      family: 4,
      address: internalAddress,
      ...(single ? { port: ports.internalStart } : {}),
    },
  ];
}

function rangeValue(first: number, last: number) {
  return first === last ? number(first) : ({ kind: "range", first, last } as const);
}

function protocolMatch(protocol: number | undefined): Statement[] {
  return protocol === undefined ? [] : [equals({ kind: "meta", key: "l4proto" }, number(protocol))];
}

function compileSources(instance: NatInstance, add: (chain: Chain) => ObjectName): Rule[] {
  const rules: Rule[] = [];
  for (const policy of instance.policies) {
    const external = equals(OUTPUT_INTERFACE, externalValue(policy));
    for (const exempt of instance.passThrough) rules.push(...exemptRules(external, exempt));
    for (const mapping of instance.mappings) {
      rules.push([external, ...mappingSource(mapping), jump(add(mappingChain(mapping)))]);
    }
    const pool = add(poolChain(policy));
    const from = subscriberMatches(policy);
    rules.push(...from.map((match) => [external, IPV4, ...match, jump(pool)]));
    rules.push([
      differs(INPUT_INTERFACE, externalValue(policy)),
      differs(OUTPUT_INTERFACE, externalValue(policy)),
      IPV4,
      markIs(MARK_SERVICE_MASK, MARK_SERVICE_NAT),
      jump(pool),
    ]);
  }
  return rules;
}

function externalValue(policy: NatPolicy) {
  return { kind: "interface", name: policy.externalInterface } as const;
}

/** RFC 6888 REQ-6: destinations that are reached without translation. */
function exemptRules(external: Statement, exempt: PassThrough): Rule[] {
  const { prefix, port } = exempt;
  const to = prefix.lengthBits === 0 ? IPV4 : equals(payload("ip", "daddr"), prefixValue(prefix));
  const accept: Statement = { kind: "verdict", verdict: { kind: "accept" } };
  if (port === undefined) return [[external, to, accept]];
  return (["tcp", "udp"] as const).map((protocol) => [
    external,
    to,
    equals(payload(protocol, "dport"), number(port)),
    accept,
  ]);
}

function mappingSource(mapping: StaticMapping): Statement[] {
  const { ports, protocol, internalAddress } = mapping;
  const statements = [
    equals(payload("ip", "saddr"), { kind: "address", address: internalAddress }),
    ...protocolMatch(protocol),
  ];
  if (ports === undefined) return statements;
  const last = ports.internalStart + ports.externalEnd - ports.externalStart;
  return [...statements, equals(payload("th", "sport"), rangeValue(ports.internalStart, last))];
}

function mappingChain(mapping: StaticMapping): Chain {
  const { ports, protocol, externalAddress } = mapping;
  const single = ports !== undefined && ports.externalStart === ports.externalEnd;
  return contentChain("snat", [
    TAKE_SERVICE,
    [
      ...(single ? protocolMatch(protocol) : []),
      {
        kind: "snat",
        addresses: { kind: "range", first: externalAddress, last: externalAddress },
        ...(single ? { ports: { first: ports.externalStart, last: ports.externalStart } } : {}),
        persistent: false,
      },
    ],
  ]);
}

const TAKE_SERVICE: Rule = [
  markIs(MARK_SERVICE_MASK, MARK_SERVICE_MASK),
  { kind: "mark-and", bits: NOT_FIREWALL },
];

function poolChain(policy: NatPolicy): Chain {
  const addresses = poolAddresses(policy.pool);
  const persistent = addresses.kind === "range" && addresses.first !== addresses.last;
  const { ports } = policy;
  if (ports === undefined) {
    return contentChain("snat", [TAKE_SERVICE, [{ kind: "snat", addresses, persistent }]]);
  }
  const range = { first: ports.startPort, last: ports.endPort };
  const withPorts = [6, 17].map(
    (protocol): Rule => [
      ...protocolMatch(protocol),
      { kind: "snat", addresses, ports: range, persistent },
    ],
  );
  return contentChain("snat", [
    TAKE_SERVICE,
    ...withPorts,
    [{ kind: "snat", addresses, persistent }],
  ]);
}

/** One range: the kernel hashes the internal address itself when it is told to be persistent. */
function poolAddresses(pool: readonly AddressRange[]): SnatAddresses {
  const [only] = pool;
  if (pool.length === 1 && only !== undefined) {
    return { kind: "range", first: numberAddress(only.first), last: numberAddress(only.last) };
  }
  return { kind: "hashed", addresses: listAddresses(pool), seed: POOL_HASH_SEED };
}

/** One list of statements for each subscriber prefix; a single empty list when all are. */
function subscriberMatches(policy: NatPolicy): Statement[][] {
  if (policy.subscribers.length === 0) return [[]];
  return policy.subscribers.map((prefix) =>
    prefix.lengthBits === 0 ? [] : [equals(payload("ip", "saddr"), prefixValue(prefix))],
  );
}

/** From the external realm only mapped destinations pass (RFC 4787 §5). */
function filterRules(policy: NatPolicy): Rule[] {
  const unsolicited: readonly Statement[] = [
    equals(INPUT_INTERFACE, externalValue(policy)),
    IPV4,
    {
      kind: "match",
      left: { kind: "ct", key: "status" },
      operator: "not-in",
      right: { kind: "word", word: "dnat" },
    },
  ];
  const drop: readonly Statement[] = [{ kind: "count", counter: UNSOLICITED_COUNTER }, DROP];
  const back = equals(OUTPUT_INTERFACE, externalValue(policy));
  if (policy.subscribers.length === 0) return [[...unsolicited, ...drop]];
  return [
    [...unsolicited, back, ...drop],
    ...policy.subscribers.map((prefix) => [
      ...unsolicited,
      ...(prefix.lengthBits === 0 ? [] : [equals(payload("ip", "daddr"), prefixValue(prefix))]),
      ...drop,
    ]),
  ];
}
