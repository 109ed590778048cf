/**
 * Keys and certificates as files of a directory.
 *
 * Effect: reads and writes files; keys are 0600 in a directory of 0700, and never seen half-written.
 */
import {
  createPrivateKey,
  generateKeyPairSync,
  type KeyObject,
  X509Certificate,
} from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { FlowliftError } from "../base/errors.ts";

const DIRECTORY_MODE = 0o700;
const KEY_MODE = 0o600;
const CERTIFICATE_MODE = 0o644;

/** Writes the file so that readers see the old or the new one. */
export function writeWhole(path: string, text: string, mode: number): void {
  const partial = `${path}.new`;
  writeFileSync(partial, text, { mode });
  chmodSync(partial, mode);
  renameSync(partial, path);
}

/** Makes the directory, or takes one that exists as it is. */
export function makePrivateDirectory(path: string): void {
  if (!existsSync(path)) mkdirSync(path, { recursive: true, mode: DIRECTORY_MODE });
}

/** Returns the key of the file; makes one when there is none. */
export function ensureKey(path: string): KeyObject {
  if (existsSync(path)) return readKey(path);
  makePrivateDirectory(dirname(path));
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
  writeWhole(path, privateKey.export({ format: "pem", type: "pkcs8" }).toString(), KEY_MODE);
  return privateKey;
}

/** Throws CERTIFICATE_INVALID. */
export function readKey(path: string): KeyObject {
  const text = readText(path);
  try {
    return createPrivateKey(text);
  } catch (cause) {
    throw invalid(`"${path}" is no private key`, cause);
  }
}

/** Throws CERTIFICATE_INVALID. */
export function readCertificate(path: string): X509Certificate {
  const text = readText(path);
  try {
    return new X509Certificate(text);
  } catch (cause) {
    throw invalid(`"${path}" is no certificate`, cause);
  }
}

export function writeCertificate(path: string, pem: string): void {
  makePrivateDirectory(dirname(path));
  writeWhole(path, pem, CERTIFICATE_MODE);
}

/** Throws CERTIFICATE_INVALID that says what to run. */
export function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw invalid(`Cannot read "${path}"; \`flowlift pki\` makes it`, cause);
  }
}

/** Returns the error of this area. */
export function invalid(message: string, cause?: unknown): FlowliftError {
  return new FlowliftError("CERTIFICATE_INVALID", message, cause === undefined ? {} : { cause });
}
