/**
 * One loaded BPF object file: its maps, new or adopted from pins, and its programs.
 *
 * Effect: bpf(2), and files below the pin directory (a bpffs that the caller mounted).
 * Invariant: either all maps are adopted from complete pins of the same shape, or all are new.
 */
import { existsSync, readdirSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { BpfMap } from "./bpf-map.ts";
import { BpfError, checkBpf, checkPointer, getLibbpf, type Pointer } from "./libbpf.ts";

export interface BpfLoadOptions {
  /** Sizes that differ from those in the object file. */
  readonly entriesMax: Readonly<Record<string, number>>;
  /** Maps live here beyond the process; absent: they die with it. */
  readonly pinDirectory?: string;
}

export class BpfObject {
  readonly #object: Pointer;
  readonly #maps: ReadonlyMap<string, BpfMap>;
  /** The maps were there before. */
  readonly isAdopted: boolean;

  private constructor(object: Pointer, maps: ReadonlyMap<string, BpfMap>, isAdopted: boolean) {
    this.#object = object;
    this.#maps = maps;
    this.isAdopted = isAdopted;
  }

  /** Loads the file. Pins that are incomplete or of another shape are removed and made anew. */
  static load(path: string, options: BpfLoadOptions): BpfObject {
    const directory = options.pinDirectory;
    if (directory === undefined) return loadOnce(path, options, false);
    const names = listMapNames(path);
    const complete = names.every((name) => existsSync(join(directory, name)));
    if (complete) {
      try {
        return loadOnce(path, options, true);
      } catch (error) {
        if (!(error instanceof BpfError)) throw error;
      }
    }
    removePins(directory);
    return loadOnce(path, options, false);
  }

  /** Removes the pins, then loads: for maps whose content is of no use although their shape is right. */
  static replacePins(load: () => BpfObject, pinDirectory: string | undefined): BpfObject {
    if (pinDirectory !== undefined) removePins(pinDirectory);
    return load();
  }

  /** Returns the map; it must be in the object file. */
  map(name: string): BpfMap {
    const map = this.#maps.get(name);
    if (map === undefined) throw new BpfError(`find BPF map "${name}"`, 2);
    return map;
  }

  /** Returns the program's file descriptor, valid until close(). */
  programFd(name: string): number {
    const program = getLibbpf().bpf_object__find_program_by_name(this.#object, name);
    const pointer = checkPointer(program, `find BPF program "${name}"`);
    return checkBpf(getLibbpf().bpf_program__fd(pointer), `use BPF program "${name}"`);
  }

  /** Closes every file descriptor; attached programs and pinned maps live on. */
  close(): void {
    getLibbpf().bpf_object__close(this.#object);
  }

  static make(object: Pointer, maps: ReadonlyMap<string, BpfMap>, isAdopted: boolean): BpfObject {
    return new BpfObject(object, maps, isAdopted);
  }
}

/** Removes every pin in the directory, and leaves the directory. */
export function removePins(directory: string): void {
  if (!existsSync(directory)) return;
  for (const name of readdirSync(directory)) unlinkSync(join(directory, name));
}

function openFile(path: string): Pointer {
  const pointer = getLibbpf().bpf_object__open_file(path, null);
  return checkPointer(pointer, `open BPF object "${path}"`);
}

function* eachMap(object: Pointer): Generator<{ name: string; map: Pointer }> {
  const library = getLibbpf();
  for (let map = library.bpf_object__next_map(object, null); map !== null; ) {
    yield { name: library.bpf_map__name(map), map };
    map = library.bpf_object__next_map(object, map);
  }
}

function listMapNames(path: string): string[] {
  const object = openFile(path);
  const names = Array.from(eachMap(object), ({ name }) => name);
  getLibbpf().bpf_object__close(object);
  return names;
}

function loadOnce(path: string, options: BpfLoadOptions, isAdopted: boolean): BpfObject {
  const library = getLibbpf();
  const object = openFile(path);
  try {
    for (const { name, map } of eachMap(object)) {
      const entries = options.entriesMax[name];
      if (entries !== undefined) {
        checkBpf(library.bpf_map__set_max_entries(map, entries), `size BPF map "${name}"`);
      }
      if (options.pinDirectory !== undefined) {
        const pin = join(options.pinDirectory, name);
        checkBpf(library.bpf_map__set_pin_path(map, pin), `choose the pin "${pin}"`);
      }
    }
    checkBpf(library.bpf_object__load(object), `load BPF object "${path}"`);
    const maps = new Map<string, BpfMap>();
    for (const { name, map } of eachMap(object)) {
      const shape = {
        name,
        fd: library.bpf_map__fd(map),
        type: library.bpf_map__type(map),
        keyBytes: library.bpf_map__key_size(map),
        valueBytes: library.bpf_map__value_size(map),
        entriesMax: library.bpf_map__max_entries(map),
      };
      maps.set(name, new BpfMap(shape));
    }
    return BpfObject.make(object, maps, isAdopted);
  } catch (error) {
    library.bpf_object__close(object);
    throw error;
  }
}
