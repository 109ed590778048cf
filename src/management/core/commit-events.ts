/** What a commit tells to those who listen. Pure: types. */

import type { DataRoot } from "../data-node.ts";
import type { Change } from "./diff.ts";
import type { Actor, CommitMeta } from "./journal-record.ts";

export interface Committed {
  readonly meta: CommitMeta;
  readonly changes: readonly Change[];
  readonly before: DataRoot;
  readonly after: DataRoot;
}

export type ConfirmEvent = "start" | "cancel" | "timeout" | "extend" | "complete";

export interface StoreListener {
  /** running has changed, durably. */
  committed?(what: Committed): void;
  /** startup has changed by itself. */
  startupChanged?(who: Actor): void;
  confirm?(event: ConfirmEvent, who: Actor, timeoutSec: number | undefined): void;
}
