/**
 * The directories of keys: the controller's with its authority, and one for each bridge.
 *
 *   controller: ca.key.pem ca.cert.pem controller.key.pem controller.cert.pem controller.name
 *   bridge:     bridge.key.pem bridge.cert.pem ca.cert.pem controller.name
 *
 * Effect: reads and writes those files. Invariant: what exists and is good stays as it is; what is
 * about to expire is issued anew under the same key; the authority's key is never replaced.
 */
import type { X509Certificate } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { FlowliftError } from "../base/errors.ts";
import type { IpAddress } from "../inet/address.ts";
import { issueCertificate } from "./certificate.ts";
import {
  ensureKey,
  invalid,
  makePrivateDirectory,
  readCertificate,
  readKey,
  readText,
  writeCertificate,
  writeWhole,
} from "./key-files.ts";
import { HOST_URI_PREFIX, hostNameOfPeer, isPkiName } from "./peer.ts";

export const AUTHORITY_VALID_DAYS = 3650;
export const LEAF_VALID_DAYS = 365;
/** A certificate with less than this left is issued anew when somebody asks. */
export const AUTHORITY_RENEW_DAYS = 730;
export const LEAF_RENEW_DAYS = 30;
export const CONTROLLER_NAME_DEFAULT = "flowlift-controller";

const AUTHORITY_NAME = "Flowlift authority";
const DAY_MS: number = 24 * 3600 * 1000;
const LOOPBACK: readonly IpAddress[] = ["127.0.0.1" as IpAddress, "::1" as IpAddress];

/** PEM texts for TLS. */
export interface TlsMaterial {
  readonly authority: string;
  readonly key: string;
  readonly certificate: string;
  /** The name that the controller's certificate carries. */
  readonly controllerName: string;
}

/** Makes or completes the controller's directory. Returns what was written. */
export function initControllerPki(
  directory: string,
  options: { readonly controllerName?: string; readonly now?: Date } = {},
): readonly string[] {
  const now = options.now ?? new Date();
  const name = options.controllerName ?? storedName(directory) ?? CONTROLLER_NAME_DEFAULT;
  checkName("controller", name);
  makePrivateDirectory(directory);
  const written: string[] = [];
  const at = (file: string): string => join(directory, file);
  const authorityKey = ensureKey(at("ca.key.pem"));
  if (daysLeft(at("ca.cert.pem"), now) < AUTHORITY_RENEW_DAYS) {
    const pem = issueCertificate({
      role: "authority",
      commonName: AUTHORITY_NAME,
      alternativeNames: [],
      subjectKey: authorityKey,
      issuerName: AUTHORITY_NAME,
      issuerKey: authorityKey,
      now,
      validDays: AUTHORITY_VALID_DAYS,
    });
    writeCertificate(at("ca.cert.pem"), pem);
    written.push(at("ca.cert.pem"));
  }
  const renamed = storedName(directory) !== name;
  if (renamed || daysLeft(at("controller.cert.pem"), now) < LEAF_RENEW_DAYS) {
    const key = ensureKey(at("controller.key.pem"));
    const pem = issueCertificate({
      role: "server",
      commonName: name,
      alternativeNames: [
        { kind: "dns", name },
        { kind: "dns", name: "localhost" },
        ...LOOPBACK.map((address) => ({ kind: "ip" as const, address })),
      ],
      subjectKey: key,
      issuerName: AUTHORITY_NAME,
      issuerKey: authorityKey,
      now,
      validDays: LEAF_VALID_DAYS,
    });
    writeCertificate(at("controller.cert.pem"), pem);
    writeWhole(at("controller.name"), `${name}\n`, 0o644);
    written.push(at("controller.cert.pem"));
  }
  return written;
}

/** Makes or renews the directory of one host's bridge. Returns it. */
export function issueBridgePki(
  directory: string,
  hostName: string,
  options: { readonly outDirectory?: string; readonly now?: Date } = {},
): string {
  checkName("host", hostName);
  const now = options.now ?? new Date();
  const out = options.outDirectory ?? join(directory, "bridges", hostName);
  const authorityKey = readKey(join(directory, "ca.key.pem"));
  const authority = readText(join(directory, "ca.cert.pem"));
  makePrivateDirectory(out);
  const path = join(out, "bridge.cert.pem");
  const usable = daysLeft(path, now) >= LEAF_RENEW_DAYS && hostOfFile(path) === hostName;
  if (!usable || !readCertificate(path).verify(authorityKeyOf(directory))) {
    const pem = issueCertificate({
      role: "client",
      commonName: hostName,
      alternativeNames: [{ kind: "uri", uri: `${HOST_URI_PREFIX}${hostName}` }],
      subjectKey: ensureKey(join(out, "bridge.key.pem")),
      issuerName: AUTHORITY_NAME,
      issuerKey: authorityKey,
      now,
      validDays: LEAF_VALID_DAYS,
    });
    writeCertificate(path, pem);
  }
  writeCertificate(join(out, "ca.cert.pem"), authority);
  writeWhole(join(out, "controller.name"), readText(join(directory, "controller.name")), 0o644);
  return out;
}

/** Returns the controller's TLS files, checked. Throws CERTIFICATE_INVALID. */
export function loadControllerTls(directory: string, now: Date = new Date()): TlsMaterial {
  return loadTls(directory, "controller", now);
}

/** Returns a bridge's TLS files, checked. Throws CERTIFICATE_INVALID. */
export function loadBridgeTls(
  directory: string,
  hostName: string,
  now: Date = new Date(),
): TlsMaterial {
  const material = loadTls(directory, "bridge", now);
  const path = join(directory, "bridge.cert.pem");
  const host = hostOfFile(path);
  if (host !== hostName) {
    throw invalid(`"${path}" is for host "${host ?? "none"}", not for "${hostName}"`);
  }
  return material;
}

function loadTls(directory: string, who: "controller" | "bridge", now: Date): TlsMaterial {
  const at = (file: string): string => join(directory, file);
  const paths = {
    authority: at("ca.cert.pem"),
    key: at(`${who}.key.pem`),
    certificate: at(`${who}.cert.pem`),
  };
  const certificate = readCertificate(paths.certificate);
  const authority = readCertificate(paths.authority);
  checkValidity(paths.authority, authority, now);
  checkValidity(paths.certificate, certificate, now);
  if (!certificate.checkPrivateKey(readKey(paths.key))) {
    throw invalid(`"${paths.key}" is not the key of "${paths.certificate}"`);
  }
  if (!certificate.verify(authority.publicKey)) {
    throw invalid(`"${paths.certificate}" was not issued by "${paths.authority}"`);
  }
  return {
    authority: readText(paths.authority),
    key: readText(paths.key),
    certificate: readText(paths.certificate),
    controllerName: readText(at("controller.name")).trim(),
  };
}

function checkValidity(path: string, certificate: X509Certificate, now: Date): void {
  if (now < new Date(certificate.validFrom)) {
    throw invalid(`"${path}" is not valid before ${certificate.validFrom}; check the clock`);
  }
  if (now <= new Date(certificate.validTo)) return;
  throw invalid(`"${path}" expired at ${certificate.validTo}; \`flowlift pki\` renews it`);
}

function checkName(what: string, name: string): void {
  if (isPkiName(name)) return;
  const rule = "1 to 63 letters, digits, dots, underscores or hyphens";
  throw new FlowliftError("USAGE", `"${name}" cannot name a ${what}: it needs ${rule}`);
}

/** Returns the days until the certificate expires; below zero when it is missing. */
function daysLeft(path: string, now: Date): number {
  if (!existsSync(path)) return -1;
  return (new Date(readCertificate(path).validTo).getTime() - now.getTime()) / DAY_MS;
}

function hostOfFile(path: string): string | undefined {
  const host = hostNameOfPeer(readCertificate(path));
  return host.ok ? host.value : undefined;
}

function authorityKeyOf(directory: string): X509Certificate["publicKey"] {
  return readCertificate(join(directory, "ca.cert.pem")).publicKey;
}

function storedName(directory: string): string | undefined {
  const path = join(directory, "controller.name");
  return existsSync(path) ? readText(path).trim() : undefined;
}
