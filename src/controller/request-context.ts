/** What every request handler is given, and what it answers. Pure: types only. */
import type { FlowPlaces } from "../offload-protocol/cbor-decode-request.ts";
import type { OffloadFlow, OffloadReply } from "../offload-protocol/messages.ts";
import type { ReplyToken } from "./core-effect.ts";
import type { HostCore } from "./host-core.ts";
import type { VmState } from "./vm-state.ts";

/** Where a request comes from. */
export interface RequestContext {
  readonly core: HostCore;
  readonly state: VmState;
  /** Names the answer if it comes later. */
  readonly token: ReplyToken;
  readonly receivedMs: number;
  readonly nowMs: number;
  /** How many bytes a held flow takes at most in an answer. */
  flowBytesMax(flow: OffloadFlow): number;
  /** Where the request's flows stand in its message, if it is CBOR. */
  readonly places: FlowPlaces | undefined;
}

export type RequestOutcome =
  | { readonly kind: "reply"; readonly reply: OffloadReply }
  /** A `reply` effect with the token follows. */
  | { readonly kind: "later" }
  | { readonly kind: "too-many"; readonly message: string };
