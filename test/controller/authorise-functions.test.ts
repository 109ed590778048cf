import { describe, expect, test } from "vitest";
import type { IpAddress, MacAddress } from "../../src/lib/inet/address.ts";
import type { FlowDirection } from "../../src/offload-protocol/messages.ts";
import { judge, patch } from "./judge.ts";
import { ip, natFlow, RED_CLIENT, RED_IN, RED_OUT, RED_SERVER } from "./world.ts";

const FLOW = natFlow(1n, 4000);

describe("authoriseFlow() grants what a network function needs", () => {
  const client = ip("198.51.100.9");
  const vip = ip("203.0.113.16");
  const real = ip("10.0.0.80");
  const direction = (
    vnics: readonly [MacAddress, MacAddress],
    nextHop: MacAddress,
    from: readonly [IpAddress, number],
    to: readonly [IpAddress, number],
    rewrite: FlowDirection["rewrite"],
  ): FlowDirection => ({
    match: {
      vnic: vnics[0],
      protocol: 6,
      sourceAddress: from[0],
      destinationAddress: to[0],
      sourcePort: from[1],
      destinationPort: to[1],
    },
    rewrite,
    egress: { vnic: vnics[1], nextHop, mtuBytes: 1500 },
  });

  test("a virtual service: Internet client to VIP to real server, and back", () => {
    const original = direction([RED_OUT, RED_IN], RED_CLIENT, [client, 5000], [vip, 80], {
      destinationAddress: real,
      destinationPort: 8080,
    });
    const reply = direction([RED_IN, RED_OUT], RED_SERVER, [real, 8080], [client, 5000], {
      sourceAddress: vip,
      sourcePort: 80,
    });
    expect(judge({ ...FLOW, service: "lb", original, reply })).toBe("granted");
  });

  test("a virtual service with source translation: the reply goes back to the Internet client", () => {
    const inside = ip("10.0.0.1");
    const original = direction([RED_OUT, RED_IN], RED_CLIENT, [client, 5000], [vip, 80], {
      sourceAddress: inside,
      sourcePort: 6000,
      destinationAddress: real,
      destinationPort: 8080,
    });
    const reply = direction([RED_IN, RED_OUT], RED_SERVER, [real, 8080], [inside, 6000], {
      sourceAddress: vip,
      sourcePort: 80,
      destinationAddress: client,
      destinationPort: 5000,
    });
    const flow = { ...FLOW, service: "lb", original, reply } as const;
    expect(judge(flow)).toBe("granted");
    const elsewhere = patch(flow, { reply: { rewrite: { destinationPort: 5001 } } });
    expect(judge(elsewhere)).toBe("address-not-entitled");
  });

  test("a firewall: nothing is rewritten between a client and the Internet", () => {
    const original = direction(
      [RED_IN, RED_OUT],
      RED_SERVER,
      [ip("10.0.0.5"), 5000],
      [client, 443],
      {},
    );
    const reply = direction(
      [RED_OUT, RED_IN],
      RED_CLIENT,
      [client, 443],
      [ip("10.0.0.5"), 5000],
      {},
    );
    expect(judge({ ...FLOW, service: "firewall", original, reply })).toBe("granted");
  });

  test("hairpinning: the external address shows inside, to another host inside", () => {
    const external = ip("203.0.113.1");
    const original = direction(
      [RED_IN, RED_IN],
      RED_CLIENT,
      [ip("10.0.0.5"), 5000],
      [external, 2000],
      {
        sourceAddress: external,
        sourcePort: 3000,
        destinationAddress: ip("10.0.0.6"),
        destinationPort: 7000,
      },
    );
    const reply = direction(
      [RED_IN, RED_IN],
      RED_CLIENT,
      [ip("10.0.0.6"), 7000],
      [external, 3000],
      {
        sourceAddress: external,
        sourcePort: 2000,
        destinationAddress: ip("10.0.0.5"),
        destinationPort: 5000,
      },
    );
    expect(judge({ ...FLOW, original, reply })).toBe("granted");
  });

  test("IPv6 without translation", () => {
    const host = ip("fd00:a::5");
    const server = ip("2001:db8:ffff::1");
    const original = direction([RED_IN, RED_OUT], RED_SERVER, [host, 5000], [server, 443], {});
    const reply = direction([RED_OUT, RED_IN], RED_CLIENT, [server, 443], [host, 5000], {});
    expect(judge({ ...FLOW, service: "firewall", original, reply })).toBe("granted");
    const foreign = patch(FLOW, {
      original: { ...original, match: { ...original.match, sourceAddress: ip("fd00:b::5") } },
      reply: { ...reply, rewrite: {} },
    });
    expect(judge(foreign)).not.toBe("granted");
  });

  test("a flow to itself, whose two directions match the same packets, is refused", () => {
    const self = ip("10.0.0.5");
    const same = direction([RED_IN, RED_IN], RED_CLIENT, [self, 80], [self, 80], {});
    expect(judge({ ...FLOW, service: "firewall", original: same, reply: same })).toBe("malformed");
  });
});
