/**
 * Command lines as words: blanks separate, quotes and backslashes keep blanks inside.
 *
 * Pure. Limit: LINE_BYTES_MAX a line.
 */
import { err, ok, type Result } from "../lib/base/result.ts";

export const LINE_BYTES_MAX = 65_536;

/** What stands after a bar: `show interfaces | display json`. */
export interface CommandLine {
  readonly words: readonly string[];
  readonly pipe: readonly string[];
  /** Whether the line ends in a blank, so that the next word has begun. */
  readonly endsInBlank: boolean;
}

/** Splits a line. Text from `#` on, at the start of a word, is a comment. */
export function splitLine(line: string): Result<CommandLine, string> {
  if (Buffer.byteLength(line) > LINE_BYTES_MAX) {
    return err(`The line has more than ${LINE_BYTES_MAX} bytes`);
  }
  const parts: string[][] = [[]];
  const pattern = /\s+|\||#.*|(?:"(?:[^"\\]|\\.)*"|'[^']*'|\\.|[^\s|"'\\])+/y;
  let at = 0;
  for (let match = pattern.exec(line); match !== null; match = pattern.exec(line)) {
    const [token] = match;
    at = pattern.lastIndex;
    if (token === "|") parts.push([]);
    else if (!/^\s/.test(token) && !token.startsWith("#")) parts.at(-1)?.push(unquote(token));
  }
  if (at < line.length) return err(`A quote is not closed: ${line.slice(at)}`);
  if (parts.length > 2) return err("Only one | can be used");
  const [words = [], pipe = []] = parts;
  return ok({ words, pipe, endsInBlank: /\s$/.test(line) || line === "" });
}

function unquote(token: string): string {
  return token.replaceAll(
    /"((?:[^"\\]|\\.)*)"|'([^']*)'|\\(.)/g,
    (_all, double: string | undefined, single: string | undefined, escaped: string | undefined) =>
      double?.replaceAll(/\\(.)/g, "$1") ?? single ?? escaped ?? "",
  );
}

/** Returns the word as it must be typed. */
export function quoteWord(word: string): string {
  if (word !== "" && /^[^\s|"'\\#][^\s|"'\\]*$/.test(word)) return word;
  return `"${word.replaceAll(/["\\]/g, "\\$&")}"`;
}
