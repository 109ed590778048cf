/**
 * Whether an address lies in a prefix, fast enough to be asked for every flow and every rule.
 *
 * Pure but for a memory: a prefix object is read once and then kept as numbers as long as it lives.
 * Invariant: the same as comparing the masked address's canonical text with the prefix's.
 */
import {
  type AddressFamily,
  familyOf,
  type IpAddress,
  type IpPrefix,
  ipToBytes,
} from "./address.ts";

/** An IPv6 address as four signed 32-bit numbers in network order. */
export type Ipv6Words = Int32Array;

interface PrefixBits {
  readonly family: AddressFamily;
  /** Of an IPv6 prefix; one word and one mask of an IPv4 prefix. */
  readonly words: Int32Array;
  readonly masks: Int32Array;
  /** Every bit counts: texts can be compared. */
  readonly isHost: boolean;
}

const known = new WeakMap<IpPrefix, PrefixBits>();
const groups = new Uint16Array(8);
const scratch: Ipv6Words = new Int32Array(4);

/** Returns whether the address lies in the prefix; families that differ never match. */
export function prefixContains(prefix: IpPrefix, address: IpAddress): boolean {
  const bits = known.get(prefix) ?? readPrefix(prefix);
  if (bits.isHost) return prefix.address === address;
  if (bits.family !== familyOf(address)) return false;
  const { masks, words } = bits;
  if (bits.family === 4) return (ipv4Bits(address) & (masks[0] ?? 0)) === words[0];
  writeIpv6Words(address, scratch);
  for (let index = 0; index < 4; index++) {
    if (((scratch[index] ?? 0) & (masks[index] ?? 0)) !== words[index]) return false;
  }
  return true;
}

/** Returns an IPv4 address as a signed 32-bit number. */
export function ipv4Bits(address: IpAddress): number {
  let bits = 0;
  let byte = 0;
  for (let at = 0; at < address.length; at++) {
    const code = address.charCodeAt(at);
    if (code === DOT) {
      bits = (bits << 8) | byte;
      byte = 0;
    } else byte = 10 * byte + code - ZERO;
  }
  return (bits << 8) | byte;
}

/** Writes an IPv6 address's words. */
export function writeIpv6Words(address: IpAddress, words: Ipv6Words): void {
  if (address.includes(".")) {
    const view = new DataView(ipToBytes(address).buffer);
    for (let index = 0; index < 4; index++) words[index] = view.getInt32(4 * index);
    return;
  }
  readGroups(address);
  for (let index = 0; index < 4; index++) {
    words[index] = ((groups[2 * index] ?? 0) << 16) | (groups[2 * index + 1] ?? 0);
  }
}

/** Returns the mask of a word, of which so many bits count. */
export function maskOfLength(lengthBits: number): number {
  if (lengthBits <= 0) return 0;
  return lengthBits >= 32 ? -1 : -1 << (32 - lengthBits);
}

const DOT = 46;
const COLON = 58;
const ZERO = 48;
const NINE = 57;
/** "a" stands for ten. */
const LETTERS = 87;
/** Makes letters small; digits stay as they are. */
const SMALL_LETTER_BIT = 0x20;

function readGroups(address: string): void {
  groups.fill(0);
  let count = 0;
  let gapAt = -1;
  let value = 0;
  let hasDigits = false;
  for (let at = 0; at < address.length; at++) {
    const code = address.charCodeAt(at);
    if (code !== COLON) {
      const digit = code <= NINE ? code - ZERO : (code | SMALL_LETTER_BIT) - LETTERS;
      value = 16 * value + digit;
      hasDigits = true;
      continue;
    }
    if (hasDigits) groups[count++] = value;
    if (address.charCodeAt(at + 1) === COLON) gapAt = count;
    value = 0;
    hasDigits = false;
  }
  if (hasDigits) groups[count++] = value;
  if (gapAt < 0) return;
  // What stands behind "::" belongs to the end.
  groups.copyWithin(8 - (count - gapAt), gapAt, count);
  groups.fill(0, gapAt, 8 - (count - gapAt));
}

function readPrefix(prefix: IpPrefix): PrefixBits {
  const { address, lengthBits } = prefix;
  const family = familyOf(address);
  const words = new Int32Array(family === 4 ? 1 : 4);
  if (family === 4) words[0] = ipv4Bits(address);
  else writeIpv6Words(address, words);
  const masks = Int32Array.from(words, (_, index) => maskOfLength(lengthBits - 32 * index));
  const bits: PrefixBits = {
    family,
    words,
    masks,
    isHost: lengthBits === 32 * words.length,
  };
  known.set(prefix, bits);
  return bits;
}
