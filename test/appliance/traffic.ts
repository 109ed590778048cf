/** Starts the traffic program of `traffic.mjs` in namespaces of a test bed. */
import { fileURLToPath } from "node:url";
import type { Testbed } from "./testbed.ts";

const PROGRAM = fileURLToPath(new URL("./traffic.mjs", import.meta.url));
const SERVER_TIMEOUT_MS = 5_000;

export interface Probe {
  readonly protocol: "tcp" | "udp";
  readonly host: string;
  readonly port: number;
  readonly source?: string;
  readonly sourcePort?: number;
}

/** Serves TCP and UDP on the ports; resolves when all are open. */
export async function serve(bed: Testbed, netns: string, ports: readonly number[]): Promise<void> {
  const child = bed.spawn(netns, [process.execPath, PROGRAM, "serve", netns, ...ports.map(String)]);
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`${netns} does not serve`)), SERVER_TIMEOUT_MS);
    child.stdout?.once("data", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

/** Enough for an answer on a busy machine; an answer ends the wait. */
const PATIENCE_MS = 3_000;
/** For probes that must stay without an answer: their positive controls take some milliseconds. */
export const BRIEFLY_MS = 400;

/** Returns "NAME address port" for each probe; "refused", or null when nothing came back. */
export async function ask(
  bed: Testbed,
  netns: string,
  probes: readonly Probe[],
  patienceMs: number = PATIENCE_MS,
): Promise<(string | null)[]> {
  const command = [process.execPath, PROGRAM, "ask", JSON.stringify(probes), `${patienceMs}`];
  const { output } = await bed.try(netns, command);
  return JSON.parse(output) as (string | null)[];
}

/** Opens connections and returns how often each server answered. */
export async function many(
  bed: Testbed,
  netns: string,
  target: { readonly host: string; readonly port: number; readonly count: number },
): Promise<Record<string, number>> {
  const numbers = [`${target.port}`, `${target.count}`];
  const { output } = await bed.try(netns, [
    process.execPath,
    PROGRAM,
    "many",
    target.host,
    ...numbers,
  ]);
  return JSON.parse(output) as Record<string, number>;
}

/** A connection that is kept busy. */
export interface HeldConnection {
  /** Echoes so far. */
  echoes(): number;
  close(): void;
}

export function hold(bed: Testbed, netns: string, host: string, port: number): HeldConnection {
  const child = bed.spawn(netns, [process.execPath, PROGRAM, "hold", host, `${port}`]);
  let count = 0;
  child.stdout?.on("data", (chunk: Buffer) => {
    count += chunk.toString().split("echo").length - 1;
  });
  return { echoes: () => count, close: () => child.kill() };
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
