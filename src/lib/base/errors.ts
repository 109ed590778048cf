/** The base of every thrown error, and the catalogue of codes. Pure. */

/** Every stable error code. README's error table has one row for each (checked by the tidy test). */
export const ERROR_CODES = [
  "USAGE",
  "ENVIRONMENT_LACKS",
  "NATIVE_LIBRARY_MISSING",
  "NETWORK_APPLY_FAILED",
  "NFT_APPLY_REJECTED",
  "NETLINK_REQUEST_FAILED",
  "YANG_INVALID",
  "YANG_MODULE_UNLOADABLE",
  "LOCAL_RPC_FAILED",
  "LOCAL_RPC_CLOSED",
  "LOCAL_RPC_TIMEOUT",
  "BPF_OPERATION_FAILED",
  "CONFIG_FILE_INVALID",
  "STATE_FILE_UNREADABLE",
  "STATE_FILE_UNWRITABLE",
  "PORT_IN_USE",
  "CERTIFICATE_INVALID",
  "SERIAL_PORT_FAILED",
  "LAB_FAILED",
  "IMAGE_FAILED",
  "IMAGE_INPUT_MISMATCH",
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

/** A failed effect (nft, sockets, gRPC, files) with a stable code. Messages end without a full stop. */
export class FlowliftError extends Error {
  override readonly name: string = "FlowliftError";
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

/** Returns one line that tells a person what failed, causes included, without a stack trace. */
export function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause === undefined ? "" : `: ${describeError(error.cause)}`;
  return `${error.message}${cause}`;
}
