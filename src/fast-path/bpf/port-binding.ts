/**
 * Binds the configured ports to the interfaces that carry their names now.
 *
 * Effect: attaches and detaches programs, writes the ingress and egress maps. Ports are known by id, because
 * an interface that is made anew has another index: what it had been is forgotten at once.
 * Invariant: the ingress map names only interfaces that exist; a port that is gone or down has egress 0, so
 * that its packets go to the VM.
 */
import type { BpfMap } from "../../lib/bpf/bpf-map.ts";
import type { BpfObject } from "../../lib/bpf/bpf-object.ts";
import { BpfError } from "../../lib/bpf/libbpf.ts";
import { attachTc, detachTc, queryTc, type TcPlace } from "../../lib/bpf/tc-program.ts";
import type { Link } from "../../lib/netlink/route-messages.ts";
import type { FastPathPort } from "../driver.ts";
import { encodeEgress, encodeIndex, encodeIngress } from "./layout.ts";

/** The filter's place is our signature: what stands there is ours to replace. */
export const TC_HANDLE = 0x1f10;
export const TC_PRIORITY = 0x0f10;

interface Binding {
  readonly port: FastPathPort;
  readonly ifindex: number;
  readonly up: boolean;
  readonly hasForeignPeer: boolean;
  /** Our program (not an earlier agent's) is attached, or none is wanted. */
  readonly isProgrammed: boolean;
}

/** Returns the place of our filter at an interface. */
export function placeAt(ifindex: number): TcPlace {
  return { ifindex, point: "ingress", handle: TC_HANDLE, priority: TC_PRIORITY };
}

/** A veth whose other end is in another namespace: frames can enter there without its queue. */
function hasForeignPeer(link: Link): boolean {
  return link.kind === "veth" && link.lowerNamespace !== undefined;
}

export class PortBinding {
  /** A port could not be bound or unbound; its packets go to the VM. */
  onProblem: (port: FastPathPort, error: BpfError) => void = () => {};
  readonly #ingresses: BpfMap;
  readonly #egresses: BpfMap;
  readonly #programFd: number;
  readonly #bound = new Map<number, Binding>();
  readonly #byIfindex = new Map<number, FastPathPort>();
  /** Undefined until the first configuration: adopted bindings stay until then. */
  #ports: readonly FastPathPort[] | undefined;
  #links: ReadonlyMap<string, Link> = new Map();

  constructor(object: BpfObject) {
    this.#ingresses = object.map("flow_ingresses");
    this.#egresses = object.map("flow_egresses");
    this.#programFd = object.programFd("flowlift_flow");
  }

  /** Detaches programs that an agent before us left and whose maps are lost. */
  static detachStrays(links: Iterable<Link>): number {
    let count = 0;
    for (const { index } of links) {
      if (queryTc(placeAt(index)) !== undefined && detachTc(placeAt(index))) count++;
    }
    return count;
  }

  /** Takes over what the adopted maps say; ports that the next configure does not name are unbound then. */
  adopt(): void {
    this.#ingresses.forEachBatch(({ count, keys, values }) => {
      const names = Buffer.from(keys.buffer);
      const ingresses = Buffer.from(values.buffer);
      for (let position = 0; position < count; position++) {
        const ifindex = names.readUInt32LE(4 * position);
        const portId = ingresses.readUInt32LE(12 * position);
        const segmentId = ingresses.readUInt32LE(12 * position + 4);
        const port = { portId, segmentId, interfaceName: "", isVmPort: false };
        this.#remember({ port, ifindex, up: false, hasForeignPeer: false, isProgrammed: false });
      }
      return true;
    });
  }

  /** Returns the ids of ports that are bound no longer, or to another interface. */
  setPorts(ports: readonly FastPathPort[]): readonly number[] {
    this.#ports = ports;
    return this.#refresh();
  }

  /** Returns the ids of ports whose interface vanished or was made anew. */
  setLinks(links: ReadonlyMap<string, Link>): readonly number[] {
    this.#links = links;
    return this.#refresh();
  }

  /** Returns the configured port at an interface. */
  portAt(ifindex: number): FastPathPort | undefined {
    return this.#byIfindex.get(ifindex);
  }

  unbindAll(): void {
    this.#ports = [];
    this.#refresh();
  }

  #refresh(): readonly number[] {
    if (this.#ports === undefined) return this.#dropVanished();
    const wanted = new Map<number, Binding>();
    for (const port of this.#ports) {
      const link = this.#links.get(port.interfaceName);
      if (link === undefined) continue;
      wanted.set(port.portId, {
        port,
        ifindex: link.index,
        up: link.up,
        hasForeignPeer: hasForeignPeer(link),
        isProgrammed: true,
      });
    }
    const lost: number[] = [];
    for (const [portId, binding] of this.#bound) {
      const next = wanted.get(portId);
      if (next?.ifindex === binding.ifindex) continue;
      lost.push(portId);
      this.#unbind(binding);
    }
    for (const binding of wanted.values()) {
      const before = this.#bound.get(binding.port.portId);
      if (before !== undefined && isSameBinding(before, binding)) continue;
      if (!this.#bind(binding, before)) lost.push(binding.port.portId);
    }
    return lost;
  }

  #dropVanished(): readonly number[] {
    const present = new Set(Array.from(this.#links.values(), ({ index }) => index));
    const gone = [...this.#bound.values()].filter(({ ifindex }) => !present.has(ifindex));
    for (const binding of gone) this.#unbind(binding);
    return gone.map(({ port }) => port.portId);
  }

  #remember(binding: Binding): void {
    this.#bound.set(binding.port.portId, binding);
    this.#byIfindex.set(binding.ifindex, binding.port);
  }

  #unbind(binding: Binding): void {
    this.#forget(binding);
    try {
      if (!binding.port.isVmPort) detachTc(placeAt(binding.ifindex));
    } catch (error) {
      // Without its entry in the ingress map the program touches nothing.
      if (!(error instanceof BpfError)) throw error;
      this.onProblem(binding.port, error);
    }
  }

  #forget(binding: Binding): void {
    this.#bound.delete(binding.port.portId);
    this.#byIfindex.delete(binding.ifindex);
    this.#egresses.update(encodeIndex(binding.port.portId), encodeEgress(0, false));
    this.#ingresses.destroy(encodeIndex(binding.ifindex));
  }

  /** Returns whether the port is bound now. */
  #bind(binding: Binding, before: Binding | undefined): boolean {
    const { port, ifindex } = binding;
    this.#remember(binding);
    const egress = encodeEgress(binding.up ? ifindex : 0, binding.hasForeignPeer);
    this.#egresses.update(encodeIndex(port.portId), egress);
    const ingress = encodeIngress(port.portId, port.segmentId, port.isVmPort);
    this.#ingresses.update(encodeIndex(ifindex), ingress);
    if (before?.isProgrammed === true && before.port.isVmPort === port.isVmPort) return true;
    try {
      // The VM's own port needs no program: what it sends never matches.
      if (port.isVmPort) detachTc(placeAt(ifindex));
      else attachTc(placeAt(ifindex), this.#programFd);
      return true;
    } catch (error) {
      // Events come late: the interface may be gone already. The next event or configuration tries again.
      if (!(error instanceof BpfError)) throw error;
      this.#forget(binding);
      this.onProblem(port, error);
      return false;
    }
  }
}

function isSameBinding(a: Binding, b: Binding): boolean {
  return (
    a.ifindex === b.ifindex &&
    a.up === b.up &&
    a.isProgrammed === b.isProgrammed &&
    a.hasForeignPeer === b.hasForeignPeer &&
    a.port.interfaceName === b.port.interfaceName &&
    a.port.segmentId === b.port.segmentId &&
    a.port.isVmPort === b.port.isVmPort
  );
}
