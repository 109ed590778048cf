/**
 * Which client certificates are believed, and as whom.
 *
 * Pure, but for `ClientCertificates`, which holds what is trusted now and tells who listens.
 * Source: RFC 7589 §5, §7. Invariant: TLS has proved that the peer has the certificate's key.
 */
import { X509Certificate } from "node:crypto";
import type { TLSSocket } from "node:tls";
import { err, ok, type Result } from "../../lib/base/result.ts";
import { type CertToNameRule, mapCertificate } from "./cert-to-name.ts";

/** Certificates between a client's and its authority's that are looked at. */
export const CHAIN_LENGTH_MAX = 8;

export interface ClientTrust {
  readonly authorities: readonly X509Certificate[];
  readonly pinned: readonly X509Certificate[];
  readonly rules: readonly CertToNameRule[];
}

export const NO_TRUST: ClientTrust = { authorities: [], pinned: [], rules: [] };

export interface ShownCertificates {
  readonly leaf: X509Certificate | undefined;
  /** What the peer sent besides, of which nothing is known. */
  readonly others: readonly X509Certificate[];
  /** Whether OpenSSL verified the leaf up to one of the trusted authorities. */
  readonly isVerified: boolean;
}

export interface CertificateRefusal {
  readonly kind:
    | "no-certificate"
    | "unknown-certificate"
    | "not-valid-now"
    | "no-user"
    | "reserved";
  readonly message: string;
}

/** Returns the user of a certificate. `isReserved` names users that a certificate cannot name itself. */
export function judgeCertificate(
  shown: ShownCertificates,
  trust: ClientTrust,
  now: Date,
  isReserved: (username: string) => boolean,
): Result<string, CertificateRefusal> {
  const { leaf } = shown;
  if (leaf === undefined) {
    return err({ kind: "no-certificate", message: "The client showed no certificate" });
  }
  const isPinned = trust.pinned.some((pinned) => pinned.raw.equals(leaf.raw));
  const authorities = shown.isVerified ? authoritiesOf(leaf, shown.others, trust.authorities) : [];
  if (!isPinned && authorities.length === 0) {
    return err({ kind: "unknown-certificate", message: "The client's certificate is not trusted" });
  }
  if (now < new Date(leaf.validFrom) || now > new Date(leaf.validTo)) {
    const message = `The certificate is valid from ${leaf.validFrom} to ${leaf.validTo} only`;
    return err({ kind: "not-valid-now", message });
  }
  const mapped = mapCertificate(leaf, authorities, trust.rules);
  if (mapped === undefined) {
    return err({ kind: "no-user", message: "No rule gives the client's certificate a user name" });
  }
  if (!mapped.isSpecified && isReserved(mapped.username)) {
    const message = `A certificate cannot make its owner the recovery user "${mapped.username}"`;
    return err({ kind: "reserved", message });
  }
  return ok(mapped.username);
}

/** Follows signatures, not names alone: what a peer sends besides its own certificate proves nothing. */
function authoritiesOf(
  leaf: X509Certificate,
  others: readonly X509Certificate[],
  trusted: readonly X509Certificate[],
): X509Certificate[] {
  const found: X509Certificate[] = [];
  let current = leaf;
  for (let length = 0; length < CHAIN_LENGTH_MAX; length++) {
    const issuer = trusted.find((one) => isIssuer(one, current));
    if (issuer !== undefined) found.push(issuer);
    const next: X509Certificate | undefined =
      issuer ?? others.find((one) => isIssuer(one, current));
    if (next === undefined || next.raw.equals(current.raw)) break;
    current = next;
  }
  return found;
}

function isIssuer(issuer: X509Certificate, of: X509Certificate): boolean {
  return of.checkIssued(issuer) && of.verify(issuer.publicKey);
}

/** What a TLS server's connection showed. */
export function shownBy(socket: TLSSocket): ShownCertificates {
  const others: X509Certificate[] = [];
  let detail = socket.getPeerCertificate(true);
  // Without a certificate Node gives an empty object.
  if (detail?.raw === undefined) return { leaf: undefined, others, isVerified: false };
  const leaf = new X509Certificate(detail.raw);
  while (others.length < CHAIN_LENGTH_MAX) {
    const next = detail.issuerCertificate;
    if (next?.raw === undefined || next === detail) break;
    others.push(new X509Certificate(next.raw));
    detail = next;
  }
  return { leaf, others, isVerified: socket.authorized };
}

/** What is trusted now, for every server that takes certificates. */
export class ClientCertificates {
  #trust: ClientTrust = NO_TRUST;
  readonly #isReserved: (username: string) => boolean;
  readonly #listeners = new Set<() => void>();

  constructor(isReserved: (username: string) => boolean) {
    this.#isReserved = isReserved;
  }

  get trust(): ClientTrust {
    return this.#trust;
  }

  set trust(trust: ClientTrust) {
    this.#trust = trust;
    for (const listener of this.#listeners) listener();
  }

  /** Of the trusted authorities, as PEM; TLS verifies clients against nothing else. */
  get authorities(): string[] {
    return this.#trust.authorities.map((authority) => authority.toString());
  }

  userOf(socket: TLSSocket): Result<string, CertificateRefusal> {
    return judgeCertificate(shownBy(socket), this.#trust, new Date(), this.#isReserved);
  }

  /** Calls the listener after each change; returns what ends that. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
