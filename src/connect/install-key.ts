/** Installs a VM's first key with the code that its console shows. Effect: one channel of the management port. */
import type { Duplex } from "node:stream";
import { FlowliftError } from "../lib/base/errors.ts";

const ANSWER_BYTES_MAX = 32_768;
const ANSWER_TIMEOUT_MS = 75_000;

/** Returns the key's fingerprint as the VM took it. Throws LOCAL_RPC_FAILED with the VM's reason. */
export async function installKey(channel: Duplex, key: string, code: string): Promise<string> {
  channel.write(`${JSON.stringify({ key: key.trim(), code })}\n`);
  const line = await readAnswer(channel);
  channel.destroy();
  const answer = JSON.parse(line) as {
    readonly ok?: boolean;
    readonly message?: string;
    readonly fingerprint?: string;
  };
  if (answer.ok === true) return answer.fingerprint ?? "";
  throw new FlowliftError(
    "LOCAL_RPC_FAILED",
    `The VM took no key: ${answer.message ?? "no reason"}`,
  );
}

function readAnswer(channel: Duplex): Promise<string> {
  const failed = (text: string): FlowliftError => new FlowliftError("SERIAL_PORT_FAILED", text);
  return new Promise((resolve, reject) => {
    let text = "";
    const timer = setTimeout(() => reject(failed("The VM did not answer")), ANSWER_TIMEOUT_MS);
    channel.on("data", (bytes: Buffer) => {
      text += bytes.toString("utf8");
      if (!text.includes("\n") && text.length <= ANSWER_BYTES_MAX) return;
      clearTimeout(timer);
      resolve(text.split("\n")[0] ?? "");
    });
    channel.once("close", () => {
      clearTimeout(timer);
      reject(failed("The VM does not answer on its management port"));
    });
  });
}
