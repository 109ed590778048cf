import fc from "fast-check";
import { expect, test } from "vitest";
import { forEachMessage } from "../../src/lib/netlink/attributes.ts";
import { decodeRouteEvent, type RouteEvent } from "../../src/lib/netlink/route-messages.ts";
import { campaignOptions, campaignSize } from "../support/campaign.ts";
import {
  ADDRESS_NEW,
  FDB_DELETED,
  FDB_NEW,
  LINK_BRIDGE_PORT,
  LINK_NEW,
  NEIGHBOUR_NEW,
  ROUTE_NEW,
} from "./kernel-messages.ts";

/** Random cases; `flowlift test --full` runs many more. */
const RUNS = campaignSize(500, 100_000);

function decode(bytes: Uint8Array): (RouteEvent | undefined)[] {
  const view = new DataView(Uint8Array.from(bytes).buffer);
  const events: (RouteEvent | undefined)[] = [];
  forEachMessage(view, (message) => events.push(decodeRouteEvent(view, message)));
  return events;
}

test.each<[string, string, RouteEvent | undefined]>([
  [
    "a route with gateway and MTU",
    ROUTE_NEW,
    {
      kind: "route",
      change: "new",
      route: {
        family: 4,
        lengthBits: 16,
        table: 254,
        type: 1,
        destination: "10.7.0.0",
        gateway: "10.6.0.9",
        outLinkIndex: 3,
        mtuBytes: 1300,
      } as never,
    },
  ],
  [
    "an address",
    ADDRESS_NEW,
    {
      kind: "address",
      change: "new",
      address: { linkIndex: 3, address: "10.6.0.1", lengthBits: 24 } as never,
    },
  ],
  [
    "a neighbour",
    NEIGHBOUR_NEW,
    {
      kind: "neighbour",
      change: "new",
      neighbour: {
        family: "ipv4",
        linkIndex: 3,
        state: 128,
        flags: 0,
        address: "10.6.0.9",
        mac: "02:00:00:00:00:09",
      } as never,
    },
  ],
  [
    "a bridge forwarding entry",
    FDB_NEW,
    {
      kind: "neighbour",
      change: "new",
      neighbour: {
        family: "bridge",
        linkIndex: 2,
        state: 64,
        flags: 0,
        mac: "02:00:00:00:00:aa",
        master: 4,
      } as never,
    },
  ],
  [
    "the end of a bridge forwarding entry",
    FDB_DELETED,
    {
      kind: "neighbour",
      change: "deleted",
      neighbour: {
        family: "bridge",
        linkIndex: 2,
        state: 64,
        flags: 0,
        mac: "02:00:00:00:00:aa",
        master: 4,
      } as never,
    },
  ],
  ["nothing from a bridge's message about its port", LINK_BRIDGE_PORT, undefined],
])("decodeRouteEvent() reads %s", (_, hex, event) => {
  expect(decode(Buffer.from(hex, "hex"))).toEqual([event]);
});

test("decodeRouteEvent() reads a link", () => {
  expect(decode(Buffer.from(LINK_NEW, "hex"))).toMatchObject([
    {
      kind: "link",
      change: "new",
      link: { index: 3, name: "v0", mtuBytes: 1400, up: false, kind: "veth", lower: 2 },
    },
  ]);
});

test(
  `random and damaged bytes never make decodeRouteEvent() throw (${RUNS} cases)`,
  campaignOptions(),
  () => {
    const golden = Buffer.from(ROUTE_NEW + ADDRESS_NEW + NEIGHBOUR_NEW + FDB_NEW + LINK_NEW, "hex");
    const damage = fc.array(fc.tuple(fc.nat({ max: golden.length - 1 }), fc.nat({ max: 255 })), {
      maxLength: 8,
    });
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 256 }), damage, (random, changes) => {
        decode(random);
        const damaged = Buffer.from(golden);
        for (const [at, value] of changes) damaged[at] = value;
        decode(damaged);
      }),
      { numRuns: RUNS },
    );
  },
);
