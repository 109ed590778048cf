/**
 * The user name that a believed client certificate stands for.
 *
 * Pure. Source: RFC 7407 §4 (ietf-x509-cert-to-name), RFC 7589 §7.
 * Limit: NAME_CHARACTERS_MAX; a name with control characters is none.
 */
import { createHash, type X509Certificate } from "node:crypto";
import { familyOf, ipToBytes, parseIpAddress } from "../../lib/inet/address.ts";

export const NAME_CHARACTERS_MAX = 256;

export type MapType =
  | "specified"
  | "san-rfc822-name"
  | "san-dns-name"
  | "san-ip-address"
  | "san-any"
  | "common-name";

export interface CertToNameRule {
  readonly id: number;
  /** Hash identifier and digest as pairs of hexadecimal digits with colons. */
  readonly fingerprint: string;
  readonly mapType: MapType;
  /** Of "specified". */
  readonly name?: string;
}

/** A user, and whether the configuration or only the certificate names them. */
export interface MappedName {
  readonly username: string;
  readonly isSpecified: boolean;
}

/** The hash algorithms of TLS 1.2 (RFC 5246 §7.4.1.4.1) that are still good. */
const HASHES: Readonly<Record<string, string>> = { "04": "sha256", "05": "sha384", "06": "sha512" };

/** Returns the fingerprint of `identifier`'s hash; undefined: that hash is not taken. */
export function formatFingerprint(
  certificate: X509Certificate,
  identifier = "04",
): string | undefined {
  const hash = HASHES[identifier];
  if (hash === undefined) return undefined;
  const digest = createHash(hash).update(certificate.raw).digest("hex");
  return `${identifier}:${digest.replace(/..(?=.)/g, "$&:")}`;
}

/**
 * Returns the name that the first rule in order of id gives. `authorities` are the trusted ones by which
 * `leaf` was believed; a pinned certificate has none.
 */
export function mapCertificate(
  leaf: X509Certificate,
  authorities: readonly X509Certificate[],
  rules: readonly CertToNameRule[],
): MappedName | undefined {
  const certificates = [leaf, ...authorities];
  for (const rule of [...rules].sort((left, right) => left.id - right.id)) {
    const wanted = rule.fingerprint.toLowerCase();
    const identifier = wanted.slice(0, 2);
    if (!certificates.some((one) => formatFingerprint(one, identifier) === wanted)) continue;
    const username = nameBy(rule, leaf);
    if (username === undefined || !isUserName(username)) continue;
    return { username, isSpecified: rule.mapType === "specified" };
  }
  return undefined;
}

function nameBy({ mapType, name }: CertToNameRule, leaf: X509Certificate): string | undefined {
  if (mapType === "specified") return name;
  if (mapType === "common-name") return commonName(leaf);
  for (const entry of listAlternativeNames(leaf.subjectAltName)) {
    if (mapType !== "san-any" && mapType !== entry.mapType) continue;
    return entry.name;
  }
  return undefined;
}

/** The last one: it is the most specific (RFC 4514 writes them in the opposite order). */
function commonName(leaf: X509Certificate): string | undefined {
  const found: string | readonly string[] | undefined = leaf.toLegacyObject().subject?.CN;
  return typeof found === "string" ? found : found?.at(-1);
}

function isUserName(name: string): boolean {
  return (
    name.length > 0 && name.length <= NAME_CHARACTERS_MAX && !/[\p{C}\p{Zl}\p{Zp}]/u.test(name)
  );
}

export interface AlternativeName {
  readonly mapType: "san-rfc822-name" | "san-dns-name" | "san-ip-address";
  readonly name: string;
}

/** A value that could be misread stands in quotes, as JSON. */
const ENTRY = /([A-Za-z0-9 ]+):("(?:[^"\\]|\\.)*"|[^",]*)(?:, |$)/y;

/** Returns the names of the three kinds in their order; none when the text is not understood. */
export function listAlternativeNames(text: string | undefined): readonly AlternativeName[] {
  if (text === undefined) return [];
  const names: AlternativeName[] = [];
  const entry = new RegExp(ENTRY);
  while (entry.lastIndex < text.length) {
    const match = entry.exec(text);
    if (match === null) return [];
    const value = unquote(match[2] ?? "");
    const name = value === undefined ? undefined : convert(match[1] ?? "", value);
    if (name !== undefined) names.push(name);
  }
  return names;
}

function unquote(text: string): string | undefined {
  if (!text.startsWith('"')) return text;
  try {
    return JSON.parse(text) as string;
  } catch {
    return undefined;
  }
}

function convert(kind: string, value: string): AlternativeName | undefined {
  if (kind === "DNS") return { mapType: "san-dns-name", name: value.toLowerCase() };
  if (kind === "email") {
    const at = value.lastIndexOf("@");
    const name = value.slice(0, at + 1) + value.slice(at + 1).toLowerCase();
    return at < 1 ? undefined : { mapType: "san-rfc822-name", name };
  }
  if (kind !== "IP Address") return undefined;
  const address = parseIpAddress(value.toLowerCase());
  if (address === undefined) return undefined;
  const isShort = familyOf(address) === 4;
  const name = isShort ? address : Buffer.from(ipToBytes(address)).toString("hex");
  return { mapType: "san-ip-address", name };
}
