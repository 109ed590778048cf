/**
 * Reads the fast path's maps by their pins: `node read-fast-path.js PIN-DIRECTORY PORT …`.
 *
 * Effect: bpf(2), standard input and output; needs root in the host's namespaces. Each line that comes in is
 * answered by one line of JSON: a `FastPathDump` of what concerns the segments of the named host ports and
 * the virtual machines on them. It asks no process: this is what packets meet, whatever others believe.
 */
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { BpfMap } from "../../lib/bpf/bpf-map.ts";
import { findInterface } from "../../lib/bpf/network-namespace.ts";
import { openPinnedMap } from "../../lib/bpf/pinned-map.ts";
import { readDump } from "./read-fast-path-maps.ts";

const [pinDirectory = "", ...names] = process.argv.slice(2);
const ports = names.map((port) => ({ port, ifindex: findInterface(port) }));
const opened = new Map<string, BpfMap>();

function openOnce(name: string): BpfMap {
  const map = opened.get(name) ?? openPinnedMap(join(pinDirectory, name));
  opened.set(name, map);
  return map;
}

const orders = createInterface({ input: process.stdin });
orders.on("line", () => {
  process.stdout.write(`${JSON.stringify(readDump(openOnce, ports))}\n`);
});
orders.on("close", () => process.exit(0));
