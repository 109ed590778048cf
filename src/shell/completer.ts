/**
 * What a word can be: commands, nodes of the schema, keys of the entries that there are.
 *
 * Effect: reads the candidate for keys.
 */
import { CONFIGURATION, OPERATIONAL } from "./commands.ts";
import type { ShellConnection } from "./connection.ts";
import { type Location, listChildren, nameOf, parseLocation, ROOT_LOCATION } from "./location.ts";
import { quoteWord, splitLine } from "./words.ts";

export class Completer {
  readonly #connection: ShellConnection;

  constructor(connection: ShellConnection) {
    this.#connection = connection;
  }

  /** What the word under the cursor can be, and how much of the line it replaces. */
  async complete(
    line: string,
    isConfiguring: boolean,
    place: Location,
  ): Promise<[string[], string]> {
    const command = splitLine(line);
    if (!command.ok) return [[], line];
    const words = [...command.value.words];
    const current = command.value.endsInBlank ? "" : (words.pop() ?? "");
    const all = await this.#candidates(words, isConfiguring, place);
    const fitting = all.filter((word) => word.startsWith(current)).map((word) => `${word} `);
    return [fitting, current];
  }

  async #candidates(
    words: readonly string[],
    isConfiguring: boolean,
    place: Location,
  ): Promise<readonly string[]> {
    const [first, ...rest] = words;
    const commands = isConfiguring ? CONFIGURATION : OPERATIONAL;
    if (first === undefined) return Object.keys(commands);
    if (first === "run") return this.#operationalCandidates(rest);
    if (!isConfiguring) return this.#operationalCandidates(words);
    if (first === "commit") return rest.length === 0 ? ["check", "comment", "confirmed"] : [];
    if (first === "load") return rest.length === 0 ? ["merge", "replace"] : [];
    const takesPath = ["set", "delete", "show", "edit"].includes(first);
    return takesPath ? await this.#pathCandidates(place, rest, true) : [];
  }

  async #operationalCandidates(words: readonly string[]): Promise<readonly string[]> {
    const [first, second, ...rest] = words;
    if (first === undefined) return Object.keys(OPERATIONAL);
    if (first !== "show") return [];
    if (second === undefined) return ["configuration", "history", "state"];
    if (second === "history") return [];
    return await this.#pathCandidates(ROOT_LOCATION, rest, second === "configuration");
  }

  async #pathCandidates(
    base: Location,
    words: readonly string[],
    configOnly: boolean,
  ): Promise<readonly string[]> {
    const place = parseLocation(this.#connection.roots, base, words, configOnly);
    if (!place.ok) return [];
    const last = place.value.steps.at(-1);
    if (last !== undefined && last.keys.length < last.schema.keys.length) {
      return await this.#keyCandidates(place.value);
    }
    if (last?.schema.kind === "leaf" && last.value === undefined) {
      return last.schema.valueTypes.includes("boolean") ? ["true", "false"] : [];
    }
    const children = listChildren(this.#connection.roots, place.value, configOnly);
    return children.map((child) => nameOf(child, children));
  }

  /** The keys of the entries that there are. */
  async #keyCandidates(place: Location): Promise<readonly string[]> {
    const last = place.steps.at(-1);
    const key = last?.schema.keys[last.keys.length];
    if (last === undefined || key === undefined) return [];
    const data = await this.#connection.readConfig("candidate", place);
    const entries = descend(data, place);
    const values = entries.flatMap((entry) => {
      const value = (entry as Record<string, unknown>)[key];
      return value === undefined ? [] : [quoteWord(String(value))];
    });
    return [...new Set(values)];
  }
}

/** The entries of the list at the end of a place. */
function descend(data: Record<string, unknown>, { steps }: Location): readonly unknown[] {
  let level: unknown = data;
  for (const { schema, keys } of steps) {
    const record = level as Record<string, unknown> | undefined;
    level = record?.[`${schema.module}:${schema.name}`] ?? record?.[schema.name];
    if (schema.kind !== "list" || !Array.isArray(level)) continue;
    if (keys.length < schema.keys.length) return level;
    level = level.find((entry: Record<string, unknown>) =>
      schema.keys.every((key, at) => String(entry[key]) === keys[at]),
    );
  }
  return [];
}
