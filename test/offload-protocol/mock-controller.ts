/** `flowlift controller --mock` as a process, for tests that speak the serial protocol to it. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MAIN, type Running, startProcess } from "../controller/controller-process.ts";

export class MockController {
  readonly folder: string = mkdtempSync(join(tmpdir(), "flowlift-f-mock-"));
  #running: Running | undefined;

  /** Starts it with the configuration; returns its sockets by TENANT/VM. */
  async start(configFile: string): Promise<Record<string, string>> {
    const listen = `unix:${this.folder}/{vm}.sock`;
    const args = [MAIN, "controller", "--mock", "--listen", listen, "--config", configFile];
    this.#running = await startProcess(args);
    return this.#running.ready["sockets"] as unknown as Record<string, string>;
  }

  async dispose(): Promise<void> {
    const running = this.#running;
    if (running !== undefined) {
      if (running.child.exitCode === null && running.child.signalCode === null) {
        running.child.kill("SIGKILL");
      }
      await running.exited;
    }
    rmSync(this.folder, { recursive: true, force: true });
  }
}
