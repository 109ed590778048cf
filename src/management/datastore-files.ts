/**
 * The datastores on disk: running.json and startup.json, RFC 7951 data in an envelope.
 *
 * Effect: files below one directory. A write is durable when it returns: temporary file, fsync,
 * rename, fsync of the directory; a crash leaves the old file or the new one.
 * Each name has a file of its own, so that damage to one leaves the other.
 */
import { open, readFile, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { FlowliftError } from "../lib/base/errors.ts";
import { makeFolder } from "../lib/base/folders.ts";
import { err, ok, type Result } from "../lib/base/result.ts";

const FORMAT = "flowlift-datastore/1";
/** A stored datastore holds one message's worth of data, JSON being shorter than XML. */
export const DATASTORE_BYTES_MAX: number = 64 * 1024 * 1024;

/** A datastore as it was stored. */
export interface StoredDatastore {
  /** The boot in which it was written. */
  readonly bootId: string;
  /** RFC 7951 text. */
  readonly configJson: string;
  /** The last record of the journal that it holds. */
  readonly sequence: number;
  /** The last commit that it holds. */
  readonly lastId: number;
  /** startup and running were the same. */
  readonly isRunning: boolean;
}

export type StoredError = { readonly kind: "file-unusable"; readonly message: string };

/** Reads and writes the files of one directory. */
export class DatastoreFiles {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Returns undefined when there is no such file. */
  async read(
    name: "running" | "startup",
  ): Promise<Result<StoredDatastore | undefined, StoredError>> {
    const path = this.#pathOf(name);
    const fail = (reason: string): Result<StoredDatastore | undefined, StoredError> =>
      err({ kind: "file-unusable", message: `Cannot use "${path}": ${reason}` });
    try {
      const { size } = await stat(path);
      if (size > DATASTORE_BYTES_MAX) return fail(`it has more than ${DATASTORE_BYTES_MAX} bytes`);
      const envelope = JSON.parse(await readFile(path, "utf8")) as Partial<Envelope>;
      if (envelope.format !== FORMAT || typeof envelope.config !== "object") {
        return fail(`its format is not "${FORMAT}"`);
      }
      return ok({
        bootId: envelope.bootId ?? "",
        configJson: JSON.stringify(envelope.config),
        sequence: envelope.sequence ?? 0,
        lastId: envelope.lastId ?? 0,
        isRunning: envelope.isRunning ?? false,
      });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return ok(undefined);
      return fail(error instanceof Error ? error.message : String(error));
    }
  }

  /** Writes the same content under each name, durably, the first name first. */
  async write(names: readonly ("running" | "startup")[], stored: StoredDatastore): Promise<void> {
    // The config is spliced in as text: it is JSON already, and may be large.
    const { configJson, ...rest } = stored;
    const head = JSON.stringify({ format: FORMAT, ...rest }).slice(0, -1);
    const text = `${head},"config":${configJson}}\n`;
    try {
      makeFolder(this.#directory, 0o700);
      for (const name of names) await this.#replace(this.#pathOf(name), text);
      await this.#syncDirectory();
    } catch (cause) {
      const what = `Cannot write the datastore ${names.join(" and ")} to "${this.#directory}"`;
      throw new FlowliftError("STATE_FILE_UNWRITABLE", what, { cause });
    }
  }

  async #replace(path: string, text: string): Promise<void> {
    const temporary = `${path}.new`;
    try {
      const file = await open(temporary, "w", 0o600);
      try {
        await file.writeFile(text);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(temporary, path);
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => undefined);
      throw error;
    }
  }

  /** Deletes durably; nothing happens when there is no such file. */
  async delete(name: "startup"): Promise<void> {
    try {
      await rm(this.#pathOf(name), { force: true });
      await this.#syncDirectory();
    } catch (cause) {
      throw new FlowliftError("STATE_FILE_UNWRITABLE", `Cannot delete ${name}`, { cause });
    }
  }

  /** Puts a file that cannot be used out of the way, for a person to look at. */
  async setAside(name: "running" | "startup"): Promise<void> {
    await rename(this.#pathOf(name), `${this.#pathOf(name)}.unusable`);
  }

  #pathOf(name: string): string {
    return join(this.#directory, `${name}.json`);
  }

  async #syncDirectory(): Promise<void> {
    const directory = await open(this.#directory, "r");
    try {
      await directory.sync();
    } finally {
      await directory.close();
    }
  }
}

interface Envelope {
  readonly format: string;
  readonly bootId: string;
  readonly sequence: number;
  readonly lastId: number;
  readonly isRunning: boolean;
  readonly config: object;
}
