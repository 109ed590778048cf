/**
 * Runs one host's core against its fast-path driver: batches, sweeps, reconnects.
 *
 * Effect: calls the driver. What the core wants done reaches `onEffects` before the driver is given
 * anything new, so that the journal is always ahead of the fast path.
 * Limit: INSTALL_BATCH_MAX, WITHDRAW_BATCH_MAX flows in a call; INSTALL_CALLS_MAX calls at a time.
 */
import type { FastPathDriver, FlowHandle } from "../fast-path/driver.ts";
import type { Clock } from "../lib/base/clock.ts";
import { describeError } from "../lib/base/errors.ts";
import type { Log } from "../lib/base/log.ts";
import { attachDriver, removeOrphans, topologyOf } from "./attach-driver.ts";
import type { CoreEffect } from "./core-effect.ts";
import type { FlowRecord } from "./flow-record.ts";
import type { HostCore } from "./host-core.ts";
import type { Host } from "./model.ts";

export const INSTALL_BATCH_MAX = 1024;
export const INSTALL_CALLS_MAX = 2;
export const WITHDRAW_BATCH_MAX = 4096;
export const WITHDRAW_CALLS_MAX = 1;
/** Flows whose counters are read in one step of the sweep. */
export const SWEEP_BATCH_MAX = 8192;
export const RECONNECT_MIN_MS = 100;
export const RECONNECT_MAX_MS = 5_000;
/** How often the fast path is searched for flows of nobody. */
export const ORPHAN_SWEEP_MS = 60_000;

export interface HostDriverOptions {
  readonly core: HostCore;
  /** Opens the driver; throws FlowliftError while nobody answers. */
  readonly connect: () => Promise<FastPathDriver>;
  readonly clock: Clock;
  readonly log: Log;
  readonly statisticsIntervalMs: number;
  /** Carries out effects, but for `set-slot`, `update` and `driver-stuck`. */
  readonly onEffects: (effects: readonly CoreEffect[]) => void;
  /** Counters were read; tells the VMs. */
  readonly onCounters: () => void;
}

/** One host. */
export class HostDriver {
  readonly #options: HostDriverOptions;
  #host: Host;
  #driver: FastPathDriver | undefined;
  #installCalls = 0;
  #withdrawCalls = 0;
  #isPumping = false;
  #isClosed = false;
  #sweepQueue: FlowHandle[] = [];
  #orphansAtMs = 0;
  #reconnectMs: number = RECONNECT_MIN_MS;
  #sweepTimer: NodeJS.Timeout | undefined;
  #reconnectTimer: NodeJS.Timeout | undefined;

  constructor(host: Host, options: HostDriverOptions) {
    this.#host = host;
    this.#options = options;
  }

  get isConnected(): boolean {
    return this.#driver !== undefined;
  }

  get driver(): FastPathDriver | undefined {
    return this.#driver;
  }

  get host(): Host {
    return this.#host;
  }

  /** Connects once; if that fails, goes on trying in the background. */
  async start(): Promise<void> {
    await this.#connect();
    this.#scheduleSweep();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#sweepTimer);
    clearTimeout(this.#reconnectTimer);
    const driver = this.#driver;
    this.#driver = undefined;
    await driver?.close();
  }

  /** Takes over a changed configuration of the host. */
  async reconfigure(host: Host): Promise<void> {
    this.#host = host;
    const { core, clock } = this.#options;
    core.withdrawThrough(core.locations.configure(host), clock.nowMs());
    this.pump();
    const driver = this.#driver;
    if (driver !== undefined) await this.#guard(driver.configure(topologyOf(host)));
  }

  /** Carries out the core's effects, then gives the driver what waits for it. */
  pump(): void {
    if (this.#isPumping) return;
    this.#isPumping = true;
    this.#drain();
    while (this.#pumpOnce()) this.#drain();
    this.#isPumping = false;
  }

  #pumpOnce(): boolean {
    const { core, clock } = this.#options;
    const driver = this.#driver;
    if (driver === undefined) return false;
    if (core.withdrawsWaiting > 0 && this.#withdrawCalls < WITHDRAW_CALLS_MAX) {
      const batch = core.takeWithdraws(WITHDRAW_BATCH_MAX, clock.nowMs());
      void this.#withdraw(driver, batch);
      return true;
    }
    if (core.installsWaiting > 0 && this.#installCalls < INSTALL_CALLS_MAX) {
      const batch = core.takeInstalls(INSTALL_BATCH_MAX, clock.nowMs());
      if (batch.length > 0) void this.#install(driver, batch);
      return true;
    }
    return false;
  }

  #drain(): void {
    const effects = this.#options.core.takeEffects();
    if (effects.length === 0) return;
    this.#options.onEffects(effects);
    for (const effect of effects) {
      if (effect.kind === "driver-stuck") this.#lose("it owes an answer for too long");
      else if (effect.kind === "set-slot" && this.#driver !== undefined) {
        const { slot, generation, leaseMs } = effect;
        void this.#guard(this.#driver.setSlot(slot, generation, leaseMs));
      } else if (effect.kind === "update" && this.#driver !== undefined) {
        this.#update(this.#driver, effect.record, effect.changed);
      }
    }
  }

  async #install(driver: FastPathDriver, batch: readonly FlowRecord[]): Promise<void> {
    const { core, clock } = this.#options;
    this.#installCalls++;
    const outcomes = await this.#guard(driver.install(batch.map(({ fast }) => fast)));
    if (driver !== this.#driver) return; // Another connection by now; it was reconciled.
    this.#installCalls--;
    if (outcomes !== undefined) core.takeInstallOutcomes(outcomes, clock.nowMs());
    this.pump();
  }

  async #withdraw(driver: FastPathDriver, batch: readonly FlowRecord[]): Promise<void> {
    const { core, clock } = this.#options;
    this.#withdrawCalls++;
    const outcomes = await this.#guard(driver.withdraw(batch.map(({ fast }) => fast.handle)));
    if (driver !== this.#driver) return;
    this.#withdrawCalls--;
    if (outcomes !== undefined) core.takeWithdrawOutcomes(outcomes, clock.nowMs());
    this.pump();
  }

  #update(
    driver: FastPathDriver,
    record: FlowRecord,
    changed: readonly ("original" | "reply")[],
  ): void {
    for (const name of changed) {
      const direction = record.fast[name];
      if (direction === undefined) continue;
      const { newDestinationMac, egressPortId, mtuBytes } = direction;
      const change = { newDestinationMac, egressPortId, mtuBytes };
      driver.update(record.fast.handle, name, change).catch((error: unknown) => {
        const { core, clock, log } = this.#options;
        log.warn("an update failed; the flow is withdrawn", { error: describeError(error) });
        if (driver === this.#driver) core.withdraw(record, "evicted", clock.nowMs());
        this.pump();
      });
    }
  }

  /** Resolves to undefined when the driver failed as a whole; it is connected anew then. */
  async #guard<T>(promise: Promise<T>): Promise<T | undefined> {
    try {
      return await promise;
    } catch (error) {
      this.#lose(describeError(error));
      return undefined;
    }
  }

  #lose(why: string): void {
    const driver = this.#driver;
    if (driver === undefined || this.#isClosed) return;
    this.#options.log.error("the fast-path driver is lost", { host: this.#host.name, why });
    this.#driver = undefined;
    driver.onLost = () => {};
    driver.onNeighbour = () => {};
    driver.close().catch(() => {}); // It is lost anyway.
    this.#scheduleReconnect();
  }

  #scheduleReconnect(): void {
    if (this.#isClosed) return;
    this.#reconnectTimer = setTimeout(() => void this.#connect(), this.#reconnectMs);
    this.#reconnectMs = Math.min(RECONNECT_MAX_MS, this.#reconnectMs * 2);
  }

  async #connect(): Promise<void> {
    const { core, clock, log } = this.#options;
    let driver: FastPathDriver | undefined;
    try {
      driver = await this.#options.connect();
      this.#listen(driver);
      await attachDriver(driver, this.#host, { core, clock, log });
    } catch (error) {
      log.warn("cannot reach the fast-path driver", {
        host: this.#host.name,
        error: describeError(error),
      });
      driver?.close().catch(() => {});
      this.#scheduleReconnect();
      return;
    }
    if (this.#isClosed) {
      await driver.close();
      return;
    }
    this.#driver = driver;
    this.#installCalls = 0;
    this.#withdrawCalls = 0;
    this.#reconnectMs = RECONNECT_MIN_MS;
    this.#orphansAtMs = clock.nowMs() + ORPHAN_SWEEP_MS;
    log.info("the fast-path driver is connected", {
      host: this.#host.name,
      driver: core.capabilities.name,
      flowsMax: core.capabilities.flowsMax,
    });
    this.pump();
  }

  #listen(driver: FastPathDriver): void {
    const { core, clock } = this.#options;
    driver.onLost = () => this.#lose("its connection closed");
    driver.onNeighbour = (location) => {
      core.takeNeighbour(location, clock.nowMs());
      this.pump();
    };
  }

  #scheduleSweep(): void {
    const { statisticsIntervalMs } = this.#options;
    this.#sweepTimer = setTimeout(() => {
      void this.#sweep().finally(() => {
        if (!this.#isClosed) this.#scheduleSweep();
      });
    }, statisticsIntervalMs);
  }

  /** Reads the counters of the next part of the table, all of it in turns. */
  async #sweep(): Promise<void> {
    const { core, clock } = this.#options;
    core.tick(clock.nowMs());
    this.pump();
    const driver = this.#driver;
    if (driver === undefined) return;
    if (this.#sweepQueue.length === 0) {
      for (const { phase, fast } of core.table.list()) {
        if (phase.kind === "active") this.#sweepQueue.push(fast.handle);
      }
    }
    const handles = this.#sweepQueue.splice(0, SWEEP_BATCH_MAX);
    if (handles.length > 0) {
      const items = await this.#guard(driver.readCounters(handles));
      if (items === undefined || driver !== this.#driver) return;
      core.takeCounters(items, clock.nowMs());
      this.#options.onCounters();
      this.pump();
    }
    if (clock.nowMs() >= this.#orphansAtMs) await this.#removeOrphans(driver);
  }

  async #removeOrphans(driver: FastPathDriver): Promise<void> {
    const { core, clock, log } = this.#options;
    this.#orphansAtMs = clock.nowMs() + ORPHAN_SWEEP_MS;
    await this.#guard(removeOrphans(driver, { core, clock, log }));
  }
}
