import { Duplex, PassThrough } from "node:stream";
import { describe, expect, test } from "vitest";
import { SILENT_LOG } from "../../src/lib/base/log.ts";
import { ok } from "../../src/lib/base/result.ts";
import { EndOfMessageDecoder, encodeEndOfMessage } from "../../src/lib/netconf/end-of-message.ts";
import { ChunkDecoder, encodeChunked, MANAGEMENT_LIMITS } from "../../src/lib/netconf/framing.ts";
import { BASE_1_0, BASE_1_1, NS_NETCONF } from "../../src/lib/netconf/names.ts";
import { NetconfSession, QUEUED_MESSAGES_MAX } from "../../src/management/netconf-session.ts";
import type { RpcHandler, RpcHandlers } from "../../src/management/rpc-answerer.ts";
import { SessionRegistry } from "../../src/management/session-registry.ts";

const HANDLERS: RpcHandlers = {
  byName: new Map<string, RpcHandler>([
    [`${NS_NETCONF} echo`, async ({ operation }) => ok(`<echo>${operation.text}</echo>`)],
    [`${NS_NETCONF} close-session`, async () => ok("<ok/>")],
    [
      `${NS_NETCONF} crash`,
      async () => {
        throw new TypeError("a secret of the implementation");
      },
    ],
  ]),
  namespaceOf: () => undefined,
};

const hello = (...capabilities: string[]): string =>
  `<hello xmlns="${NS_NETCONF}"><capabilities>${capabilities
    .map((uri) => `<capability>${uri}</capability>`)
    .join("")}</capabilities></hello>`;
const rpc = (operation: string, attributes = 'message-id="7"'): string =>
  `<rpc xmlns="${NS_NETCONF}" ${attributes}>${operation}</rpc>`;

/** A session and the client's ends of its stream. */
function connect(registry = new SessionRegistry(new Date())) {
  const toServer = new PassThrough();
  const fromServer = new PassThrough();
  let endedCount = 0;
  const session = new NetconfSession({
    stream: Duplex.from({ readable: toServer, writable: fromServer }),
    id: registry.takeId(),
    transport: "netconf-ssh",
    username: "u",
    sourceHost: "h",
    capabilities: [BASE_1_0, BASE_1_1],
    registry,
    handlers: HANDLERS,
    log: SILENT_LOG,
    limits: { chunkBytesMax: 2000, messageBytesMax: 2000 },
    onEnd: () => {
      endedCount++;
    },
  });
  const received: Buffer[] = [];
  fromServer.on("data", (chunk: Buffer) => received.push(chunk));
  return {
    registry,
    session,
    toServer,
    endedCount: () => endedCount,
    async ended(): Promise<void> {
      for (let tries = 0; tries < 200 && endedCount === 0; tries++) {
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
    },
    /** Everything after the server's hello, as messages. */
    async replies(base: "1.0" | "1.1", count: number): Promise<string[]> {
      const messages: string[] = [];
      for (let tries = 0; tries < 200 && messages.length < count; tries++) {
        await new Promise((resolve) => setTimeout(resolve, 2));
        const first = new EndOfMessageDecoder(MANAGEMENT_LIMITS, true);
        first.push(Buffer.concat(received));
        const rest = first.takeRest();
        const decoder =
          base === "1.0"
            ? new EndOfMessageDecoder(MANAGEMENT_LIMITS)
            : new ChunkDecoder(MANAGEMENT_LIMITS);
        const pushed = decoder.push(rest);
        messages.length = 0;
        if (pushed.ok) messages.push(...pushed.value.map(String));
      }
      return messages;
    },
  };
}

describe("NetconfSession", () => {
  test("switches to chunks after a 1.1 hello, in the same burst of bytes", async () => {
    const client = connect();
    client.toServer.write(
      Buffer.concat([
        encodeEndOfMessage(hello(BASE_1_0, BASE_1_1)),
        encodeChunked(rpc("<echo>a</echo>")),
        encodeChunked(rpc("<echo>b</echo>")),
      ]),
    );
    const replies = await client.replies("1.1", 2);
    expect(replies.map((reply) => /<echo>(.*)<\/echo>/.exec(reply)?.[1])).toEqual(["a", "b"]);
  });

  test("takes a hello that is already in chunks", async () => {
    const client = connect();
    client.toServer.write(encodeChunked(hello(BASE_1_1)));
    client.toServer.write(encodeChunked(rpc("<echo>a</echo>")));
    expect(await client.replies("1.1", 1)).toHaveLength(1);
  });

  test("keeps end-of-message framing with a 1.0 client", async () => {
    const client = connect();
    for (const byte of encodeEndOfMessage(hello(BASE_1_0)))
      client.toServer.write(Buffer.from([byte]));
    client.toServer.write(encodeEndOfMessage(rpc("<echo>a</echo>")));
    expect((await client.replies("1.0", 1))[0]).toContain("<echo>a</echo>");
  });

  test.each([
    ["no common base", hello("urn:other")],
    [
      "a session-id in a client's hello",
      hello(BASE_1_1).replace("</hello>", "<session-id>3</session-id></hello>"),
    ],
    ["another message first", rpc("<echo/>")],
    ["bytes that are no XML", "hi there"],
  ])("ends a session with %s, and counts it", async (_name, text) => {
    const client = connect();
    client.toServer.write(encodeEndOfMessage(text));
    await client.ended();
    expect(client.endedCount()).toBe(1);
    expect(client.registry.inBadHellos).toBe(1);
    expect(client.registry.list()).toHaveLength(0);
  });

  test("repeats the attributes of the rpc, and its prefixes", async () => {
    const client = connect();
    client.toServer.write(encodeEndOfMessage(hello(BASE_1_1)));
    const attributes = 'message-id="a&quot;b" xmlns:x="urn:x" x:user="me &lt; you"';
    client.toServer.write(encodeChunked(rpc("<echo/>", attributes)));
    const [reply] = await client.replies("1.1", 1);
    expect(reply).toContain('xmlns:x="urn:x" message-id="a&quot;b" x:user="me &lt; you"');
  });

  test.each([
    ["no message-id", rpc("<echo/>", ""), "missing-attribute"],
    ["no operation", rpc(""), "missing-element"],
    ["two operations", rpc("<echo/><echo/>"), "bad-element"],
    ["an unknown operation", rpc("<paint/>"), "operation-not-supported"],
    ["an operation of another namespace", rpc('<echo xmlns="urn:x"/>'), "operation-not-supported"],
    ["XML that is not well-formed", "<rpc", "malformed-message"],
    ["a document type", `<!DOCTYPE rpc [<!ENTITY a "b">]>${rpc("<echo/>")}`, "malformed-message"],
    ["bytes that are not UTF-8", Buffer.from([60, 255, 62]), "malformed-message"],
    [
      "elements deeper than the limit",
      rpc("<a>".repeat(260) + "</a>".repeat(260)),
      "malformed-message",
    ],
    ["another root", "<hello/>", "malformed-message"],
  ])("answers %s, and serves on", async (_name, text, tag) => {
    const client = connect();
    client.toServer.write(encodeEndOfMessage(hello(BASE_1_1)));
    client.toServer.write(encodeChunked(text));
    client.toServer.write(encodeChunked(rpc("<echo>still</echo>")));
    const [reply, next] = await client.replies("1.1", 2);
    expect(reply).toContain(`<error-tag>${tag}</error-tag>`);
    expect(next).toContain("<echo>still</echo>");
  });

  test("tells a 1.0 client operation-failed instead of malformed-message", async () => {
    const client = connect();
    client.toServer.write(encodeEndOfMessage(hello(BASE_1_0)));
    client.toServer.write(encodeEndOfMessage("<rpc"));
    expect((await client.replies("1.0", 1))[0]).toContain(
      "<error-tag>operation-failed</error-tag>",
    );
  });

  test("answers what came before broken framing, says why, and ends", async () => {
    const client = connect();
    client.toServer.write(encodeEndOfMessage(hello(BASE_1_1)));
    client.toServer.write(
      Buffer.concat([encodeChunked(rpc("<echo>a</echo>")), Buffer.from("junk")]),
    );
    const [reply, refusal] = await client.replies("1.1", 2);
    expect(reply).toContain("<echo>a</echo>");
    expect(refusal).toContain("<error-tag>malformed-message</error-tag>");
    expect(client.endedCount()).toBe(1);
    expect(client.registry.droppedSessions).toBe(1);
  });

  test.each([
    [1999, false],
    [2000, false],
    [2001, true],
  ])("of %i bytes of message says too-big: %s", async (bytes, isRefused) => {
    const client = connect();
    client.toServer.write(encodeEndOfMessage(hello(BASE_1_1)));
    const frame = rpc("<echo></echo>");
    const text = rpc(`<echo>${"x".repeat(bytes - frame.length)}</echo>`);
    client.toServer.write(encodeChunked(text, 500));
    const [reply] = await client.replies("1.1", 1);
    expect(reply?.includes("<error-tag>too-big</error-tag>")).toBe(isRefused);
    expect(client.endedCount()).toBe(isRefused ? 1 : 0);
  });

  test("tells nothing of what a bug threw", async () => {
    const client = connect();
    client.toServer.write(encodeEndOfMessage(hello(BASE_1_1)));
    client.toServer.write(encodeChunked(rpc("<crash/>")));
    const [reply] = await client.replies("1.1", 1);
    expect(reply).toContain("<error-tag>operation-failed</error-tag>");
    expect(reply).not.toContain("secret");
  });

  test("ends after the reply to close-session", async () => {
    const client = connect();
    client.toServer.write(encodeEndOfMessage(hello(BASE_1_1)));
    client.toServer.write(encodeChunked(rpc("<close-session/>")));
    expect((await client.replies("1.1", 1))[0]).toContain("<ok/>");
    expect(client.endedCount()).toBe(1);
  });

  test.each([QUEUED_MESSAGES_MAX - 1, QUEUED_MESSAGES_MAX, QUEUED_MESSAGES_MAX + 1, 200])(
    "answers %i requests that came at once, in order",
    async (count) => {
      const client = connect();
      client.toServer.write(encodeEndOfMessage(hello(BASE_1_1)));
      const all = Array.from({ length: count }, (_, index) =>
        encodeChunked(rpc(`<echo>${index}</echo>`)),
      );
      client.toServer.write(Buffer.concat(all));
      const replies = await client.replies("1.1", count);
      expect(replies.map((reply) => Number(/<echo>(.*)<\/echo>/.exec(reply)?.[1]))).toEqual(
        Array.from({ length: count }, (_, index) => index),
      );
      expect(client.session.counters.inRpcs).toBe(count);
    },
  );
});
