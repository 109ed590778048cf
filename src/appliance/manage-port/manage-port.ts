/**
 * The VM's end of the management port: each channel is an SSH connection, or installs the first key.
 *
 * Effect: opens the port. The stream inside a channel is SSH's own, so the host sees ciphertext only.
 * Limit: CHANNELS_MAX (channel-mux.ts); REQUEST_BYTES_MAX and REQUEST_TIMEOUT_MS for an installation.
 */
import { randomBytes } from "node:crypto";
import type { Duplex } from "node:stream";
import { MONOTONIC_CLOCK } from "../../lib/base/clock.ts";
import { describeError } from "../../lib/base/errors.ts";
import { connectLocalRpc } from "../../lib/base/local-rpc.ts";
import type { Log } from "../../lib/base/log.ts";
import { ChannelMux } from "../../lib/manage-port/channel-mux.ts";
import { openSerialPort } from "../../lib/serial/open-port.ts";
import type { SerialAddress } from "../../lib/serial/port.ts";

const TICK_MS = 250;
export const REQUEST_BYTES_MAX = 32_768;
/** The key is on the disk before the answer, and a busy host writes slowly; the host waits 75 s. */
export const REQUEST_TIMEOUT_MS = 60_000;
/** What sessions show as their source. */
export const MANAGE_PORT_SOURCE = "manage-port";

export interface ManagePortOptions {
  readonly address: SerialAddress;
  readonly helperSocket: string;
  readonly onSsh: (stream: Duplex, sourceHost: string) => void;
  readonly log: Log;
}

export interface RunningManagePort {
  stop(): Promise<void>;
}

/** Serves the port until stop(); a port that is not there yet is waited for. */
export async function serveManagePort(options: ManagePortOptions): Promise<RunningManagePort> {
  const { address, log } = options;
  const port = await openSerialPort(address, log);
  const mux = new ChannelMux({
    write: (bytes) => port.write(bytes),
    drawId: () => randomBytes(8).toString("hex"),
    onChannel: (stream, service) => {
      if (service === "ssh") options.onSsh(stream, MANAGE_PORT_SOURCE);
      else void answerInstallation(stream, options);
    },
    onOpen: () => log.info("The management port has a peer"),
    onClosed: (why) => log.info("The management port's session ended", { why }),
  });
  const nowMs = (): number => MONOTONIC_CLOCK.nowMs();
  port.onUp = () => mux.up(nowMs());
  port.onDown = () => mux.down();
  port.onData = (bytes) => mux.receive(bytes, nowMs());
  const timer = setInterval(() => mux.tick(nowMs()), TICK_MS);
  return {
    stop: async () => {
      clearInterval(timer);
      mux.down();
      await port.close();
    },
  };
}

/** One line of JSON in, one line out: `{code, key}` → `{ok: true, fingerprint}` or `{ok: false, message}`. */
async function answerInstallation(stream: Duplex, options: ManagePortOptions): Promise<void> {
  const timer = setTimeout(() => stream.destroy(), REQUEST_TIMEOUT_MS);
  let answer: object;
  try {
    const request: unknown = JSON.parse(await readLine(stream));
    const helper = await connectLocalRpc(options.helperSocket, {});
    try {
      const done = (await helper.call("install-key", request, REQUEST_TIMEOUT_MS)) as object;
      answer = { ok: true, ...done };
    } finally {
      helper.close();
    }
  } catch (error) {
    answer = { ok: false, message: describeError(error) };
  }
  clearTimeout(timer);
  stream.end(`${JSON.stringify(answer)}\n`);
}

function readLine(stream: Duplex): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    stream.on("data", (bytes: Buffer) => {
      text += bytes.toString("utf8");
      if (text.includes("\n")) resolve(text.split("\n")[0] ?? "");
      else if (text.length > REQUEST_BYTES_MAX) reject(new Error("The request is too long"));
    });
    stream.once("close", () => reject(new Error("The request is incomplete")));
  });
}
