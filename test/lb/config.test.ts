import { expect, test } from "vitest";
import { parseLoadBalancerConfig } from "../../src/lb/config.ts";
import { judgeLoadBalancer } from "../../src/lb/judge.ts";
import { compileLoadBalancer } from "../../src/lb/ruleset.ts";
import { SLOTS_MAX } from "../../src/lb/schedule.ts";
import type { ConntrackEntry } from "../../src/lib/conntrack/entry.ts";
import type { IpAddress } from "../../src/lib/inet/address.ts";
import { lbConfig, virtualService } from "../appliance/configs.ts";

const CONTEXT = { interfaces: [] };

function parse(data: Record<string, unknown>) {
  const result = parseLoadBalancerConfig(data, CONTEXT);
  if (!result.ok) throw new Error(result.error.message);
  return result.value;
}

test("parseLoadBalancerConfig() fills in the module's defaults", () => {
  const [service] = parse(
    lbConfig([
      { name: "v", vip: "FD00::1", port: 80, "real-server": [{ name: "r", address: "fd00::2" }] },
    ]),
  ).virtualServices;
  expect(service).toMatchObject({
    enabled: true,
    vip: "fd00::1",
    protocol: 6,
    scheduler: "weighted-round-robin",
    realServers: [{ name: "r", port: 80, weight: 1, enabled: true }],
  });
});

test.each([
  [SLOTS_MAX - 1, true],
  [SLOTS_MAX, true],
  [SLOTS_MAX + 1, false],
])("weights that need %d places are accepted: %s", (places, accepted) => {
  const halves = Array.from(
    { length: 5 },
    (_, index) => [`r${index}`, `10.0.0.${index}`, 1000] as const,
  );
  const rest = places - 4000;
  const servers = [...halves.slice(0, 4), ["last", "10.0.0.9", rest] as const];
  // 4 x 1000 and an odd rest have no common divisor.
  const config = lbConfig([
    virtualService(
      "v",
      "10.8.0.1",
      rest % 2 === 0
        ? [...servers.slice(0, 4), ["a", "10.0.0.8", 1], ["b", "10.0.0.9", rest - 1]]
        : servers,
    ),
  ]);
  expect(parseLoadBalancerConfig(config, CONTEXT).ok).toBe(accepted);
});

test("compileLoadBalancer() does not depend on the order of services or servers", () => {
  const servers = [
    ["one", "10.9.0.1", 1],
    ["two", "10.9.0.2", 2],
  ] as const;
  const services = [
    virtualService("a", "10.8.0.1", servers),
    virtualService("b", "10.8.0.2", servers),
  ];
  const turned = [
    virtualService("b", "10.8.0.2", servers.toReversed()),
    virtualService("a", "10.8.0.1", servers.toReversed()),
  ];
  expect(compileLoadBalancer(parse(lbConfig(turned)), CONTEXT)).toEqual(
    compileLoadBalancer(parse(lbConfig(services)), CONTEXT),
  );
});

test("compileLoadBalancer() keeps the chain of a service that a change leaves alone", () => {
  const one = virtualService("a", "10.8.0.1", [["one", "10.9.0.1", 1]]);
  const before = compileLoadBalancer(parse(lbConfig([one])), CONTEXT);
  const other = virtualService("b", "10.8.0.2", [["one", "10.9.0.1", 1]]);
  const after = compileLoadBalancer(parse(lbConfig([one, other])), CONTEXT);
  const names = after.chains.map((chain) => chain.name);
  expect(before.chains.every((chain) => names.includes(chain.name))).toBe(true);
  expect(names).toHaveLength(4);
});

const ENTRY = {
  ...{ id: 1, zone: 0, status: 0, mark: 2, hasSequenceAdjustment: false },
  original: tuple("10.0.0.9", 4000, "10.8.0.1", 80),
  reply: tuple("10.9.0.1", 80, "10.0.0.9", 4000),
} as ConntrackEntry;

function tuple(source: string, sourcePort: number, destination: string, destinationPort: number) {
  return {
    protocol: 6,
    sourceAddress: source as IpAddress,
    sourcePort,
    destinationAddress: destination as IpAddress,
    destinationPort,
  };
}

test.each([
  ["its server is there", [["one", "10.9.0.1", 1]], {}, "allowed"],
  ["its server is another", [["one", "10.9.0.2", 1]], {}, "forbidden"],
  ["its service is disabled", [["one", "10.9.0.1", 1]], { enabled: false }, "forbidden"],
  ["its service has another port", [["one", "10.9.0.1", 1]], { port: 81 }, "forbidden"],
] as const)("judgeLoadBalancer() when %s", (_, servers, extra, verdict) => {
  const config = parse(lbConfig([virtualService("v", "10.8.0.1", servers, extra)]));
  expect(judgeLoadBalancer(config, ENTRY, noPlace()).verdict).toBe(verdict);
});

test("judgeLoadBalancer() has no opinion about other flows, and gives each server its own tag", () => {
  const config = parse(
    lbConfig([
      virtualService("v", "10.8.0.1", [
        ["one", "10.9.0.1", 1],
        ["two", "10.9.0.2", 1],
      ]),
    ]),
  );
  const plain = { ...ENTRY, mark: 3, original: tuple("10.0.0.9", 4000, "10.7.0.1", 80) };
  expect(judgeLoadBalancer(config, plain, noPlace()).verdict).toBe("silent");
  const other = { ...ENTRY, reply: tuple("10.9.0.2", 80, "10.0.0.9", 4000) };
  const tags = [ENTRY, other].map((entry) => judgeLoadBalancer(config, entry, noPlace()).policyTag);
  expect(new Set(tags).size).toBe(2);
});

function noPlace() {
  return { ingressInterface: "lan", egressInterface: "dmz" };
}
