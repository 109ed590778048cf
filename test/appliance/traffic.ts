/** Starts the traffic program of `traffic.mjs` in namespaces of a test bed. */
import { fileURLToPath } from "node:url";
import { patience } from "../support/patience.ts";
import type { Testbed } from "./testbed.ts";

const PROGRAM = fileURLToPath(new URL("./traffic.mjs", import.meta.url));
const SERVER_TIMEOUT_MS: number = patience(5_000);

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

const ECHO_TIMEOUT_MS: number = patience(10_000);
/** A pipe's worth of lines that were printed before. */
const SETTLE_MS = 150;
/** A living connection has an echo every 20 ms. */
const OBSERVE_MS = 400;

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

/** Waits until each connection has had more echoes than `count` since now; throws when one has not. */
export async function untilEchoes(
  connections: readonly HeldConnection[],
  count: number,
): Promise<void> {
  const start = connections.map((connection) => connection.echoes());
  const deadlineMs = performance.now() + ECHO_TIMEOUT_MS;
  const isLate = (connection: HeldConnection, index: number) =>
    connection.echoes() - (start[index] ?? 0) <= count;
  while (connections.some(isLate)) {
    if (performance.now() > deadlineMs) throw new Error("a held connection does not answer");
    await sleep(20);
  }
}

/** Returns which connections still get echoes, after what was on its way has arrived. */
export async function stillAlive(connections: readonly HeldConnection[]): Promise<boolean[]> {
  await sleep(SETTLE_MS);
  const before = connections.map((connection) => connection.echoes());
  await sleep(OBSERVE_MS);
  return connections.map((connection, index) => connection.echoes() > (before[index] ?? 0));
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
