/**
 * What flowlift-tls configures, as typed values.
 *
 * Pure. Limit: CERTIFICATE_CHARACTERS_MAX, which the YANG module has too.
 */
import { X509Certificate } from "node:crypto";
import { err, ok, type Result } from "../../lib/base/result.ts";
import {
  childList,
  childNode,
  type DataNode,
  listStep,
  ProblemCollector,
  readBoolean,
  readNumber,
  readText,
} from "../../lib/service/data-reader.ts";
import type { ConfigData, ConfigProblem } from "../../lib/service/provider.ts";
import type { CertToNameRule, MapType } from "./cert-to-name.ts";
import type { ClientTrust } from "./client-certificates.ts";

export const NETCONF_TLS_PORT_DEFAULT = 6513;
const ADDRESS_DEFAULT = "::";
export const CERTIFICATE_CHARACTERS_MAX = 16_384;
const PATH = "/flowlift-tls:netconf-tls/client-authentication";

export interface ListenPlace {
  readonly address: string;
  readonly port: number;
}

export interface TlsConfig {
  /** Undefined: nothing listens. */
  readonly place: ListenPlace | undefined;
  readonly trust: ClientTrust;
}

/** Returns the configuration, or the first certificate that is none. */
export function parseTlsConfig(config: ConfigData): Result<TlsConfig, ConfigProblem> {
  const problems = new ProblemCollector();
  const node = childNode(config, "flowlift-tls:netconf-tls");
  const clients = childNode(node, "client-authentication");
  const trust = {
    authorities: readCertificates(clients, "trusted-authority", problems),
    pinned: readCertificates(clients, "pinned-certificate", problems),
    rules: childList(clients, "cert-to-name").map(readRule),
  };
  for (const [index, authority] of trust.authorities.entries()) {
    if (authority.ca) continue;
    const name = readText(childList(clients, "trusted-authority")[index] ?? {}, "name") ?? "";
    const path = `${PATH}/${listStep("trusted-authority", "name", name)}/certificate`;
    problems.add(path, "The certificate is not one of an authority; pinned-certificate takes it");
  }
  if (problems.first !== undefined) return err(problems.first);
  const isEnabled = readBoolean(node, "enabled", false);
  const address = readText(node, "address") ?? ADDRESS_DEFAULT;
  const port = readNumber(node, "port") ?? NETCONF_TLS_PORT_DEFAULT;
  return ok({ place: isEnabled ? { address, port } : undefined, trust });
}

function readCertificates(
  node: DataNode,
  list: string,
  problems: ProblemCollector,
): X509Certificate[] {
  return childList(node, list).flatMap((entry) => {
    const certificate = parseCertificate(readText(entry, "certificate") ?? "");
    if (certificate !== undefined) return [certificate];
    const path = `${PATH}/${listStep(list, "name", readText(entry, "name") ?? "")}/certificate`;
    problems.add(path, "This is no X.509 certificate in PEM or base64");
    return [];
  });
}

/** Takes PEM, or the base64 of DER with any white space. */
export function parseCertificate(text: string): X509Certificate | undefined {
  if (text.length > CERTIFICATE_CHARACTERS_MAX) return undefined;
  const bare = text.replace(/\s+/g, "");
  const isBase64 = /^[A-Za-z0-9+/]+={0,2}$/.test(bare);
  try {
    return new X509Certificate(isBase64 ? Buffer.from(bare, "base64") : text.trim());
  } catch {
    return undefined;
  }
}

function readRule(node: DataNode): CertToNameRule {
  const name = readText(node, "name");
  return {
    id: readNumber(node, "id") ?? 0,
    fingerprint: readText(node, "fingerprint") ?? "",
    mapType: (readText(node, "map-type") ?? "specified") as MapType,
    ...(name === undefined ? {} : { name }),
  };
}
