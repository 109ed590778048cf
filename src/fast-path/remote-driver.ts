/**
 * A driver in another process, reached through the agent's Unix socket.
 *
 * Effect: one connection. When it ends, `onLost` is called once and every call rejects; the caller connects
 * again by `connectRemoteDriver` and learns by `listFlows` what the agent still holds.
 */
import { connect } from "node:net";
import { FlowliftError } from "../lib/base/errors.ts";
import {
  AgentLink,
  decodeJson,
  encodeJson,
  FRAME_CALL,
  FRAME_INSTALL,
  FRAME_READ_COUNTERS,
  FRAME_WITHDRAW,
} from "./agent-link.ts";
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
  decodeCounters,
  decodeRefusals,
  decodeTotals,
  decodeWithdrawals,
  encodeHandles,
  type TotalsJson,
} from "./driver-codec.ts";
import { installBy } from "./install-by.ts";
import { unpackFlows } from "./packed-flows.ts";
import type { Topology } from "./topology.ts";

/** JSON leaves out `undefined`. */
type NeighbourJson = Omit<NeighbourLocation, "portId"> & { readonly portId?: number };

class RemoteDriver implements FastPathDriver {
  onNeighbour: (location: NeighbourLocation) => void = () => {};
  onLost: () => void = () => {};
  readonly #peer: AgentLink;
  #isClosing = false;

  constructor(peer: AgentLink) {
    this.#peer = peer;
    peer.onEvent = (body) => this.#receive(body);
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
    return await installBy(flows, async (packed) =>
      decodeRefusals(await this.#peer.call(FRAME_INSTALL, packed)),
    );
  }

  async withdraw(handles: readonly FlowHandle[]): Promise<readonly WithdrawOutcome[]> {
    return decodeWithdrawals(await this.#peer.call(FRAME_WITHDRAW, encodeHandles(handles)));
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
    return decodeCounters(await this.#peer.call(FRAME_READ_COUNTERS, encodeHandles(handles)));
  }

  async totals(): Promise<DriverTotals> {
    return decodeTotals(await this.#call<TotalsJson>("totals", {}));
  }

  async listFlows(): Promise<readonly FastPathFlow[]> {
    return unpackFlows(await this.#peer.call(FRAME_CALL, encodeJson({ method: "listFlows" })));
  }

  async listNeighbours(): Promise<readonly NeighbourLocation[]> {
    const locations = await this.#call<readonly NeighbourJson[]>("listNeighbours", {});
    return locations.map(decodeLocation);
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    this.#peer.close();
  }

  async #call<T>(method: string, params: unknown): Promise<T> {
    return decodeJson(await this.#peer.call(FRAME_CALL, encodeJson({ method, params }))) as T;
  }

  #receive(body: Buffer): void {
    const { event, params } = decodeJson(body) as { event: string; params: unknown };
    if (event === "neighbour") this.onNeighbour(decodeLocation(params as NeighbourJson));
    // The agent lives, but its view of the host is lost: begin again with a new one.
    else if (event === "lost") this.#peer.close();
  }
}

function decodeLocation(json: NeighbourJson): NeighbourLocation {
  return { segmentId: json.segmentId, mac: json.mac, portId: json.portId };
}

/** Connects to an agent. Throws LOCAL_RPC_CLOSED when none listens. */
export function connectRemoteDriver(socketPath: string): Promise<FastPathDriver> {
  return new Promise((resolve, reject) => {
    const socket = connect(socketPath);
    socket.once("error", (cause) => {
      const text = `Cannot connect to "${socketPath}"`;
      reject(new FlowliftError("LOCAL_RPC_CLOSED", text, { cause }));
    });
    socket.once("connect", () => {
      socket.removeAllListeners("error");
      resolve(new RemoteDriver(new AgentLink(socket)));
    });
  });
}
