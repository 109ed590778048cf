/**
 * Counts at an endpoint's own interface what it exchanges with given MAC addresses (a VM's vNICs).
 *
 * Effect: loads count.bpf.o, attaches it to the interface's ingress and egress; needs CAP_BPF, CAP_NET_ADMIN
 * and CAP_SYS_ADMIN (to enter the namespace). Wire packets and layer-3 bytes of IPv4 and IPv6 frames;
 * segmented frames are taken apart. Independent of the fast path that it judges.
 * Limit: ENDPOINT_MACS_MAX addresses for each counter.
 */
import { existsSync } from "node:fs";
import { assert } from "../lib/base/assert.ts";
import { BpfObject } from "../lib/bpf/bpf-object.ts";
import { findInterface, inNetworkNamespace } from "../lib/bpf/network-namespace.ts";
import { findBpfObject } from "../lib/bpf/object-file.ts";
import { attachTc, detachTc, type TcPlace } from "../lib/bpf/tc-program.ts";
import { type MacAddress, macToBytes } from "../lib/inet/address.ts";

/** count.bpf.c has room for as many. */
export const ENDPOINT_MACS_MAX = 64;

const TC_HANDLE = 0x1f20;
const TC_PRIORITY = 0x0f20;
const TALLY_BYTES = 16;

export interface Tally {
  readonly packets: bigint;
  readonly bytes: bigint;
}

export interface EndpointCounts {
  /** From one of the MAC addresses. */
  readonly received: Tally;
  /** To one of them. */
  readonly sent: Tally;
}

export interface EndpointCounterOptions {
  /** The endpoint's network namespace, such as /run/netns/NAME. */
  readonly netnsPath: string;
  readonly interfaceName: string;
  readonly macs: readonly MacAddress[];
  /** The interface is a VM's tap: counted is what the vNIC of this address behind it exchanges. */
  readonly behindTap?: MacAddress;
  /** Absent: the one that was built. */
  readonly objectFile?: string;
}

export class EndpointCounter {
  readonly #object: BpfObject;
  readonly #netnsPath: string;
  readonly #places: readonly TcPlace[];

  private constructor(object: BpfObject, netnsPath: string, places: readonly TcPlace[]) {
    this.#object = object;
    this.#netnsPath = netnsPath;
    this.#places = places;
  }

  /** Counts from when it returns. */
  static attach(options: EndpointCounterOptions): EndpointCounter {
    assert(options.macs.length <= ENDPOINT_MACS_MAX, "addresses stay within their bound");
    const object = BpfObject.load(options.objectFile ?? findBpfObject("count"), { entriesMax: {} });
    for (const mac of options.macs) addMac(object, "count_macs", mac);
    const { behindTap } = options;
    if (behindTap !== undefined) addMac(object, "count_own", behindTap);
    const programs =
      behindTap === undefined
        ? { ingress: "flowlift_count_received", egress: "flowlift_count_sent" }
        : { ingress: "flowlift_count_tap_ingress", egress: "flowlift_count_tap_egress" };
    const places = inNetworkNamespace(options.netnsPath, () => {
      const ifindex = findInterface(options.interfaceName);
      const place = { ifindex, handle: TC_HANDLE, priority: TC_PRIORITY };
      const ingress: TcPlace = { ...place, point: "ingress" };
      const egress: TcPlace = { ...place, point: "egress" };
      attachTc(ingress, object.programFd(programs.ingress));
      attachTc(egress, object.programFd(programs.egress));
      return [ingress, egress];
    });
    return new EndpointCounter(object, options.netnsPath, places);
  }

  read(): EndpointCounts {
    return { received: this.#readTally(0), sent: this.#readTally(1) };
  }

  /** Stops counting. A namespace that is gone took its programs with it. */
  detach(): void {
    try {
      if (!existsSync(this.#netnsPath)) return;
      inNetworkNamespace(this.#netnsPath, () => {
        for (const place of this.#places) detachTc(place);
      });
    } finally {
      this.#object.close();
    }
  }

  #readTally(index: number): Tally {
    const key = Buffer.alloc(4);
    key.writeUInt32LE(index, 0);
    const value = this.#object.map("count_tallies").lookup(key);
    assert(value !== undefined, "an array has every element");
    const bytes = Buffer.from(value.buffer);
    let packets = 0n;
    let total = 0n;
    for (let at = 0; at < bytes.length; at += TALLY_BYTES) {
      packets += bytes.readBigUInt64LE(at);
      total += bytes.readBigUInt64LE(at + 8);
    }
    return { packets, bytes: total };
  }
}

function addMac(object: BpfObject, map: string, mac: MacAddress): void {
  const key = Buffer.alloc(8);
  key.set(macToBytes(mac), 0);
  object.map(map).update(key, Buffer.alloc(4));
}
