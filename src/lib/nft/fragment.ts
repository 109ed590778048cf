/**
 * What one function of the appliance adds to the ruleset.
 *
 * Pure. Each member is a place in the packet's way; `src/appliance/ruleset.ts` decides in which order the
 * functions stand at each place. Rules at `ingress`, `input`, `forward` and `output` see the packets of
 * connections without a reply yet; everything later rides on the connection's state.
 */
import type { ObjectName } from "./identifier.ts";
import type { Chain, Rule } from "./nodes.ts";

export interface RulesetFragment {
  readonly counters: readonly ObjectName[];
  /** Children before parents. */
  readonly chains: readonly Chain[];
  /** Before any translation, as the packet came in. */
  readonly ingress: readonly Rule[];
  readonly destinationNat: readonly Rule[];
  /** To the appliance itself. */
  readonly input: readonly Rule[];
  /** After destination and before source translation. */
  readonly forward: readonly Rule[];
  /** From the appliance itself. */
  readonly output: readonly Rule[];
  readonly sourceNat: readonly Rule[];
}

export const EMPTY_FRAGMENT: RulesetFragment = {
  counters: [],
  chains: [],
  ingress: [],
  destinationNat: [],
  input: [],
  forward: [],
  output: [],
  sourceNat: [],
};
