/** The sessions of a server, and its counters. Pure state. Source: RFC 6022 §2.1.4, §2.1.5. */

/** Sessions at once; one more is refused when it asks for the subsystem. */
export const SESSIONS_MAX = 256;
/** RFC 6241 §8.1: session-id is a 32-bit number, not 0. */
export const SESSION_ID_MAX = 4_294_967_295;

/** Counters that a session and the whole server share. */
export interface RpcCounters {
  inRpcs: number;
  inBadRpcs: number;
  outRpcErrors: number;
  outNotifications: number;
}

/** What others may know of a session and do to it. */
export interface SessionEntry {
  readonly id: number;
  readonly transport: string;
  readonly username: string;
  readonly sourceHost: string;
  readonly loginTime: Date;
  readonly counters: RpcCounters;
  /** Groups that the transport knows besides those of the configuration. */
  readonly groups?: readonly string[];
  /** Edits and commits a candidate of its own. */
  readonly hasPrivateCandidate?: boolean;
  /** Sends an event, if the transport carries any. */
  notify?(text: string): void;
  readonly isSubscribed?: boolean;
  /** A subscription began; the session calls `stop` when it ends. */
  subscriptionStarts?(stop: () => void): void;
  /** The subscription is over, the session is not. */
  subscriptionEnds?(): void;
  /** Ends the session at once; `killedBy` is the session that wants it. */
  terminate(reason: string, killedBy?: number): void;
}

/** All sessions that said hello or will. */
export class SessionRegistry {
  readonly startTime: Date;
  readonly totals: RpcCounters = {
    inRpcs: 0,
    inBadRpcs: 0,
    outRpcErrors: 0,
    outNotifications: 0,
  };
  inBadHellos = 0;
  inSessions = 0;
  droppedSessions = 0;
  readonly #entries = new Map<number, SessionEntry>();
  #lastId = 0;

  constructor(startTime: Date) {
    this.startTime = startTime;
  }

  get isFull(): boolean {
    return this.#entries.size >= SESSIONS_MAX;
  }

  /** Returns an id that no session has. */
  takeId(): number {
    do this.#lastId = this.#lastId >= SESSION_ID_MAX ? 1 : this.#lastId + 1;
    while (this.#entries.has(this.#lastId));
    return this.#lastId;
  }

  add(entry: SessionEntry): void {
    this.#entries.set(entry.id, entry);
  }

  delete(id: number): void {
    this.#entries.delete(id);
  }

  get(id: number): SessionEntry | undefined {
    return this.#entries.get(id);
  }

  list(): SessionEntry[] {
    return [...this.#entries.values()];
  }
}
