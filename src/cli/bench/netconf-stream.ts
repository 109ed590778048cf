/** A NETCONF 1.1 client over any byte stream, that does no work besides framing. */
import type { Duplex, Readable, Writable } from "node:stream";
import { FlowliftError } from "../../lib/base/errors.ts";
import { encodeEndOfMessage } from "../../lib/netconf/end-of-message.ts";
import { ChunkDecoder, encodeChunked, MANAGEMENT_LIMITS } from "../../lib/netconf/framing.ts";
import { BASE_1_1, NS_NETCONF } from "../../lib/netconf/names.ts";

const END_OF_MESSAGE = "]]>]]>";

/** Both directions: one duplex stream, or the pipes of a process. */
export interface ByteStream {
  readonly input: Readable | Duplex;
  readonly output: Writable | Duplex;
}

export class NetconfStream {
  readonly #output: Writable;
  readonly #decoder = new ChunkDecoder(MANAGEMENT_LIMITS);
  readonly #waiting: { resolve(reply: Buffer): void; reject(error: Error): void }[] = [];
  #head = "";
  #ready: (() => void) | undefined;
  #id = 0;

  constructor({ input, output }: ByteStream) {
    this.#output = output;
    input.on("data", (bytes: Buffer) => this.#receive(bytes));
    input.on("close", () => {
      const error = new FlowliftError("LAB_FAILED", "A server of the bench closed its session");
      for (const waiting of this.#waiting.splice(0)) waiting.reject(error);
    });
  }

  /** Exchanges hellos. */
  async open(): Promise<void> {
    const ready = new Promise<void>((resolve) => {
      this.#ready = resolve;
    });
    const capability = `<capability>${BASE_1_1}</capability>`;
    this.#output.write(
      encodeEndOfMessage(
        `<?xml version="1.0" encoding="UTF-8"?><hello xmlns="${NS_NETCONF}"><capabilities>${capability}</capabilities></hello>`,
      ),
    );
    await ready;
  }

  #receive(bytes: Buffer): void {
    let rest = bytes;
    if (this.#ready !== undefined) {
      this.#head += bytes.toString("latin1");
      const end = this.#head.indexOf(END_OF_MESSAGE);
      if (end < 0) return;
      rest = Buffer.from(this.#head.slice(end + END_OF_MESSAGE.length), "latin1");
      this.#ready();
      this.#ready = undefined;
    }
    const pushed = this.#decoder.push(rest);
    for (const message of pushed.ok ? pushed.value : []) this.#waiting.shift()?.resolve(message);
  }

  /** Sends an operation; returns the reply's bytes. */
  call(operation: string): Promise<Buffer> {
    this.#id++;
    const id = this.#id;
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#output.write(
        encodeChunked(`<rpc xmlns="${NS_NETCONF}" message-id="${id}">${operation}</rpc>`),
      );
    });
  }

  /** Throws when the reply is no `ok`. */
  async must(operation: string): Promise<void> {
    const reply = (await this.call(operation)).toString();
    if (/<(?:\w+:)?ok\/>/.test(reply)) return;
    throw new FlowliftError("LAB_FAILED", `A server of the bench refused: ${reply.slice(0, 400)}`);
  }
}
