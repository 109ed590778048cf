/** `flowlift demo`. */
import { FlowliftError } from "../lib/base/errors.ts";

/** Runs the subcommand. */
export async function run(_args: readonly string[]): Promise<number> {
  throw new FlowliftError("USAGE", "This command is not built yet");
}
