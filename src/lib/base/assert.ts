/** Assertions for our own mistakes. Never caught: the process crashes and is started again. Pure. */

/** Throws when `condition` is false; `invariant` states in words what had to hold. */
export function assert(condition: boolean, invariant: string): asserts condition {
  if (!condition) throw new AssertionFailure(invariant);
}

/** A broken invariant of this program: a bug, not bad input. */
export class AssertionFailure extends Error {
  override readonly name = "AssertionFailure";
}
