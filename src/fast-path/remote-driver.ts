/**
 * A driver in another process, reached through the agent's Unix socket.
 *
 * Effect: one connection. When it ends, `onLost` is called once and every call rejects; the caller connects
 * again by `connectRemoteDriver` and learns by `listFlows` what the agent still holds.
 */
import { connectLocalRpc, type LocalRpcPeer } from "../lib/base/local-rpc.ts";
import type {
  DriverCapabilities,
  DriverTotals,
  FastPathDriver,
  FastPathFlow,
  FlowHandle,
  InstallOutcome,
  NeighbourLocation,
  WithdrawOutcome,
} from "./driver.ts";
import {
  type CountersOfJson,
  decodeCountersOf,
  decodeTotals,
  decodeWithdrawOutcome,
  type TotalsJson,
  type WithdrawJson,
} from "./driver-codec.ts";
import {
  decodeFlows,
  decodeRefusals,
  encodeFlows,
  type FlowsJson,
  type RefusalsJson,
} from "./flow-codec.ts";
import type { Topology } from "./topology.ts";

/** JSON leaves out `undefined`. */
type NeighbourJson = Omit<NeighbourLocation, "portId"> & { readonly portId?: number };

class RemoteDriver implements FastPathDriver {
  onNeighbour: (location: NeighbourLocation) => void = () => {};
  onLost: () => void = () => {};
  readonly #peer: LocalRpcPeer;
  #isClosing = false;

  constructor(peer: LocalRpcPeer) {
    this.#peer = peer;
    peer.onEvent = (name, params) => this.#receive(name, params);
    peer.onClose = () => {
      if (!this.#isClosing) this.onLost();
    };
  }

  capabilities(): Promise<DriverCapabilities> {
    return this.#call("capabilities", {});
  }

  async configure(topology: Topology): Promise<void> {
    await this.#call("configure", topology);
  }

  async setSlot(vmSlot: number, generation: number, leaseMs: number): Promise<void> {
    await this.#call("setSlot", { vmSlot, generation, leaseMs });
  }

  async install(flows: readonly FastPathFlow[]): Promise<readonly InstallOutcome[]> {
    const refusals = await this.#call<RefusalsJson>("install", encodeFlows(flows));
    return decodeRefusals(flows, refusals);
  }

  async withdraw(handles: readonly FlowHandle[]): Promise<readonly WithdrawOutcome[]> {
    const outcomes = await this.#call<readonly WithdrawJson[]>("withdraw", handles);
    return outcomes.map(decodeWithdrawOutcome);
  }

  async update(
    handle: FlowHandle,
    direction: "original" | "reply",
    change: Parameters<FastPathDriver["update"]>[2],
  ): Promise<void> {
    await this.#call("update", { handle, direction, change });
  }

  async readCounters(
    handles: readonly FlowHandle[] | "all",
  ): ReturnType<FastPathDriver["readCounters"]> {
    const counters = await this.#call<readonly CountersOfJson[]>("readCounters", handles);
    return counters.map(decodeCountersOf);
  }

  async totals(): Promise<DriverTotals> {
    return decodeTotals(await this.#call<TotalsJson>("totals", {}));
  }

  async listFlows(): Promise<readonly FastPathFlow[]> {
    return decodeFlows(await this.#call<FlowsJson>("listFlows", {}));
  }

  async listNeighbours(): Promise<readonly NeighbourLocation[]> {
    const locations = await this.#call<readonly NeighbourJson[]>("listNeighbours", {});
    return locations.map(decodeLocation);
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    this.#peer.close();
  }

  #call<T>(method: string, params: unknown): Promise<T> {
    return this.#peer.call(method, params) as Promise<T>;
  }

  #receive(name: string, params: unknown): void {
    if (name === "neighbour") this.onNeighbour(decodeLocation(params as NeighbourJson));
    // The agent lives, but its view of the host is lost: begin again with a new one.
    else if (name === "lost") this.#peer.close();
  }
}

function decodeLocation(json: NeighbourJson): NeighbourLocation {
  return { segmentId: json.segmentId, mac: json.mac, portId: json.portId };
}

/** Connects to an agent. Throws LOCAL_RPC_CLOSED when none listens. */
export async function connectRemoteDriver(socketPath: string): Promise<FastPathDriver> {
  return new RemoteDriver(await connectLocalRpc(socketPath, {}));
}
