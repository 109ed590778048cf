/** The one place where a process writes its log: one line for each event, to standard error. */

export type LogLevel = "debug" | "info" | "warn" | "error";
export type LogFields = Readonly<Record<string, string | number | boolean | bigint | undefined>>;

/** Writes log lines that carry the process's name. */
export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}

const LEVELS: readonly LogLevel[] = ["debug", "info", "warn", "error"];

/** Returns a log that drops lines below `minimum`. */
export function createLog(processName: string, minimum: LogLevel = "info"): Log {
  const from = LEVELS.indexOf(minimum);
  const write = (level: LogLevel, message: string, fields: LogFields = {}): void => {
    if (LEVELS.indexOf(level) < from) return;
    const rest = Object.entries(fields)
      .filter(([, value]) => value !== undefined)
      .map(([key, value]) => ` ${key}=${typeof value === "string" ? JSON.stringify(value) : value}`)
      .join("");
    process.stderr.write(
      `${new Date().toISOString()} ${level} ${processName}: ${message}${rest}\n`,
    );
  };
  return {
    debug: (message, fields) => write("debug", message, fields),
    info: (message, fields) => write("info", message, fields),
    warn: (message, fields) => write("warn", message, fields),
    error: (message, fields) => write("error", message, fields),
  };
}

/** A log that writes nothing, for unit tests. */
export const SILENT_LOG: Log = { debug() {}, info() {}, warn() {}, error() {} };
