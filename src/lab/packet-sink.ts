/**
 * Counts and drops UDP datagrams to one port at an endpoint's own interface: the end of a rate measurement.
 *
 * Effect: loads sink.bpf.o and attaches it to the interface's ingress; needs what endpoint-counter.ts needs.
 */
import { assert } from "../lib/base/assert.ts";
import { BpfObject } from "../lib/bpf/bpf-object.ts";
import { findInterface, inNetworkNamespace } from "../lib/bpf/network-namespace.ts";
import { findBpfObject } from "../lib/bpf/object-file.ts";
import { attachTc, detachTc, type TcPlace } from "../lib/bpf/tc-program.ts";

const TC_HANDLE = 0x1f30;
const TC_PRIORITY = 0x0f30;

export interface PacketSinkOptions {
  /** The endpoint's network namespace, such as /run/netns/NAME. */
  readonly netnsPath: string;
  readonly interfaceName: string;
  readonly port: number;
}

export class PacketSink {
  readonly #object: BpfObject;
  readonly #netnsPath: string;
  readonly #place: TcPlace;

  private constructor(object: BpfObject, netnsPath: string, place: TcPlace) {
    this.#object = object;
    this.#netnsPath = netnsPath;
    this.#place = place;
  }

  /** Drops from when it returns. */
  static attach(options: PacketSinkOptions): PacketSink {
    const object = BpfObject.load(findBpfObject("sink"), { entriesMax: {} });
    const port = Buffer.alloc(4);
    port.writeUInt32LE(options.port, 0);
    object.map("sink_port").update(Buffer.alloc(4), port);
    const place = inNetworkNamespace(options.netnsPath, () => {
      const ifindex = findInterface(options.interfaceName);
      const at: TcPlace = { ifindex, handle: TC_HANDLE, priority: TC_PRIORITY, point: "ingress" };
      attachTc(at, object.programFd("flowlift_sink"));
      return at;
    });
    return new PacketSink(object, options.netnsPath, place);
  }

  /** Datagrams dropped so far. */
  read(): bigint {
    const value = this.#object.map("sink_packets").lookup(Buffer.alloc(4));
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
