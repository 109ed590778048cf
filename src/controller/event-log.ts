/**
 * The sequenced events of one virtual machine until it acknowledges them.
 *
 * Pure. Events go out in order; after a reconnect everything unacknowledged goes out again.
 * Limit: EVENTS_UNACKED_MAX events, enforced by reserving room before a flow is granted;
 * EVENTS_IN_FLIGHT_MAX of them sent and unacknowledged at a time.
 */
import { assert } from "../lib/base/assert.ts";
import type { FlowEvent } from "../offload-protocol/messages.ts";

/** Room for two events of each of 131,072 flows. */
export const EVENTS_UNACKED_MAX = 262_144;
export const EVENTS_IN_FLIGHT_MAX = 16_384;
/** Events of a flow that is granted and of which nothing was told yet: activated, closed. */
export const EVENTS_PER_FLOW_MAX = 2;

/** One VM's log. Sequence numbers grow by one and are never used twice, over restarts too. */
export class EventLog {
  #events: FlowEvent[] = [];
  /** Index of the oldest unacknowledged event; everything before it is forgotten now and then. */
  #head = 0;
  /** Index of the first event that was not sent in this session. */
  #unsent = 0;
  #next: bigint;

  /** `next`: the first sequence number to use. */
  constructor(next: bigint) {
    assert(next > 0n, "sequence numbers start at 1 or above");
    this.#next = next;
  }

  /** The sequence number of the newest event; one less than the first to come when there is none. */
  get lastSequence(): bigint {
    return this.#next - 1n;
  }

  get unackedCount(): number {
    return this.#events.length - this.#head;
  }

  get hasUnsent(): boolean {
    return this.#unsent < this.#events.length && this.#unsent - this.#head < EVENTS_IN_FLIGHT_MAX;
  }

  /** Whether `flows` more flows can be granted although `owed` events are still to come. */
  hasRoomFor(flows: number, owed: number): boolean {
    return this.unackedCount + owed + EVENTS_PER_FLOW_MAX * flows <= EVENTS_UNACKED_MAX;
  }

  append(event: Omit<FlowEvent, "sequence">): FlowEvent {
    assert(this.unackedCount < EVENTS_UNACKED_MAX, "room for an event was reserved");
    const sequenced = { sequence: this.#next, ...event };
    this.#next += 1n;
    this.#events.push(sequenced);
    return sequenced;
  }

  /** Takes back an event from the journal; they come in order and before any `append`. */
  restore(event: FlowEvent): void {
    const newest = this.#events.at(-1);
    assert(newest === undefined || newest.sequence < event.sequence, "events come in order");
    this.#events.push(event);
    if (event.sequence >= this.#next) this.#next = event.sequence + 1n;
  }

  /** Returns the next events to send, at most `max`, and counts them as sent. */
  takeUnsent(max: number): readonly FlowEvent[] {
    const room = Math.max(0, EVENTS_IN_FLIGHT_MAX - (this.#unsent - this.#head));
    const taken = this.#events.slice(this.#unsent, this.#unsent + Math.min(max, room));
    this.#unsent += taken.length;
    return taken;
  }

  /** A new session: everything unacknowledged is to be sent again. */
  rewind(): void {
    this.#unsent = this.#head;
  }

  /** Forgets every event up to and with `sequence`, and returns them. */
  acknowledge(sequence: bigint): readonly FlowEvent[] {
    const start = this.#head;
    while (this.#head < this.#events.length) {
      const event = this.#events[this.#head];
      if (event === undefined || event.sequence > sequence) break;
      this.#head++;
    }
    const acked = this.#events.slice(start, this.#head);
    this.#unsent = Math.max(this.#unsent, this.#head);
    if (this.#head > 4096 && this.#head * 2 > this.#events.length) {
      this.#events = this.#events.slice(this.#head);
      this.#unsent -= this.#head;
      this.#head = 0;
    }
    return acked;
  }

  /** The unacknowledged events, oldest first. */
  listUnacked(): readonly FlowEvent[] {
    return this.#events.slice(this.#head);
  }
}
