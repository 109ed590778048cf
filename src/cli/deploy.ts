/** `flowlift deploy`: prints or writes what a platform needs to run a tenant VM. */
import { writeFileSync } from "node:fs";
import { FlowliftError } from "../lib/base/errors.ts";
import { EXIT_HELD } from "../lib/base/exit-code.ts";
import { type ParsedFlags, parseFlags } from "./arguments.ts";
import { DEPLOYMENTS, type Deployment } from "./deploy/deployments.ts";
import { takeRepeated } from "./tenancy/repeated-flag.ts";

const MACHINE_FLAGS: readonly string[] = [
  "name",
  "disk",
  "data-disk",
  "seed",
  "memory",
  "processors",
  "socket-directory",
];

/** Runs the subcommand. */
export async function run(args: readonly string[]): Promise<number> {
  const { found: nics, rest } = takeRepeated(args, "nic", formatUsage());
  const deployment = DEPLOYMENTS.find(({ kind }) => kind === rest[0]);
  if (deployment === undefined || rest.includes("--help")) {
    if (rest.includes("--help")) {
      process.stdout.write(formatHelp());
      return EXIT_HELD;
    }
    throw new FlowliftError("USAGE", `Say for what; usage: ${formatUsage()}`);
  }
  const flags = readFlags(deployment, rest.slice(1));
  const output = deployment.format({ flags, nics });
  const path = flags.values["out"];
  if (path !== undefined && output.bytes !== undefined) write(path, output.bytes, output.mode);
  else if (output.bytes !== undefined) process.stdout.write(output.bytes);
  if (output.words !== undefined) process.stderr.write(`${output.words}\n`);
  return EXIT_HELD;
}

function readFlags(deployment: Deployment, args: readonly string[]): ParsedFlags {
  const own = deployment.flags.map((flag) => flag.name);
  const machine = deployment.describesMachine ? MACHINE_FLAGS : [];
  const values = [...new Set([...machine, ...own, "out"])];
  const switches = deployment.switches ?? [];
  const usage = `flowlift deploy ${deployment.kind}; flowlift deploy --help`;
  return parseFlags(args, { values, switches, positionalsMax: 0 }, usage);
}

function write(path: string, bytes: string | Uint8Array, mode = 0o644): void {
  try {
    writeFileSync(path, bytes, { mode });
  } catch (cause) {
    throw new FlowliftError("STATE_FILE_UNWRITABLE", `Cannot write "${path}"`, { cause });
  }
}

function formatUsage(): string {
  return `flowlift deploy ${DEPLOYMENTS.map(({ kind }) => kind).join("|")} … [--out FILE] | --help`;
}

function formatHelp(): string {
  const parts = DEPLOYMENTS.map((deployment) => {
    const flags = deployment.flags.map(
      ({ name, meaning }) => `      --${name.padEnd(16)} ${meaning}\n`,
    );
    return `  ${deployment.kind.padEnd(22)} ${deployment.summary}\n${flags.join("")}`;
  });
  return `usage: ${formatUsage()}

  of every machine:
      --name             TENANT/VM
      --nic              MAC=SEGMENT@NETWORK, once for each network card
      --disk             the image, an absolute path; .qcow2 or raw
      --data-disk        a second disk, for the configuration alone
      --seed             a volume with first-boot documents (flowlift deploy cloud-init)
      --memory           MiB (default 512)
      --processors       how many (default 1)
      --socket-directory where the serial ports' sockets are (default /run/flowlift/vms)

${parts.join("")}`;
}
