/**
 * The key and the certificate by which a TLS server of the appliance is known.
 *
 * Effect: reads two files of the state directory; makes both when one is missing.
 * Invariant: the certificate comes last: where it is, the key is too.
 */
import { createPrivateKey, generateKeyPairSync, X509Certificate } from "node:crypto";
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { FlowliftError } from "../lib/base/errors.ts";
import { issueCertificate } from "../lib/pki/certificate.ts";
import type { TlsIdentity } from "../management/tls/tls-server.ts";

const KEY_MODE = 0o600;
/** Nobody renews it but who deletes the file; a browser asks about it anyway. */
const VALID_DAYS = 3650;

/** The files are NAME.key and NAME.crt. Throws CERTIFICATE_INVALID, STATE_FILE_UNWRITABLE. */
export function loadTlsIdentity(stateDirectory: string, name: string): TlsIdentity {
  const keyFile = join(stateDirectory, `${name}.key`);
  const certificateFile = join(stateDirectory, `${name}.crt`);
  if (!existsSync(keyFile) || !existsSync(certificateFile)) makeIdentity(keyFile, certificateFile);
  const key = readFileSync(keyFile, "utf8");
  const certificate = readFileSync(certificateFile, "utf8");
  try {
    if (new X509Certificate(certificate).checkPrivateKey(createPrivateKey(key))) {
      return { certificate, key };
    }
  } catch (cause) {
    const text = `"${certificateFile}" or its key is damaged; delete both, and they are made anew`;
    throw new FlowliftError("CERTIFICATE_INVALID", text, { cause });
  }
  const text = `"${certificateFile}" is not of the key beside it; delete both, and they are made anew`;
  throw new FlowliftError("CERTIFICATE_INVALID", text);
}

function makeIdentity(keyFile: string, certificateFile: string): void {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const name = hostname();
  const certificate = issueCertificate({
    role: "server",
    commonName: name,
    issuerName: name,
    alternativeNames: [{ kind: "dns", name }],
    subjectKey: privateKey,
    issuerKey: privateKey,
    now: new Date(),
    validDays: VALID_DAYS,
  });
  const key = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  try {
    for (const [file, text] of [
      [keyFile, key],
      [certificateFile, certificate],
    ] as const) {
      writeFileSync(`${file}.new`, text, { mode: KEY_MODE, flush: true });
      renameSync(`${file}.new`, file);
    }
  } catch (cause) {
    throw new FlowliftError("STATE_FILE_UNWRITABLE", `Cannot write "${keyFile}"`, { cause });
  }
}
