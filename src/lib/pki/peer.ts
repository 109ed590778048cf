/**
 * Which host a bridge's certificate stands for.
 *
 * Pure. The certificate was verified against the authority by TLS before.
 */
import { X509Certificate } from "node:crypto";
import { err, ok, type Result } from "../base/result.ts";

export const HOST_URI_PREFIX = "urn:flowlift:host:";

/** Names that need no escaping anywhere: in a URI, in a file name, in a log. */
const NAME_PATTERN = /^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/;

export type PeerError = {
  readonly kind: "no-certificate" | "no-host-name";
  readonly message: string;
};

/** Returns whether a host or controller may have this name: 1 to 63 letters, digits, `.`, `_`, `-`. */
export function isPkiName(text: string): boolean {
  return NAME_PATTERN.test(text);
}

/**
 * Returns the host of a TLS peer: the NAME of its one URI subject alternative name
 * `urn:flowlift:host:NAME`. Takes what `getPeerCertificate()` or grpc-js's `getAuthContext()` gives.
 */
export function hostNameOfPeer(
  certificate: { readonly raw?: Uint8Array } | undefined,
): Result<string, PeerError> {
  const raw = certificate?.raw;
  if (raw === undefined) {
    return err({ kind: "no-certificate", message: "The peer showed no certificate" });
  }
  const names = (new X509Certificate(raw).subjectAltName ?? "").split(", ");
  const hosts = names.filter((name) => name.startsWith(`URI:${HOST_URI_PREFIX}`));
  const host = hosts[0]?.slice(`URI:${HOST_URI_PREFIX}`.length);
  if (hosts.length === 1 && host !== undefined && isPkiName(host)) return ok(host);
  const message = `The peer's certificate does not name one host (URI ${HOST_URI_PREFIX}NAME)`;
  return err({ kind: "no-host-name", message });
}
