/**
 * One running VM of a lab: power, shutdown, state to a file and back, what its host can see of it.
 *
 * Effect: signals and QMP commands to its QEMU.
 * Limit: MIGRATION_TIMEOUT_MS for its state to be written or read.
 */
import { once } from "node:events";
import { chownSync, createReadStream, createWriteStream, existsSync, rmSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { pipeline } from "node:stream/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { FlowliftError } from "../../lib/base/errors.ts";
import { QmpClient } from "../../lib/guest/qmp.ts";
import type { VmSpec } from "../../lib/guest/vm-spec.ts";
import type { VmLayout } from "../layout.ts";
import type { SupervisedProcess } from "../supervised-process.ts";
import type { ConsoleLog } from "./console-log.ts";
import { VM_SHUTDOWN_TIMEOUT_MS } from "./vm-options.ts";

export const MIGRATION_TIMEOUT_MS = 120_000;
const POLL_MS = 50;

export interface LabMachineParts {
  readonly spec: VmSpec;
  readonly uid: number;
  readonly files: VmLayout;
  readonly console: ConsoleLog;
  readonly process: SupervisedProcess;
}

export class LabMachine {
  readonly spec: VmSpec;
  readonly files: VmLayout;
  readonly console: ConsoleLog;
  readonly #uid: number;
  readonly #process: SupervisedProcess;

  constructor({ spec, uid, files, console, process }: LabMachineParts) {
    this.spec = spec;
    this.files = files;
    this.console = console;
    this.#uid = uid;
    this.#process = process;
  }

  /** Switches the VM on and waits until it serves. */
  async start(): Promise<void> {
    await this.#process.start();
  }

  /** Ends the VM as a power cut does: between two instructions. It stays off. */
  async cutPower(): Promise<void> {
    await this.#process.stop("SIGKILL");
  }

  /** Presses the power button and waits. Returns false when the power had to be cut. */
  async shutDown(timeoutMs: number = VM_SHUTDOWN_TIMEOUT_MS): Promise<boolean> {
    return await this.#process.endBy(async () => {
      await this.command("system_powerdown");
    }, timeoutMs);
  }

  /** Shuts down in order and starts again. */
  async reboot(): Promise<void> {
    await this.shutDown();
    await this.start();
  }

  /** Runs one QMP command. */
  async command(name: string, args?: Readonly<Record<string, unknown>>): Promise<unknown> {
    const qmp = await QmpClient.connect(this.files.qmpSocket);
    try {
      return await qmp.execute(name, args);
    } finally {
      qmp.close();
    }
  }

  /** Writes the VM's whole state to `file` while it runs, and switches it off there. */
  async saveTo(file: string): Promise<void> {
    const path = this.files.incomingSocket;
    rmSync(path, { force: true });
    const server = createServer();
    server.listen(path);
    await once(server, "listening");
    chownSync(path, this.#uid, this.#uid);
    try {
      const arrived = once(server, "connection").then(([socket]) =>
        pipeline(socket as Socket, createWriteStream(file, { mode: 0o600 })),
      );
      arrived.catch(() => {}); // A failed migration is told by QEMU.
      await this.command("migrate", { uri: `unix:${path}` });
      await this.#awaitMigration();
      await this.#process.endBy(async () => {
        await this.command("quit");
      }, VM_SHUTDOWN_TIMEOUT_MS);
      await arrived;
    } finally {
      server.close();
      rmSync(path, { force: true });
    }
  }

  /** Switches the VM on in the state that `saveTo()` wrote, and waits until it serves. */
  async resumeFrom(file: string): Promise<void> {
    const path = this.files.incomingSocket;
    rmSync(path, { force: true });
    this.#process.launch(["-incoming", `unix:${path}`]);
    const ready = this.#process.waitReady();
    const deadline = performance.now() + MIGRATION_TIMEOUT_MS;
    while (!existsSync(path)) {
      if (performance.now() > deadline) throw this.#failure("does not take its state back");
      await Promise.race([sleep(POLL_MS), ready]);
    }
    // QEMU hangs up when it has all it wants; whether that was enough is seen by what the VM does.
    const handed = pipeline(createReadStream(file), connect(path)).catch(() => {});
    await Promise.all([handed, ready]);
  }

  async #awaitMigration(): Promise<void> {
    const deadline = performance.now() + MIGRATION_TIMEOUT_MS;
    while (performance.now() < deadline) {
      const info = (await this.command("query-migrate")) as Readonly<Record<string, unknown>>;
      if (info["status"] === "completed") return;
      if (info["status"] === "failed") {
        throw this.#failure(`cannot be saved: ${String(info["error-desc"] ?? "no reason")}`);
      }
      await sleep(POLL_MS);
    }
    throw this.#failure(`was not saved within ${MIGRATION_TIMEOUT_MS} ms`);
  }

  #failure(words: string): FlowliftError {
    const text = `VM "${this.spec.name}" ${words}; its console: ${this.console.readTail()}`;
    return new FlowliftError("LAB_FAILED", text);
  }
}
