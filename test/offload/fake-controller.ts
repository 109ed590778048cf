/** What a controller does, moved on by the test. */

import { ZERO_COUNTERS } from "../../src/offload/tally.ts";
import type {
  CloseCause,
  Epoch,
  FlowCounters,
  FlowEvent,
  HeldFlow,
  OffloadReply,
  OffloadRequest,
  OffloadResult,
} from "../../src/offload-protocol/messages.ts";

export interface Holding {
  readonly epoch: Epoch;
  readonly flow: HeldFlow["flow"];
  state: "pending" | "active";
  counters: FlowCounters;
}

/** What a controller does, as slowly as the test wants. */
export class FakeController {
  readonly held = new Map<string, Holding>();
  readonly inbox: { readonly requestId: number; readonly request: OffloadRequest }[] = [];
  readonly answered: OffloadRequest[] = [];
  sequence = 0n;
  unacknowledged: FlowEvent[] = [];
  pageMax = 1024;
  leaseMs = 30_000;
  decide: (flow: HeldFlow["flow"]) => OffloadResult | undefined = () => undefined;
  quota = 1_000_000;

  get credit(): number {
    return Math.max(0, this.quota - this.held.size);
  }

  answer(request: OffloadRequest): OffloadReply {
    this.answered.push(request);
    switch (request.kind) {
      case "request-offload":
        return {
          kind: "request-offload",
          results: request.flows.map((flow) => {
            const decided = this.decide(flow);
            if (decided?.outcome === "refused") return { ...decided, flowId: flow.flowId };
            this.held.set(`${request.epoch}/${flow.flowId}`, {
              epoch: request.epoch,
              flow,
              state: "pending",
              counters: ZERO_COUNTERS,
            });
            return {
              flowId: flow.flowId,
              outcome: "granted-pending",
              effectiveIdleTimeoutMs: flow.idleTimeoutMs,
            };
          }),
        };
      case "withdraw-offload":
        return {
          kind: "withdraw-offload",
          results: (request.selection.kind === "flow-ids" ? request.selection.flowIds : []).map(
            (flowId) => {
              const key = `${request.epoch}/${flowId}`;
              const holding = this.held.get(key);
              if (holding === undefined) return { flowId, outcome: "no-such-flow" };
              this.held.delete(key);
              return { flowId, outcome: "closed", counters: holding.counters };
            },
          ),
        };
      case "get-flows": {
        const { after } = request;
        const all = [...this.held.entries()].sort(([a], [b]) => (a < b ? -1 : 1));
        const from =
          after === undefined
            ? 0
            : all.findIndex(([key]) => key === `${after.epoch}/${after.flowId}`) + 1;
        const flows = all.slice(from, from + this.pageMax).map(([, holding]) => ({ ...holding }));
        return {
          kind: "get-flows",
          asOfSequence: this.sequence,
          more: from + this.pageMax < all.length,
          flows,
        };
      }
      case "renew-lease":
        return { kind: "renew-lease", leaseMs: this.leaseMs };
      case "acknowledge-events":
        this.unacknowledged = this.unacknowledged.filter(
          (event) => event.sequence > request.sequence,
        );
        return { kind: "acknowledge-events" };
      case "update-offload": {
        const holding = this.held.get(`${request.epoch}/${request.flowId}`);
        if (holding === undefined) {
          return {
            kind: "update-offload",
            outcome: "refused",
            reason: "no-such-flow",
            version: 0n,
          };
        }
        return {
          kind: "update-offload",
          outcome: "updated",
          version: request.expectedVersion + 1n,
        };
      }
    }
  }

  /** Returns the event that tells of a holding's activation. */
  activate(holding: Holding): FlowEvent {
    holding.state = "active";
    return this.#event(holding, { kind: "activated", directions: holding.flow.directions });
  }

  close(holding: Holding, cause: CloseCause): FlowEvent {
    this.held.delete(`${holding.epoch}/${holding.flow.flowId}`);
    return this.#event(holding, { kind: "closed", cause, counters: holding.counters });
  }

  #event(holding: Holding, what: FlowEvent["what"]): FlowEvent {
    this.sequence += 1n;
    const event = {
      sequence: this.sequence,
      epoch: holding.epoch,
      flowId: holding.flow.flowId,
      what,
    };
    this.unacknowledged.push(event);
    return event;
  }
}
