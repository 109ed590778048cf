/**
 * Starts traffic programs on a lab's machines and reads their results.
 *
 *     const server = await startTraffic(lab, "red/www", "http-server", { port: 80 });
 *     const seen = await runTraffic(lab, "red/client1", "http-client",
 *       { target: "192.0.2.100", port: 80, connections: 2000 });
 *     const { requests } = await server.stop();
 *
 * Effect: child processes; they end with the process that started them.
 */
import type { ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";
import { FlowliftError } from "../../lib/base/errors.ts";
import type { ExecOptions } from "../machine-exec.ts";
import type { TrafficMode, TrafficPrograms, TransferRound } from "./options.ts";

/** The programs, from the root of the built program. */
export const TRAFFIC_ENTRY = "lab/traffic/main.js";

/** A lab, or whatever else runs programs on machines. */
export interface TrafficPlace {
  exec(machine: string, argv: readonly string[], options: ExecOptions): ChildProcess;
  nodeWords(entry: string): string[];
}

type Options<Mode extends TrafficMode> = TrafficPrograms[Mode]["options"];
type Result<Mode extends TrafficMode> = TrafficPrograms[Mode]["result"];

/** A program that runs. */
export class RunningTraffic<Mode extends TrafficMode> {
  readonly #child: ChildProcess;
  readonly #name: string;
  readonly #lines: string[] = [];
  readonly #waiters: (() => void)[] = [];
  #errors = "";
  #ended = false;
  /** The program's last line, once it has ended. Rejects with LAB_FAILED when it failed. */
  readonly result: Promise<Result<Mode>>;

  constructor(child: ChildProcess, name: string) {
    this.#child = child;
    this.#name = name;
    child.stderr?.on("data", (chunk: Buffer) => {
      this.#errors = (this.#errors + chunk.toString()).slice(-2_000);
    });
    if (child.stdout !== null) {
      createInterface({ input: child.stdout }).on("line", (line) => this.#receive(line));
    }
    this.result = new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code) => {
        this.#ended = true;
        this.#wake();
        const last = this.#lines.at(-1);
        if (code === 0 && last !== undefined) resolve(JSON.parse(last) as Result<Mode>);
        else reject(this.#failure(`ended with ${code ?? "a signal"}`));
      });
    });
    this.result.catch(() => {}); // Whoever asks for it sees the failure; nobody has to ask.
  }

  #receive(line: string): void {
    this.#lines.push(line);
    this.#wake();
  }

  #wake(): void {
    for (const waiter of this.#waiters.splice(0)) waiter();
  }

  #failure(what: string): FlowliftError {
    const words = this.#errors.trim();
    return new FlowliftError(
      "LAB_FAILED",
      `${this.#name} ${what}${words === "" ? "" : `: ${words}`}`,
    );
  }

  /** Waits for the next line that is not read yet. */
  async #nextLine(): Promise<string> {
    for (;;) {
      const line = this.#ended ? undefined : this.#lines.shift();
      if (line !== undefined) return line;
      if (this.#ended) throw this.#failure("ended");
      await new Promise<void>((resolve) => this.#waiters.push(resolve));
    }
  }

  /** Waits for READY. */
  async waitReady(): Promise<this> {
    const line = await this.#nextLine();
    if (line !== "READY") throw this.#failure(`said "${line}" in place of READY`);
    return this;
  }

  /** For a transfer-client with `rounds: 0`: transfers once over every connection that is left. */
  async transferRound(): Promise<TransferRound> {
    this.#child.stdin?.write("round\n");
    return JSON.parse(await this.#nextLine()) as TransferRound;
  }

  /** Ends a server, or a transfer-client with `rounds: 0`; returns its result. */
  stop(): Promise<Result<Mode>> {
    if (!this.#ended) {
      if (this.#child.stdin === null || this.#name.includes("-server")) this.#child.kill("SIGTERM");
      else this.#child.stdin.end("close\n");
    }
    return this.result;
  }

  /** Ends the program at once. */
  kill(): void {
    this.#child.kill("SIGKILL");
  }
}

/** Starts a program; servers and clients with commands are ready when this resolves. */
export async function startTraffic<Mode extends TrafficMode>(
  place: TrafficPlace,
  machine: string,
  mode: Mode,
  options: Options<Mode>,
): Promise<RunningTraffic<Mode>> {
  const argv = [...place.nodeWords(TRAFFIC_ENTRY), mode, JSON.stringify(options)];
  const child = place.exec(machine, argv, { stdio: ["pipe", "pipe", "pipe"] });
  child.stdin?.on("error", () => {}); // It may end before it has read everything.
  const running = new RunningTraffic<Mode>(child, `${mode} on ${machine}`);
  const isServing = mode.endsWith("-server") || ("rounds" in options && options.rounds === 0);
  return isServing ? running.waitReady() : running;
}

/** Runs a client to its end. */
export async function runTraffic<Mode extends TrafficMode>(
  place: TrafficPlace,
  machine: string,
  mode: Mode,
  options: Options<Mode>,
): Promise<Result<Mode>> {
  return (await startTraffic(place, machine, mode, options)).result;
}
