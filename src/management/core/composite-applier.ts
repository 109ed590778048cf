/**
 * Several appliers as one: all prepare, then all commit; whoever fails makes all go back.
 *
 * Effect: calls them, in order; back in the opposite order.
 */
import { describeError } from "../../lib/base/errors.ts";
import type { Log } from "../../lib/base/log.ts";
import { ok, type Result } from "../../lib/base/result.ts";
import type { ConfigData, ConfigProblem } from "../../lib/service/provider.ts";
import type { Applier, ApplyOutcome } from "../applier.ts";

export class CompositeApplier implements Applier {
  readonly #appliers: readonly Applier[];
  readonly #log: Log;

  constructor(appliers: readonly Applier[], log: Log) {
    this.#appliers = appliers;
    this.#log = log;
  }

  async prepare(
    transactionId: string,
    config: ConfigData,
  ): Promise<Result<undefined, ConfigProblem>> {
    const done: Applier[] = [];
    for (const applier of this.#appliers) {
      const prepared = await applier.prepare(transactionId, config);
      if (!prepared.ok) {
        // They only have to forget; the refusal is what is told.
        for (const earlier of done) await earlier.abort(transactionId).catch(() => undefined);
        return prepared;
      }
      done.push(applier);
    }
    return ok(undefined);
  }

  async commit(transactionId: string): Promise<ApplyOutcome> {
    const late: string[] = [];
    for (const applier of this.#appliers) late.push(...(await applier.commit(transactionId)).late);
    return { late };
  }

  /** Every applier is told, also when one of them fails; the first failure is thrown then. */
  async abort(transactionId: string): Promise<void> {
    let failure: unknown;
    for (const applier of [...this.#appliers].reverse()) {
      try {
        await applier.abort(transactionId);
      } catch (error) {
        failure ??= error;
        this.#log.warn("An applier could not go back", { reason: describeError(error) });
      }
    }
    if (failure !== undefined) throw failure;
  }

  async getState(): Promise<ConfigData> {
    const parts = await Promise.all(this.#appliers.map((applier) => applier.getState()));
    const merged: Record<string, unknown> = {};
    for (const part of parts)
      for (const [name, value] of Object.entries(part)) {
        merged[name] = mergeState(merged[name], value);
      }
    return merged;
  }
}

/** Containers of several appliers join; lists are put one behind the other. */
function mergeState(left: unknown, right: unknown): unknown {
  if (left === undefined) return right;
  if (Array.isArray(left) && Array.isArray(right)) return [...left, ...right];
  if (!isObject(left) || !isObject(right)) return right;
  const merged: Record<string, unknown> = { ...left };
  for (const [name, value] of Object.entries(right)) merged[name] = mergeState(merged[name], value);
  return merged;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
