/** The error of an operation on a flow that a driver does not hold. Pure. */
import { FlowliftError } from "../lib/base/errors.ts";
import type { FlowHandle } from "./driver.ts";

/** Returns the error. */
export function noSuchFlow(handle: FlowHandle, direction: "original" | "reply"): FlowliftError {
  const text = `Cannot update flow ${handle}: it has no ${direction} direction here`;
  return new FlowliftError("BPF_OPERATION_FAILED", text);
}
