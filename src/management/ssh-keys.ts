/**
 * The server's host key, and the keys of its users.
 *
 * Effect: reads and writes key files. Source: sshd(8), AUTHORIZED_KEYS FILE FORMAT.
 * A line with options (from="…", command="…") is refused rather than half obeyed.
 */

import { timingSafeEqual } from "node:crypto";
import { existsSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import ssh2, { type ParsedKey } from "ssh2";
import { FlowliftError } from "../lib/base/errors.ts";
import { makeFolder } from "../lib/base/folders.ts";
import { makeSshKeyPair } from "../lib/ssh/key-pair.ts";

/** An authorized_keys file has a few lines. */
export const AUTHORIZED_KEYS_BYTES_MAX: number = 256 * 1024;
const KEY_TYPES: ReadonlySet<string> = new Set([
  "ssh-ed25519",
  "ecdsa-sha2-nistp256",
  "ecdsa-sha2-nistp384",
  "ecdsa-sha2-nistp521",
  "ssh-rsa",
]);

/** Returns the private host key in OpenSSH's form; makes it, and its `.pub`, when there is none. */
export function loadHostKey(path: string): string {
  try {
    if (existsSync(path)) return readFileSync(path, "utf8");
    makeFolder(dirname(path), 0o700);
    const pair = makeSshKeyPair("flowlift");
    const temporary = `${path}.new`;
    writeFileSync(temporary, pair.private, { mode: 0o600, flag: "w" });
    writeFileSync(`${path}.pub`, `${pair.public.trim()}\n`, { mode: 0o644 });
    renameSync(temporary, path);
    return pair.private;
  } catch (cause) {
    const text = `Cannot read or make the SSH host key "${path}"`;
    throw new FlowliftError("STATE_FILE_UNREADABLE", text, { cause });
  }
}

/** Returns the keys that may log in; a file that is absent, too big or unreadable gives none. */
export function readAuthorizedKeys(path: string): ParsedKey[] {
  let text: string;
  try {
    if (statSync(path).size > AUTHORIZED_KEYS_BYTES_MAX) return [];
    text = readFileSync(path, "utf8");
  } catch {
    return [];
  }
  return parseAuthorizedKeys(text);
}

/** Returns the keys of lines without options; comments and everything else are skipped. */
export function parseAuthorizedKeys(text: string): ParsedKey[] {
  const keys: ParsedKey[] = [];
  for (const line of text.split("\n")) {
    const [type = "", data = ""] = line.trim().split(/\s+/);
    if (!KEY_TYPES.has(type)) continue;
    const parsed = ssh2.utils.parseKey(`${type} ${data}`);
    if (!(parsed instanceof Error)) keys.push(parsed);
  }
  return keys;
}

/** Returns the authorized key that a client shows. */
export function findAuthorizedKey(
  keys: readonly ParsedKey[],
  shown: Uint8Array,
): ParsedKey | undefined {
  return keys.find((key) => {
    const own = key.getPublicSSH();
    return own.length === shown.length && timingSafeEqual(own, shown);
  });
}
