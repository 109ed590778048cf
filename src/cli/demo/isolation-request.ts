/**
 * Messages of the isolation claim as bytes, and what their answers mean.
 *
 * Pure, but for drawing epochs.
 */
import { randomBytes } from "node:crypto";
import { encodeRpc } from "../../offload-protocol/codec-xml.ts";
import type { Epoch, OffloadFlow, OffloadRequest } from "../../offload-protocol/messages.ts";
import type { Answer, RawRequest } from "./hostile-session.ts";

/** What was answered, for a person. */
export interface Verdict {
  readonly isDone: boolean;
  readonly text: string;
}

/** Returns an epoch nobody used. */
export function drawEpoch(): Epoch {
  return randomBytes(8).toString("hex") as Epoch;
}

/** Returns the message's bytes; `change` may spoil the text. */
export function makeRequest(
  messageId: string,
  request: OffloadRequest,
  change: (text: string) => string = (text) => text,
): RawRequest {
  return {
    messageId,
    kind: request.kind,
    bytes: Buffer.from(change(encodeRpc(messageId, request))),
  };
}

export function requestFlow(messageId: string, epoch: Epoch, flow: OffloadFlow): RawRequest {
  return makeRequest(messageId, { kind: "request-offload", epoch, flows: [flow] });
}

/** Returns whether the first item of an answer was granted, closed or updated, and in which words. */
export function judgeAnswer(answer: Answer): Verdict {
  switch (answer.kind) {
    case "error": {
      const tags = answer.errors.map(({ tag }) => tag).join(", ");
      return { isDone: false, text: `refused: rpc-error ${tags}` };
    }
    case "request-offload": {
      const [result] = answer.results;
      return result?.outcome === "refused"
        ? { isDone: false, text: `refused: ${result.reason}` }
        : { isDone: true, text: "granted" };
    }
    case "withdraw-offload": {
      const [result] = answer.results;
      if (result?.outcome === "closed") return { isDone: true, text: "closed" };
      return { isDone: false, text: `refused: ${result?.outcome ?? "nothing of that name"}` };
    }
    case "update-offload":
      return answer.outcome === "updated"
        ? { isDone: true, text: "updated" }
        : { isDone: false, text: `refused: ${answer.reason ?? ""}` };
    case "get-flows":
      return { isDone: answer.flows.length > 0, text: `${answer.flows.length} flows` };
    case "renew-lease":
    case "acknowledge-events":
      return { isDone: true, text: "answered" };
  }
}
