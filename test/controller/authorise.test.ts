import { describe, expect, test } from "vitest";
import type { MacAddress } from "../../src/lib/inet/address.ts";
import { type DeepPatch, judge, patch } from "./judge.ts";
import {
  asBlue,
  BLUE_IN,
  BLUE_OUT,
  BLUE_SERVER,
  CAPABILITIES,
  ip,
  natFlow,
  RED_CLIENT,
  RED_OUT,
} from "./world.ts";

const FLOW = natFlow(1n, 4000);

test("authoriseFlow() grants a translated flow with two directions (the control of every row below)", () => {
  expect(judge(FLOW)).toBe("granted");
});

describe("authoriseFlow() refuses a flow with one field wrong", () => {
  const rows: readonly [string, DeepPatch, string][] = [
    ["service unspecified", { service: "unspecified" }, "malformed"],
    ["directions unspecified", { directions: "unspecified" }, "directions-not-allowed"],
    ["one direction but a reply", { directions: "original-only" }, "malformed"],
    ["both directions but no reply", { reply: undefined }, "malformed"],
    ["idle timeout 0", { idleTimeoutMs: 0 }, "idle-timeout-out-of-range"],
    ["idle timeout below the least", { idleTimeoutMs: 999 }, "idle-timeout-out-of-range"],
    ["idle timeout above the most", { idleTimeoutMs: 432_000_001 }, "idle-timeout-out-of-range"],
    ["ingress vNIC of blue", { original: { match: { vnic: BLUE_IN } } }, "vnic-not-yours"],
    ["egress vNIC of blue", { original: { egress: { vnic: BLUE_OUT } } }, "vnic-not-yours"],
    ["reply ingress vNIC of blue", { reply: { match: { vnic: BLUE_OUT } } }, "vnic-not-yours"],
    ["reply egress vNIC of blue", { reply: { egress: { vnic: BLUE_IN } } }, "vnic-not-yours"],
    ["GRE", { original: { match: { protocol: 47 } } }, "protocol-not-allowed"],
    ["two protocols", { reply: { match: { protocol: 17 } } }, "malformed"],
    [
      "two families in one direction",
      { original: { match: { destinationAddress: ip("2001:db8::7") } } },
      "malformed",
    ],
    ["source port 0", { original: { match: { sourcePort: 0 } } }, "malformed"],
    ["rewritten port 0", { original: { rewrite: { sourcePort: 0 } } }, "malformed"],
    [
      "source that does not live inside",
      { original: { match: { sourceAddress: ip("10.0.1.5") } } },
      "address-not-entitled",
    ],
    [
      "source of nobody",
      { original: { match: { sourceAddress: ip("0.0.0.0") } } },
      "address-not-entitled",
    ],
    [
      "new source of blue's pool",
      { original: { rewrite: { sourceAddress: ip("203.0.113.33") } } },
      "address-not-entitled",
    ],
    [
      "new source below the pool's ports",
      { original: { rewrite: { sourcePort: 1023 } } },
      "port-not-entitled",
    ],
    [
      "new source of the VIP, at a port that is not its own",
      { original: { rewrite: { sourceAddress: ip("203.0.113.16") } } },
      "port-not-entitled",
    ],
    [
      "multicast destination",
      { original: { match: { destinationAddress: ip("224.0.0.1") } } },
      "address-not-entitled",
    ],
    [
      "new destination outside the tenant",
      { original: { rewrite: { destinationAddress: ip("198.51.100.8") } } },
      "address-not-entitled",
    ],
    [
      "reply to a pool address of blue",
      { reply: { match: { destinationAddress: ip("203.0.113.33") } } },
      "address-not-entitled",
    ],
    [
      "reply to a port outside the pool's",
      { reply: { match: { destinationPort: 80 } } },
      "port-not-entitled",
    ],
    [
      "reply rewritten to an address that does not live inside",
      { reply: { rewrite: { destinationAddress: ip("10.0.1.5") } } },
      "address-not-entitled",
    ],
    [
      "reply rewritten to another host inside: not the inverse",
      { reply: { rewrite: { destinationAddress: ip("10.0.0.6") } } },
      "malformed",
    ],
    [
      "reply from another server: not the inverse",
      { reply: { match: { sourceAddress: ip("198.51.100.8") } } },
      "malformed",
    ],
    ["next hop of blue", { original: { egress: { nextHop: BLUE_SERVER } } }, "location-unknown"],
    [
      "next hop of another segment",
      { original: { egress: { nextHop: RED_CLIENT } } },
      "next-hop-not-on-segment",
    ],
    [
      "next hop that is the VM itself",
      { original: { egress: { nextHop: RED_OUT } } },
      "next-hop-not-on-segment",
    ],
    [
      "group address as next hop",
      { original: { egress: { nextHop: "01:00:5e:00:00:01" as MacAddress } } },
      "next-hop-not-on-segment",
    ],
    [
      "next hop that nobody has seen",
      { original: { egress: { nextHop: "02:99:00:00:00:01" as MacAddress } } },
      "location-unknown",
    ],
    ["reply next hop of blue", { reply: { egress: { nextHop: BLUE_SERVER } } }, "location-unknown"],
  ];
  test.each(rows)("%s", (_, change, reason) => {
    expect(judge(patch(FLOW, change))).toBe(reason);
  });
});

test("authoriseFlow() judges the same message by who sends it, in both directions", () => {
  const blue = asBlue(FLOW);
  expect(judge(blue, "blue/gateway")).toBe("granted");
  expect(judge(blue, "red/gateway")).toBe("vnic-not-yours");
  expect(judge(FLOW, "blue/gateway")).toBe("vnic-not-yours");
});

test.each([999, 1000, 1001, 431_999_999, 432_000_000, 432_000_001])(
  "authoriseFlow() holds idle timeout %i to the quota's range, both ends included",
  (idleTimeoutMs) => {
    const isInside = idleTimeoutMs >= 1000 && idleTimeoutMs <= 432_000_000;
    const expected = isInside ? "granted" : "idle-timeout-out-of-range";
    expect(judge({ ...FLOW, idleTimeoutMs })).toBe(expected);
  },
);

test.each([1023, 1024, 65_535])("authoriseFlow() holds port %i to the pool's range", (port) => {
  expect(judge(natFlow(1n, port))).toBe(port >= 1024 ? "granted" : "port-not-entitled");
});

test("authoriseFlow() refuses what the driver cannot do", () => {
  const cases = [
    { ...CAPABILITIES, families: [6] as const },
    { ...CAPABILITIES, protocols: [17] },
    { ...CAPABILITIES, rewrite: false },
  ];
  for (const capabilities of cases) {
    expect(judge(FLOW, "red/gateway", capabilities)).toBe("unsupported-by-driver");
  }
});
