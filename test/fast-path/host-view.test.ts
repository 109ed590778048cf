import { expect, test } from "vitest";
import type { FastPathPort, NeighbourLocation } from "../../src/fast-path/driver.ts";
import type { HostNetwork, HostNetworkEvent } from "../../src/fast-path/host-network.ts";
import { HostView, type LinkUser } from "../../src/fast-path/host-view.ts";
import type { Link } from "../../src/lib/netlink/route-messages.ts";
import { mac } from "./frames.ts";

const A = mac("02:00:00:00:00:0a");
const PORT: FastPathPort = { portId: 4, interfaceName: "p4", segmentId: 9, isVmPort: false };

class FakeNetwork implements HostNetwork {
  present: HostNetworkEvent[] = [];
  onEvents: (events: readonly HostNetworkEvent[]) => void = () => {};
  listings = 0;

  async list(): Promise<readonly HostNetworkEvent[]> {
    this.listings++;
    return this.present;
  }
  close(): void {}
}

/** Binds by name and says what it lost, as the real one does. */
class FakeBinding implements LinkUser {
  ports: readonly FastPathPort[] = [];
  links: ReadonlyMap<string, Link> = new Map();
  bound = new Map<number, number>();

  setPorts(ports: readonly FastPathPort[]): readonly number[] {
    this.ports = ports;
    return this.#refresh();
  }
  setLinks(links: ReadonlyMap<string, Link>): readonly number[] {
    this.links = links;
    return this.#refresh();
  }
  portAt(ifindex: number): FastPathPort | undefined {
    return this.ports.find(({ portId }) => this.bound.get(portId) === ifindex);
  }
  #refresh(): readonly number[] {
    const next = new Map<number, number>();
    for (const { portId, interfaceName } of this.ports) {
      const link = this.links.get(interfaceName);
      if (link !== undefined) next.set(portId, link.index);
    }
    const lost = [...this.bound].filter(([id, index]) => next.get(id) !== index).map(([id]) => id);
    this.bound = next;
    return lost;
  }
}

const link = (index: number): HostNetworkEvent => ({
  kind: "link",
  link: { index, name: "p4", mtuBytes: 1500, up: true },
});
const seen = (ifindex: number): HostNetworkEvent => ({ kind: "seen", ifindex, mac: A });

async function makeView(): Promise<{
  network: FakeNetwork;
  view: HostView;
  told: NeighbourLocation[];
}> {
  const network = new FakeNetwork();
  const told: NeighbourLocation[] = [];
  const view = new HostView(network, new FakeBinding(), (location) => told.push(location));
  network.present = [link(30), seen(30)];
  await view.configure([PORT]);
  return { network, view, told };
}

test("configure() finds addresses that were seen before the ports were known", async () => {
  const { told } = await makeView();
  expect(told).toEqual([{ segmentId: 9, mac: A, portId: 4 }]);
});

test("an interface that is made anew loses its addresses and learns again by its new index", async () => {
  const { network, told, view } = await makeView();
  network.onEvents([{ kind: "link-gone", ifindex: 30 }]);
  expect(told.at(-1)).toEqual({ segmentId: 9, mac: A, portId: undefined });
  network.onEvents([seen(31)]);
  expect(view.listNeighbours()).toEqual([]);
  network.onEvents([seen(31), link(31)]);
  expect(told.at(-1)).toEqual({ segmentId: 9, mac: A, portId: 4 });
});

test("lost events lead to one new look at everything", async () => {
  const { network, told } = await makeView();
  const before = network.listings;
  network.present = [];
  network.onEvents([{ kind: "overrun" }]);
  await new Promise((resolve) => setImmediate(resolve));
  expect(network.listings).toBe(before + 1);
  expect(told.at(-1)?.portId).toBeUndefined();
});

test("what happens during a look at everything is applied after it", async () => {
  const { network, told, view } = await makeView();
  const old = network.present;
  let answer: (events: readonly HostNetworkEvent[]) => void = () => {};
  network.list = () =>
    new Promise((resolve) => {
      answer = resolve;
    });
  const refreshed = view.refresh();
  network.onEvents([{ kind: "link-gone", ifindex: 30 }, link(31)]);
  expect(told).toHaveLength(1);
  answer(old);
  await refreshed;
  expect(told.at(-1)?.portId).toBeUndefined();
  network.onEvents([seen(31)]);
  expect(told.at(-1)?.portId).toBe(4);
});

test("a look that fails is reported", async () => {
  const { network, view } = await makeView();
  const failures: unknown[] = [];
  view.onFailure = (error) => failures.push(error);
  network.list = () => Promise.reject(new Error("netlink is gone"));
  network.onEvents([{ kind: "overrun" }]);
  await new Promise((resolve) => setImmediate(resolve));
  expect(failures).toHaveLength(1);
});
