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
import { FlowliftError } from "../../lib/base/errors.ts";
import type { TrafficMode, TrafficPrograms, TransferRound } from "./options.ts";
import { type ProgramPlace, type RunningProgram, startProgram } from "./program.ts";

/** The programs, from the root of the built program. */
export const TRAFFIC_ENTRY = "lab/traffic/main.js";

type Options<Mode extends TrafficMode> = TrafficPrograms[Mode]["options"];
type Result<Mode extends TrafficMode> = TrafficPrograms[Mode]["result"];

/** A traffic program that runs. */
export class RunningTraffic<Mode extends TrafficMode> {
  readonly #program: RunningProgram;
  readonly #mode: Mode;
  /** The program's last line, once it has ended. Rejects with LAB_FAILED when it failed. */
  readonly result: Promise<Result<Mode>>;

  constructor(program: RunningProgram, mode: Mode) {
    this.#program = program;
    this.#mode = mode;
    this.result = program.result.then((line) => {
      if (line !== undefined) return JSON.parse(line) as Result<Mode>;
      throw new FlowliftError("LAB_FAILED", `${mode} ended without a result`);
    });
    this.result.catch(() => {}); // Whoever asks for it sees the failure; nobody has to ask.
  }

  /** Waits for READY. */
  async waitReady(): Promise<this> {
    await this.#program.waitReady();
    return this;
  }

  /** For a transfer-client with `rounds: 0`: transfers once over every connection that is left. */
  async transferRound(): Promise<TransferRound> {
    this.#program.write("round\n");
    return JSON.parse(await this.#program.nextLine()) as TransferRound;
  }

  /** Ends a server, or a transfer-client with `rounds: 0`; returns its result. */
  stop(): Promise<Result<Mode>> {
    this.#program.stop(this.#mode.endsWith("-server") ? undefined : "close\n");
    return this.result;
  }

  /** Ends the program at once. */
  kill(): void {
    this.#program.kill();
  }
}

/** Starts a program; servers and clients with commands are ready when this resolves. */
export async function startTraffic<Mode extends TrafficMode>(
  place: ProgramPlace,
  machine: string,
  mode: Mode,
  options: Options<Mode>,
): Promise<RunningTraffic<Mode>> {
  const argv = [...place.nodeWords(TRAFFIC_ENTRY), mode, JSON.stringify(options)];
  const program = startProgram(place, machine, argv, mode, { stdio: ["pipe", "pipe", "pipe"] });
  const running = new RunningTraffic(program, mode);
  const isServing = mode.endsWith("-server") || ("rounds" in options && options.rounds === 0);
  return isServing ? running.waitReady() : running;
}

/** Runs a client to its end. */
export async function runTraffic<Mode extends TrafficMode>(
  place: ProgramPlace,
  machine: string,
  mode: Mode,
  options: Options<Mode>,
): Promise<Result<Mode>> {
  return (await startTraffic(place, machine, mode, options)).result;
}
