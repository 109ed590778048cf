/**
 * Text on its way into libyang: checked, bounded, ended by NUL, and kept in place meanwhile.
 *
 * Pure, apart from its own buffer. libyang stops at the first NUL and keeps only the address, so a
 * text with a NUL inside is refused, and the bytes live until `release()`.
 * libyang 2.1 takes the truncated text `{"x":` for an empty tree and has no depth limit for JSON:
 * JSON is therefore also read by V8.
 * Limit: INPUT_BYTES_MAX bytes; JSON_DEPTH_MAX nested objects and arrays.
 */
import { err, ok, type Result } from "../base/result.ts";
import { problemOf, type YangProblem } from "./yang-problem.ts";

export const INPUT_BYTES_MAX: number = 64 * 1024 * 1024;
export const JSON_DEPTH_MAX = 256;
/** Texts up to this share one buffer; a larger one has its own until it is released. */
const SHARED_BYTES: number = 256 * 1024;

/** Holds one text at a time. */
export class InputText {
  readonly #bytesMax: number;
  readonly #shared: Buffer = Buffer.allocUnsafeSlow(SHARED_BYTES);
  #current: Buffer = this.#shared;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Returns bytes that stay where they are until `release()`. */
  take(text: string | Uint8Array, format: "json" | "xml"): Result<Uint8Array, YangProblem> {
    const length = typeof text === "string" ? Buffer.byteLength(text) : text.byteLength;
    if (length > this.#bytesMax) {
      return malformed(`The text has ${length} bytes, more than ${this.#bytesMax}`);
    }
    const bytes = this.#place(text, length);
    if (bytes.subarray(0, length).includes(0)) {
      return malformed("A character with code 0 is not allowed");
    }
    if (format === "json") {
      const problem = checkJson(typeof text === "string" ? text : Buffer.from(text).toString());
      if (problem !== undefined) return malformed(problem);
    }
    return ok(bytes);
  }

  release(): void {
    if (this.#current !== this.#shared) this.#current = this.#shared;
  }

  #place(text: string | Uint8Array, length: number): Buffer {
    const target = length < SHARED_BYTES ? this.#shared : Buffer.allocUnsafeSlow(length + 1);
    this.#current = target;
    if (typeof text === "string") target.write(text, "utf8");
    else target.set(text);
    target[length] = 0;
    return target;
  }
}

function malformed(message: string): Result<never, YangProblem> {
  return err({ ...problemOf(message), malformed: true });
}

/** Returns what is wrong with a JSON text, or undefined. */
function checkJson(text: string): string | undefined {
  if (nestsDeeperThan(text, JSON_DEPTH_MAX)) return `Values nest deeper than ${JSON_DEPTH_MAX}`;
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return undefined;
    return "The text is not a JSON object";
  } catch (error) {
    return `The text is not JSON: ${error instanceof Error ? error.message : String(error)}`;
  }
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

function nestsDeeperThan(text: string, limit: number): boolean {
  let depth = 0;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      at += 1;
      while (at < text.length && text.charCodeAt(at) !== QUOTE) {
        at += text.charCodeAt(at) === BACKSLASH ? 2 : 1;
      }
    } else if (code === 0x7b || code === 0x5b) {
      depth += 1;
      if (depth > limit) return true;
    } else if (code === 0x7d || code === 0x5d) depth -= 1;
  }
  return false;
}
