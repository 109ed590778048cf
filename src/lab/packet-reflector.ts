/**
 * Both ends of a measurement of new flows: sends UDP datagrams back, or counts the answers and ends them,
 * at an endpoint's own interface and without a socket.
 *
 * Effect: loads reflect.bpf.o and attaches one of its programs; needs what endpoint-counter.ts needs.
 */
import { assert } from "../lib/base/assert.ts";
import { BpfObject } from "../lib/bpf/bpf-object.ts";
import { findInterface, inNetworkNamespace } from "../lib/bpf/network-namespace.ts";
import { findBpfObject } from "../lib/bpf/object-file.ts";
import { attachTc, detachTc, type TcPlace } from "../lib/bpf/tc-program.ts";

const TC_HANDLE = 0x1f31;
const TC_PRIORITY = 0x0f31;

export interface PacketReflectorOptions {
  /** `reflect`: what comes to these ports goes back. `absorb`: what comes from these ports ends here. */
  readonly role: "reflect" | "absorb";
  /** The endpoint's network namespace, such as /run/netns/NAME. */
  readonly netnsPath: string;
  readonly interfaceName: string;
  readonly firstPort: number;
  readonly lastPort: number;
}

export class PacketReflector {
  readonly #object: BpfObject;
  readonly #netnsPath: string;
  readonly #place: TcPlace;

  private constructor(object: BpfObject, netnsPath: string, place: TcPlace) {
    this.#object = object;
    this.#netnsPath = netnsPath;
    this.#place = place;
  }

  /** Works from when it returns. */
  static attach(options: PacketReflectorOptions): PacketReflector {
    assert(options.firstPort <= options.lastPort, "ports are a range");
    const object = BpfObject.load(findBpfObject("reflect"), { entriesMax: {} });
    const ports = object.map("reflect_ports");
    ports.update(wordOf(0), wordOf(options.firstPort));
    ports.update(wordOf(1), wordOf(options.lastPort));
    const place = inNetworkNamespace(options.netnsPath, () => {
      const ifindex = findInterface(options.interfaceName);
      const at: TcPlace = { ifindex, handle: TC_HANDLE, priority: TC_PRIORITY, point: "ingress" };
      attachTc(at, object.programFd(`flowlift_${options.role}`));
      return at;
    });
    return new PacketReflector(object, options.netnsPath, place);
  }

  /** Datagrams sent back, or ended, so far. */
  read(): bigint {
    const value = this.#object.map("reflect_packets").lookup(wordOf(0));
    assert(value !== undefined, "an array has every element");
    const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    let packets = 0n;
    for (let at = 0; at < bytes.length; at += 8) packets += bytes.readBigUInt64LE(at);
    return packets;
  }

  detach(): void {
    inNetworkNamespace(this.#netnsPath, () => detachTc(this.#place));
    this.#object.close();
  }
}

function wordOf(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value, 0);
  return bytes;
}
