/**
 * What short texts of a message mean, remembered by their bytes, so that known ones make no new string.
 *
 * Pure but for the memory. Limit: MEMORY_PLACES texts of at most MEMORY_TEXT_BYTES_MAX bytes; a new text
 * takes the place of the older one with the same hash.
 */
export const MEMORY_PLACES = 8192;
export const MEMORY_TEXT_BYTES_MAX = 64;
const FNV_OFFSET = 0x811c_9dc5;
const FNV_PRIME = 0x0100_0193;

/** Finds values of ASCII texts. `parse` returns undefined for a text that is none of the sort. */
export class TextMemory<T extends string> {
  readonly #texts: (string | undefined)[] = new Array<string | undefined>(MEMORY_PLACES);
  readonly #values: (T | undefined)[] = new Array<T | undefined>(MEMORY_PLACES);
  readonly #parse: (text: string) => T | undefined;

  constructor(parse: (text: string) => T | undefined) {
    this.#parse = parse;
  }

  /** Returns the value of the bytes from `start` to `end`. */
  find(bytes: Buffer, start: number, end: number): T | undefined {
    if (end - start > MEMORY_TEXT_BYTES_MAX) {
      return this.#parse(bytes.toString("latin1", start, end));
    }
    let hash = FNV_OFFSET;
    for (let at = start; at < end; at++) {
      hash = Math.imul(hash ^ (bytes[at] ?? 0), FNV_PRIME);
    }
    const place = (hash ^ (hash >>> 15)) & (MEMORY_PLACES - 1);
    const known = this.#texts[place];
    if (known !== undefined && isSame(known, bytes, start, end)) return this.#values[place];
    const text = bytes.toString("latin1", start, end);
    const value = this.#parse(text);
    if (value === undefined) return undefined;
    this.#texts[place] = text;
    this.#values[place] = value;
    return value;
  }
}

function isSame(text: string, bytes: Buffer, start: number, end: number): boolean {
  if (text.length !== end - start) return false;
  for (let index = 0; index < text.length; index++) {
    if (text.charCodeAt(index) !== bytes[start + index]) return false;
  }
  return true;
}
