/**
 * Addresses of conntrack messages as text and as bytes; the same few thousand come again and again.
 *
 * Pure but for a memory of earlier answers. Limit: ADDRESSES_MAX remembered, then it starts anew.
 */
import { formatIpBytes, type IpAddress, ipToBytes } from "../inet/address.ts";
import type { AttributeCursor } from "../netlink/attributes.ts";

export const ADDRESSES_MAX = 65_536;

const v4 = new Map<number, IpAddress>();
const v6 = new Map<string, IpAddress>();
const bytes = new Map<IpAddress, Uint8Array>();

/** Returns the address that is the cursor's value, or undefined when it has neither 4 nor 16 bytes. */
export function readAddress(cursor: AttributeCursor): IpAddress | undefined {
  if (cursor.length === 4) return remember(v4, cursor.u32be(), cursor);
  if (cursor.length !== 16) return undefined;
  const { view, offset } = cursor;
  const high = view.getBigUint64(offset, false);
  const low = view.getBigUint64(offset + 8, false);
  return remember(v6, `${high}:${low}`, cursor);
}

/** Returns the 4 or 16 bytes of an address, which nobody may change. */
export function addressBytes(address: IpAddress): Uint8Array {
  const found = bytes.get(address);
  if (found !== undefined) return found;
  if (bytes.size >= ADDRESSES_MAX) bytes.clear();
  const made = ipToBytes(address);
  bytes.set(address, made);
  return made;
}

function remember<K>(known: Map<K, IpAddress>, key: K, cursor: AttributeCursor): IpAddress {
  const found = known.get(key);
  if (found !== undefined) return found;
  if (known.size >= ADDRESSES_MAX) known.clear();
  const address = formatIpBytes(cursor.bytes());
  known.set(key, address);
  return address;
}
