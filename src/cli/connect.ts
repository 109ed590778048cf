/**
 * `flowlift connect`: reaches a VM's NETCONF through its management port, from the host.
 *
 * Effect: relays bytes; `--install-key` installs the first key. Everything inside is the VM's own SSH.
 */
import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { installKey } from "../connect/install-key.ts";
import { type ListenAt, listenForVm } from "../connect/listen.ts";
import { Relay } from "../connect/relay.ts";
import { openThroughRelay } from "../connect/relay-client.ts";
import { listLabs, readLabState } from "../lab/lab-state.ts";
import { layoutLab, RUN_DIRECTORY_DEFAULT } from "../lab/layout.ts";
import { FlowliftError } from "../lib/base/errors.ts";
import { EXIT_HELD } from "../lib/base/exit-code.ts";
import { createLog } from "../lib/base/log.ts";
import { readSetting } from "../lib/base/settings.ts";
import { type ParsedFlags, parseFlags } from "./arguments.ts";
import { waitForStop } from "./stop-signal.ts";

const USAGE =
  "flowlift connect TENANT/NAME [--socket PATH] " +
  "(--stdio | --listen ADDRESS:PORT | --install-key FILE.pub --code XXXX-XXXX)";
/** Where a host keeps its VMs' sockets, besides labs: TENANT/NAME/manage.sock below it. */
const VMS_DIRECTORY = `${RUN_DIRECTORY_DEFAULT}/vms`;
/** A relay that nobody uses ends. */
const RELAY_IDLE_MS = 60_000;
const RELAY_LOOK_MS = 1_000;
const FIRST_INHERITED_FD = 3;

/** Runs the subcommand. */
export async function run(args: readonly string[]): Promise<number> {
  const flags = parseFlags(
    args,
    {
      values: ["socket", "listen", "install-key", "code", "run-directory"],
      switches: ["stdio", "relay"],
      positionalsMax: 1,
    },
    USAGE,
  );
  const socketPath = findSocket(flags);
  if (flags.switches.has("relay")) return await runRelay(socketPath);
  const relayWords = wordsOfRelay(socketPath);
  if (flags.values["install-key"] !== undefined) {
    return await runInstallKey(flags, { socketPath, relayWords });
  }
  if (flags.switches.has("stdio")) return await runStdio({ socketPath, relayWords });
  return await runListen(flags, socketPath);
}

function usageError(text: string): FlowliftError {
  return new FlowliftError("USAGE", `${text}; usage: ${USAGE}`);
}

function findSocket(flags: ParsedFlags): string {
  const given = flags.values["socket"];
  if (given !== undefined) return resolve(given);
  const [name = ""] = flags.positionals;
  const match = /^([^/]+)\/([^/]+)$/.exec(name);
  if (match === null) throw usageError("Say which VM as TENANT/NAME, or give --socket PATH");
  const [, tenant = "", vm = ""] = match;
  const runDirectory = flags.values["run-directory"] ?? RUN_DIRECTORY_DEFAULT;
  for (const lab of listLabs(runDirectory)) {
    const appliances = readLabState(layoutLab(runDirectory, lab))?.description?.appliances ?? [];
    const found = appliances.find((one) => one.tenant === tenant && one.name === vm);
    if (found?.manageSocket !== undefined) return found.manageSocket;
    if (found?.netconf !== undefined) {
      const { host, port } = found.netconf;
      throw usageError(
        `"${name}" of lab "${lab}" is no VM: its NETCONF is at ${host} port ${port}`,
      );
    }
  }
  const path = `${VMS_DIRECTORY}/${tenant}/${vm}/manage.sock`;
  if (existsSync(path)) return path;
  throw usageError(`There is no VM "${name}" in a lab or at ${path}; give --socket PATH`);
}

function wordsOfRelay(socketPath: string): string[] {
  const main = fileURLToPath(new URL("./main.js", import.meta.url));
  return [process.execPath, main, "connect", "--relay", "--socket", socketPath];
}

async function runRelay(socketPath: string): Promise<number> {
  const relay = await Relay.start(socketPath, createLog("connect"));
  if (relay === undefined) return EXIT_HELD;
  const stopped = waitForStop();
  let isStopped = false;
  void stopped.then(() => {
    isStopped = true;
  });
  while (!isStopped && relay.idleMs < RELAY_IDLE_MS && (relay.isOwner || relay.idleMs === 0)) {
    await Promise.race([stopped, sleep(RELAY_LOOK_MS)]);
  }
  await relay.close();
  return EXIT_HELD;
}

type ClientOptions = Parameters<typeof openThroughRelay>[0];

async function runStdio(options: ClientOptions): Promise<number> {
  const socket = await openThroughRelay(options, "ssh");
  process.stdin.pipe(socket);
  socket.pipe(process.stdout);
  process.stdout.on("error", () => socket.destroy()); // The client is gone.
  await new Promise<void>((done) => {
    socket.on("error", () => {});
    socket.once("close", () => done());
  });
  process.stdin.destroy();
  return EXIT_HELD;
}

async function runInstallKey(flags: ParsedFlags, options: ClientOptions): Promise<number> {
  const { code, "install-key": file = "" } = flags.values;
  if (code === undefined) throw usageError("--code is missing; the VM's console shows it");
  let key: string;
  try {
    key = readFileSync(file, "utf8");
  } catch (cause) {
    throw new FlowliftError("USAGE", `Cannot read the public key "${file}"`, { cause });
  }
  if (key.includes("PRIVATE KEY")) {
    throw usageError(`"${file}" is a private key; give the public one, "${file}.pub"`);
  }
  const fingerprint = await installKey(await openThroughRelay(options, "install-key"), key, code);
  process.stdout.write(`The key ${fingerprint} may log in now\n`);
  return EXIT_HELD;
}

async function runListen(flags: ParsedFlags, socketPath: string): Promise<number> {
  const stopped = waitForStop();
  const listener = await listenForVm(socketPath, readListenAt(flags), createLog("connect"));
  process.stderr.write(`flowlift: the VM's NETCONF is at port ${listener.port}\n`);
  process.stdout.write("READY\n");
  await stopped;
  await listener.close();
  return EXIT_HELD;
}

function readListenAt(flags: ParsedFlags): ListenAt {
  const text = flags.values["listen"];
  if (text === undefined) {
    if (readSetting("LISTEN_FDS") === "1") return { kind: "inherited", fd: FIRST_INHERITED_FD };
    throw usageError("Say --stdio, --listen ADDRESS:PORT or --install-key FILE.pub");
  }
  const match = /^(?:\[([^\]]+)\]|([^:]*)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3] ?? -1);
  if (match === null || port < 0 || port > 65_535) {
    throw usageError(`"${text}" is no ADDRESS:PORT, such as 127.0.0.1:8300`);
  }
  return { kind: "address", address: match[1] ?? (match[2] || "127.0.0.1"), port };
}
