/**
 * Waits until a VM's NETCONF server answers through its management port.
 *
 * Effect: SSH connections, one after the other, until one gets a hello.
 * Limit: ATTEMPT_MS for each, ATTEMPT_PAUSE_MS between them.
 */
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import ssh2 from "ssh2";
import { FlowliftError } from "../../lib/base/errors.ts";
import { formatHostKey } from "../host-key.ts";

export const ATTEMPT_MS = 30_000;
export const ATTEMPT_PAUSE_MS = 250;
const HELLO_END = "]]>]]>";
const HELLO_BYTES_MAX = 256 * 1024;

export interface NetconfPlace {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly keyFile: string;
}

/** Returns the host key (`algorithm base64`) once the server has said hello. Rejects on `signal` alone. */
export async function awaitNetconf(place: NetconfPlace, signal: AbortSignal): Promise<string> {
  for (;;) {
    signal.throwIfAborted();
    try {
      return await askNetconf(place, signal);
    } catch {
      await sleep(ATTEMPT_PAUSE_MS, undefined, { signal });
    }
  }
}

/** Makes one attempt. Throws LAB_FAILED. */
export function askNetconf(place: NetconfPlace, signal?: AbortSignal): Promise<string> {
  const client = new ssh2.Client();
  return new Promise((resolve, reject) => {
    let hostKey = "";
    let hello = "";
    const onAbort = (): void => finish(new Error("was aborted"));
    const timer = setTimeout(() => finish(new Error(`took over ${ATTEMPT_MS} ms`)), ATTEMPT_MS);
    const finish = (cause?: unknown): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
      client.destroy();
      if (hello.includes(HELLO_END)) resolve(hostKey);
      else {
        const message = `NETCONF on ${place.host} port ${place.port} does not answer`;
        reject(new FlowliftError("LAB_FAILED", message, { cause }));
      }
    };
    signal?.addEventListener("abort", onAbort, { once: true });
    client.on("error", finish);
    client.once("close", () => finish());
    client.once("ready", () =>
      client.subsys("netconf", (error, stream) => {
        if (error !== undefined) {
          finish(error);
          return;
        }
        stream.on("data", (chunk: Buffer) => {
          hello = (hello + chunk.toString("utf8")).slice(-HELLO_BYTES_MAX);
          if (hello.includes(HELLO_END)) finish();
        });
        stream.once("close", () => finish());
      }),
    );
    client.connect({
      host: place.host,
      port: place.port,
      username: place.user,
      privateKey: readFileSync(place.keyFile),
      readyTimeout: ATTEMPT_MS,
      hostVerifier: (blob: Buffer): boolean => {
        hostKey = formatHostKey(blob);
        return true;
      },
    });
  });
}
