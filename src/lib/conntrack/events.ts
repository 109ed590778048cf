/**
 * Conntrack events as they happen: new, update, destroy, and notice of lost ones.
 *
 * Effect: a worker thread with its own socket. Set `nf_conntrack_events=1` before traffic: in "auto", flows
 * born while nobody listens never make events. An overrun is repaired by a dump (`table.ts`).
 * Source: linux/netfilter/nfnetlink_compat.h (groups); see messages.ts for the bytes.
 */
import { forEachMessage, NLM_F_CREATE } from "../netlink/attributes.ts";
import { type EventStream, startEventStream } from "../netlink/event-stream.ts";
import { NETLINK_NETFILTER } from "../netlink/socket.ts";
import type { ConntrackEvent } from "./entry.ts";
import {
  decodeEntry,
  MESSAGE_CT_DELETE,
  MESSAGE_CT_NEW,
  NFNLGRP_CONNTRACK_DESTROY,
  NFNLGRP_CONNTRACK_NEW,
  NFNLGRP_CONNTRACK_UPDATE,
} from "./messages.ts";

/** About 50,000 events of 1.3 kB in the kernel's accounting. */
export const EVENT_BUFFER_BYTES_DEFAULT: number = 64 * 1024 * 1024;

export interface ConntrackEventsOptions {
  /** Whether to hear of entries that nothing is known about yet but that they exist. */
  readonly wantNew?: boolean;
  readonly receiveBytes?: number;
  /** Events that requests of this port caused are left out: each change echoes as an update. */
  readonly ownPort?: number;
  /** Gets the events of one batch, in order. */
  onEvents(events: readonly ConntrackEvent[]): void;
  onFailed(error: Error): void;
}

/** Resolves when listening; throws NETLINK_REQUEST_FAILED. */
export function listenConntrack(options: ConntrackEventsOptions): Promise<EventStream> {
  const groups = [NFNLGRP_CONNTRACK_UPDATE, NFNLGRP_CONNTRACK_DESTROY];
  if (options.wantNew !== false) groups.push(NFNLGRP_CONNTRACK_NEW);
  const receiveBytes = options.receiveBytes ?? EVENT_BUFFER_BYTES_DEFAULT;
  const { ownPort } = options;
  return startEventStream(
    {
      protocol: NETLINK_NETFILTER,
      groups,
      receiveBytes,
      ...(ownPort === undefined ? {} : { ignoredPort: ownPort }),
    },
    {
      onBatch: (bytes, overrun) => options.onEvents(decodeEvents(bytes, overrun, ownPort)),
      onFailed: options.onFailed,
    },
  );
}

/** Returns the events of one batch; anything else is skipped. Pure. */
export function decodeEvents(view: DataView, overrun: boolean, ownPort?: number): ConntrackEvent[] {
  const events: ConntrackEvent[] = overrun ? [{ kind: "overrun" }] : [];
  forEachMessage(view, (message) => {
    if (message.port === ownPort) return;
    const kind = kindOf(message.type, message.flags);
    if (kind === undefined) return;
    const entry = decodeEntry(view, message);
    if (entry !== undefined) events.push({ kind, entry });
  });
  return events;
}

function kindOf(type: number, flags: number): "new" | "update" | "destroy" | undefined {
  if (type === MESSAGE_CT_DELETE) return "destroy";
  if (type !== MESSAGE_CT_NEW) return undefined;
  return (flags & NLM_F_CREATE) !== 0 ? "new" : "update";
}
