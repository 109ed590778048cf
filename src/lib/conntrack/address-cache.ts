/**
 * Addresses of conntrack messages as text and as bytes; the same few thousand come again and again.
 *
 * Pure but for a memory of earlier answers. Limit: ADDRESSES_MAX remembered, then it starts anew.
 */
import { formatIpBytes, type IpAddress, ipToBytes } from "../inet/address.ts";

export const ADDRESSES_MAX = 65_536;

const v4 = new Map<number, IpAddress>();
const v6 = new Map<string, IpAddress>();
const bytes = new Map<IpAddress, Uint8Array>();

/** Returns the address of 4 or 16 bytes; undefined when there are neither. The bytes are in the view. */
export function readAddressAt(view: DataView, at: number, length: number): IpAddress | undefined {
  if (length === 4) {
    const key = view.getUint32(at, false);
    return v4.get(key) ?? remember(v4, key, view, at, length);
  }
  if (length !== 16) return undefined;
  const key = `${view.getBigUint64(at, false)}:${view.getBigUint64(at + 8, false)}`;
  return v6.get(key) ?? remember(v6, key, view, at, length);
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

function remember<K>(
  known: Map<K, IpAddress>,
  key: K,
  view: DataView,
  at: number,
  length: number,
): IpAddress {
  if (known.size >= ADDRESSES_MAX) known.clear();
  const address = formatIpBytes(new Uint8Array(view.buffer, view.byteOffset + at, length));
  known.set(key, address);
  return address;
}
