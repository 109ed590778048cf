/** What of a direction must be unique in a fast path. Pure. */
import type { FastPathDirection } from "../fast-path/driver.ts";

export type TupleKey = string & { readonly brand: "TupleKey" };

/** Returns the key; two directions with the same key match the same packets. */
export function tupleKey(direction: FastPathDirection): TupleKey {
  const { segmentId, destinationMac, protocol, sourceAddress, destinationAddress } = direction;
  const ports = `${direction.sourcePort} ${direction.destinationPort}`;
  return `${segmentId} ${destinationMac} ${protocol} ${sourceAddress} ${destinationAddress} ${ports}` as TupleKey;
}
