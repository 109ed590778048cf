/** Starts the traffic programs of a bench in lab hosts and collects their results. Effect: child processes. */
import { ROOT } from "../../lab/privileges.ts";
import { type ProgramPlace, startProgram } from "../../lab/traffic/program.ts";
import type { GeneratorOptions } from "./generator-options.ts";

/** The processor of programs that write frames. */
export const SENDER_CPU = 0;

/** The traffic program, from the root of the built program. */
export const GENERATOR_ENTRY = "cli/bench/generator.js";

export type GeneratorMode =
  | "tcp-accept"
  | "tcp-connect"
  | "tcp-sink"
  | "tcp-source"
  | "udp-blast"
  | "udp-echo"
  | "udp-exchange"
  | "udp-hold"
  | "udp-storm";

/** A started traffic program. */
export interface RunningGenerator {
  /** Resolves when a serving program listens. Throws LAB_FAILED when it never did. */
  waitReady(): Promise<void>;
  /** The program's one result. */
  readonly result: Promise<Readonly<Record<string, number>>>;
  /** Ends a serving program before its time; its result is then empty. */
  stop(): void;
}

/** Starts one program; it ends by itself after `options.seconds`. */
export function startGenerator(
  place: ProgramPlace,
  host: string,
  mode: GeneratorMode,
  options: GeneratorOptions,
): RunningGenerator {
  const writesFrames = options.nextHopMac !== undefined;
  const words = [
    ...(writesFrames ? ["taskset", "--cpu-list", `${SENDER_CPU}`] : []),
    ...[...place.nodeWords(GENERATOR_ENTRY), mode, JSON.stringify(options)],
  ];
  const program = startProgram(place, host, words, mode, writesFrames ? { privileges: ROOT } : {});
  return {
    waitReady: () => program.waitReady(),
    result: program.result.then((line) => JSON.parse(line ?? "{}") as Record<string, number>),
    stop: () => program.stop(),
  };
}
