/**
 * Events of the server and of what it configures, for subscribers of every protocol.
 *
 * Pure state: listeners are called at once, one after the other; who is slow must queue by itself.
 * Source: RFC 5277 §3. Limit: REPLAY_EVENTS_MAX and REPLAY_BYTES_MAX are kept for replay.
 */
import type { SchemaOperation } from "../schema.ts";

export const REPLAY_EVENTS_MAX = 4_096;
export const REPLAY_BYTES_MAX: number = 8 * 1024 * 1024;

/** The only stream so far; RFC 5277 §3.2.3 wants it to be there. */
export const STREAM_NETCONF = "NETCONF";

/** One event; `sequence` counts all events of this process, from 1. */
export interface ManagementEvent {
  readonly sequence: number;
  readonly time: Date;
  readonly stream: string;
  readonly schema: SchemaOperation;
  /** The notification's element as XML text; nested ones inside the elements that lead to them. */
  readonly xml: string;
}

export type EventListener = (event: ManagementEvent) => void;

export class EventBus {
  readonly #listeners = new Set<EventListener>();
  readonly #kept: ManagementEvent[] = [];
  readonly startedAt: Date = new Date();
  #keptBytes = 0;
  #sequence = 0;
  #agedAt: Date | undefined;

  /** The time of the last event that is not kept any more. */
  get agedAt(): Date | undefined {
    return this.#agedAt;
  }

  get lastSequence(): number {
    return this.#sequence;
  }

  publish(schema: SchemaOperation, xml: string, time: Date = new Date()): void {
    this.#sequence++;
    const event = { sequence: this.#sequence, time, stream: STREAM_NETCONF, schema, xml };
    this.#kept.push(event);
    this.#keptBytes += xml.length;
    while (this.#kept.length > REPLAY_EVENTS_MAX || this.#keptBytes > REPLAY_BYTES_MAX) {
      const oldest = this.#kept.shift();
      if (oldest === undefined) break;
      this.#keptBytes -= oldest.xml.length;
      this.#agedAt = oldest.time;
    }
    for (const listener of [...this.#listeners]) listener(event);
  }

  /** Calls the listener for each event from now on; returns what ends that. */
  subscribe(listener: EventListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The kept events since a time, that one included. */
  since(time: Date): ManagementEvent[] {
    return this.#kept.filter((event) => event.time >= time);
  }

  /** The kept events after a sequence number, for readers that come back (SSE's Last-Event-ID). */
  after(sequence: number): ManagementEvent[] {
    return this.#kept.filter((event) => event.sequence > sequence);
  }
}
