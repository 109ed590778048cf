/**
 * Carries out what the engine decided: conntrack changes in batches, messages, dumps.
 *
 * Effect: netlink requests and the offload session.
 * Invariant: effects happen in the engine's order; changes that stand next to each other share a batch.
 */
import type { Clock } from "../lib/base/clock.ts";
import { describeError } from "../lib/base/errors.ts";
import type { Log } from "../lib/base/log.ts";
import type { ConntrackEntry } from "../lib/conntrack/entry.ts";
import type { ChangeOutcome, ConntrackTable } from "../lib/conntrack/table.ts";
import { ENOENT } from "../lib/netlink/socket.ts";
import type { OffloadRequest } from "../offload-protocol/messages.ts";
import type { EngineEffect, EngineEvent, KeyedChange } from "./engine-types.ts";
import { TCP_CONNTRACK_ESTABLISHED } from "./flow-record.ts";
import type { FlowReport, PolicyOutcome } from "./handle.ts";

export interface EffectTargets {
  readonly table: ConntrackTable;
  readonly clock: Clock;
  readonly log: Log;
  readonly requiredMark: number;
  handle(event: EngineEvent): void;
  send(requestId: number, request: OffloadRequest): void;
  resetSession(why: string): void;
  report(report: FlowReport): void;
  policyDone(token: number, outcome: PolicyOutcome): void;
}

/** A dump that failed is tried again after this time. */
const SNAPSHOT_RETRY_MS = 1_000;

export class EffectRunner {
  readonly #targets: EffectTargets;
  #changes: KeyedChange[] = [];
  #deletes: ConntrackEntry[] = [];
  #snapshot: "none" | "running" | "again" = "none";
  #stopped = false;

  constructor(targets: EffectTargets) {
    this.#targets = targets;
  }

  run(effects: readonly EngineEffect[]): void {
    for (const effect of effects) {
      if (effect.kind === "change") this.#changes.push(...effect.changes);
      else if (effect.kind === "delete") this.#deletes.push(effect.entry);
      else if (effect.kind === "settle-closing") this.#settleClosing(effect.change);
      else if (effect.kind === "report") this.#targets.report(effect.report);
      else {
        this.#flush();
        this.#carryOut(effect);
      }
    }
    this.#flush();
  }

  stop(): void {
    this.#stopped = true;
  }

  #carryOut(
    effect: Exclude<EngineEffect, { kind: "change" | "delete" | "settle-closing" | "report" }>,
  ): void {
    switch (effect.kind) {
      case "send":
        this.#targets.send(effect.requestId, effect.request);
        break;
      case "prepare": {
        const outcomes = this.#try(effect.changes.length, () =>
          this.#targets.table.change(effect.changes),
        );
        const failed = outcomes.flatMap((errno, index) => (errno === undefined ? [] : [index]));
        this.#targets.handle({ kind: "prepared", batchId: effect.batchId, failed });
        break;
      }
      case "read-snapshot":
        this.#readSnapshot();
        break;
      case "policy-done":
        this.#targets.policyDone(effect.token, effect.outcome);
        break;
      case "reset-session":
        this.#targets.resetSession(effect.why);
        break;
    }
  }

  #flush(): void {
    const { table } = this.#targets;
    if (this.#changes.length > 0) {
      const changes = this.#changes;
      this.#changes = [];
      const outcomes = this.#try(changes.length, () =>
        table.change(changes.map(({ change }) => change)),
      );
      const keys = changes.filter((_, index) => outcomes[index] === ENOENT).map(({ key }) => key);
      if (keys.length > 0) this.#targets.handle({ kind: "gone", keys });
    }
    if (this.#deletes.length > 0) {
      const deletes = this.#deletes;
      this.#deletes = [];
      this.#try(deletes.length, () => table.delete(deletes));
    }
  }

  /** An entry that is still established after its reset would stay for days. */
  #settleClosing(change: KeyedChange): void {
    try {
      const { original, zone = 0 } = change.change;
      const entry = this.#targets.table.get({ original, zone });
      if (entry?.tcpState === TCP_CONNTRACK_ESTABLISHED) this.#changes.push(change);
    } catch (error) {
      this.#targets.log.warn("an entry cannot be read", { reason: describeError(error) });
    }
  }

  /** A request that failed as a whole counts as failed for each. */
  #try(count: number, work: () => ChangeOutcome[]): ChangeOutcome[] {
    try {
      return work();
    } catch (error) {
      this.#targets.log.error("conntrack changes failed", { reason: describeError(error) });
      return new Array<ChangeOutcome>(count).fill(-1);
    }
  }

  /** One dump at a time; who asks meanwhile gets another one. */
  #readSnapshot(): void {
    if (this.#snapshot !== "none") {
      this.#snapshot = "again";
      return;
    }
    this.#snapshot = "running";
    const { table, clock, requiredMark, log } = this.#targets;
    const startedAtMs = clock.nowMs();
    const entries: ConntrackEntry[] = [];
    const filter = { mark: { value: requiredMark, mask: requiredMark } };
    const ended = (): boolean => {
      const again = this.#snapshot === "again";
      this.#snapshot = "none";
      return again && !this.#stopped;
    };
    table
      .dump((entry) => entries.push(entry), filter)
      .then(
        () => {
          const again = ended();
          if (!this.#stopped) this.#targets.handle({ kind: "snapshot", startedAtMs, entries });
          if (again) this.#readSnapshot();
        },
        (error: unknown) => {
          log.error("conntrack cannot be listed", { reason: describeError(error) });
          ended();
          if (!this.#stopped) setTimeout(() => this.#readSnapshot(), SNAPSHOT_RETRY_MS);
        },
      );
  }
}
