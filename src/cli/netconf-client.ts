/**
 * A plain NETCONF 1.1 client over SSH, for the demo and the benches.
 *
 * Effect: one SSH connection. RPCs are answered in order (RFC 6241 §4.1); replies are returned as text.
 * Limit: RPC_TIMEOUT_MS for each answer.
 */
import { readFileSync } from "node:fs";
import { Client, type ClientChannel } from "ssh2";
import { FlowliftError } from "../lib/base/errors.ts";
import { ChunkDecoder, encodeChunked, MANAGEMENT_LIMITS } from "../lib/netconf/framing.ts";
import { BASE_1_1, NS_NETCONF } from "../lib/netconf/names.ts";

export const RPC_TIMEOUT_MS = 30_000;
const END_OF_MESSAGE = "]]>]]>";

export interface NetconfTarget {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly keyFile: string;
  /** `algorithm base64`: the only key that the server may show. Absent: any. */
  readonly hostKey?: string;
}

function isExpectedKey(shown: Buffer, expected: string | undefined): boolean {
  return expected === undefined || shown.toString("base64") === expected.split(" ")[1];
}

interface Waiter {
  resolve(reply: string): void;
  reject(error: Error): void;
  readonly timer: NodeJS.Timeout;
}

/** An open session. Every failure is a FlowliftError with code LAB_FAILED. */
export class NetconfClient {
  readonly #ssh: Client;
  readonly #channel: ClientChannel;
  readonly #decoder = new ChunkDecoder(MANAGEMENT_LIMITS);
  readonly #waiters: Waiter[] = [];
  #helloText = "";
  #helloDone: (() => void) | undefined;
  #messageId = 0;

  private constructor(ssh: Client, channel: ClientChannel) {
    this.#ssh = ssh;
    this.#channel = channel;
    channel.on("data", (bytes: Buffer) => this.#receive(bytes));
    channel.on("close", () => this.#fail("The NETCONF session was closed"));
  }

  /** Connects, authenticates with the key, and exchanges hellos. */
  static async connect(target: NetconfTarget): Promise<NetconfClient> {
    const ssh = new Client();
    ssh.on("error", () => {}); // A connection that broke may tell so more than once.
    const channel = await new Promise<ClientChannel>((resolve, reject) => {
      ssh.once("error", (cause) =>
        reject(
          new FlowliftError(
            "LAB_FAILED",
            `Cannot open NETCONF on ${target.host} port ${target.port}`,
            { cause },
          ),
        ),
      );
      ssh.once("ready", () => {
        ssh.subsys("netconf", (error, stream) =>
          error === undefined ? resolve(stream) : reject(error),
        );
      });
      ssh.connect({
        host: target.host,
        port: target.port,
        username: target.user,
        privateKey: readFileSync(target.keyFile),
        hostVerifier: (shown: Buffer) => isExpectedKey(shown, target.hostKey),
      });
    });
    const client = new NetconfClient(ssh, channel);
    await client.#exchangeHello();
    ssh.on("error", () => client.#fail("The SSH connection broke"));
    return client;
  }

  async #exchangeHello(): Promise<void> {
    const done = new Promise<void>((resolve) => {
      this.#helloDone = resolve;
    });
    this.#channel.write(
      `<hello xmlns="${NS_NETCONF}"><capabilities><capability>${BASE_1_1}</capability></capabilities></hello>${END_OF_MESSAGE}`,
    );
    await done;
  }

  /** Sends one operation and returns the whole rpc-reply. */
  call(operation: string): Promise<string> {
    const id = ++this.#messageId;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#fail(`No rpc-reply within ${RPC_TIMEOUT_MS} ms`);
      }, RPC_TIMEOUT_MS);
      this.#waiters.push({ resolve, reject, timer });
      this.#channel.write(
        encodeChunked(`<rpc xmlns="${NS_NETCONF}" message-id="${id}">${operation}</rpc>`),
      );
    });
  }

  /** Like call(), but an rpc-error (not a warning) is thrown. */
  async mustCall(operation: string): Promise<string> {
    const reply = await this.call(operation);
    if (/<(\w+:)?error-severity>\s*error\s*</.test(reply)) {
      const message =
        /<(?:\w+:)?error-message[^>]*>([^<]*)</.exec(reply)?.[1] ?? reply.slice(0, 400);
      throw new FlowliftError("LAB_FAILED", `The appliance refused an operation: ${message}`);
    }
    return reply;
  }

  /** Merges `config` (elements below <config>) into the candidate. */
  async edit(config: string): Promise<void> {
    await this.mustCall(
      `<edit-config><target><candidate/></target><config>${config}</config></edit-config>`,
    );
  }

  async commit(): Promise<string> {
    return await this.mustCall("<commit/>");
  }

  close(): void {
    this.#ssh.end();
  }

  #receive(bytes: Buffer): void {
    if (this.#helloDone !== undefined) {
      this.#helloText += bytes.toString("utf8");
      const end = this.#helloText.indexOf(END_OF_MESSAGE);
      if (end < 0) return;
      const rest = this.#helloText.slice(end + END_OF_MESSAGE.length);
      this.#helloDone();
      this.#helloDone = undefined;
      if (rest !== "") this.#receive(Buffer.from(rest, "utf8"));
      return;
    }
    const messages = this.#decoder.push(bytes);
    if (!messages.ok) {
      this.#fail(messages.error.message);
      return;
    }
    for (const message of messages.value) {
      const waiter = this.#waiters.shift();
      if (waiter === undefined) continue; // A notification that nobody asked for.
      clearTimeout(waiter.timer);
      waiter.resolve(message.toString("utf8"));
    }
  }

  #fail(message: string): void {
    for (const waiter of this.#waiters.splice(0)) {
      clearTimeout(waiter.timer);
      waiter.reject(new FlowliftError("LAB_FAILED", message));
    }
  }
}
