/**
 * The kernel's conntrack table: read, change and delete entries, many at a time.
 *
 * Effect: ctnetlink requests. Needs CAP_NET_ADMIN in the namespace.
 * Source: linux/netfilter/nfnetlink_conntrack.h.
 */
import type { MessageBuilder, MessageSpan } from "../netlink/attributes.ts";
import { NetlinkRequester } from "../netlink/request.ts";
import { ENOENT, NETLINK_NETFILTER, NetlinkError } from "../netlink/socket.ts";
import type { ConntrackChange, ConntrackEntry, ConntrackTuple } from "./entry.ts";
import {
  decodeEntry,
  MESSAGE_CT_DELETE,
  MESSAGE_CT_GET,
  MESSAGE_CT_NEW,
  writeChange,
  writeEntryKey,
  writeFamily,
  writeMarkFilter,
} from "./messages.ts";

/** An entry's name. */
export interface ConntrackKey {
  readonly original: ConntrackTuple;
  readonly zone?: number;
}

export interface DumpFilter {
  readonly mark?: { readonly value: number; readonly mask: number };
  readonly zone?: number;
  readonly family?: 4 | 6;
}

/** What became of one change: undefined when it was done, else the kernel's errno (ENOENT: no such entry). */
export type ChangeOutcome = number | undefined;

export class ConntrackTable {
  readonly #requester: NetlinkRequester = new NetlinkRequester(NETLINK_NETFILTER);

  /** Visits every entry that matches, without holding all of them; other work runs in between. */
  async dump(visit: (entry: ConntrackEntry) => void, filter: DumpFilter = {}): Promise<void> {
    const take = (view: DataView, message: MessageSpan): void => {
      const entry = decodeEntry(view, message);
      if (entry === undefined) return;
      if (filter.zone === undefined || entry.zone === filter.zone) visit(entry);
    };
    const body = (builder: MessageBuilder): void => {
      writeFamily(builder, filter.family ?? 0);
      if (filter.mark !== undefined) writeMarkFilter(builder, filter.mark);
    };
    await this.#requester.dump("list conntrack entries", MESSAGE_CT_GET, body, take);
  }

  /** Returns the entry, or undefined when it is gone. */
  get(key: ConntrackKey): ConntrackEntry | undefined {
    let found: ConntrackEntry | undefined;
    try {
      this.#requester.request(
        "read a conntrack entry",
        MESSAGE_CT_GET,
        0,
        (builder) => writeEntryKey(builder, key.original, key.zone ?? 0),
        (view, message) => {
          found = decodeEntry(view, message);
        },
      );
    } catch (error) {
      if (error instanceof NetlinkError && error.errno === ENOENT) return undefined;
      throw error;
    }
    return found;
  }

  /** Changes existing entries; returns one outcome for each, in order. Nothing is created. */
  change(changes: readonly ConntrackChange[]): ChangeOutcome[] {
    const bodies = changes.map(
      (change) => (builder: MessageBuilder) => writeChange(builder, change),
    );
    return Array.from(this.#requester.batch(MESSAGE_CT_NEW, 0, bodies), toOutcome);
  }

  /** Deletes entries; returns one outcome for each, in order. */
  delete(keys: readonly ConntrackKey[]): ChangeOutcome[] {
    const bodies = keys.map(
      (key) => (builder: MessageBuilder) => writeEntryKey(builder, key.original, key.zone ?? 0),
    );
    return Array.from(this.#requester.batch(MESSAGE_CT_DELETE, 0, bodies), toOutcome);
  }

  /** Deletes every entry of the namespace. */
  flush(): void {
    const body = (builder: MessageBuilder): void => writeFamily(builder, 0);
    this.#requester.request("empty the conntrack table", MESSAGE_CT_DELETE, 0, body, () => {});
  }

  /** Events that this table's own changes cause carry this number. */
  get port(): number {
    return this.#requester.port;
  }

  close(): void {
    this.#requester.close();
  }
}

function toOutcome(errno: number): ChangeOutcome {
  return errno === 0 ? undefined : errno;
}
