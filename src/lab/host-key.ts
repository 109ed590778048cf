/**
 * Asks an SSH server for its host key, so that clients can pin it from the first connection on.
 *
 * Effect: one connection that ends before authentication.
 */
import ssh2 from "ssh2";
import { FlowliftError } from "../lib/base/errors.ts";

export const HOST_KEY_TIMEOUT_MS = 10_000;

/** Returns `algorithm base64` as in a known_hosts file. Throws LAB_FAILED. */
export function fetchHostKey(host: string, port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const client = new ssh2.Client();
    let key: string | undefined;
    const finish = (cause: unknown): void => {
      client.destroy();
      if (key !== undefined) resolve(key);
      else {
        const message = `Cannot read the host key of ${host} port ${port}`;
        reject(new FlowliftError("LAB_FAILED", message, { cause }));
      }
    };
    client.once("error", finish);
    client.once("close", () => finish(undefined));
    client.connect({
      host,
      port,
      username: "nobody",
      readyTimeout: HOST_KEY_TIMEOUT_MS,
      hostVerifier: (blob: Buffer): boolean => {
        key = formatHostKey(blob);
        return false;
      },
    });
  });
}

/** Returns the text of a key blob, which begins with the length and name of its algorithm. */
export function formatHostKey(blob: Buffer): string {
  const nameBytes = blob.readUInt32BE(0);
  return `${blob.toString("latin1", 4, 4 + nameBytes)} ${blob.toString("base64")}`;
}
