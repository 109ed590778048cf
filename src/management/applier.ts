/**
 * What carries a configuration out, as the datastores see it.
 *
 * Pure: types only. An appliance applies to its data process, a controller to its own tables.
 */
import type { Result } from "../lib/base/result.ts";
import type { ConfigData, ConfigProblem } from "../lib/service/provider.ts";

/** What a commit did besides. */
export interface ApplyOutcome {
  /** What the new policy forbids but could not be cut in time, each as a line for a person. */
  readonly late: readonly string[];
}

/**
 * Applies configurations in two phases. Failed effects are thrown (FlowliftError).
 * `prepare` changes nothing. `abort` forgets a prepared transaction; after `commit` it restores the
 * configuration before. `config` is RFC 7951 data with what was set, without defaults.
 */
export interface Applier {
  prepare(transactionId: string, config: ConfigData): Promise<Result<undefined, ConfigProblem>>;
  commit(transactionId: string): Promise<ApplyOutcome>;
  abort(transactionId: string): Promise<void>;
  /** Operational data (config false) as RFC 7951 data. */
  getState(): Promise<ConfigData>;
}
