/**
 * What first boot leaves on the data partition: the last seed that was read, and the keys that were installed.
 *
 * Effect: files below `boot` on the data partition, replaced durably (temporary file, fsync, rename, fsync).
 */
import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import type { Seed } from "./seed-files.ts";

/** What is kept of a seed. The day-0 document is not: it becomes the configuration, or nothing. */
export type StoredSeed = Omit<Seed, "dayZero">;

const STORED_BYTES_MAX: number = 4 * 1024 * 1024;

export class InstanceStore {
  readonly #directory: string;

  constructor(dataDirectory: string) {
    this.#directory = join(dataDirectory, "boot");
  }

  /** Undefined when nothing, or nothing readable, is stored. */
  readSeed(): StoredSeed | undefined {
    const text = this.#read("instance.json");
    if (text === undefined) return undefined;
    try {
      return JSON.parse(text) as StoredSeed;
    } catch {
      return undefined;
    }
  }

  writeSeed({ dayZero: _, ...stored }: Seed): void {
    const text = JSON.stringify(stored);
    if (this.#read("instance.json") !== text) this.#write("instance.json", text);
  }

  readInstalledKeys(): readonly string[] {
    return (this.#read("installed-keys") ?? "").split("\n").filter((line) => line !== "");
  }

  addInstalledKey(line: string): void {
    const keys = [...this.readInstalledKeys(), line];
    this.#write("installed-keys", `${keys.join("\n")}\n`);
  }

  /** Forgets installed keys: the partition has become another instance's. */
  forgetInstalledKeys(): void {
    rmSync(join(this.#directory, "installed-keys"), { force: true });
  }

  #read(name: string): string | undefined {
    const path = join(this.#directory, name);
    if (!existsSync(path) || statSync(path).size > STORED_BYTES_MAX) return undefined;
    return readFileSync(path, "utf8");
  }

  #write(name: string, text: string): void {
    const path = join(this.#directory, name);
    const file = openSync(`${path}.new`, "w", 0o600);
    try {
      writeSync(file, text);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(`${path}.new`, path);
    const directory = openSync(dirname(path), "r");
    try {
      fsyncSync(directory);
    } finally {
      closeSync(directory);
    }
  }
}
