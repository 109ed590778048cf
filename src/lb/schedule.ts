/**
 * The order in which real servers take their turns.
 *
 * Pure. Smooth weighted round robin: at each place the server with the largest credit goes, and pays the sum
 * of all weights. Over one cycle each server appears exactly as often as its weight says, spread out.
 */
import { assert } from "../lib/base/assert.ts";

/** Places in one cycle; one map entry each. */
export const SLOTS_MAX = 4096;

/** Returns the length of a cycle: the weights' sum after division by their greatest common divisor. */
export function countSlots(weights: readonly number[]): number {
  const divisor = weights.reduce(greatestCommonDivisor, 0) || 1;
  return weights.reduce((sum, weight) => sum + weight / divisor, 0);
}

/** Returns one cycle as indexes into `weights`. */
export function interleave(weights: readonly number[]): number[] {
  const divisor = weights.reduce(greatestCommonDivisor, 0) || 1;
  const shares = weights.map((weight) => weight / divisor);
  const slotCount = countSlots(weights);
  assert(slotCount <= SLOTS_MAX, "a cycle stays within its bound");
  const credits = shares.map(() => 0);
  return Array.from({ length: slotCount }, () => {
    let best = 0;
    shares.forEach((share, index) => {
      credits[index] = (credits[index] ?? 0) + share;
      if ((credits[index] ?? 0) > (credits[best] ?? 0)) best = index;
    });
    credits[best] = (credits[best] ?? 0) - slotCount;
    return best;
  });
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
