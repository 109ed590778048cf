/**
 * `bench netconf`: large edits, commits and reads over real SSH, beside Debian's netconfd.
 *
 * Effect: starts both servers in a folder of its own; netconfd is reached by its stdio subsystem.
 * The client is this process: its own time is part of every figure.
 */

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { Client, type ClientChannel } from "ssh2";
import { FlowliftError } from "../../lib/base/errors.ts";
import { percentileOf } from "../../lib/base/statistics.ts";
import { makeSshKeyPair } from "../../lib/ssh/key-pair.ts";
import { NetconfStream } from "./netconf-stream.ts";
import { type Figure, type FigureSpec, makeFigure } from "./report.ts";

const MODULE = `module flowlift-bench {
  namespace "urn:flowlift:bench"; prefix b;
  revision 2026-11-21;
  container top { list item { key id; leaf id { type int32; } leaf value { type int32; } } }
}
`;
const NETCONFD = "/usr/sbin/netconfd";
const SUBSYSTEM = "/usr/sbin/netconf-subsystem";
/** netconfd's, on every machine. */
const PEER_SOCKET = "/tmp/ncxserver.sock";
const ENTRIES = 10_000;
const MANY_ENTRIES = 50_000;
/** netconfd is quadratic: more would take minutes. */
const NETCONFD_ENTRIES = 1_000;
const SESSIONS = 20;
const GETS = 50;

type Announce = (line: string) => void;

function items(count: number, seed: number): string {
  const list: string[] = [];
  for (let id = 0; id < count; id++)
    list.push(`<item><id>${id}</id><value>${id + seed}</value></item>`);
  return `<top xmlns="urn:flowlift:bench">${list.join("")}</top>`;
}

function editOf(config: string): string {
  return `<edit-config><target><candidate/></target><config>${config}</config></edit-config>`;
}

const CLEAR =
  '<edit-config><target><candidate/></target><default-operation>none</default-operation><config><top xmlns="urn:flowlift:bench" xmlns:nc="urn:ietf:params:xml:ns:netconf:base:1.0" nc:operation="remove"/></config></edit-config>';
const GET = "<get-config><source><running/></source></get-config>";
const SMALL_GET =
  '<get-config><source><running/></source><filter><top xmlns="urn:flowlift:bench"><item><id>7</id></item></top></filter></get-config>';

async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

interface Times {
  readonly fill: number[];
  readonly read: number[];
  readonly one: number[];
}

async function measureList(session: NetconfStream, count: number, rounds: number): Promise<Times> {
  const times: Times = { fill: [], read: [], one: [] };
  for (let round = 0; round < rounds; round++) {
    await session.must(CLEAR);
    await session.must("<commit/>");
    const config = items(count, round);
    times.fill.push(
      await timed(async () => {
        await session.must(editOf(config));
        await session.must("<commit/>");
      }),
    );
    times.read.push(await timed(() => session.call(GET)));
    const one = `<top xmlns="urn:flowlift:bench"><item><id>7</id><value>${-round - 1}</value></item></top>`;
    times.one.push(
      await timed(async () => {
        await session.must(editOf(one));
        await session.must("<commit/>");
      }),
    );
  }
  return times;
}

/** Small reads on many sessions while another commits a large list again and again. */
async function measureContention(target: Target, writer: NetconfStream): Promise<number[]> {
  const sessions = await Promise.all(Array.from({ length: SESSIONS }, () => target.connect()));
  const samples: number[] = [];
  let isOver = false;
  const committing = (async () => {
    for (let round = 0; !isOver; round++) {
      const one = `<top xmlns="urn:flowlift:bench"><item><id>9</id><value>${round}</value></item></top>`;
      await writer.must(editOf(one));
      await writer.must("<commit/>");
    }
  })();
  await Promise.all(
    sessions.map(async (session) => {
      for (let index = 0; index < GETS; index++) {
        samples.push(await timed(() => session.call(SMALL_GET)));
      }
    }),
  );
  isOver = true;
  await committing;
  return samples;
}

/** Our server in a process of its own. */
class Target {
  readonly #folder: string;
  readonly #key: string;
  #child: ChildProcess | undefined;
  #port = 0;
  readonly #clients: Client[] = [];

  constructor(folder: string) {
    this.#folder = folder;
    const pair = makeSshKeyPair("bench");
    this.#key = pair.private;
    writeFileSync(join(folder, "key.pub"), pair.public);
    mkdirSync(join(folder, "state"));
  }

  async start(): Promise<void> {
    const entry = join(import.meta.dirname, "netconf-target.js");
    const child = spawn(process.execPath, [entry, this.#folder], {
      // The target ends with its standard input, so never after this process.
      stdio: ["pipe", "pipe", "inherit"],
    });
    this.#child = child;
    for await (const line of createInterface({ input: child.stdout })) {
      this.#port = Number(line);
      break;
    }
  }

  get rssMiB(): number {
    const status = readFileSync(`/proc/${this.#child?.pid}/status`, "utf8");
    return Number(/VmRSS:\s*(\d+)/.exec(status)?.[1]) / 1024;
  }

  async connect(): Promise<NetconfStream> {
    const ssh = new Client();
    this.#clients.push(ssh);
    const channel = await new Promise<ClientChannel>((resolve, reject) => {
      ssh.once("error", reject);
      ssh.once("ready", () =>
        ssh.subsys("netconf", (error, stream) =>
          error === undefined ? resolve(stream) : reject(error),
        ),
      );
      ssh.connect({
        host: "127.0.0.1",
        port: this.#port,
        username: "bench",
        privateKey: this.#key,
      });
    });
    // As OpenSSH does: otherwise each small request waits for an acknowledgement.
    ssh.setNoDelay(true);
    const session = new NetconfStream({ input: channel, output: channel });
    await session.open();
    return session;
  }

  stop(): void {
    for (const ssh of this.#clients) ssh.end();
    this.#child?.kill("SIGKILL");
  }
}

/** Debian's server: one at a time on a machine, because its socket has a fixed name. */
async function measurePeer(folder: string, rounds: number): Promise<Times> {
  if (!existsSync(NETCONFD)) {
    throw new FlowliftError("ENVIRONMENT_LACKS", "netconfd is missing: apt-get install netconfd");
  }
  // A server that was killed leaves its socket, and a client would wait at it.
  rmSync(PEER_SOCKET, { force: true });
  const user = spawnSync("id", ["-un"]).stdout.toString().trim();
  const server = spawn(
    NETCONFD,
    [
      "--target=candidate",
      "--module=flowlift-bench",
      `--modpath=${folder}:/usr/share/yuma/modules`,
      `--superuser=${user}`,
      "--no-startup",
      "--log-level=error",
      "--max-burst=0",
    ],
    { stdio: "ignore", cwd: folder, env: { ...baseEnvironment(), HOME: folder } },
  );
  try {
    for (let tries = 0; tries < 100 && !existsSync(PEER_SOCKET); tries++) await sleep(100);
    const child = spawn(SUBSYSTEM, [], {
      stdio: ["pipe", "pipe", "ignore"],
      env: { ...baseEnvironment(), USER: user, SSH_CONNECTION: "127.0.0.1 1 127.0.0.1 830" },
    });
    const session = new NetconfStream({ input: child.stdout, output: child.stdin });
    await session.open();
    const times = await measureList(session, NETCONFD_ENTRIES, rounds);
    child.kill("SIGKILL");
    return times;
  } finally {
    server.kill("SIGKILL");
    rmSync(PEER_SOCKET, { force: true });
  }
}

function baseEnvironment(): Record<string, string> {
  return { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" };
}

const max = (at: number): NonNullable<FigureSpec["target"]> => ({ of: "value", bound: "max", at });

/** Measures both servers; returns the figures. */
export async function measureNetconf(rounds: number, announce: Announce): Promise<Figure[]> {
  const folder = mkdtempSync(join(tmpdir(), "flowlift-bench-netconf-"));
  writeFileSync(join(folder, "flowlift-bench.yang"), MODULE);
  const target = new Target(folder);
  try {
    await target.start();
    const session = await target.connect();
    announce(`netconf: ${NETCONFD_ENTRIES} entries, ours and netconfd's`);
    await measureList(session, NETCONFD_ENTRIES, 3); // So that both are warm.
    const small = await measureList(session, NETCONFD_ENTRIES, rounds);
    const peer = await measurePeer(folder, rounds);
    announce(`netconf: ${ENTRIES} entries`);
    const large = await measureList(session, ENTRIES, rounds);
    announce(`netconf: ${SESSIONS} sessions read while one commits`);
    const contention = await measureContention(target, session);
    announce(`netconf: ${MANY_ENTRIES} entries`);
    const huge = await measureList(session, MANY_ENTRIES, Math.max(1, Math.floor(rounds / 2)));
    await sleep(500);
    const rss = target.rssMiB;
    const ms = (id: string, more: Partial<FigureSpec> = {}): FigureSpec => ({
      id,
      unit: "ms",
      ...more,
    });
    const p99 = percentileOf(contention, 0.99) ?? Number.NaN;
    const linear = { of: "ratio", bound: "max", at: 6 } as const;
    return [
      makeFigure(ms("edit-commit-1000"), small.fill, peer.fill),
      makeFigure(ms("get-config-1000"), small.read, peer.read),
      makeFigure(ms("one-entry-commit-1000"), small.one, peer.one),
      makeFigure(ms("edit-commit-10000", { target: max(150) }), large.fill),
      makeFigure(ms("get-config-10000", { target: max(30) }), large.read),
      makeFigure(ms("one-entry-commit-10000", { target: max(30) }), large.one),
      makeFigure(ms("edit-commit-50000", { target: linear }), huge.fill, large.fill),
      makeFigure(ms("get-config-50000", { target: linear }), huge.read, large.read),
      makeFigure(ms("one-entry-commit-50000", { target: linear }), huge.one, large.one),
      makeFigure(ms("get-p99-20-sessions", { target: max(50) }), [p99]),
      makeFigure({ id: "rss-50000", unit: "MiB", target: max(150) }, [rss]),
    ];
  } finally {
    target.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}
