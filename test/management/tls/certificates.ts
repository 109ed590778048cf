/** Certificates made on the spot. */
import { generateKeyPairSync, type KeyObject, X509Certificate } from "node:crypto";
import { type AlternativeName, issueCertificate } from "../../../src/lib/pki/certificate.ts";

export interface Identity {
  readonly key: KeyObject;
  readonly certificate: X509Certificate;
  readonly keyPem: string;
}

export function issue(
  role: "authority" | "server" | "client",
  commonName: string,
  more: {
    readonly by?: Identity;
    readonly names?: readonly AlternativeName[];
    readonly now?: Date;
  } = {},
): Identity {
  const { privateKey: key } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const pem = issueCertificate({
    role,
    commonName,
    alternativeNames: more.names ?? [],
    subjectKey: key,
    issuerName: more.by?.certificate.subject.replace(/^CN=/, "") ?? commonName,
    issuerKey: more.by?.key ?? key,
    now: more.now ?? new Date(),
    validDays: 1,
  });
  const keyPem = key.export({ type: "pkcs8", format: "pem" }).toString();
  return { key, keyPem, certificate: new X509Certificate(pem) };
}
