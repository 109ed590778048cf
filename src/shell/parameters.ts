/** Parameters of commands, and what a person can do wrong with them. Pure. */
import { FORMS, type Form } from "./forms.ts";

/** What a person did wrong, as one line. */
export class UsageProblem extends Error {}

/** Reads what stands behind the bar. */
export function readForm(pipe: readonly string[]): Form | undefined {
  if (pipe.length === 0) return undefined;
  const form = FORMS.find((known) => known === pipe[1]);
  if (pipe[0] === "display" && form !== undefined && pipe.length === 2) return form;
  throw new UsageProblem(`After | comes: display ${FORMS.join("|")}`);
}

export function readCount(text: string, command: string, max: number): number {
  const count = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (count <= max) return count;
  throw new UsageProblem(`${command} takes a number from 0 to ${max}, not "${text}"`);
}
