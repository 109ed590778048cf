/** Starts the traffic programs of a bench in lab hosts and collects their results. Effect: child processes. */
import type { ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";
import type { ExecOptions } from "../../lab/machine-exec.ts";
import { ROOT } from "../../lab/privileges.ts";
import { FlowliftError } from "../../lib/base/errors.ts";
import type { GeneratorOptions } from "./generator-options.ts";

/** Where traffic programs run. */
export interface TrafficPlace {
  /** Starts a program on a machine. */
  exec(machine: string, argv: readonly string[], options: ExecOptions): ChildProcess;
  /** Returns the words that run a file of the built program. */
  nodeWords(entry: string): string[];
}

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
  /** Resolves when a serving program listens. */
  readonly ready: Promise<void>;
  /** The program's one result. */
  readonly result: Promise<Readonly<Record<string, number>>>;
  /** Ends a serving program before its time; its result is then empty. */
  stop(): void;
}

/** Starts one program; it ends by itself after `options.seconds`. */
export function startGenerator(
  place: TrafficPlace,
  host: string,
  mode: GeneratorMode,
  options: GeneratorOptions,
): RunningGenerator {
  const writesFrames = options.nextHopMac !== undefined;
  const words = [
    ...(writesFrames ? ["taskset", "--cpu-list", `${SENDER_CPU}`] : []),
    ...[...place.nodeWords(GENERATOR_ENTRY), mode, JSON.stringify(options)],
  ];
  const child = place.exec(host, words, writesFrames ? { privileges: ROOT } : {});
  let stopped = false;
  let settleReady: () => void = () => {};
  const ready = new Promise<void>((resolve) => {
    settleReady = resolve;
  });
  const result = new Promise<Readonly<Record<string, number>>>((resolve, reject) => {
    let last = "{}";
    let errors = "";
    child.stderr?.on("data", (text: Buffer) => {
      errors = (errors + text.toString()).slice(-2000);
    });
    if (child.stdout !== null) {
      createInterface({ input: child.stdout }).on("line", (line) => {
        if (line === "READY") settleReady();
        else last = line;
      });
    }
    child.on("error", reject);
    child.on("close", (code) => {
      settleReady();
      if (code === 0 || stopped) resolve(JSON.parse(last) as Record<string, number>);
      else reject(new FlowliftError("LAB_FAILED", `${mode} on ${host} failed: ${errors.trim()}`));
    });
  });
  return {
    ready,
    result,
    stop: () => {
      stopped = true;
      child.kill("SIGTERM");
    },
  };
}
