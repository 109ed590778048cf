/**
 * The bridge's open links: a serial port and a call to the controller for each virtual machine.
 *
 * Effect: opens and closes sockets, makes calls. Limit: VMS_MAX links.
 */
import { MONOTONIC_CLOCK } from "../lib/base/clock.ts";
import { FlowliftError } from "../lib/base/errors.ts";
import type { Log } from "../lib/base/log.ts";
import { openSerialPort } from "../lib/serial/open-port.ts";
import type { SerialPort } from "../lib/serial/port.ts";
import type { ClientSource } from "./channel.ts";
import type { VmLimits } from "./limits.ts";
import { type BridgeVm, VMS_MAX } from "./settings.ts";
import { UpstreamCall } from "./upstream-call.ts";
import { VmCore, type VmCounters } from "./vm-core.ts";

interface Link {
  readonly vm: BridgeVm;
  readonly core: VmCore;
  readonly port: SerialPort;
  readonly call: UpstreamCall;
  /** Refusals that the log was told of. */
  reported: number;
}

/** Returns the key of a virtual machine's link. */
export function linkKey({ tenant, vm }: { readonly tenant: string; readonly vm: string }): string {
  return `${tenant}/${vm}`;
}

/** Links by `TENANT/VM`. */
export class LinkSet {
  readonly #source: ClientSource;
  readonly #limits: VmLimits;
  readonly #log: Log;
  readonly #links = new Map<string, Link>();

  constructor(source: ClientSource, limits: VmLimits, log: Log) {
    this.#source = source;
    this.#limits = limits;
    this.#log = log;
  }

  has(key: string): boolean {
    return this.#links.has(key);
  }

  counters(): ReadonlyMap<string, VmCounters> {
    return new Map([...this.#links].map(([key, { core }]) => [key, core.counters]));
  }

  /** Opens the port and calls the controller. Throws PORT_IN_USE, SERIAL_PORT_FAILED. */
  async add(vm: BridgeVm): Promise<void> {
    if (this.#links.size >= VMS_MAX) {
      throw new FlowliftError(
        "SERIAL_PORT_FAILED",
        `${VMS_MAX} virtual machines are served already`,
      );
    }
    const { socketPath: path, mode, tenant, vm: name } = vm;
    const port = await openSerialPort({ kind: "unix", path, mode }, this.#log);
    const call = new UpstreamCall(this.#source, { tenant, vm: name }, this.#log);
    const outputs = {
      sendUpstream: call.send.bind(call),
      writeSerial: port.write.bind(port),
    };
    const core = new VmCore(this.#limits, outputs, MONOTONIC_CLOCK.nowMs());
    port.onUp = () => core.serialUp();
    port.onDown = () => core.serialDown();
    port.onData = (bytes) => {
      const upstreamQueuedBytes = call.queuedBytes;
      core.serialBytes(bytes, { nowMs: MONOTONIC_CLOCK.nowMs(), upstreamQueuedBytes });
    };
    call.onOpen = () => core.upstreamOpened();
    call.onClose = () => core.upstreamClosed();
    call.onFrame = (frame) => core.upstreamFrame(frame);
    this.#links.set(linkKey(vm), { vm, core, port, call, reported: 0 });
    call.start();
  }

  /** Ends the call, closes the port; a socket that the bridge made is gone then. */
  async remove(key: string): Promise<void> {
    const link = this.#links.get(key);
    if (link === undefined) return;
    this.#links.delete(key);
    link.call.stop();
    await link.port.close();
  }

  /** Ends every call, so that it is made again by the channel's present client. */
  callAgain(): void {
    for (const { call } of this.#links.values()) call.callAgain();
  }

  async close(): Promise<void> {
    await Promise.all([...this.#links.keys()].map((key) => this.remove(key)));
  }

  /** Tells the log which virtual machines met a limit since the last time. */
  reportRefusals(): void {
    for (const link of this.#links.values()) {
      const { refusals } = link.core.counters;
      const total = Object.values(refusals).reduce((sum, count) => sum + count, 0);
      if (total === link.reported) continue;
      link.reported = total;
      const { tenant, vm } = link.vm;
      this.#log.warn("a virtual machine meets its limits", { tenant, vm, ...refusals });
    }
  }
}
