/** A NETCONF session at its bounds, with a peer that says nothing, too much, or reads nothing. */
import { Duplex } from "node:stream";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { SILENT_LOG } from "../../src/lib/base/log.ts";
import { ok } from "../../src/lib/base/result.ts";
import { encodeEndOfMessage } from "../../src/lib/netconf/end-of-message.ts";
import { encodeChunked } from "../../src/lib/netconf/framing.ts";
import { BASE_1_1, NS_NETCONF } from "../../src/lib/netconf/names.ts";
import { NetconfSession } from "../../src/management/netconf-session.ts";
import type { RpcHandler } from "../../src/management/rpc-answerer.ts";
import type { SessionBounds } from "../../src/management/session-options.ts";
import { SessionRegistry } from "../../src/management/session-registry.ts";

const BOUNDS: SessionBounds = {
  helloTimeoutMs: 1_000,
  helloBytesMax: 300,
  writeStallMs: 1_000,
  pausedBytesMax: 500,
};
const BIG_BYTES = 100_000;
const handler: RpcHandler = async () => ok(`<big>${"x".repeat(BIG_BYTES)}</big>`);
const RPC = encodeChunked(`<rpc xmlns="${NS_NETCONF}" message-id="1"><big/></rpc>`);

function hello(bytes = 0): string {
  const text = (padding: string): string =>
    `<hello xmlns="${NS_NETCONF}"><capabilities><capability>${BASE_1_1}</capability>` +
    `</capabilities>${padding}</hello>`;
  return text(" ".repeat(Math.max(0, bytes - text("").length)));
}

/** The server's end of a stream whose client reads when the test says so. */
class SlowPeer extends Duplex {
  readonly #waiting: { readonly bytes: number; readonly done: () => void }[] = [];
  taken = 0;
  isReading = true;

  constructor() {
    super({ highWaterMark: 1_000, writableHighWaterMark: 1_000 });
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.#waiting.push({ bytes: chunk.length, done });
    if (this.isReading) this.takeNext();
  }

  /** Reads what was written last and not taken. */
  takeNext(): void {
    const next = this.#waiting.shift();
    this.taken += next?.bytes ?? 0;
    next?.done();
  }
}

let peer: SlowPeer;
let registry: SessionRegistry;
let isOver: boolean;

beforeEach(() => {
  vi.useFakeTimers();
  peer = new SlowPeer();
  registry = new SessionRegistry(new Date());
  isOver = false;
  new NetconfSession({
    stream: peer,
    id: registry.takeId(),
    transport: "netconf-ssh",
    username: "u",
    sourceHost: "h",
    capabilities: [BASE_1_1],
    registry,
    handlers: { byName: new Map([[`${NS_NETCONF} big`, handler]]), namespaceOf: () => undefined },
    log: SILENT_LOG,
    bounds: BOUNDS,
    onEnd: () => {
      isOver = true;
    },
  });
});
afterEach(() => vi.useRealTimers());

/** Lets what was started run, and time pass. */
async function pass(ms: number): Promise<void> {
  await vi.advanceTimersByTimeAsync(ms);
}

describe("the hello", () => {
  test.each([
    [-1, false],
    [0, true],
    [1, true],
  ])("%i ms after its deadline: the session is over: %s", async (more, over) => {
    await pass(BOUNDS.helloTimeoutMs + more);
    expect(isOver).toBe(over);
    expect(registry.droppedSessions).toBe(over ? 1 : 0);
  });

  test("in time lets the session live beyond the deadline", async () => {
    await pass(BOUNDS.helloTimeoutMs - 1);
    peer.push(encodeEndOfMessage(hello()));
    await pass(10 * BOUNDS.helloTimeoutMs);
    expect(isOver).toBe(false);
  });

  test.each([
    [BOUNDS.helloBytesMax - 1, true],
    [BOUNDS.helloBytesMax, true],
    [BOUNDS.helloBytesMax + 1, false],
  ])("of %i bytes is accepted: %s", async (bytes, accepted) => {
    expect(hello(bytes)).toHaveLength(bytes);
    peer.push(encodeEndOfMessage(hello(bytes)));
    await pass(10);
    expect(isOver).toBe(!accepted);
    expect(registry.inBadHellos).toBe(accepted ? 0 : 1);
  });

  test("without an end is refused as soon as it is too long", async () => {
    for (let sent = 0; sent <= BOUNDS.helloBytesMax; sent += 100) {
      expect(isOver).toBe(false);
      peer.push("x".repeat(100));
      await pass(1);
    }
    peer.push("x".repeat(100));
    await pass(1);
    expect(isOver).toBe(true);
  });
});

describe("a peer that asks and does not read", () => {
  beforeEach(async () => {
    peer.push(encodeEndOfMessage(hello()));
    await pass(1);
    peer.isReading = false;
    peer.push(RPC);
    await pass(1);
    expect(peer.writableLength).toBeGreaterThan(BIG_BYTES);
  });

  test.each([
    [-2, false],
    [0, true],
  ])("%i ms after the time for a reply: the session is over: %s", async (more, over) => {
    await pass(BOUNDS.writeStallMs + more);
    expect(isOver).toBe(over);
    expect(registry.droppedSessions).toBe(over ? 1 : 0);
  });

  test("and then reads after all is answered again", async () => {
    await pass(BOUNDS.writeStallMs - 2);
    const before = peer.taken;
    peer.isReading = true;
    peer.takeNext();
    peer.push(RPC);
    await pass(5 * BOUNDS.writeStallMs);
    expect(isOver).toBe(false);
    expect(peer.taken - before).toBeGreaterThan(2 * BIG_BYTES);
  });
});

describe("a peer that reads slowly and sends on", () => {
  /** Replies in several writes, of which the peer takes one in each interval. */
  test.each([
    [BOUNDS.pausedBytesMax - 1, false],
    [BOUNDS.pausedBytesMax, false],
    [BOUNDS.pausedBytesMax + 1, true],
  ])("with %i bytes that wait: the session is over: %s", async (bytes, over) => {
    peer.push(encodeEndOfMessage(hello()));
    await pass(1);
    peer.isReading = false;
    peer.push(RPC);
    await pass(1);
    // Something after the reply, so that taking the reply leaves something to take.
    peer.write(Buffer.alloc(2_000));
    peer.push(Buffer.alloc(bytes, "\n"));
    await pass(BOUNDS.writeStallMs / 2);
    expect(peer.readableLength).toBe(bytes);
    peer.takeNext();
    await pass(BOUNDS.writeStallMs / 2);
    expect(isOver).toBe(over);
  });
});
