/** Reads flags: `--name VALUE`, `--name=VALUE` and switches. Pure; throws USAGE with a line that says what to do. */
import { parseArgs } from "node:util";
import { FlowliftError } from "../lib/base/errors.ts";

export interface FlagSpec {
  /** Flags that take a value. */
  readonly values: readonly string[];
  /** Flags that take none. */
  readonly switches: readonly string[];
  /** How many words without a flag are allowed. */
  readonly positionalsMax: number;
}

export interface ParsedFlags {
  readonly values: Readonly<Record<string, string>>;
  readonly switches: ReadonlySet<string>;
  readonly positionals: readonly string[];
}

/** Returns the flags, or throws USAGE. `usage` is appended to the message. */
export function parseFlags(args: readonly string[], spec: FlagSpec, usage: string): ParsedFlags {
  const options: Record<string, { type: "string" | "boolean" }> = {};
  for (const name of spec.values) options[name] = { type: "string" };
  for (const name of spec.switches) options[name] = { type: "boolean" };
  try {
    const parsed = parseArgs({ args: [...args], options, allowPositionals: true, strict: true });
    if (parsed.positionals.length > spec.positionalsMax) {
      const extra = parsed.positionals[spec.positionalsMax] ?? "";
      throw new FlowliftError("USAGE", `"${extra}" is one word too many; usage: ${usage}`);
    }
    const values: Record<string, string> = {};
    const switches = new Set<string>();
    for (const [name, value] of Object.entries(parsed.values)) {
      if (typeof value === "string") values[name] = value;
      else if (value === true) switches.add(name);
    }
    return { values, switches, positionals: parsed.positionals };
  } catch (error) {
    if (error instanceof FlowliftError) throw error;
    const reason = error instanceof Error ? error.message.split(". ")[0] : String(error);
    throw new FlowliftError("USAGE", `${reason}; usage: ${usage}`);
  }
}
