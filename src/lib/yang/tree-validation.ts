/**
 * Validation of a tree after a small change, and defaults without validation.
 *
 * Effect: changes the tree in libyang's memory.
 */
import { DataTree } from "./data-tree.ts";
import { NULL_POINTER } from "./libyang.ts";
import type { YangContext } from "./yang-context.ts";
import { takeProblem, type YangProblem } from "./yang-problem.ts";

export interface Revalidated {
  readonly problem: YangProblem | undefined;
  /** What validation deleted because its `when` does not hold any more, as text; empty: nothing. */
  readonly deleted: string;
}

/** Checks every constraint of a tree that was valid before. */
export function revalidate({ library, pointer }: YangContext, tree: DataTree): Revalidated {
  const { constants, functions } = library;
  const first = new BigUint64Array([tree.first]);
  const difference = new BigUint64Array(1);
  const flags = constants.LYD_VALIDATE_NO_STATE;
  const code = functions.lyd_validate_all(first, pointer, flags, difference);
  tree.replaceFirst(first[0] ?? NULL_POINTER);
  const made = new DataTree({ library, pointer, alive: true }, difference[0] ?? NULL_POINTER);
  const text = made.isEmpty ? "" : made.print("xml");
  made.free();
  if (code !== 0) {
    return { problem: takeProblem(library, pointer, "validate the data"), deleted: "" };
  }
  return { problem: undefined, deleted: /operation="delete"/.test(text) ? text : "" };
}

/** Adds what `default` statements say, without looking at anything else. */
export function addDefaults({ library, pointer }: YangContext, tree: DataTree): void {
  const { constants, functions } = library;
  const first = new BigUint64Array([tree.first]);
  functions.lyd_new_implicit_all(first, pointer, constants.LYD_IMPLICIT_NO_STATE, null);
  tree.replaceFirst(first[0] ?? NULL_POINTER);
}
