/**
 * The controller: hosts, virtual machines, their sessions, and what is written down of them.
 *
 * Effect: joins the cores with drivers, journal, audit trail and metrics. One thread, no locks.
 */
import type { FastPathDriver } from "../fast-path/driver.ts";
import type { Clock } from "../lib/base/clock.ts";
import type { Log } from "../lib/base/log.ts";
import type { FlowStatistic, OffloadReply } from "../offload-protocol/messages.ts";
import { adoptVm, snapshotEvents, snapshotFlows } from "./adopt.ts";
import { AuditTrail } from "./audit.ts";
import type { CoreEffect } from "./core-effect.ts";
import { Departures } from "./departures.ts";
import { HostCore } from "./host-core.ts";
import { HostDriver } from "./host-driver.ts";
import { Journal } from "./journal.ts";
import type { JournalledVm, JournalRecord } from "./journal-record.ts";
import { Ledger } from "./ledger.ts";
import { MessageValidator } from "./message-validator.ts";
import type { ControllerModel, Host } from "./model.ts";
import { changeHost, type ModelChange } from "./model-change.ts";
import { toHeldFlow } from "./vm-requests.ts";
import { VmSession, type VmTransport } from "./vm-session.ts";
import { VmState } from "./vm-state.ts";

export interface ControllerOptions {
  readonly model: ControllerModel;
  readonly clock: Clock;
  readonly log: Log;
  /** Absent: nothing survives the process. */
  readonly stateDirectory?: string;
  readonly statisticsIntervalMs: number;
  /** Whether sessions may be CBOR. Default: yes. */
  readonly offersCbor?: boolean;
  /** Every neighbour nobody has seen is taken to be behind the segment's first port. For mocks. */
  readonly assumesLocations?: boolean;
  readonly connectDriver: (host: Host) => Promise<FastPathDriver>;
}

interface HostEntry {
  readonly core: HostCore;
  readonly driver: HostDriver;
}

interface AttachedSession {
  readonly session: VmSession;
  readonly detach: () => void;
}

/** A VM's first sequence number when nothing is known: later than that of any earlier life. */
function firstSequence(): bigint {
  return BigInt(Date.now()) << 20n;
}

/** One controller. */
export class Controller {
  readonly ledger: Ledger;
  readonly validator: MessageValidator = new MessageValidator();
  /** Virtual machines that the configuration no longer has, until their flows are gone. */
  readonly departures: Departures = new Departures();
  readonly #options: ControllerOptions;
  #model: ControllerModel;
  readonly #hosts = new Map<string, HostEntry>();
  readonly #sessions = new Map<string, AttachedSession>();
  readonly #answers = new Map<number, (reply: OffloadReply) => void>();
  #token = 0;
  #netconfSessionId = 0;
  #journal: Journal | undefined;
  #journalled: ReadonlyMap<string, JournalledVm> = new Map();
  #isWorkScheduled = false;
  readonly #busyHosts = new Set<HostDriver>();
  readonly #busyVms = new Set<string>();

  private constructor(options: ControllerOptions) {
    this.#options = options;
    this.#model = options.model;
    const { stateDirectory, log, clock } = options;
    if (stateDirectory !== undefined) {
      const { journal, vms, tornRecords } = Journal.open(stateDirectory);
      this.#journal = journal;
      this.#journalled = vms;
      if (tornRecords > 0) log.warn("the journal has torn records", { records: tornRecords });
    }
    this.ledger = new Ledger(new AuditTrail(stateDirectory, clock.nowMs()), this.#journal, clock);
  }

  /** Takes back what the journal says, connects the drivers, and is then ready for sessions. */
  static async start(options: ControllerOptions): Promise<Controller> {
    const controller = new Controller(options);
    for (const host of options.model.hosts.values()) controller.#addHost(host);
    const strangers = [...controller.#journalled.keys()].some((key) => !options.model.vms.has(key));
    controller.#journalled = new Map(); // Taken back, or of nobody any more.
    if (strangers) controller.#compactJournal();
    await Promise.all([...controller.#hosts.values()].map(({ driver }) => driver.start()));
    return controller;
  }

  async close(): Promise<void> {
    for (const vmKey of [...this.#sessions.keys()]) this.#endSession(vmKey);
    await Promise.all([...this.#hosts.values()].map(({ driver }) => driver.close()));
    this.#journal?.close();
    this.ledger.audit.close();
    this.validator.close();
  }

  get model(): ControllerModel {
    return this.#model;
  }

  get sessionCount(): number {
    return [...this.#sessions.values()].filter(({ session }) => session.isOpen).length;
  }

  /** Every host with its core and driver. */
  listHosts(): readonly HostEntry[] {
    return [...this.#hosts.values()];
  }

  /** Returns a session for the VM's transport, or undefined when the VM is not placed on the host. */
  attach(
    host: string,
    vmKey: string,
    transport: VmTransport,
    detach: () => void,
  ): VmSession | undefined {
    const vm = this.#model.vms.get(vmKey);
    const entry = this.#hosts.get(host);
    const state = entry?.core.vms.get(vmKey);
    if (vm?.host !== host || entry === undefined || state === undefined) return undefined;
    this.#endSession(vmKey); // The newest transport counts.
    const session = new VmSession({
      core: entry.core,
      state,
      transport,
      validator: this.validator,
      clock: this.#options.clock,
      log: this.#options.log,
      netconfSessionId: ++this.#netconfSessionId,
      offersCbor: this.#options.offersCbor ?? true,
      drawToken: (answer) => {
        this.#answers.set(++this.#token, answer);
        return this.#token;
      },
      dropToken: (token) => void this.#answers.delete(token),
      onWork: () => this.#schedule(entry.driver, vmKey),
      onRequest: (kind) => this.ledger.metrics.requests.add({ operation: kind }),
      onRpcError: (error) => this.ledger.noteRpcError(vm, error),
    });
    this.#sessions.set(vmKey, { session, detach });
    return session;
  }

  /** The transport of a session is gone. */
  detach(vmKey: string, session: VmSession): void {
    session.close();
    if (this.#sessions.get(vmKey)?.session === session) this.#sessions.delete(vmKey);
  }

  /** Takes over another configuration; flows that it no longer allows are withdrawn. */
  async replaceModel(model: ControllerModel): Promise<void> {
    this.#model = model;
    const { clock } = this.#options;
    const change: ModelChange = {
      model,
      nowMs: clock.nowMs(),
      firstSequence,
      departures: this.departures,
      endSession: (vmKey) => this.#endSession(vmKey),
    };
    for (const [name, entry] of this.#hosts) {
      changeHost(entry.core, name, change);
      const host = model.hosts.get(name) ?? { ...entry.driver.host, ports: [], vms: [] };
      await entry.driver.reconfigure(host);
    }
    const added = [...model.hosts.values()].filter((host) => !this.#hosts.has(host.name));
    await Promise.all(added.map((host) => this.#addHost(host).driver.start()));
    await this.#settle();
  }

  /** Forgets virtual machines that left, and hosts without any; what was kept of them goes too. */
  async #settle(): Promise<void> {
    const gone = this.departures.settle();
    if (gone.length > 0) this.#compactJournal();
    for (const vmKey of gone) this.ledger.forgetVm(vmKey, this.#model.vms.keys());
    if (gone.length > 0)
      setImmediate(() => this.#hosts.forEach(({ driver }) => void driver.pump()));
    for (const [name, { core, driver }] of this.#hosts) {
      if (this.#model.hosts.has(name) || core.vms.size > 0) continue;
      this.#hosts.delete(name);
      await driver.close();
    }
  }

  #addHost(host: Host): HostEntry {
    const { clock, log, statisticsIntervalMs, connectDriver } = this.#options;
    const core = new HostCore(NO_DRIVER, this.#model.leaseMs);
    core.locations.assumesUnknown = this.#options.assumesLocations ?? false;
    core.locations.configure(host);
    const driver = new HostDriver(host, {
      core,
      connect: () => connectDriver(driver.host),
      clock,
      log,
      statisticsIntervalMs,
      onEffects: (effects) => this.#carryOut(effects),
      onCounters: () => this.#tellStatistics(core),
    });
    const entry = { core, driver };
    this.#hosts.set(host.name, entry);
    for (const vm of host.vms) {
      const known = this.#journalled.get(vm.key);
      const state = new VmState(vm, known?.nextSequence ?? firstSequence(), clock.nowMs());
      core.vms.set(vm.key, state);
      if (known === undefined) continue;
      const flows = adoptVm(core, state, host.ports, known, clock.nowMs());
      log.info("took back flows from the journal", { vm: vm.key, flows });
    }
    return entry;
  }

  #schedule(driver: HostDriver, vmKey: string): void {
    this.#busyHosts.add(driver);
    this.#busyVms.add(vmKey);
    if (this.#isWorkScheduled) return;
    this.#isWorkScheduled = true;
    setImmediate(() => {
      this.#isWorkScheduled = false;
      const hosts = [...this.#busyHosts];
      this.#busyHosts.clear();
      for (const host of hosts) host.pump();
      this.#flushSessions();
    });
  }

  /** Carries out effects; they are written down before anybody hears of them. */
  #carryOut(effects: readonly CoreEffect[]): void {
    this.ledger.take(effects);
    for (const effect of effects) {
      if (effect.kind === "event") this.#busyVms.add(effect.vmKey);
      if (effect.kind !== "reply") continue;
      const answer = this.#answers.get(effect.token);
      this.#answers.delete(effect.token);
      answer?.(effect.reply);
    }
    if (!this.#isWorkScheduled) this.#flushSessions();
    if (this.departures.isReady) void this.#settle();
    if (this.#journal?.isLong === true) this.#compactJournal();
  }

  #flushSessions(): void {
    for (const vmKey of this.#busyVms) this.#sessions.get(vmKey)?.session.flush();
    this.#busyVms.clear();
  }

  #tellStatistics(core: HostCore): void {
    const nowMs = this.#options.clock.nowMs();
    const byVm = new Map<string, FlowStatistic[]>();
    for (const record of core.takeMoved()) {
      if (record.phase.kind === "closed") continue;
      const list = byVm.get(record.vmKey) ?? [];
      byVm.set(record.vmKey, list);
      const { epoch, flow } = record;
      list.push({ epoch, flowId: flow.flowId, counters: toHeldFlow(record, nowMs).counters });
    }
    for (const [vmKey, flows] of byVm) this.#sessions.get(vmKey)?.session.tellStatistics(flows);
  }

  #endSession(vmKey: string): void {
    const attached = this.#sessions.get(vmKey);
    if (attached === undefined) return;
    this.#sessions.delete(vmKey);
    attached.session.close();
    attached.detach();
  }

  #compactJournal(): void {
    const cores = [...this.#hosts.values()].map(({ core }) => core);
    this.#journal?.compactInSlices(cores.flatMap(snapshotEvents), snapshotAll(cores));
  }
}

function* snapshotAll(cores: readonly HostCore[]): Generator<JournalRecord> {
  for (const core of cores) yield* snapshotFlows(core);
}

const NO_DRIVER: HostCore["capabilities"] = {
  name: "none",
  flowsMax: 0,
  families: [4, 6],
  protocols: [6, 17],
  rewrite: true,
  mtuPunt: false,
  optionsToVm: false,
  exactFinalCounters: false,
};
