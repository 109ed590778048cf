/**
 * Writes parsed addresses into map bytes without making objects: tens of thousands of flows a second pass here.
 *
 * Pure. The texts are canonical (lib/inet/address.ts), so nothing is checked again.
 */
import { type IpAddress, ipToBytes, type MacAddress } from "../../lib/inet/address.ts";

const DIGIT_ZERO = 48;
const DOT = 46;
const COLON = 58;
const LETTER_A = 97;

/** Returns the value of a lower-case hexadecimal digit. */
function hexDigit(code: number): number {
  return code >= LETTER_A ? code - LETTER_A + 10 : code - DIGIT_ZERO;
}

/** Writes the six bytes of `aa:bb:cc:dd:ee:ff`. */
export function writeMac(mac: MacAddress, into: Uint8Array, at: number): void {
  for (let index = 0; index < 6; index++) {
    const high = hexDigit(mac.charCodeAt(3 * index));
    into[at + index] = (high << 4) | hexDigit(mac.charCodeAt(3 * index + 1));
  }
}

/** Writes 4 or 16 bytes; what follows an IPv4 address is left alone. */
export function writeIp(address: IpAddress, into: Uint8Array, at: number): void {
  let value = 0;
  let position = at;
  for (let index = 0; index < address.length; index++) {
    const code = address.charCodeAt(index);
    if (code === COLON || code >= LETTER_A) {
      into.set(ipToBytes(address), at);
      return;
    }
    if (code === DOT) {
      into[position++] = value;
      value = 0;
    } else {
      value = value * 10 + code - DIGIT_ZERO;
    }
  }
  into[position] = value;
}
