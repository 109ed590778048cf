/** What the controller keeps over restarts beside its journal: numbers of names, a token. Effect: reads and writes files. */
import { randomBytes } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { FlowliftError } from "../lib/base/errors.ts";
import { makeFolder } from "../lib/base/folders.ts";
import { IdRegistry, type IdRegistryData } from "./id-registry.ts";
import { replaceFile } from "./journal.ts";

const IDS_NAME = "ids.json";
export const TOKEN_CHARACTERS_MIN = 32;

/** Makes the directory if it is missing. Throws STATE_FILE_UNWRITABLE. */
export function openStateDirectory(path: string): void {
  makeFolder(path, 0o700);
}

export function readIds(stateDirectory: string): IdRegistry {
  const path = join(stateDirectory, IDS_NAME);
  if (!existsSync(path)) return new IdRegistry();
  try {
    return new IdRegistry(JSON.parse(readFileSync(path, "utf8")) as IdRegistryData);
  } catch (cause) {
    throw new FlowliftError("STATE_FILE_UNREADABLE", `Cannot read "${path}"`, { cause });
  }
}

export function writeIds(stateDirectory: string, ids: IdRegistry): void {
  if (ids.changed) replaceFile(join(stateDirectory, IDS_NAME), JSON.stringify(ids.toData()));
}

/** Returns the token of a file, drawing one (readable by the owner alone) when there is none. */
export function readToken(path: string): string {
  if (!existsSync(path)) replaceFile(path, `${randomBytes(32).toString("hex")}\n`);
  const token = readFileSync(path, "utf8").trim();
  if (token.length >= TOKEN_CHARACTERS_MIN) return token;
  const message = `"${path}" holds a token of fewer than ${TOKEN_CHARACTERS_MIN} characters`;
  throw new FlowliftError("STATE_FILE_UNREADABLE", message);
}
