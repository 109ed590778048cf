/**
 * One real `appliance-manage` process without privileges, a data process that the test plays, and
 * real clients.
 *
 * Effect: processes, sockets and a temporary folder of its own; `dispose()` removes all of it.
 */
import { type ChildProcess, execFile, execFileSync, spawn } from "node:child_process";
import { chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import type { Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface, type Interface } from "node:readline";
import { type LocalRpcPeer, listenLocalRpc } from "../../src/lib/base/local-rpc.ts";
import { findProjectRoot } from "../../src/lib/base/project-root.ts";
import { LAB_DIST_DIRECTORY } from "../support/lab-dist.ts";

/** Debian's nobody. */
export const UNPRIVILEGED_ID = 65_534;
const READY_TIMEOUT_MS = 15_000;
export const PYTHON = "/usr/bin/python3";
export const USER = "operator";

export const MAIN: string = join(findProjectRoot(), LAB_DIST_DIRECTORY, "cli", "main.js");

export interface DataCall {
  readonly method: string;
  readonly params: Readonly<Record<string, unknown>>;
}

/** Plays appliance-data: records calls, answers as it is told. */
export class FakeData {
  readonly calls: DataCall[] = [];
  answers: Record<string, (params: Record<string, unknown>) => unknown> = {};
  readonly #path: string;
  #server: Server | undefined;
  readonly #peers: LocalRpcPeer[] = [];

  constructor(runDirectory: string) {
    this.#path = join(runDirectory, "data.sock");
  }

  async start(): Promise<void> {
    const usual: Record<string, unknown> = {
      prepare: { ok: true },
      commit: { cutFlows: 0, cutOffloadedFlows: 0, late: [] },
      abort: {},
      preview: { ok: true, ruleset: "+ rule", cutFlows: 3, cutOffloadedFlows: 2 },
      "get-state": {},
      "repair-network": { changes: [] },
    };
    const handlers = Object.fromEntries(
      Object.entries(usual).map(([method, answer]) => [
        method,
        (params: unknown) => {
          const given = params as Record<string, unknown>;
          this.calls.push({ method, params: given });
          return this.answers[method]?.(given) ?? answer;
        },
      ]),
    );
    this.#server = await listenLocalRpc(this.#path, handlers, (peer) => this.#peers.push(peer));
    chownSync(this.#path, UNPRIVILEGED_ID, UNPRIVILEGED_ID);
  }

  stop(): void {
    this.#server?.close();
    for (const peer of this.#peers.splice(0)) peer.close();
    this.#server = undefined;
  }

  /** The configuration of the last prepare. */
  get lastConfig(): Record<string, unknown> {
    const prepared = this.calls.filter(({ method }) => method === "prepare");
    return (prepared.at(-1)?.params["config"] ?? {}) as Record<string, unknown>;
  }
}

export interface ManageOptions {
  readonly bootId?: string;
  readonly dayZero?: unknown;
  /** Runs the command line of the process, e.g. in a namespace. */
  readonly prefix?: readonly string[];
  readonly port?: number;
  /** Passed as descriptor 3, as systemd passes sockets. */
  readonly inheritedFd?: number;
  /** More settings, such as a management port. */
  readonly settings?: Readonly<Record<string, unknown>>;
}

/** The folder, the keys and the processes of one appliance. */
export class ManageFixture {
  readonly folder: string = mkdtempSync(join(tmpdir(), "flowlift-netconf-"));
  readonly runDirectory: string = join(this.folder, "run");
  readonly stateDirectory: string = join(this.folder, "state");
  readonly keyFile: string = join(this.folder, "key");
  readonly data: FakeData;
  stderr = "";
  port = 0;
  #child: ChildProcess | undefined;
  readonly #drivers: Driver[] = [];

  constructor() {
    for (const path of [this.runDirectory, this.stateDirectory]) {
      mkdirSync(path);
      chownSync(path, UNPRIVILEGED_ID, UNPRIVILEGED_ID);
    }
    execFileSync("chmod", ["755", this.folder]);
    execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", this.keyFile]);
    const publicKey = readFileSync(`${this.keyFile}.pub`, "utf8");
    writeFileSync(join(this.folder, "authorized_keys"), `# operators\n${publicKey}`);
    this.data = new FakeData(this.runDirectory);
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  stateFile(name: "running" | "startup"): string {
    return join(this.stateDirectory, `${name}.json`);
  }

  /** Returns the command line that gives the process what it may have, and no more. */
  command(settingsFile: string): string[] {
    const capability = "+net_bind_service";
    const ids = [`--reuid=${UNPRIVILEGED_ID}`, `--regid=${UNPRIVILEGED_ID}`, "--clear-groups"];
    const caps = [`--inh-caps=-all,${capability}`, `--ambient-caps=-all,${capability}`];
    const bound = `--bounding-set=-all,${capability}`;
    const program = [process.execPath, MAIN, "appliance-manage", "--settings", settingsFile];
    return ["setpriv", ...ids, ...caps, bound, "--no-new-privs", "--", ...program];
  }

  writeSettings(options: ManageOptions = {}): string {
    const file = join(this.folder, "settings.json");
    const dayZeroFile = join(this.folder, "day-zero.json");
    if (options.dayZero !== undefined) writeFileSync(dayZeroFile, JSON.stringify(options.dayZero));
    const settings = {
      name: "red",
      runDirectory: this.runDirectory,
      stateDirectory: this.stateDirectory,
      netconf: {
        listen: [{ address: "127.0.0.1", port: options.port ?? 0 }],
        authorizedKeysFile: join(this.folder, "authorized_keys"),
        users: [USER],
      },
      interfaces: ["eth0", "eth1"],
      bootId: options.bootId ?? "boot-1",
      ...(options.dayZero === undefined ? {} : { dayZeroConfigFile: dayZeroFile }),
      ...options.settings,
    };
    writeFileSync(file, JSON.stringify(settings));
    return file;
  }

  async start(options: ManageOptions = {}): Promise<void> {
    const argv = [...(options.prefix ?? []), ...this.command(this.writeSettings(options))];
    const [file = "", ...args] = argv;
    this.stderr = "";
    const { inheritedFd } = options;
    const child = spawn(file, args, {
      stdio: ["ignore", "pipe", "pipe", inheritedFd ?? "ignore"],
      env: { ...process.env, LISTEN_FDS: inheritedFd === undefined ? "" : "1" },
    });
    this.#child = child;
    if (child.stderr === null || child.stdout === null) throw new Error("both are pipes");
    const { stdout } = child;
    child.stderr.on("data", (chunk: Buffer) => {
      this.stderr += chunk.toString();
    });
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`not READY: ${this.stderr}`)),
        READY_TIMEOUT_MS,
      );
      stdout.once("data", () => {
        clearTimeout(timer);
        resolve();
      });
      child.once("exit", (code) => reject(new Error(`exit ${code}: ${this.stderr}`)));
    });
    await waitFor(() => /ports="(\d+)[",]/.test(this.stderr), "the port is logged");
    this.port = Number(/ports="(\d+)[",]/.exec(this.stderr)?.[1]);
  }

  /** Waits until the data process has running. */
  async applied(): Promise<void> {
    await waitFor(
      () => this.stderr.includes("has the running configuration"),
      "running is applied",
    );
  }

  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<number | null> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return null;
    const ended = new Promise<number | null>((resolve) => child.once("exit", resolve));
    child.kill(signal);
    return ended;
  }

  driver(): Driver {
    const driver = new Driver();
    this.#drivers.push(driver);
    return driver;
  }

  /** Opens a session of a driver as USER. */
  connect(
    driver: Driver,
    session: string,
    more: Readonly<Record<string, unknown>> = {},
  ): Promise<Reply> {
    const connect = { port: this.port, username: USER, key: this.keyFile, ...more };
    return driver.send({ session, connect });
  }

  async dispose(): Promise<void> {
    for (const driver of this.#drivers) driver.close();
    await this.stop("SIGKILL");
    this.data.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export interface Reply {
  readonly xml?: string;
  readonly sessionId?: number;
  readonly capabilities?: readonly string[];
  readonly exception?: string;
  readonly error?: Readonly<Record<string, string | null>>;
}

/** One Python process with ncclient. */
export class Driver {
  readonly #child: ChildProcess;
  readonly #lines: Interface;
  readonly #waiting: ((reply: Reply) => void)[] = [];

  constructor() {
    const script = join(import.meta.dirname, "clients", "netconf_driver.py");
    this.#child = spawn(PYTHON, ["-u", script], { stdio: ["pipe", "pipe", "inherit"] });
    const { stdout } = this.#child;
    if (stdout === null) throw new Error("stdout is a pipe");
    this.#lines = createInterface({ input: stdout });
    this.#lines.on("line", (line) => this.#waiting.shift()?.(JSON.parse(line) as Reply));
  }

  send(command: Readonly<Record<string, unknown>>): Promise<Reply> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#child.stdin?.write(`${JSON.stringify(command)}\n`);
    });
  }

  call(
    session: string,
    name: string,
    args: Readonly<Record<string, unknown>> = {},
  ): Promise<Reply> {
    return this.send({ session, call: name, args });
  }

  edit(
    session: string,
    config: string,
    more: Readonly<Record<string, unknown>> = {},
  ): Promise<Reply> {
    const xml = `<config xmlns:nc="urn:ietf:params:xml:ns:netconf:base:1.0">${config}</config>`;
    return this.call(session, "edit_config", { target: "candidate", config: xml, ...more });
  }

  close(): void {
    this.#lines.close();
    this.#child.kill("SIGKILL");
  }
}

/** Runs a program to its end; returns what it printed. */
export function runProgram(file: string, args: readonly string[], input = ""): Promise<string> {
  return new Promise((resolve) => {
    const child = execFile(file, [...args], { timeout: 30_000 }, (_error, stdout, stderr) =>
      resolve(stdout + stderr),
    );
    child.stdin?.end(input);
  });
}

export async function waitFor(
  condition: () => boolean | Promise<boolean>,
  what: string,
): Promise<void> {
  for (let tries = 0; tries < 500; tries++) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`Waited in vain until ${what}`);
}
