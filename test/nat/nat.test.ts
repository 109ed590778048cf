import fc from "fast-check";
import { expect, test } from "vitest";
import type { IpAddress } from "../../src/lib/inet/address.ts";
import { parseNatConfig } from "../../src/nat/config.ts";
import {
  addressNumber,
  countAddresses,
  joinPrefixes,
  listAddresses,
  numberAddress,
  POOL_ADDRESSES_MAX,
  poolContains,
} from "../../src/nat/pool.ts";
import { planTimeouts } from "../../src/nat/timeouts.ts";
import { natConfig } from "../appliance/configs.ts";

const CONTEXT = { interfaces: [] };

function prefix(text: string) {
  const [address = "", length = "32"] = text.split("/");
  return { address: address as IpAddress, lengthBits: Number(length) };
}

test("joinPrefixes() joins what touches and keeps apart what does not", () => {
  const ranges = joinPrefixes(["192.0.2.4/30", "192.0.2.0/30", "192.0.2.9/32"].map(prefix));
  expect(ranges.map((range) => [numberAddress(range.first), numberAddress(range.last)])).toEqual([
    ["192.0.2.0", "192.0.2.7"],
    ["192.0.2.9", "192.0.2.9"],
  ]);
  expect(countAddresses(ranges)).toBe(9);
  expect(listAddresses(ranges)).toHaveLength(9);
});

test("numberAddress() is the inverse of addressNumber()", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 0xffff_ffff }), (value) => {
      expect(addressNumber(numberAddress(value))).toBe(value);
    }),
  );
});

test("poolContains() knows both ends and never an IPv6 address", () => {
  const ranges = joinPrefixes([prefix("192.0.2.4/31")]);
  const asked = ["192.0.2.3", "192.0.2.4", "192.0.2.5", "192.0.2.6", "::c000:204"];
  expect(asked.map((address) => poolContains(ranges, address as IpAddress))).toEqual([
    ...[false, true, true, false, false],
  ]);
});

test.each([
  [POOL_ADDRESSES_MAX - 1, true],
  [POOL_ADDRESSES_MAX, true],
  [POOL_ADDRESSES_MAX + 1, false],
])("a pool of separate ranges with %d addresses is accepted: %s", (count, accepted) => {
  const far = Array.from(
    { length: count },
    (_, index) => `${numberAddress(0x0a00_0000 + 2 * index)}/32`,
  );
  expect(parseNatConfig(natConfig(far), CONTEXT).ok).toBe(accepted);
});

test("parseNatConfig() takes RFC 8512's defaults for its timers", () => {
  const result = parseNatConfig(natConfig(["192.0.2.0/24"]), CONTEXT);
  expect(result.ok && planTimeouts(result.value)).toMatchObject({
    nf_conntrack_udp_timeout: 300,
    nf_conntrack_udp_timeout_stream: 300,
    nf_conntrack_tcp_timeout_established: 7440,
    nf_conntrack_tcp_timeout_syn_sent: 240,
    nf_conntrack_tcp_timeout_time_wait: 120,
    nf_conntrack_icmp_timeout: 60,
  });
});

test.each([
  ["endpoint independent mapping", { "mapping-type": "eim" }, "mapping-type"],
  ["random ports", { "port-allocation-type": "random" }, "port-allocation-type"],
  [
    "round robin of addresses",
    { "address-allocation-type": "roundrobin" },
    "address-allocation-type",
  ],
  ["a port quota", { "port-quota": [{ "quota-type": 6, "port-limit": 5 }] }, "port-quota"],
  ["no external interface", { "external-realm": {} }, "external-interface"],
])("parseNatConfig() refuses %s with its path", (_, extra, leaf) => {
  const result = parseNatConfig(natConfig(["192.0.2.1/32"], [], extra), CONTEXT);
  expect(result.ok ? "" : result.error.path).toContain(leaf);
});

test.each([
  ["a protocol without ports", { "transport-protocol": 132 }],
  ["ports without a protocol", { "transport-protocol": undefined }],
  ["an internal prefix", { "internal-src-address": "10.0.0.0/24" }],
  [
    "ranges of different numbers",
    { "external-src-port": { "start-port-number": 1, "end-port-number": 9 } },
  ],
])("parseNatConfig() refuses a mapping with %s", (_, change) => {
  const entry = {
    ...{ index: 1, type: "static", "transport-protocol": 6 },
    "internal-src-address": "10.0.0.1/32",
    "internal-src-port": { "start-port-number": 80 },
    "external-src-address": "192.0.2.1/32",
    "external-src-port": { "start-port-number": 8080 },
    ...change,
  };
  const instance = { id: 1, policy: [], "mapping-table": { "mapping-entry": [entry] } };
  const data = { "ietf-nat:nat": { instances: { instance: [instance] } } };
  const result = parseNatConfig(data, CONTEXT);
  expect(result.ok ? "" : result.error.path).toContain("mapping-entry[index='1']");
});
