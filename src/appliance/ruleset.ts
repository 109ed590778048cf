/**
 * Composes the functions' fragments to the appliance's one table.
 *
 * Pure. Order, for the first packet of a connection:
 *
 * ```
 *  wire > ingress (-150)   firewall: ACLs of the ingress interface
 *       > dstnat (-100)    lb: virtual services, then nat: static mappings
 *       > forward (0)      mark its place; nat: filtering; firewall: egress ACLs, zones
 *         or input (0)     neighbour discovery; firewall: services of the appliance itself
 *       > srcnat (100)     nat: exemptions, static mappings, pool > wire
 * ```
 * Packets of a connection that has seen a reply leave the forward hook after one map lookup, in the chain
 * that tells worthiness and closing. Invariant: the base chains are the same in every ruleset.
 */

import { assert } from "../lib/base/assert.ts";
import {
  MARK_CLOSING,
  MARK_EGRESS_SHIFT,
  MARK_ELIGIBLE,
  MARK_INELIGIBLE_AT_INGRESS,
  MARK_INGRESS_SHIFT,
  MARK_SERVICE_FIREWALL,
  MARK_SERVICE_LB,
  MARK_SERVICE_NAT,
  MARK_WORTHY,
} from "../lib/conntrack/mark-bits.ts";
import { contentChain } from "../lib/nft/chain.ts";
import type { RulesetFragment } from "../lib/nft/fragment.ts";
import { objectName, parseInterfaceName } from "../lib/nft/identifier.ts";
import {
  ACCEPT,
  type BaseChain,
  type Chain,
  CT_MARK,
  equals,
  INPUT_INTERFACE,
  markIs,
  number,
  OUTPUT_INTERFACE,
  payload,
  type Rule,
  type Ruleset,
  STATE_NEW,
  type Value,
} from "../lib/nft/nodes.ts";
import type { TableName } from "../lib/nft/render.ts";
import type { ServiceContext } from "../lib/service/provider.ts";
import {
  countFunctionDrops,
  DROP_CHAINS,
  DROP_COUNTERS,
  dropCounter,
  dropFor,
  type FunctionFragments,
} from "./count-drops.ts";
import type { OffloadPolicy } from "./policy-offload.ts";

export const APPLIANCE_TABLE: TableName = { family: "inet", name: objectName("flowlift") };
/** Each pair of interfaces is a few entries of a map. */
export const RULESET_INTERFACES_MAX = 32;

/** IPCT_* bits (linux/netfilter/nf_conntrack_common.h). */
const EVENT_DESTROY: number = 1 << 2;
const EVENT_REPLY: number = 1 << 3;
const EVENT_ASSURED: number = 1 << 4;
const EVENT_MARK: number = 1 << 7;
/** What is worth an event before and after a flow is worth offloading. */
export const EVENTS_QUIET = 0;
export const EVENTS_FULL: number = EVENT_DESTROY | EVENT_REPLY | EVENT_ASSURED | EVENT_MARK;
/** What tells of a flow that is worthy from its first packet: the moment when it may be asked for, and its end. */
export const EVENTS_BIRTH_TCP: number = EVENT_DESTROY | EVENT_ASSURED;
export const EVENTS_BIRTH_UDP: number = EVENT_DESTROY | EVENT_REPLY;

/** The appliance's own connections are nobody's business. */
const OWN_TRAFFIC: Rule = [STATE_NEW, { kind: "report-events", mask: EVENTS_QUIET }];

/** The end of the forward hook; its policy drops. */
const UNMATCHED: Rule = [{ kind: "count", counter: dropCounter("unmatched") }];

/** Router and neighbour discovery (RFC 4861), multicast listener discovery (RFC 2710, 3810). */
const ICMPV6_NECESSARY = [130, 131, 132, 133, 134, 135, 136, 137, 143];

/** Returns the table. */
export function composeRuleset(
  functions: FunctionFragments,
  context: ServiceContext,
  policy: OffloadPolicy,
): Ruleset {
  const established = establishedChain(policy);
  const fragments = countFunctionDrops(functions);
  const all = (pick: (fragment: RulesetFragment) => readonly Rule[]): Rule[] =>
    fragments.flatMap((fragment) => [...pick(fragment)]);
  const ingress = all((fragment) => fragment.ingress);
  return {
    counters: [...DROP_COUNTERS, ...fragments.flatMap((fragment) => [...fragment.counters])],
    chains: [...DROP_CHAINS, established, ...fragments.flatMap((fragment) => [...fragment.chains])],
    baseChains: baseChains({
      ingress: ingress.map((rule) => [STATE_NEW, ...rule]),
      dstnat: all((fragment) => fragment.destinationNat),
      input: [...inputPreamble(), ...all((fragment) => fragment.input)],
      forward: [
        forwardState(established),
        ...birthRules(policy),
        ...placeRules(context, policy),
        ...all((fragment) => fragment.forward),
        UNMATCHED,
      ],
      output: [OWN_TRAFFIC, ...all((fragment) => fragment.output)],
      srcnat: all((fragment) => fragment.sourceNat),
    }),
  };
}

/** Returns the table of an appliance that has no configuration yet: nothing is forwarded. */
export function closedRuleset(): Ruleset {
  return {
    counters: DROP_COUNTERS,
    chains: DROP_CHAINS,
    baseChains: baseChains({
      ingress: [],
      dstnat: [],
      input: inputPreamble(),
      forward: [UNMATCHED],
      output: [OWN_TRAFFIC],
      srcnat: [],
    }),
  };
}

type BaseChainName = "ingress" | "dstnat" | "input" | "forward" | "output" | "srcnat";

function baseChains(rules: Readonly<Record<BaseChainName, readonly Rule[]>>): BaseChain[] {
  const base = (
    name: BaseChainName,
    type: BaseChain["type"],
    hook: BaseChain["hook"],
    priority: number,
    policy: BaseChain["policy"],
  ): BaseChain => ({ name: objectName(name), type, hook, priority, policy, rules: rules[name] });
  return [
    base("ingress", "filter", "prerouting", -150, "accept"),
    base("dstnat", "nat", "prerouting", -100, "accept"),
    base("input", "filter", "input", 0, "drop"),
    base("forward", "filter", "forward", 0, "drop"),
    base("output", "filter", "output", 0, "accept"),
    base("srcnat", "nat", "postrouting", 100, "accept"),
  ];
}

function inputPreamble(): Rule[] {
  const state = { kind: "ct", key: "state" } as const;
  return [
    [
      {
        kind: "verdict-map",
        key: state,
        entries: [
          [{ kind: "word", word: "established" }, { kind: "accept" }],
          [{ kind: "word", word: "related" }, { kind: "accept" }],
          [{ kind: "word", word: "invalid" }, { kind: "drop" }],
        ],
      },
    ],
    [{ kind: "report-events", mask: EVENTS_QUIET }],
    [equals(INPUT_INTERFACE, { kind: "interface", name: loopback() }), ACCEPT],
    [
      equals(payload("icmpv6", "type"), { kind: "any-of", values: ICMPV6_NECESSARY.map(number) }),
      ACCEPT,
    ],
  ];
}

function loopback() {
  const name = parseInterfaceName("lo");
  assert(name !== undefined, "lo is an interface name");
  return name;
}

function forwardState(established: Chain): Rule {
  return [
    {
      kind: "verdict-map",
      key: { kind: "ct", key: "state" },
      entries: [
        [
          { kind: "word", word: "established" },
          { kind: "goto", chain: established.name },
        ],
        [{ kind: "word", word: "related" }, { kind: "accept" }],
        [{ kind: "word", word: "invalid" }, dropFor("invalid")],
      ],
    },
  ];
}

/** What a new connection tells of itself. */
function birthRules(policy: OffloadPolicy): Rule[] {
  const quiet: Rule = [{ kind: "report-events", mask: EVENTS_QUIET }];
  if (!policy.everyFlow) return [quiet];
  const transport = { kind: "meta", key: "l4proto" } as const;
  return [
    quiet,
    [equals(transport, number(6)), { kind: "report-events", mask: EVENTS_BIRTH_TCP }],
    [equals(transport, number(17)), { kind: "report-events", mask: EVENTS_BIRTH_UDP }],
  ];
}

/**
 * Tells once that a flow is worth offloading, and once that it ends. One that was worthy from its birth, before
 * another policy, tells of marks only from here on.
 */
function establishedChain(policy: OffloadPolicy): Chain {
  const worthy: Rule = [
    markIs(MARK_ELIGIBLE | MARK_WORTHY, MARK_ELIGIBLE),
    {
      kind: "match",
      left: { kind: "ct", key: "packets" },
      operator: ">",
      right: number(policy.worthinessPackets),
    },
    { kind: "report-events", mask: EVENTS_FULL },
    { kind: "mark-or", bits: MARK_WORTHY },
  ];
  const ends: Rule[number] = {
    kind: "match",
    left: payload("tcp", "flags"),
    operator: "in",
    right: { kind: "words", words: ["fin", "rst"] },
  };
  const closing: Rule[] = [
    [
      ends,
      markIs(MARK_WORTHY | MARK_CLOSING, MARK_WORTHY),
      { kind: "report-events", mask: EVENTS_FULL },
      { kind: "mark-or", bits: MARK_CLOSING },
    ],
    [ends, markIs(MARK_CLOSING, 0), { kind: "mark-or", bits: MARK_CLOSING }],
  ];
  return contentChain("established", [...(policy.enabled ? [worthy] : []), ...closing, [ACCEPT]]);
}

/**
 * Writes service, eligibility and both interfaces into the mark of a new connection. Two maps, because only
 * TCP and UDP are eligible; the second finds nothing when the first has written.
 */
function placeRules(context: ServiceContext, policy: OffloadPolicy): Rule[] {
  assert(
    context.interfaces.length <= RULESET_INTERFACES_MAX,
    "interfaces stay within the ruleset's bound",
  );
  if (context.interfaces.length === 0) return [];
  const eligible = MARK_ELIGIBLE | (policy.everyFlow ? MARK_WORTHY : 0);
  const key = { kind: "concat", parts: [INPUT_INTERFACE, OUTPUT_INTERFACE, CT_MARK] } as const;
  const transports = equals(
    { kind: "meta", key: "l4proto" },
    { kind: "any-of", values: [number(6), number(17)] },
  );
  const map = (bits: number): Rule[number] => ({
    kind: "mark-map",
    key,
    entries: placeEntries(context, bits),
  });
  // Also while offload is off: a flow that is born now may be worth it when it is switched on.
  return [[transports, map(eligible)], [map(0)]];
}

function placeEntries(context: ServiceContext, bits: number): (readonly [Value, number])[] {
  const services = [0, MARK_SERVICE_NAT, MARK_SERVICE_LB];
  const names = context.interfaces.map((item) => {
    const name = parseInterfaceName(item.name);
    assert(name !== undefined, "the settings' interface names are checked at start");
    return { name, markIndex: item.markIndex };
  });
  return names.flatMap((ingress) =>
    names.flatMap((egress) =>
      services.flatMap((service): (readonly [Value, number])[] => {
        const place =
          (service || MARK_SERVICE_FIREWALL) |
          (ingress.markIndex << MARK_INGRESS_SHIFT) |
          (egress.markIndex << MARK_EGRESS_SHIFT);
        const from = (mark: number): Value => ({
          kind: "tuple",
          parts: [
            { kind: "interface", name: ingress.name },
            { kind: "interface", name: egress.name },
            number(mark),
          ],
        });
        return [
          [from(service), place | bits],
          [from(service | MARK_INELIGIBLE_AT_INGRESS), place],
        ];
      }),
    ),
  );
}
