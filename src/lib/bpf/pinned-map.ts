/**
 * Opens a BPF map by its pin, to look at what another process wrote.
 *
 * Effect: bpf(2); reads /proc/self/fdinfo, where the kernel tells a map's shape.
 */
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { BpfMap } from "./bpf-map.ts";
import { BpfError, checkBpf, EINVAL, getLibbpf } from "./libbpf.ts";

/** Returns the map; its descriptor lives as long as the process. Throws BPF_OPERATION_FAILED. */
export function openPinnedMap(path: string): BpfMap {
  const fd = checkBpf(getLibbpf().bpf_obj_get(path), `open the pin "${path}"`);
  const lines = readFileSync(`/proc/self/fdinfo/${fd}`, "utf8").split("\n");
  const read = (name: string): number => {
    const value = lines.find((line) => line.startsWith(`${name}:`))?.split(":")[1];
    if (value === undefined) throw new BpfError(`find "${name}" of the pin "${path}"`, EINVAL);
    return Number(value);
  };
  return new BpfMap({
    name: basename(path),
    fd,
    type: read("map_type"),
    keyBytes: read("key_size"),
    valueBytes: read("value_size"),
    entriesMax: read("max_entries"),
  });
}
