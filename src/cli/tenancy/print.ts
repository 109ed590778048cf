/** Output of the commands of tenants and virtual machines. Effect: writes standard output and error. */
import type { Changed } from "./operator-session.ts";

export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Tells what the fast path had not let go of when the change was answered. */
export function printLate({ late }: Changed): void {
  for (const line of late) process.stderr.write(`still in work: ${line}\n`);
}

/** Prints a table with a head. */
export function printRows(head: readonly string[], rows: readonly (readonly string[])[]): void {
  const all = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  for (const row of all) {
    print(
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    );
  }
}
