/** Several steps that hold together, on a kernel that fails when it is told to. */
import { expect, test } from "vitest";
import { createLog } from "../../src/lib/base/log.ts";
import type { IpAddress, MacAddress } from "../../src/lib/inet/address.ts";
import type { NetworkSnapshot } from "../../src/lib/netlink/network-snapshot.ts";
import { type NetworkConfig, parseNetworkConfig } from "../../src/network/config.ts";
import { Network, type NetworkKernel, PASSES_MAX } from "../../src/network/network.ts";
import type { NetworkOperation } from "../../src/network/operation.ts";

/** Addresses of one interface; `fails` refuses, `forgets` takes a step and does not keep it. */
class FakeKernel implements NetworkKernel {
  addresses: string[] = [];
  reads = 0;
  steps: string[] = [];
  fails: (operation: NetworkOperation) => boolean = () => false;
  forgetsUntilRead = 0;

  async read(): Promise<NetworkSnapshot> {
    this.reads++;
    const mac = "02:00:00:00:00:01" as MacAddress;
    const link = { index: 2, name: "lan", mac, mtuBytes: 1500, up: true, enabled: true };
    const addresses = this.addresses.map((address) => ({
      ...{ linkIndex: 2, address: address as IpAddress, lengthBits: 24 },
      ...{ scope: 0, permanent: true },
    }));
    return { links: [link], addresses, routes: [], neighbours: [] };
  }

  async carryOut(operation: NetworkOperation): Promise<void> {
    if (this.fails(operation)) throw new Error("the kernel says no");
    this.steps.push(operation.kind);
    if (operation.kind === "delete-address") {
      this.addresses = this.addresses.filter((one) => one !== operation.address);
    } else if (operation.kind === "add-address" && this.reads >= this.forgetsUntilRead) {
      this.addresses = [...this.addresses, operation.address];
    }
  }
}

function wanting(...ips: string[]): NetworkConfig {
  const address = ips.map((ip) => ({ ip, "prefix-length": 24 }));
  const lan = { name: "lan", type: "iana-if-type:ethernetCsmacd", "ietf-ip:ipv4": { address } };
  const result = parseNetworkConfig({ "ietf-interfaces:interfaces": { interface: [lan] } });
  if (!result.ok) throw new Error(result.error.message);
  return result.value;
}

const LOG = createLog("test", "error");

test("a refused step takes back those before it, also addresses that nobody had configured", async () => {
  const kernel = new FakeKernel();
  kernel.addresses = ["10.0.0.9"];
  kernel.fails = (operation) =>
    operation.kind === "add-address" && operation.address === "10.0.0.2";
  const network = new Network(kernel, LOG);
  await expect(network.apply(wanting("10.0.0.1", "10.0.0.2"))).rejects.toMatchObject({
    code: "NETWORK_APPLY_FAILED",
    message: 'Cannot add address 10.0.0.2/24 of "lan": the kernel says no',
  });
  expect(kernel.addresses).toEqual(["10.0.0.9"]);
  expect(network.config.interfaces).toEqual([]);
});

test("what apply returns restores the network before it", async () => {
  const kernel = new FakeKernel();
  kernel.addresses = ["10.0.0.9"];
  const network = new Network(kernel, LOG);
  const takeBack = await network.apply(wanting("10.0.0.1"));
  expect(kernel.addresses).toEqual(["10.0.0.1"]);
  await takeBack();
  expect(kernel.addresses).toEqual(["10.0.0.9"]);
  expect(await network.readDrift()).toEqual([]);
});

test.each([
  [PASSES_MAX - 1, true],
  [PASSES_MAX, true],
  [PASSES_MAX + 1, false],
])("a kernel that keeps a step in pass %i: applied %s", async (pass, holds) => {
  const kernel = new FakeKernel();
  kernel.forgetsUntilRead = pass;
  const network = new Network(kernel, LOG);
  const applied = network.apply(wanting("10.0.0.1"));
  if (holds) {
    await applied;
    expect(kernel.addresses).toEqual(["10.0.0.1"]);
  } else await expect(applied).rejects.toThrow("The kernel does not keep it");
});

test("repairing changes what drifted, and nothing when nothing did", async () => {
  const kernel = new FakeKernel();
  const network = new Network(kernel, LOG);
  await network.apply(wanting("10.0.0.1"));
  expect(await network.repair()).toEqual([]);
  kernel.addresses = ["10.0.0.7"];
  expect(await network.repair()).toEqual([
    'delete address 10.0.0.7/24 of "lan"',
    'add address 10.0.0.1/24 of "lan"',
  ]);
  expect(kernel.addresses).toEqual(["10.0.0.1"]);
});
