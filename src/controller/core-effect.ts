/** What the pure core asks its shell to do. Pure: types only. */
import type { FlowHandle } from "../fast-path/driver.ts";
import type { Epoch, FlowEvent, OffloadFlow, OffloadReply } from "../offload-protocol/messages.ts";
import type { Refusal } from "./authorise.ts";
import type { FlowRecord } from "./flow-record.ts";

/** Names a request whose answer comes later; chosen by the shell. */
export type ReplyToken = number;

/** A flow's bytes in a message. */
export interface EncodedFlow {
  readonly bytes: Buffer;
  readonly start: number;
  readonly end: number;
}

export type CoreEffect =
  /** A flow was granted and waits for the driver: write the journal before it is given to it. */
  | {
      readonly kind: "granted";
      readonly record: FlowRecord;
      readonly flow: OffloadFlow;
      /** The flow as it came, if it came in CBOR. */
      readonly encoded: EncodedFlow | undefined;
    }
  | {
      readonly kind: "refused";
      readonly vmKey: string;
      readonly epoch: Epoch;
      readonly flow: OffloadFlow;
      readonly refusal: Refusal;
    }
  /** Flow ids that name nothing of this VM's: mistaken, or another tenant's. */
  | {
      readonly kind: "unknown-flows";
      readonly vmKey: string;
      readonly operation: "withdraw-offload" | "update-offload";
      readonly epoch: Epoch;
      readonly flowIds: readonly bigint[];
    }
  /** A sequenced event was appended to the VM's log. */
  | {
      readonly kind: "event";
      readonly vmKey: string;
      readonly handle: FlowHandle;
      readonly idleTimeoutMs: number;
      readonly event: FlowEvent;
      /** Undefined for a flow that was not taken back from the journal. */
      readonly record: FlowRecord | undefined;
    }
  | { readonly kind: "acknowledged"; readonly vmKey: string; readonly sequence: bigint }
  | { readonly kind: "reply"; readonly token: ReplyToken; readonly reply: OffloadReply }
  | {
      readonly kind: "set-slot";
      readonly slot: number;
      readonly generation: number;
      readonly leaseMs: number;
    }
  /** A changed egress is to be programmed; `changed` says of which directions. */
  | {
      readonly kind: "update";
      readonly record: FlowRecord;
      readonly changed: readonly ("original" | "reply")[];
    }
  | { readonly kind: "lease-expired"; readonly vmKey: string; readonly flows: number }
  /** The driver owes an answer for too long: reconnect it. */
  | { readonly kind: "driver-stuck" };
