/**
 * The one-time code that lets whoever sees the console install the first key.
 *
 * Pure: clock and randomness come in. Valid only while no key exists, in this boot, and CODE_TRIES_MAX times;
 * between two tries lie TRY_INTERVAL_MS.
 */
import { createHash, timingSafeEqual } from "node:crypto";

/** Without letters that are read as others: no I, L, O, U, 0, 1. 30 characters. */
const ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ";
const CODE_CHARACTERS = 8;
/** 8 of 30 characters are 39 bits: ten tries hit with a chance of 1 to 65,000 million. */
export const CODE_TRIES_MAX = 10;
export const TRY_INTERVAL_MS = 1_000;

/** Returns `ABCD-EFGH`. `drawByte` gives 0 to 255, each as likely. */
export function drawInstallCode(drawByte: () => number): string {
  let text = "";
  while (text.length < CODE_CHARACTERS) {
    const byte = drawByte();
    // The same chance for each character: bytes beyond the last whole round are drawn again.
    if (byte < 256 - (256 % ALPHABET.length)) text += ALPHABET[byte % ALPHABET.length];
  }
  return `${text.slice(0, 4)}-${text.slice(4)}`;
}

export type CodeVerdict = "accepted" | "wrong" | "too-soon" | "used-up";

/** Judges tries. */
export class InstallCode {
  readonly code: string;
  #tries = 0;
  #nextAtMs = 0;

  constructor(code: string) {
    this.code = code;
  }

  /** A right code is used up by being accepted. */
  check(shown: string, nowMs: number): CodeVerdict {
    if (this.#tries >= CODE_TRIES_MAX) return "used-up";
    if (nowMs < this.#nextAtMs) return "too-soon";
    this.#tries++;
    this.#nextAtMs = nowMs + TRY_INTERVAL_MS;
    if (!isSame(shown.trim().toUpperCase(), this.code)) return "wrong";
    this.#tries = CODE_TRIES_MAX;
    return "accepted";
  }
}

function isSame(one: string, other: string): boolean {
  const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(one), digest(other));
}
