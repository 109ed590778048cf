/** A row of the table of YANG constructs. Pure. */

export interface ConstructCase {
  readonly name: string;
  readonly body: string;
  readonly good: readonly unknown[];
  readonly bad: readonly unknown[];
}

/** Returns a body with one leaf in a container. */
export const leaf = (type: string): string => `container c { leaf v { type ${type} } }`;
/** Returns data with that leaf. */
export const c = (value: unknown): unknown => ({ "t:c": { v: value } });
