/**
 * Signs a manifest by a key of the operator's, as CMS (RFC 5652), detached.
 *
 * Effect: one call of openssl with two files of the operator's. Throws CERTIFICATE_INVALID.
 */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { FlowliftError } from "../../lib/base/errors.ts";
import type { ManifestSigner } from "./package.ts";

/** A signature has a few kilobytes. */
const SIGNATURE_BYTES_MAX: number = 1024 * 1024;

/** Returns the signer of a key and its certificate, both in PEM. */
export function createSigner(keyFile: string, certificateFile: string): ManifestSigner {
  let certificate: string;
  try {
    certificate = readFileSync(certificateFile, "utf8");
  } catch (cause) {
    throw new FlowliftError("CERTIFICATE_INVALID", `Cannot read "${certificateFile}"`, { cause });
  }
  const words = ["cms", "-sign", "-binary", "-outform", "PEM", "-md", "sha256", "-nosmimecap"];
  return {
    certificate,
    sign: (manifest) => {
      try {
        return execFileSync("openssl", [...words, "-signer", certificateFile, "-inkey", keyFile], {
          input: manifest,
          encoding: "utf8",
          maxBuffer: SIGNATURE_BYTES_MAX,
          stdio: ["pipe", "pipe", "pipe"],
        });
      } catch (cause) {
        const text = `Cannot sign by "${keyFile}" and "${certificateFile}" (openssl cms)`;
        throw new FlowliftError("CERTIFICATE_INVALID", text, { cause });
      }
    },
  };
}
