/**
 * The one reader of the process environment.
 *
 * Effect: reads `process.env`. Everything else gets its settings as arguments.
 */

/** Returns the value of an environment variable, or undefined when it is unset or empty. */
export function readSetting(name: string): string | undefined {
  const value = process.env[name];
  return value === undefined || value === "" ? undefined : value;
}

/** Returns the whole environment, for child processes. */
export function readEnvironment(): Readonly<Record<string, string | undefined>> {
  return process.env;
}
