/** A flag that may come several times, taken out before the others are read. Pure; throws USAGE. */
import { FlowliftError } from "../../lib/base/errors.ts";

/** Returns the values of `--name VALUE` and `--name=VALUE` in order, and all other words. */
export function takeRepeated(
  args: readonly string[],
  name: string,
  usage: string,
): { readonly found: readonly string[]; readonly rest: readonly string[] } {
  const found: string[] = [];
  const rest: string[] = [];
  for (let index = 0; index < args.length; index++) {
    const word = args[index] ?? "";
    if (word.startsWith(`--${name}=`)) found.push(word.slice(name.length + 3));
    else if (word === `--${name}`) {
      const value = args[++index];
      if (value === undefined) {
        throw new FlowliftError("USAGE", `"--${name}" needs a value; usage: ${usage}`);
      }
      found.push(value);
    } else rest.push(word);
  }
  return { found, rest };
}
