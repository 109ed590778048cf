/**
 * Writes down what the cores decided: journal, audit trail, counters, news for whoever listens.
 *
 * Effect: appends to the journal and the audit trail. Nobody is told before the journal was written.
 */
import { EventEmitter } from "node:events";
import type { Clock } from "../lib/base/clock.ts";
import type { RpcError } from "../lib/netconf/rpc-error.ts";
import { toJournalFlow } from "./adopt.ts";
import type { AuditEntry, AuditTrail } from "./audit.ts";
import type { CoreEffect } from "./core-effect.ts";
import { describeTuple, type FlowNews, toNews } from "./flow-news.ts";
import type { Journal } from "./journal.ts";
import type { JournalRecord } from "./journal-record.ts";
import { ControllerMetrics } from "./metrics.ts";
import type { VirtualMachine } from "./model.ts";

type EffectOf<K extends CoreEffect["kind"]> = Extract<CoreEffect, { readonly kind: K }>;

/** One controller's books. */
export class Ledger {
  readonly metrics: ControllerMetrics = new ControllerMetrics();
  readonly audit: AuditTrail;
  /** Emits "news" for each flow event and refusal. */
  readonly news: EventEmitter<{ news: [FlowNews] }> = new EventEmitter();
  /** Events of one sort that the metrics do not have yet. */
  readonly #counted: {
    sort: { readonly vmKey: string; readonly event: string; readonly detail: string } | undefined;
    count: number;
  } = { sort: undefined, count: 0 };
  readonly #journal: Journal | undefined;
  readonly #clock: Clock;

  constructor(audit: AuditTrail, journal: Journal | undefined, clock: Clock) {
    this.audit = audit;
    this.#journal = journal;
    this.#clock = clock;
    this.news.setMaxListeners(0); // The admin endpoint bounds its listeners.
  }

  /** Writes down a batch of effects. */
  take(effects: readonly CoreEffect[]): void {
    for (const effect of effects) {
      const record = toJournalRecord(effect);
      if (record !== undefined) this.#journal?.append(record);
    }
    this.#journal?.flush();
    for (const effect of effects) {
      if (effect.kind === "event") this.#noteEvent(effect);
      else if (effect.kind === "refused") this.#noteRefusal(effect);
      else if (effect.kind === "unknown-flows") this.#noteUnknown(effect);
      else if (effect.kind === "lease-expired") {
        const [tenant = "", vm = ""] = effect.vmKey.split("/");
        this.writeAudit({ what: "lease-expired", tenant, vm, count: effect.flows });
      }
    }
    this.#addCounted();
  }

  writeAudit(entry: Omit<AuditEntry, "time">): void {
    this.audit.add(entry, this.#clock.nowMs());
  }

  /** Drops the counters of a virtual machine that is gone; the audit trail keeps what happened. */
  forgetVm(vmKey: string, others: Iterable<string>): void {
    this.#addCounted();
    const [tenant = "", vm = ""] = vmKey.split("/");
    const { refusals, bridgeLimits, events } = this.metrics;
    for (const family of [refusals, bridgeLimits]) family.forget({ tenant, vm });
    for (const key of others) if (key.startsWith(`${tenant}/`)) return;
    events.forget({ tenant });
  }

  noteRpcError({ tenant, name }: VirtualMachine, error: RpcError): void {
    const { tag, message, path } = error;
    this.metrics.rpcErrors.add({ tag });
    const detail = path === undefined ? message : `${path}: ${message}`;
    this.writeAudit({ what: "rpc-error", tenant, vm: name, reason: tag, detail });
  }

  #noteEvent({ vmKey, event, record }: EffectOf<"event">): void {
    const { what } = event;
    this.#countEvent(vmKey, what.kind, what.kind === "closed" ? what.cause : what.kind);
    if (what.kind === "activated" && record?.times.activeMs !== undefined) {
      const { activeMs, requestedMs } = record.times;
      this.metrics.timeToActive.observe((activeMs - requestedMs) / 1000);
    }
    if (what.kind === "refused-late") {
      const [tenant = "", vm = ""] = vmKey.split("/");
      this.metrics.refusals.add({ tenant, vm, reason: what.reason });
    }
    if (this.news.listenerCount("news") > 0) this.news.emit("news", toNews(vmKey, event, record));
  }

  /** Whole batches are of one sort: they are added up before the counter is looked for. */
  #countEvent(vmKey: string, event: string, detail: string): void {
    const { sort } = this.#counted;
    if (sort?.vmKey !== vmKey || sort.event !== event || sort.detail !== detail) {
      this.#addCounted();
      this.#counted.sort = { vmKey, event, detail };
    }
    this.#counted.count++;
  }

  #addCounted(): void {
    const { sort, count } = this.#counted;
    if (sort === undefined || count === 0) return;
    const [tenant = ""] = sort.vmKey.split("/");
    this.metrics.events.add({ tenant, event: sort.event, detail: sort.detail }, count);
    this.#counted.count = 0;
  }

  #noteUnknown({ vmKey, operation, epoch, flowIds }: EffectOf<"unknown-flows">): void {
    const [tenant = "", vm = ""] = vmKey.split("/");
    const reason = "no-such-flow";
    this.metrics.refusals.add({ tenant, vm, reason }, flowIds.length);
    const [first] = flowIds;
    const entry = { what: "flow-unknown", tenant, vm, epoch, flowId: String(first), reason };
    this.writeAudit({ ...entry, detail: operation, count: flowIds.length });
  }

  #noteRefusal({ vmKey, epoch, flow, refusal }: EffectOf<"refused">): void {
    const [tenant = "", vm = ""] = vmKey.split("/");
    const { reason, detail } = refusal;
    const flowId = String(flow.flowId);
    const tuple = describeTuple(flow);
    this.metrics.refusals.add({ tenant, vm, reason });
    this.writeAudit({ what: "flow-refused", tenant, vm, epoch, flowId, reason, detail, tuple });
    if (this.news.listenerCount("news") === 0) return;
    this.news.emit("news", { kind: "refused", tenant, vm, epoch, flowId, reason, detail, tuple });
  }
}

function toJournalRecord(effect: CoreEffect): JournalRecord | undefined {
  switch (effect.kind) {
    case "granted":
      return {
        kind: "granted",
        flow: toJournalFlow(effect.record, effect.flow),
        encoded: effect.encoded,
      };
    case "update":
      return { kind: "changed", flow: toJournalFlow(effect.record) };
    case "event": {
      const { vmKey, handle, idleTimeoutMs, event } = effect;
      return { kind: "event", vmKey, handle, idleTimeoutMs, event };
    }
    case "acknowledged":
      return effect;
    default:
      return undefined;
  }
}
