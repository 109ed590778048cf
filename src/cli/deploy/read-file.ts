/** Reads files that an operator names. Effect: reads; throws CONFIG_FILE_INVALID. */
import { readFileSync } from "node:fs";
import { FlowliftError } from "../../lib/base/errors.ts";

export function readBytes(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new FlowliftError("CONFIG_FILE_INVALID", `Cannot read "${path}"`, { cause });
  }
}

export function readText(path: string): string {
  return readBytes(path).toString("utf8");
}
