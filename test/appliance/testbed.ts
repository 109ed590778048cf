/**
 * A small real network for system tests: clients, an appliance and servers in namespaces of their own.
 *
 * Effect: creates and removes network namespaces with names that nobody else uses. The root namespace is
 * not touched.
 */
import { type ChildProcess, execFile, execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { connectLocalRpc, type LocalRpcPeer } from "../../src/lib/base/local-rpc.ts";
import { findProjectRoot } from "../../src/lib/base/project-root.ts";
import { patience } from "../support/patience.ts";

const run = promisify(execFile);
/** An unprivileged user of Debian (nobody). */
const USER_ID = 65_534;
const READY_TIMEOUT_MS: number = patience(10_000);
const OUTPUT_BYTES_MAX: number = 64 * 1024 * 1024;

/** Compiles the program once and returns the path of its entry. */
export function buildProgram(): string {
  const root = findProjectRoot();
  const folder = join(root, ".build", "test-services");
  try {
    execFileSync("npx", ["tsc", "-p", "tsconfig.json", "--outDir", folder], {
      cwd: root,
      stdio: "pipe",
    });
  } catch {
    // Type errors are another test's business; the output is written all the same.
  }
  return join(folder, "cli", "main.js");
}

export class Testbed {
  readonly #prefix = `fls${randomBytes(3).toString("hex")}`;
  readonly #namespaces: string[] = [];
  readonly #children: ChildProcess[] = [];
  readonly folder: string = mkdtempSync(join(tmpdir(), "flowlift-services-"));

  /** Returns the namespace's real name; it is created at its first mention. */
  netns(name: string): string {
    const full = `${this.#prefix}-${name}`;
    if (!this.#namespaces.includes(full)) {
      execFileSync("ip", ["netns", "add", full]);
      this.#namespaces.push(full);
      this.exec(name, ["ip", "link", "set", "lo", "up"]);
    }
    return full;
  }

  /** Runs a command in a namespace and returns its output; throws when it fails. */
  exec(name: string, command: readonly string[], input?: string): string {
    return execFileSync("ip", ["netns", "exec", this.netns(name), ...command], {
      encoding: "utf8",
      maxBuffer: OUTPUT_BYTES_MAX,
      stdio: ["pipe", "pipe", "pipe"],
      ...(input === undefined ? {} : { input }),
    });
  }

  /** As `exec`, without blocking; "failed" instead of an error. */
  async try(name: string, command: readonly string[]): Promise<{ ok: boolean; output: string }> {
    const args = ["netns", "exec", this.netns(name), ...command];
    try {
      const { stdout } = await run("ip", args, { maxBuffer: OUTPUT_BYTES_MAX });
      return { ok: true, output: stdout };
    } catch (error) {
      return { ok: false, output: String((error as { stdout?: string }).stdout ?? "") };
    }
  }

  /** Starts a process in a namespace. */
  spawn(name: string, command: readonly string[]): ChildProcess {
    const child = spawn("ip", ["netns", "exec", this.netns(name), ...command], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#children.push(child);
    return child;
  }

  /** Joins two namespaces by a veth pair and gives each end addresses. */
  link(
    left: { netns: string; dev: string; addresses: readonly string[] },
    right: { netns: string; dev: string; addresses: readonly string[] },
  ): void {
    this.netns(left.netns);
    const other = this.netns(right.netns);
    this.exec(left.netns, [
      ...["ip", "link", "add", left.dev, "type", "veth"],
      ...["peer", "name", right.dev, "netns", other],
    ]);
    for (const end of [left, right]) {
      for (const address of end.addresses) {
        const nodad = address.includes(":") ? ["nodad"] : [];
        this.exec(end.netns, ["ip", "addr", "add", address, "dev", end.dev, ...nodad]);
      }
      this.exec(end.netns, ["ip", "link", "set", end.dev, "up"]);
    }
  }

  /** Kills what was started and removes what was made. */
  close(): void {
    for (const child of this.#children) child.kill("SIGKILL");
    for (const name of this.#namespaces) {
      try {
        execFileSync("ip", ["netns", "del", name], { stdio: "pipe" });
      } catch {
        // A namespace that is gone already.
      }
    }
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** appliance-data in a namespace, as an ordinary user with the two capabilities that it may have. */
export class DataProcess {
  readonly #bed: Testbed;
  readonly #settingsFile: string;
  readonly #entry: string;
  readonly runDirectory: string;
  child: ChildProcess;
  peer: LocalRpcPeer;
  stderr = "";
  #transactions = 0;

  private constructor(bed: Testbed, entry: string, settingsFile: string, runDirectory: string) {
    this.#bed = bed;
    this.#entry = entry;
    this.#settingsFile = settingsFile;
    this.runDirectory = runDirectory;
    this.child = undefined as unknown as ChildProcess;
    this.peer = undefined as unknown as LocalRpcPeer;
  }

  /** Starts it in `netns` with the given data interfaces. */
  static async start(
    bed: Testbed,
    entry: string,
    netns: string,
    interfaces: readonly string[],
  ): Promise<DataProcess> {
    chmodSync(bed.folder, 0o755);
    const runDirectory = join(bed.folder, `run-${netns}`);
    mkdirSync(runDirectory);
    execFileSync("chown", [`${USER_ID}`, runDirectory]);
    const settingsFile = join(bed.folder, `${netns}.json`);
    const settings = {
      name: netns,
      runDirectory,
      stateDirectory: runDirectory,
      netconf: { listen: [], authorizedKeysFile: "/nonexistent", users: [] },
      interfaces,
      bootId: "boot-1",
    };
    writeFileSync(settingsFile, JSON.stringify(settings));
    const data = new DataProcess(bed, entry, settingsFile, runDirectory);
    await data.launch(netns);
    return data;
  }

  /** Starts the process (again) and connects. */
  async launch(netns: string): Promise<void> {
    const capabilities = "+net_admin,+net_raw";
    this.child = this.#bed.spawn(netns, [
      ...["setpriv", `--reuid=${USER_ID}`, `--regid=${USER_ID}`, "--clear-groups"],
      ...["--bounding-set", `-all,${capabilities}`],
      ...["--inh-caps", `-all,${capabilities}`, "--ambient-caps", `-all,${capabilities}`],
      ...[process.execPath, this.#entry, "appliance-data", "--settings", this.#settingsFile],
    ]);
    this.child.stderr?.on("data", (chunk: Buffer) => {
      this.stderr += chunk.toString();
    });
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`no READY: ${this.stderr}`)),
        READY_TIMEOUT_MS,
      );
      this.child.once("exit", () => reject(new Error(`appliance-data ended: ${this.stderr}`)));
      this.child.stdout?.on("data", (chunk: Buffer) => {
        if (!chunk.toString().includes("READY")) return;
        clearTimeout(timer);
        resolve();
      });
    });
    this.peer = await connectLocalRpc(join(this.runDirectory, "data.sock"), {});
  }

  /** Prepares and commits; returns the outcome or what prepare refused. */
  async commit(config: unknown): Promise<unknown> {
    const transactionId = `t${++this.#transactions}`;
    const prepared = (await this.peer.call("prepare", { transactionId, config })) as {
      ok: boolean;
    };
    if (!prepared.ok) return prepared;
    return this.peer.call("commit", { transactionId });
  }

  /** Ends the process and waits for it. */
  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    this.peer.close();
    const ended = new Promise((resolve) => this.child.once("exit", resolve));
    this.child.kill(signal);
    await ended;
  }
}
