/** A NETCONF client over SSH that hides nothing: hello, replies and events as text. */
import { readFileSync } from "node:fs";
import { Client, type ClientChannel } from "ssh2";
import { EndOfMessageDecoder, encodeEndOfMessage } from "../../src/lib/netconf/end-of-message.ts";
import { ChunkDecoder, encodeChunked, MANAGEMENT_LIMITS } from "../../src/lib/netconf/framing.ts";

const NC = "urn:ietf:params:xml:ns:netconf:base:1.0";

export interface RawLogin {
  readonly port: number;
  readonly username: string;
  readonly keyFile?: string;
  readonly password?: string;
  readonly capabilities?: readonly string[];
}

export class RawClient {
  readonly events: string[] = [];
  hello = "";
  isClosed = false;
  readonly #ssh: Client;
  readonly #channel: ClientChannel;
  readonly #replies: string[] = [];
  readonly #waiting: ((reply: string) => void)[] = [];
  #messageId = 0;

  private constructor(ssh: Client, channel: ClientChannel) {
    this.#ssh = ssh;
    this.#channel = channel;
  }

  static async connect(login: RawLogin): Promise<RawClient> {
    const ssh = new Client();
    const channel = await new Promise<ClientChannel>((resolve, reject) => {
      ssh.once("error", reject);
      ssh.once("ready", () =>
        ssh.subsys("netconf", (error, stream) => (error ? reject(error) : resolve(stream))),
      );
      ssh.connect({
        host: "127.0.0.1",
        port: login.port,
        username: login.username,
        ...(login.keyFile === undefined ? {} : { privateKey: readFileSync(login.keyFile) }),
        ...(login.password === undefined ? {} : { password: login.password }),
      });
    });
    const client = new RawClient(ssh, channel);
    await client.#start(login.capabilities ?? []);
    return client;
  }

  #start(capabilities: readonly string[]): Promise<void> {
    const first = new EndOfMessageDecoder(MANAGEMENT_LIMITS, true);
    const chunks = new ChunkDecoder(MANAGEMENT_LIMITS);
    this.#ssh.on("error", () => {});
    return new Promise((resolve, reject) => {
      this.#channel.on("close", () => {
        this.isClosed = true;
        for (const waiting of this.#waiting.splice(0)) waiting("<closed/>");
        reject(new Error("closed"));
      });
      this.#channel.on("data", (bytes: Buffer) => {
        if (this.hello !== "") {
          this.#receive(chunks, bytes);
          return;
        }
        const pushed = first.push(bytes);
        const hello = pushed.ok ? pushed.value[0]?.toString() : undefined;
        if (hello === undefined) return;
        this.hello = hello;
        this.#receive(chunks, first.takeRest());
        resolve();
      });
      const all = ["urn:ietf:params:netconf:base:1.1", ...capabilities];
      const items = all.map((uri) => `<capability>${uri}</capability>`).join("");
      const hello = `<hello xmlns="${NC}"><capabilities>${items}</capabilities></hello>`;
      this.#channel.write(encodeEndOfMessage(hello));
    });
  }

  #receive(chunks: ChunkDecoder, bytes: Buffer): void {
    const pushed = chunks.push(bytes);
    for (const message of pushed.ok ? pushed.value : []) {
      const text = message.toString();
      if (text.startsWith("<notification")) this.events.push(text);
      else if (this.#waiting.length > 0) this.#waiting.shift()?.(text);
      else this.#replies.push(text);
    }
  }

  get sessionId(): number {
    return Number(/<session-id>(\d+)/.exec(this.hello)?.[1]);
  }

  /** Sends an operation's element; returns the reply. */
  rpc(operation: string): Promise<string> {
    if (this.isClosed) return Promise.resolve("<closed/>");
    this.#messageId++;
    this.#channel.write(
      encodeChunked(`<rpc xmlns="${NC}" message-id="${this.#messageId}">${operation}</rpc>`),
    );
    return new Promise((resolve) => {
      const reply = this.#replies.shift();
      if (reply === undefined) this.#waiting.push(resolve);
      else resolve(reply);
    });
  }

  edit(config: string, target = "candidate", more = ""): Promise<string> {
    return this.rpc(
      `<edit-config><target><${target}/></target>${more}` +
        `<config xmlns:nc="${NC}">${config}</config></edit-config>`,
    );
  }

  read(source = "running", more = ""): Promise<string> {
    return this.rpc(`<get-config><source><${source}/></source>${more}</get-config>`);
  }

  close(): void {
    this.#ssh.end();
  }

  destroy(): void {
    this.#ssh.destroy();
  }
}

/** Returns tag, app-tag and path of a reply that refuses. */
export function errorOf(reply: string): {
  tag?: string;
  appTag?: string;
  path?: string;
  message?: string;
} {
  const pick = (name: string): string | undefined =>
    new RegExp(`<${name}[^>]*>([^<]*)</${name}>`).exec(reply)?.[1];
  const found = {
    tag: pick("error-tag"),
    appTag: pick("error-app-tag"),
    path: pick("error-path"),
    message: pick("error-message"),
  };
  return Object.fromEntries(Object.entries(found).filter(([, value]) => value !== undefined));
}
