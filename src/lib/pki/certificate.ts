/**
 * X.509 certificates of three kinds: authority, controller (server), bridge (client of one host).
 *
 * Pure, but for the randomness of keys and serial numbers. Source: RFC 5280 §4; RFC 5480 (P-256);
 * RFC 5758 §3.2 (ecdsa-with-SHA256).
 */
import { createHash, createPublicKey, type KeyObject, randomBytes, sign } from "node:crypto";
import { type IpAddress, ipToBytes } from "../inet/address.ts";
import {
  encodeBits,
  encodeConstructedContext,
  encodeContext,
  encodeOctets,
  encodeOid,
  encodeSequence,
  encodeSet,
  encodeTime,
  encodeTrue,
  encodeUnsigned,
  encodeUtf8,
} from "./der.ts";

const OID_ECDSA_SHA256 = "1.2.840.10045.4.3.2";
const OID_COMMON_NAME = "2.5.4.3";
const OID_SUBJECT_KEY_ID = "2.5.29.14";
const OID_KEY_USAGE = "2.5.29.15";
const OID_SUBJECT_ALT_NAME = "2.5.29.17";
const OID_BASIC_CONSTRAINTS = "2.5.29.19";
const OID_AUTHORITY_KEY_ID = "2.5.29.35";
const OID_EXTENDED_KEY_USAGE = "2.5.29.37";
const OID_SERVER_AUTH = "1.3.6.1.5.5.7.3.1";
const OID_CLIENT_AUTH = "1.3.6.1.5.5.7.3.2";

const SERIAL_BYTES = 16;
/** keyCertSign and cRLSign: bits 5 and 6. */
const USAGE_AUTHORITY = encodeBits(Buffer.from([0b0000_0110]), 1);
/** digitalSignature: bit 0. */
const USAGE_LEAF = encodeBits(Buffer.from([0b1000_0000]), 7);
/** Clocks of a host and a controller may differ. */
const BACKDATE_MS: number = 5 * 60 * 1000;

/** One entry of a subject alternative name. */
export type AlternativeName =
  | { readonly kind: "dns"; readonly name: string }
  | { readonly kind: "uri"; readonly uri: string }
  | { readonly kind: "ip"; readonly address: IpAddress };

export interface CertificateRequest {
  readonly role: "authority" | "server" | "client";
  readonly commonName: string;
  readonly alternativeNames: readonly AlternativeName[];
  readonly subjectKey: KeyObject;
  readonly issuerName: string;
  /** The private key that signs; the authority's own for an authority. */
  readonly issuerKey: KeyObject;
  readonly now: Date;
  readonly validDays: number;
}

/** Returns the certificate as PEM. */
export function issueCertificate(request: CertificateRequest): string {
  const algorithm = encodeSequence(encodeOid(OID_ECDSA_SHA256));
  const from = new Date(request.now.getTime() - BACKDATE_MS);
  const to = new Date(request.now.getTime() + request.validDays * 24 * 3600 * 1000);
  const body = encodeSequence(
    encodeConstructedContext(0, encodeUnsigned(Buffer.from([2]))), // Version 3.
    encodeUnsigned(drawSerial()),
    algorithm,
    encodeName(request.issuerName),
    encodeSequence(encodeTime(from), encodeTime(to)),
    encodeName(request.commonName),
    publicKeyInfo(request.subjectKey),
    encodeConstructedContext(3, encodeSequence(...extensions(request))),
  );
  const signature = sign("sha256", body, request.issuerKey);
  return toPem(encodeSequence(body, algorithm, encodeBits(signature)));
}

function drawSerial(): Buffer {
  const serial = randomBytes(SERIAL_BYTES);
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40; // Positive, and always of the same length.
  return serial;
}

function encodeName(commonName: string): Buffer {
  return encodeSequence(
    encodeSet(encodeSequence(encodeOid(OID_COMMON_NAME), encodeUtf8(commonName))),
  );
}

function publicKeyInfo(key: KeyObject): Buffer {
  const publicKey = key.type === "public" ? key : createPublicKey(key);
  return publicKey.export({ format: "der", type: "spki" });
}

/** RFC 5280 §4.2.1.2 leaves the method open: SHA-1 of the whole SubjectPublicKeyInfo. */
function keyId(key: KeyObject): Buffer {
  return createHash("sha1").update(publicKeyInfo(key)).digest();
}

function extensions(request: CertificateRequest): Buffer[] {
  const isAuthority = request.role === "authority";
  const usage = request.role === "server" ? OID_SERVER_AUTH : OID_CLIENT_AUTH;
  const list = [
    extension(
      OID_BASIC_CONSTRAINTS,
      true,
      // An authority's path ends with leaves.
      isAuthority
        ? encodeSequence(encodeTrue(), encodeUnsigned(Buffer.from([0])))
        : encodeSequence(),
    ),
    extension(OID_KEY_USAGE, true, isAuthority ? USAGE_AUTHORITY : USAGE_LEAF),
    extension(OID_SUBJECT_KEY_ID, false, encodeOctets(keyId(request.subjectKey))),
    extension(
      OID_AUTHORITY_KEY_ID,
      false,
      encodeSequence(encodeContext(0, keyId(request.issuerKey))),
    ),
  ];
  if (!isAuthority) {
    list.push(extension(OID_EXTENDED_KEY_USAGE, false, encodeSequence(encodeOid(usage))));
  }
  if (request.alternativeNames.length > 0) {
    const names = request.alternativeNames.map(encodeAlternativeName);
    list.push(extension(OID_SUBJECT_ALT_NAME, false, encodeSequence(...names)));
  }
  return list;
}

function extension(oid: string, critical: boolean, value: Buffer): Buffer {
  return encodeSequence(
    encodeOid(oid),
    critical ? encodeTrue() : Buffer.alloc(0),
    encodeOctets(value),
  );
}

function encodeAlternativeName(name: AlternativeName): Buffer {
  switch (name.kind) {
    case "dns":
      return encodeContext(2, Buffer.from(name.name, "ascii"));
    case "uri":
      return encodeContext(6, Buffer.from(name.uri, "ascii"));
    case "ip":
      return encodeContext(7, ipToBytes(name.address));
  }
}

function toPem(der: Buffer): string {
  const lines = der.toString("base64").match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`;
}
