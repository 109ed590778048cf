import fc from "fast-check";
import { expect, test } from "vitest";
import type { Ace, AceMatch, Acl } from "../../src/firewall/ace.ts";
import { isPerPacket } from "../../src/firewall/ace.ts";
import { type AceDecision, AceIndex, TABLE_ACES_MIN } from "../../src/firewall/ace-index.ts";
import { matches } from "../../src/firewall/ace-matches.ts";
import type { ConntrackTuple } from "../../src/lib/conntrack/entry.ts";
import { type IpAddress, type IpPrefix, maskAddress } from "../../src/lib/inet/address.ts";
import type { FlowPlace } from "../../src/lib/service/provider.ts";
import { campaignOptions, campaignSize } from "../support/campaign.ts";

/** Random cases; `flowlift test --full` runs many more. */
const RUNS = campaignSize(200, 10_000);

/** What the index stands for: the ACEs are asked in order. */
function judgeInOrder(acls: readonly Acl[], tuple: ConntrackTuple, place: FlowPlace): AceDecision {
  let eligible = true;
  let possible: Ace | undefined;
  for (const ace of acls.flatMap((acl) => acl.aces)) {
    if (isPerPacket(ace)) eligible = false;
    if (!matches(ace.match, tuple, place)) continue;
    if (ace.match.packetFields.length === 0) {
      return { ace: ace.action === "accept" ? ace : (possible ?? ace), eligible };
    }
    if (ace.action === "accept") possible ??= ace;
  }
  return { ace: possible, eligible };
}

/** Few values, so that ACEs and flows meet. */
const ADDRESSES_4 = ["10.0.0.1", "10.0.0.2", "10.0.1.1", "10.1.0.0", "200.1.2.3"];
const ADDRESSES_6 = ["2001:db8::1", "2001:db8::2", "2001:db8:0:1::", "fe80::1"];
const PORTS = [0, 1, 79, 80, 81, 443, 65_535];
const port = fc.constantFrom(...PORTS);
const protocol = fc.constantFrom(1, 6, 6, 6, 17, 47, 58);
const interfaceName = fc.constantFrom("lan", "wan", "dmz");

const prefix4 = fc.record({
  address: fc.constantFrom(...ADDRESSES_4),
  lengthBits: fc.constantFrom(0, 8, 16, 24, 31, 32),
});
const prefix6 = fc.record({
  address: fc.constantFrom(...ADDRESSES_6),
  lengthBits: fc.constantFrom(0, 32, 48, 64, 127, 128),
});
const prefix = fc.oneof(prefix4, prefix6).map(({ address, lengthBits }): IpPrefix => {
  return { address: maskAddress(address as IpAddress, lengthBits), lengthBits };
});

const portMatch = fc.oneof(
  port.map((first) => ({ first, last: first, negated: false })),
  fc.record({ first: port, last: port, negated: fc.boolean() }),
);

const fields = fc.record({
  family: fc.constantFrom(4 as const, 6 as const),
  protocol,
  source: prefix,
  destination: prefix,
  sourcePort: portMatch,
  destinationPort: portMatch,
  icmpType: fc.constantFrom(0, 8),
  icmpCode: fc.constantFrom(0, 1),
  ingressInterface: interfaceName,
  egressInterface: interfaceName,
});
const FIELD_NAMES =
  "family protocol source destination sourcePort destinationPort icmpType icmpCode";
const names = fc.subarray([...FIELD_NAMES.split(" "), "ingressInterface", "egressInterface"], {
  minLength: 1,
  maxLength: 4,
});
const packetFields = fc.oneof(
  { weight: 9, arbitrary: fc.constant([]) },
  { weight: 1, arbitrary: fc.constant([{ field: "ttl" as const, value: 1 }]) },
);
const match = fc.tuple(fields, names, packetFields).map(([drawn, kept, packet]) => {
  const entries = Object.entries(drawn).filter(([name]) => kept.includes(name));
  return { ...Object.fromEntries(entries), packetFields: packet } as unknown as AceMatch;
});

/** Either wild ones, or many of one shape as in a real list. */
const wild = match;
const alike = fc.record({
  protocol: fc.constant(6),
  destination: prefix4.map(({ address }) => ({ address: address as IpAddress, lengthBits: 32 })),
  destinationPort: portMatch,
  packetFields: fc.constant([]),
});

const ace = (of: fc.Arbitrary<AceMatch>): fc.Arbitrary<Ace> =>
  fc.record({
    name: fc.uuid(),
    match: of,
    action: fc.constantFrom("accept" as const, "drop" as const, "reject" as const),
    log: fc.oneof(
      { weight: 9, arbitrary: fc.constant(false) },
      { weight: 1, arbitrary: fc.constant(true) },
    ),
  });

const acls = fc.array(
  fc.record({
    name: fc.constant("acl"),
    aces: fc.array(fc.oneof(ace(wild), ace(alike)), { maxLength: 30 }),
  }),
  { maxLength: 3 },
);

const addresses = fc.oneof(
  fc.tuple(fc.constantFrom(...ADDRESSES_4), fc.constantFrom(...ADDRESSES_4)),
  fc.tuple(fc.constantFrom(...ADDRESSES_6), fc.constantFrom(...ADDRESSES_6)),
);
const tuple = fc.record({ addresses, protocol, sourcePort: port, destinationPort: port }).map(
  ({ addresses: [source, destination], ...rest }): ConntrackTuple => ({
    ...rest,
    sourceAddress: source as IpAddress,
    destinationAddress: destination as IpAddress,
  }),
);
const place = fc.record({
  ingressInterface: fc.option(interfaceName, { nil: undefined }),
  egressInterface: fc.option(interfaceName, { nil: undefined }),
});

test(
  `the index decides as if the ACEs were asked in order (${RUNS} cases)`,
  campaignOptions(),
  () => {
    let decided = 0;
    fc.assert(
      fc.property(
        acls,
        fc.array(tuple, { minLength: 20, maxLength: 20 }),
        place,
        (list, flows, at) => {
          const index = new AceIndex(list);
          for (const flow of flows) {
            const expected = judgeInOrder(list, flow, at);
            const found = index.decide(flow, at);
            expect(found.ace).toBe(expected.ace);
            expect(found.eligible).toBe(expected.eligible);
            if (expected.ace !== undefined) decided += 1;
          }
        },
      ),
      { numRuns: RUNS },
    );
    expect(decided).toBeGreaterThan(500);
  },
);

function hosts(count: number): Acl {
  const aces = Array.from({ length: count }, (_, index): Ace => {
    const address = `10.0.0.${index}` as IpAddress;
    const action = index === count - 1 ? "accept" : "drop";
    const destination = { address, lengthBits: 32 };
    return { name: `${index}`, action, log: false, match: { destination, packetFields: [] } };
  });
  return { name: "hosts", aces };
}

test.each([TABLE_ACES_MIN - 1, TABLE_ACES_MIN, TABLE_ACES_MIN + 1])(
  "the last of %d ACEs is found, with a table or without",
  (count) => {
    const last = `10.0.0.${count - 1}` as IpAddress;
    const flow = {
      sourceAddress: "10.9.9.9" as IpAddress,
      destinationAddress: last,
      protocol: 6,
      sourcePort: 1,
      destinationPort: 2,
    };
    const nowhere = { ingressInterface: undefined, egressInterface: undefined };
    expect(new AceIndex([hosts(count)]).decide(flow, nowhere).ace?.name).toBe(`${count - 1}`);
  },
);
