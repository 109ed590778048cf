/** A real controller process for system tests. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findProjectRoot } from "../../src/lib/base/project-root.ts";
import {
  initControllerPki,
  issueBridgePki,
  loadBridgeTls,
  type TlsMaterial,
} from "../../src/lib/pki/store.ts";
import { LAB_DIST_DIRECTORY } from "../support/lab-dist.ts";
import { exampleConfig } from "./world.ts";

export const MAIN: string = join(findProjectRoot(), LAB_DIST_DIRECTORY, "cli", "main.js");

export interface Running {
  readonly child: ChildProcess;
  readonly ready: Record<string, string>;
  readonly stderr: () => string;
  readonly exited: Promise<number | null>;
}

/** Starts a process and waits for its READY line. */
export function startProcess(
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<Running> {
  const child = spawn(process.execPath, [...args], {
    stdio: ["pipe", "pipe", "pipe"],
    env: { ...process.env, ...env },
  });
  let stderr = "";
  let stdout = "";
  child.stderr?.on("data", (text: Buffer) => {
    stderr += text.toString();
  });
  const exited = new Promise<number | null>((resolve) => child.once("exit", resolve));
  return new Promise((resolve, reject) => {
    void exited.then((code) => reject(new Error(`exit ${code} before READY: ${stderr}`)));
    child.stdout?.on("data", (text: Buffer) => {
      stdout += text.toString();
      const line = /^READY(?: (.*))?\n/m.exec(stdout);
      if (line === null) return;
      const ready = JSON.parse(line[1] ?? "{}") as Record<string, string>;
      resolve({ child, ready, stderr: () => stderr, exited });
    });
  });
}

/** A directory with keys, configuration and settings; everything goes away with `dispose`. */
export class ControllerSite {
  readonly directory: string = mkdtempSync(join(tmpdir(), "flowlift-g-controller-"));
  readonly settingsFile: string = join(this.directory, "settings.json");
  readonly configFile: string = join(this.directory, "config.json");
  readonly pki: string = join(this.directory, "pki");
  readonly running: Running[] = [];

  constructor(settings: Record<string, unknown> = {}) {
    initControllerPki(this.pki);
    for (const name of ["state", "run"]) mkdirSync(join(this.directory, name));
    this.writeConfig(configWithNeighbours());
    writeFileSync(
      this.settingsFile,
      JSON.stringify({
        stateDirectory: join(this.directory, "state"),
        runDirectory: join(this.directory, "run"),
        configFile: this.configFile,
        grpc: { address: "127.0.0.1:0" },
        pkiDirectory: this.pki,
        admin: { address: "127.0.0.1:0" },
        tokenFile: join(this.directory, "token"),
        driver: "memory",
        statisticsIntervalMs: 50,
        ...settings,
      }),
    );
  }

  writeConfig(config: unknown): void {
    writeFileSync(this.configFile, JSON.stringify(config));
  }

  bridgeTls(host: string): TlsMaterial {
    return loadBridgeTls(issueBridgePki(this.pki, host), host);
  }

  async start(): Promise<Running> {
    const running = await startProcess([MAIN, "controller", "--settings", this.settingsFile]);
    this.running.push(running);
    return running;
  }

  async admin(running: Running, path: string, init: RequestInit = {}): Promise<Response> {
    const token = readFileSync(join(this.directory, "token"), "utf8").trim();
    const headers = { authorization: `Bearer ${token}` };
    return fetch(`${running.ready["admin"]}${path}`, { ...init, headers });
  }

  async dispose(): Promise<void> {
    for (const { child, exited } of this.running) {
      if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
      await exited;
    }
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** The example with one static neighbour behind each client's and server's port, without an agent. */
export function configWithNeighbours(agentSocket?: string): unknown {
  const config = exampleConfig() as {
    "flowlift-controller:controller": {
      host: { "agent-socket"?: string; port: Record<string, unknown>[] }[];
    };
  };
  const [host] = config["flowlift-controller:controller"].host;
  if (host === undefined) throw new Error("the example has a host");
  delete host["agent-socket"];
  if (agentSocket !== undefined) host["agent-socket"] = agentSocket;
  const macs: Record<string, string> = {
    "red-client": "02:00:00:0a:01:01",
    "red-server": "02:00:00:0a:02:01",
    "blue-client": "02:00:00:0b:01:01",
    "blue-server": "02:00:00:0b:02:01",
  };
  for (const port of host.port) {
    const mac = macs[String(port["interface"])];
    if (mac !== undefined) port["static-neighbour"] = [mac];
  }
  return config;
}
