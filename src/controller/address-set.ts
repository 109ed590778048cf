/**
 * Sets of addresses that answer quickly whether an address belongs to them.
 *
 * Pure. Prefixes are compiled to masked 32-bit words once, addresses are compared word by word.
 */
import {
  type AddressFamily,
  familyOf,
  type IpAddress,
  type IpPrefix,
  ipToBytes,
} from "../lib/inet/address.ts";

/** An address as one (IPv4) or four (IPv6) unsigned 32-bit words. */
export type AddressWords = readonly number[];

interface CompiledPrefix {
  readonly family: AddressFamily;
  readonly words: AddressWords;
  readonly masks: AddressWords;
}

/** Addresses whose words are remembered; more than these start anew. */
export const WORDS_REMEMBERED_MAX = 8_192;
const remembered = new Map<IpAddress, AddressWords>();

/** Returns the words of an address; the count tells its family. */
export function toWords(address: IpAddress): AddressWords {
  const known = remembered.get(address);
  if (known !== undefined) return known;
  const words = makeWords(address);
  if (remembered.size >= WORDS_REMEMBERED_MAX) remembered.clear();
  remembered.set(address, words);
  return words;
}

function makeWords(address: IpAddress): AddressWords {
  if (familyOf(address) === 4) return [ipv4Word(address)];
  const bytes = ipToBytes(address);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return [view.getUint32(0), view.getUint32(4), view.getUint32(8), view.getUint32(12)];
}

function ipv4Word(address: string): number {
  let word = 0;
  let part = 0;
  for (let index = 0; index < address.length; index++) {
    const code = address.charCodeAt(index);
    if (code === 46) {
      word = word * 256 + part;
      part = 0;
    } else part = part * 10 + (code - 48);
  }
  return word * 256 + part;
}

function maskWord(lengthBits: number, index: number): number {
  const bits = Math.min(32, Math.max(0, lengthBits - 32 * index));
  return bits === 0 ? 0 : (0xffff_ffff << (32 - bits)) >>> 0;
}

/** Some address blocks. */
export class AddressSet {
  readonly #prefixes: readonly CompiledPrefix[];

  constructor(prefixes: readonly IpPrefix[]) {
    this.#prefixes = prefixes.map(({ address, lengthBits }) => {
      const words = toWords(address);
      return {
        family: familyOf(address),
        words,
        masks: words.map((_, index) => maskWord(lengthBits, index)),
      };
    });
  }

  /** Returns whether the address lies in one of the blocks. */
  has(words: AddressWords): boolean {
    return this.#prefixes.some((prefix) => {
      if (prefix.words.length !== words.length) return false;
      for (let index = 0; index < words.length; index++) {
        const masked = ((words[index] ?? 0) & (prefix.masks[index] ?? 0)) >>> 0;
        if (masked !== prefix.words[index]) return false;
      }
      return true;
    });
  }
}

/** Returns whether one station can have the address: no multicast, loopback, link-local, unspecified or broadcast. */
export function isForwardable(words: AddressWords): boolean {
  const first = words[0] ?? 0;
  if (words.length === 1) {
    const top = first >>> 24;
    const isLinkLocal = first >>> 16 === 0xa9fe;
    return top !== 0 && top !== 127 && top < 224 && !isLinkLocal;
  }
  if (first >>> 24 === 0xff || first >>> 22 === 0xfe80 >>> 6) return false;
  const isMappedOrLow = first === 0 && words[1] === 0 && (words[2] === 0 || words[2] === 0xffff);
  return !isMappedOrLow;
}
