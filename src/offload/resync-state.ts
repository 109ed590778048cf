/** What a resynchronisation has gathered so far. Pure: types only. */
import type { ConntrackEntry } from "../lib/conntrack/entry.ts";
import type { HeldFlow, OffloadNotification } from "../offload-protocol/messages.ts";

export interface Resync {
  readonly held: HeldFlow[];
  pages: number;
  heldDone: boolean;
  asOfSequence: bigint;
  snapshot:
    | { readonly startedAtMs: number; readonly entries: readonly ConntrackEntry[] }
    | undefined;
  /** Came in meanwhile, to be looked at afterwards. */
  readonly notices: OffloadNotification[];
  noticeEvents: number;
}
