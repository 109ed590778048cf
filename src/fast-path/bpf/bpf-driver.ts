/**
 * The driver of the BPF fast path: flows in maps, programs at the host's ports.
 *
 * Effect: bpf(2), tc, rtnetlink of the process's namespace; needs CAP_BPF and CAP_NET_ADMIN. Maps are pinned,
 * so that packets are forwarded (within their leases) while no agent runs, and adopted by the next one.
 * Invariant: an index is free again only after a grace period without its key, its counters read.
 */
import { describeError } from "../../lib/base/errors.ts";
import { type Log, SILENT_LOG } from "../../lib/base/log.ts";
import { BpfObject } from "../../lib/bpf/bpf-object.ts";
import { waitForGracePeriod } from "../../lib/bpf/membarrier.ts";
import type {
  DriverCapabilities,
  DriverTotals,
  FastPathDriver,
  FastPathFlow,
  FlowHandle,
  InstallOutcome,
  InstallRefusal,
  NeighbourLocation,
  WithdrawOutcome,
} from "../driver.ts";
import { DRIVER_LIMITS_DEFAULT, type DriverLimits, FULL_CAPABILITIES } from "../flow-registry.ts";
import type { HostNetwork } from "../host-network.ts";
import { HostView } from "../host-view.ts";
import { installBy } from "../install-by.ts";
import { checkTopology, requireSlot, type Topology } from "../topology.ts";
import { type FlowCountersOfHandle, FlowProgrammer } from "./flow-programmer.ts";
import { FLOW_LAYOUT_VERSION } from "./layout.ts";
import { PortBinding } from "./port-binding.ts";
import { SlotMaps } from "./slot-maps.ts";

export interface BpfDriverOptions {
  readonly objectFile: string;
  /** An existing directory of a bpffs; absent: everything ends with the process. */
  readonly pinDirectory?: string;
  readonly limits?: Partial<DriverLimits>;
  readonly network: HostNetwork;
  readonly log?: Log;
}

export class BpfDriver implements FastPathDriver {
  onNeighbour: (location: NeighbourLocation) => void = () => {};
  onLost: () => void = () => {};
  readonly #limits: DriverLimits;
  readonly #object: BpfObject;
  readonly #flows: FlowProgrammer;
  readonly #slots: SlotMaps;
  readonly #view: HostView;
  readonly #binding: PortBinding;

  private constructor(object: BpfObject, limits: DriverLimits, network: HostNetwork, log: Log) {
    this.#limits = limits;
    this.#object = object;
    this.#flows = new FlowProgrammer(object, limits, waitForGracePeriod);
    this.#slots = new SlotMaps(object);
    this.#binding = new PortBinding(object);
    this.#view = new HostView(network, this.#binding, (location) => this.onNeighbour(location));
    this.#binding.onProblem = ({ interfaceName }, error) =>
      log.warn("a port is left to the VM", { interfaceName, problem: describeError(error) });
    this.#view.onFailure = (error) => {
      log.error("the host cannot be watched any more", { problem: describeError(error) });
      this.onLost();
    };
  }

  /** Loads the program, adopting what an earlier agent pinned when its layout is the same. */
  static async open(options: BpfDriverOptions): Promise<BpfDriver> {
    const limits = { ...DRIVER_LIMITS_DEFAULT, ...options.limits };
    const object = loadObject(options, limits);
    const driver = new BpfDriver(object, limits, options.network, options.log ?? SILENT_LOG);
    try {
      if (object.isAdopted) driver.#binding.adopt();
      await driver.#view.refresh();
      if (object.isAdopted) driver.#flows.adopt(process.hrtime.bigint());
      else PortBinding.detachStrays(driver.#view.listLinks());
    } catch (error) {
      await driver.close();
      throw error;
    }
    return driver;
  }

  /** Whether maps of an earlier agent were taken over. */
  get isAdopted(): boolean {
    return this.#object.isAdopted;
  }

  /** The loaded program, for dry runs. */
  get programFd(): number {
    return this.#object.programFd("flowlift_flow");
  }

  async capabilities(): Promise<DriverCapabilities> {
    return { ...FULL_CAPABILITIES, name: "bpf", flowsMax: this.#limits.flowsMax };
  }

  async configure(topology: Topology): Promise<void> {
    checkTopology(topology, this.#limits);
    this.#slots.setVnics(topology.vnics);
    await this.#view.configure(topology.ports);
  }

  async setSlot(vmSlot: number, generation: number, leaseMs: number): Promise<void> {
    requireSlot(vmSlot, this.#limits);
    this.#slots.set(vmSlot, generation, leaseMs, process.hrtime.bigint());
  }

  async install(flows: readonly FastPathFlow[]): Promise<readonly InstallOutcome[]> {
    return installBy(flows, (packed) => this.installPacked(packed));
  }

  installPacked(packed: Buffer): readonly InstallRefusal[] {
    return this.#flows.install(packed, process.hrtime.bigint());
  }

  withdraw(handles: readonly FlowHandle[]): Promise<readonly WithdrawOutcome[]> {
    return this.#flows.withdraw(handles);
  }

  update(
    handle: FlowHandle,
    direction: "original" | "reply",
    change: Parameters<FastPathDriver["update"]>[2],
  ): Promise<void> {
    return this.#flows.update(handle, direction, change);
  }

  async readCounters(
    handles: readonly FlowHandle[] | "all",
  ): Promise<readonly FlowCountersOfHandle[]> {
    return this.#flows.readCounters(handles, process.hrtime.bigint());
  }

  async totals(): Promise<DriverTotals> {
    return this.readTotals();
  }

  /** The same at once. */
  readTotals(): DriverTotals {
    return { flows: this.#flows.count, ...this.#slots.readTotals() };
  }

  async listFlows(): Promise<readonly FastPathFlow[]> {
    return this.#flows.listFlows();
  }

  async listNeighbours(): Promise<readonly NeighbourLocation[]> {
    return this.#view.listNeighbours();
  }

  /** Lets go; attached programs and pinned maps stay. */
  async close(): Promise<void> {
    this.#view.close();
    await this.#flows.close();
    this.#object.close();
  }

  /** Takes the programs off the ports, for a host that leaves the service. */
  detachPrograms(): void {
    this.#binding.unbindAll();
  }
}

function loadObject(options: BpfDriverOptions, limits: DriverLimits): BpfObject {
  const entries = 2 * limits.flowsMax;
  const load = (): BpfObject =>
    BpfObject.load(options.objectFile, {
      ...(options.pinDirectory === undefined ? {} : { pinDirectory: options.pinDirectory }),
      entriesMax: {
        flow_ingresses: limits.portsMax,
        flow_egresses: limits.portsMax + 1,
        flow_vnics: limits.vnicsMax,
        flow_slots: limits.slotsMax,
        flow_slot_totals: limits.slotsMax,
        flow_keys: entries,
        flow_states: entries,
        flow_actions: entries,
        flow_totals: entries,
      },
    });
  let object = load();
  if (object.isAdopted && SlotMaps.readLayoutVersion(object) !== FLOW_LAYOUT_VERSION) {
    object.close();
    object = BpfObject.replacePins(load, options.pinDirectory);
  }
  if (!object.isAdopted) SlotMaps.writeLayoutVersion(object, FLOW_LAYOUT_VERSION);
  return object;
}
