/** `flowlift lab`: up, status, down; `run` is the supervisor that `up` leaves behind. */
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { APPLIANCE_MODULES } from "../appliance/modules.ts";
import { endLab, removeDeadLabs } from "../lab/clean-up.ts";
import type { LabDescription } from "../lab/description.ts";
import { READY_WORD, startDetached } from "../lab/detached.ts";
import { defaultLabFile, readLabFile } from "../lab/lab-file.ts";
import { assertLabAbsent, isSupervised, listLabs, readLabState } from "../lab/lab-state.ts";
import { layoutLab, RUN_DIRECTORY_DEFAULT } from "../lab/layout.ts";
import { formatDescription, formatStatus, type LabStatus } from "../lab/print-lab.ts";
import { PRIVILEGES, type ProcessKind } from "../lab/privileges.ts";
import { checkLabName, startLab } from "../lab/start-lab.ts";
import type { LabVmOptions } from "../lab/vm/vm-options.ts";
import { FlowliftError } from "../lib/base/errors.ts";
import { EXIT_CLAIM_FAILED, EXIT_HELD } from "../lib/base/exit-code.ts";
import { createLog } from "../lib/base/log.ts";
import { type ParsedFlags, parseFlags } from "./arguments.ts";

const USAGE =
  "flowlift lab up [--file LAB.yaml] [--name NAME] [--vm] [--processes KIND,…|none] [--json] | " +
  "lab status [--json] | lab down [--name NAME | --all]";

/** Runs the subcommand. */
export async function run(args: readonly string[]): Promise<number> {
  const flags = parseFlags(
    args,
    {
      values: ["file", "name", "processes", "run-directory", "dist-directory"],
      switches: ["json", "all", "vm"],
      positionalsMax: 1,
    },
    USAGE,
  );
  const actions: Readonly<Record<string, (flags: ParsedFlags) => Promise<number>>> = {
    up,
    run: supervise,
    status,
    down,
  };
  const action = actions[flags.positionals[0] ?? ""];
  if (action === undefined) {
    throw new FlowliftError("USAGE", `Say what to do with the lab; usage: ${USAGE}`);
  }
  return action(flags);
}

function runDirectoryOf(flags: ParsedFlags): string {
  return flags.values["run-directory"] ?? RUN_DIRECTORY_DEFAULT;
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

async function up(flags: ParsedFlags): Promise<number> {
  const file = resolve(flags.values["file"] ?? defaultLabFile());
  const definition = readLabFile(file, APPLIANCE_MODULES); // Bad files are refused here, with their line.
  const name = checkLabName(flags.values["name"] ?? definition.name);
  const runDirectory = runDirectoryOf(flags);
  assertLabAbsent(layoutLab(runDirectory, name), name);
  const words = ["lab", "run", "--file", file, "--name", name, "--run-directory", runDirectory];
  readKinds(flags);
  const passed = ["processes", "dist-directory"].flatMap((flag) => {
    const value = flags.values[flag];
    return value === undefined ? [] : [`--${flag}`, value];
  });
  if (flags.switches.has("vm")) {
    await readVms((line) => process.stderr.write(`${line}\n`)); // The supervisor finds what this built.
    passed.push("--vm");
  }
  const main = fileURLToPath(new URL("./main.js", import.meta.url));
  const failure = await startDetached({
    runDirectory,
    name,
    argv: [process.execPath, main, ...words, ...passed],
    announce: (line) => process.stderr.write(`${line}\n`),
  });
  if (failure !== undefined) {
    process.stderr.write(`${failure.words}\n`);
    return failure.exitCode;
  }
  const description = readLabState(layoutLab(runDirectory, name))?.description;
  if (description === undefined) throw new FlowliftError("LAB_FAILED", `Lab "${name}" is gone`);
  print(flags.switches.has("json") ? JSON.stringify(description) : formatDescription(description));
  return EXIT_HELD;
}

/** The image's builder is loaded only for those who want VMs. */
async function readVms(announce: (line: string) => void): Promise<LabVmOptions> {
  const { prepareVms } = await import("./prepare-vms.ts");
  return await prepareVms(announce);
}

/** Returns which kinds of processes run; undefined: all. */
function readKinds(flags: ParsedFlags): ProcessKind[] | undefined {
  const text = flags.values["processes"];
  if (text === undefined) return undefined;
  const kinds = text === "none" ? [] : text.split(",");
  const wrong = kinds.find((kind) => !isProcessKind(kind));
  if (wrong !== undefined) {
    const known = Object.keys(PRIVILEGES).join(", ");
    throw new FlowliftError("USAGE", `"${wrong}" is no kind of process, only: ${known}`);
  }
  return kinds.filter(isProcessKind);
}

function isProcessKind(kind: string): kind is ProcessKind {
  return Object.hasOwn(PRIVILEGES, kind);
}

async function supervise(flags: ParsedFlags): Promise<number> {
  const definition = readLabFile(flags.values["file"] ?? defaultLabFile());
  const stop = new AbortController();
  process.once("SIGTERM", () => stop.abort());
  process.once("SIGINT", () => stop.abort());
  process.stdout.on("error", () => {}); // Whoever started us may be gone.
  const name = flags.values["name"];
  const dist = flags.values["dist-directory"];
  const kinds = readKinds(flags);
  const vm = flags.switches.has("vm") ? await readVms(() => {}) : undefined;
  const lab = await startLab(definition, {
    runDirectory: runDirectoryOf(flags),
    ...(name === undefined ? {} : { name }),
    ...(dist === undefined ? {} : { distDirectory: dist }),
    ...(kinds === undefined ? {} : { processes: kinds }),
    ...(vm === undefined ? {} : { vm }),
    signal: stop.signal,
    log: createLog("lab"),
    announce: print,
  });
  print(READY_WORD);
  await waitForAbort(stop.signal);
  await lab.stop();
  return EXIT_HELD;
}

/** A pending promise alone keeps no process alive, so a timer does. */
async function waitForAbort(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const pulse = setInterval(() => {}, 60_000);
  await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
  clearInterval(pulse);
}

function readStatus(runDirectory: string, name: string): LabStatus {
  const state = readLabState(layoutLab(runDirectory, name));
  const running = state !== undefined && isSupervised(state);
  const description: LabDescription | undefined = state?.description;
  return {
    name,
    status: running ? state.status : "dead",
    processes: state?.processes ?? [],
    ...(description === undefined ? {} : { description }),
  };
}

async function status(flags: ParsedFlags): Promise<number> {
  const runDirectory = runDirectoryOf(flags);
  const labs = listLabs(runDirectory).map((name) => readStatus(runDirectory, name));
  print(flags.switches.has("json") ? JSON.stringify({ labs }) : formatStatus(labs));
  return labs.every((lab) => lab.status === "running") ? EXIT_HELD : EXIT_CLAIM_FAILED;
}

async function down(flags: ParsedFlags): Promise<number> {
  const runDirectory = runDirectoryOf(flags);
  const labs = listLabs(runDirectory);
  const name = flags.values["name"];
  if (name === undefined && !flags.switches.has("all") && labs.length > 1) {
    const text = `Several labs exist (${labs.join(", ")}): --name NAME or --all`;
    throw new FlowliftError("USAGE", text);
  }
  for (const lab of name === undefined ? labs : [name]) {
    const existed = await endLab(runDirectory, lab);
    if (!existed) throw new FlowliftError("LAB_FAILED", `There is no lab "${lab}"`);
    process.stderr.write(`lab "${lab}" is down\n`);
  }
  await removeDeadLabs(runDirectory, createLog("lab"));
  return EXIT_HELD;
}
