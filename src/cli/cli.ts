/**
 * `flowlift cli`: the interactive shell on an appliance's schema, over NETCONF.
 *
 * Effect: one SSH connection; reads lines from the terminal, a pipe or the command line, writes to stdout.
 * A script ends at its first line that fails.
 */
import { homedir, userInfo } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { FlowliftError } from "../lib/base/errors.ts";
import { EXIT_CLAIM_FAILED, EXIT_HELD } from "../lib/base/exit-code.ts";
import { findProjectRoot } from "../lib/base/project-root.ts";
import { defaultYangDirectories } from "../lib/yang/yang-directories.ts";
import { ShellConnection } from "../shell/connection.ts";
import { Shell } from "../shell/shell.ts";
import { parseFlags } from "./arguments.ts";
import { NetconfClient } from "./netconf-client.ts";

const USAGE =
  "flowlift cli [USER@]HOST [--port N] [--key FILE] [--host-key 'ALGORITHM BASE64'] [--command 'LINE; LINE']";
const PORT_DEFAULT = 830;

export async function run(args: readonly string[]): Promise<number> {
  const flags = parseFlags(
    args,
    { values: ["port", "key", "host-key", "command"], switches: [], positionalsMax: 1 },
    USAGE,
  );
  const target = readTarget(flags.positionals[0], flags.values);
  const client = await NetconfClient.connect(target);
  try {
    const directories = defaultYangDirectories(findProjectRoot());
    const connection = await ShellConnection.open(client, directories);
    const print = (line: string): void => void process.stdout.write(`${line}\n`);
    const shell = new Shell({ connection, name: `${target.user}@${target.host}`, print });
    const { command } = flags.values;
    if (command !== undefined) return await runLines(shell, command.split(";"));
    return process.stdin.isTTY === true ? await converse(shell) : await runInput(shell);
  } finally {
    client.close();
  }
}

function readTarget(text: string | undefined, values: Readonly<Record<string, string>>) {
  if (text === undefined) throw new FlowliftError("USAGE", `A host is missing; usage: ${USAGE}`);
  const at = text.lastIndexOf("@");
  const user = at < 0 ? userInfo().username : text.slice(0, at);
  const host = text.slice(at + 1);
  const port = values["port"] === undefined ? PORT_DEFAULT : Number(values["port"]);
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    throw new FlowliftError("USAGE", `--port takes 1 to 65535, not "${values["port"]}"`);
  }
  const keyFile = values["key"] ?? join(homedir(), ".ssh", "id_ed25519");
  const hostKey = values["host-key"];
  return { host, port, user, keyFile, ...(hostKey === undefined ? {} : { hostKey }) };
}

async function runLines(shell: Shell, lines: readonly string[]): Promise<number> {
  for (const line of lines) {
    if (!(await shell.run(line))) return EXIT_CLAIM_FAILED;
    if (shell.isDone) break;
  }
  return EXIT_HELD;
}

async function runInput(shell: Shell): Promise<number> {
  const lines: string[] = [];
  for await (const line of createInterface({ input: process.stdin })) lines.push(line);
  return await runLines(shell, lines);
}

/** A mistake does not end a conversation. */
async function converse(shell: Shell): Promise<number> {
  const terminal = createInterface({
    input: process.stdin,
    output: process.stdout,
    completer: (line: string, done: (error: null, result: [string[], string]) => void) => {
      shell.complete(line).then(
        (result) => done(null, result),
        () => done(null, [[], line]),
      );
    },
  });
  terminal.setPrompt(shell.prompt);
  terminal.prompt();
  for await (const line of terminal) {
    await shell.run(line);
    if (shell.isDone) break;
    terminal.setPrompt(shell.prompt);
    terminal.prompt();
  }
  terminal.close();
  return EXIT_HELD;
}
