/**
 * Waits until a VM's NETCONF server answers through its management port, and its packets are handled.
 *
 * Effect: SSH connections, one after the other, until one gets a hello and is told that the data process has
 * the running configuration.
 * Limit: ATTEMPT_MS for each, ATTEMPT_PAUSE_MS between them and between questions.
 */
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import ssh2 from "ssh2";
import { FlowliftError } from "../../lib/base/errors.ts";
import { formatHostKey } from "../host-key.ts";

export const ATTEMPT_MS = 30_000;
export const ATTEMPT_PAUSE_MS = 250;
const MESSAGE_END = "]]>]]>";
const TEXT_BYTES_MAX = 256 * 1024;
const NS_NETCONF = "urn:ietf:params:xml:ns:netconf:base:1.0";
const HELLO = `<hello xmlns="${NS_NETCONF}"><capabilities><capability>urn:ietf:params:netconf:base:1.0</capability></capabilities></hello>`;
const QUESTION =
  `<rpc xmlns="${NS_NETCONF}" message-id="1"><get><filter type="subtree">` +
  '<appliance xmlns="urn:flowlift:system"><state><data-process/></state></appliance></filter></get></rpc>';
const ANSWER = "<data-process>connected</data-process>";

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
    let isServing = false;
    const onAbort = (): void => finish(new Error("was aborted"));
    const timer = setTimeout(() => finish(new Error(`took over ${ATTEMPT_MS} ms`)), ATTEMPT_MS);
    const finish = (cause?: unknown): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
      client.destroy();
      if (isServing) resolve(hostKey);
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
        stream.once("close", () => finish());
        askWhetherServing(stream, () => {
          isServing = true;
          finish();
        });
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

/** Asks again and again on one session (base 1.0) until the data process handles packets. */
function askWhetherServing(stream: ssh2.ClientChannel, onServing: () => void): void {
  let text = "";
  let isGone = false;
  stream.once("close", () => {
    isGone = true;
  });
  stream.on("data", (chunk: Buffer) => {
    text = (text + chunk.toString("utf8")).slice(-TEXT_BYTES_MAX);
    if (text.includes(ANSWER)) onServing();
    else if (text.includes(MESSAGE_END)) {
      text = text.slice(text.lastIndexOf(MESSAGE_END) + MESSAGE_END.length);
      setTimeout(() => {
        if (!isGone) stream.write(`${QUESTION}${MESSAGE_END}`);
      }, ATTEMPT_PAUSE_MS);
    }
  });
  stream.write(`${HELLO}${MESSAGE_END}`);
}
