/**
 * Password hashes of crypt(3), as ietf-system's crypt-hash holds them.
 *
 * Effect: loads libcrypt (part of every Debian). Checking runs on a thread of its own: a hash costs
 * milliseconds, and guesses come from outside. Source: crypt(5), RFC 7317 (iana-crypt-hash).
 */
import { randomBytes, timingSafeEqual } from "node:crypto";
import koffi, { type KoffiFunc } from "koffi";
import { FlowliftError } from "../base/errors.ts";

const SONAME = "libcrypt.so.1";
/** struct crypt_data of libxcrypt is smaller than this. */
const CRYPT_DATA_BYTES = 32_768;
/** A longer password is refused before any work is done for it. */
export const PASSWORD_BYTES_MAX = 512;
const SALT_ALPHABET = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const SALT_CHARACTERS = 16;

type CryptR = KoffiFunc<(password: string, salt: string, work: Buffer) => string | null>;
let loaded: CryptR | undefined;

function cryptR(): CryptR {
  if (loaded !== undefined) return loaded;
  try {
    loaded = koffi.load(SONAME).func("crypt_r", "str", ["str", "str", "void *"]);
    return loaded;
  } catch (cause) {
    const text = `Cannot load ${SONAME}. Install it: apt-get install libcrypt1`;
    throw new FlowliftError("NATIVE_LIBRARY_MISSING", text, { cause });
  }
}

/** Returns whether the password has this hash ($1$, $5$, $6$). */
export async function matchesHash(password: string, hash: string): Promise<boolean> {
  if (!/^\$[156]\$/.test(hash) || !isUsable(password)) return false;
  const made = await new Promise<string | null>((resolve) => {
    cryptR().async(
      password,
      hash,
      Buffer.alloc(CRYPT_DATA_BYTES),
      (error: unknown, text: string | null) => resolve(error === null ? text : null),
    );
  });
  if (made === null) return false;
  const [left, right] = [Buffer.from(made), Buffer.from(hash)];
  return left.length === right.length && timingSafeEqual(left, right);
}

/** Returns the SHA-512 hash of a password with a fresh salt. */
export function hashPassword(password: string): string {
  const salt = Array.from(randomBytes(SALT_CHARACTERS), (byte) => SALT_ALPHABET[byte & 63]).join(
    "",
  );
  const hash = cryptR()(password, `$6$${salt}$`, Buffer.alloc(CRYPT_DATA_BYTES));
  if (hash === null || !hash.startsWith("$6$")) {
    throw new FlowliftError("NATIVE_LIBRARY_MISSING", `${SONAME} makes no SHA-512 hashes`);
  }
  return hash;
}

/** C strings end at the first NUL. */
export function isUsable(password: string): boolean {
  return !password.includes("\0") && Buffer.byteLength(password) <= PASSWORD_BYTES_MAX;
}
