/**
 * The VM as a shell script that starts QEMU.
 *
 * Pure. The words are those that the lab's VMs start with (src/lib/guest); taps must exist already.
 */
import { formatQemuWords } from "../../lib/guest/qemu-words.ts";
import type { Accelerator } from "../../lib/guest/vm-spec.ts";
import type { Machine } from "../machine.ts";

const WORD_PLAIN = /^[A-Za-z0-9_./:=,@%+-]+$/;
/** Only the words that begin an option stand at the beginning of a line. */
const INDENT = " \\\n  ";

/** Returns the program and its words. */
export function listQemuWords(machine: Machine, accelerator: Accelerator): readonly string[] {
  const { disk, dataDisk, seed } = machine;
  const directory = socketDirectoryOf(machine);
  const words = formatQemuWords({
    name: machine.label,
    uuid: machine.uuid,
    accelerator,
    memoryMib: machine.memoryMib,
    processors: machine.processors,
    boot: { kind: "disk", disk: { file: disk, format: formatOf(disk) } },
    ...(dataDisk === undefined ? {} : { dataDisk: { file: dataDisk, format: formatOf(dataDisk) } }),
    nics: machine.nics.map(({ mac, network }) => ({ mac, tap: network })),
    ports: machine.ports.map(({ name, socketPath }) => ({ name, socketPath, mode: "listen" })),
    seeds: [],
    qmpSocketPath: `${directory}/qmp.sock`,
    console: { kind: "file", path: `${directory}/console.log` },
  });
  const watchdog = ["-device", "i6300esb", "-action", "watchdog=reset"];
  return [...words, ...watchdog, ...(seed === undefined ? [] : formatSeed(seed))];
}

/** Returns the script. */
export function formatQemuScript(machine: Machine, accelerator: Accelerator): string {
  const [program = "", ...words] = listQemuWords(machine, accelerator).map(quoteWord);
  const options: string[] = [];
  for (const word of words) {
    const last = options.pop();
    if (last === undefined) options.push(word);
    else if (word.startsWith("-") || last.includes(" ")) options.push(last, word);
    else options.push(`${last} ${word}`);
  }
  const taps = machine.nics.map(({ network }) => network).join(", ");
  return `#!/bin/sh
# ${machine.tenant}/${machine.vm}. The taps (${taps}) exist and are ports of their segments' bridges.
set -eu
umask 007
mkdir -p ${quoteWord(socketDirectoryOf(machine))}
exec ${[program, ...options].join(INDENT)}
`;
}

function socketDirectoryOf({ ports: [offload] }: Machine): string {
  return offload.socketPath.slice(0, offload.socketPath.lastIndexOf("/"));
}

function formatOf(file: string): "qcow2" | "raw" {
  return file.endsWith(".qcow2") ? "qcow2" : "raw";
}

function formatSeed(file: string): string[] {
  return [
    "-blockdev",
    `driver=file,node-name=seed-file,filename=${file},read-only=on`,
    "-blockdev",
    "driver=raw,node-name=seed-node,file=seed-file,read-only=on",
    "-device",
    "virtio-blk-pci,drive=seed-node,id=seed",
  ];
}

function quoteWord(word: string): string {
  return WORD_PLAIN.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
