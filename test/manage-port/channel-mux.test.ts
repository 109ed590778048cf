import type { Duplex } from "node:stream";
import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import {
  CHANNELS_MAX,
  ChannelMux,
  type ChannelService,
  RETRY_MIN_MS,
} from "../../src/lib/manage-port/channel-mux.ts";
import { WINDOW_BYTES } from "../../src/lib/manage-port/channel-stream.ts";
import { encodeFrame, encodeMarker } from "../../src/lib/manage-port/frames.ts";

/** A serial line between a host and a guest, with a hand on it. */
class Line {
  nowMs = 0;
  #ids = 0;
  readonly accepted: { readonly stream: Duplex; readonly service: ChannelService }[] = [];
  readonly ends: string[] = [];
  /** Bytes on their way; nothing arrives before deliver(). */
  readonly toGuest: Buffer[] = [];
  readonly toHost: Buffer[] = [];
  room = Number.POSITIVE_INFINITY;
  host = this.#make(this.toGuest, false);
  guest = this.#make(this.toHost, true);

  #make(wire: Buffer[], accepts: boolean): ChannelMux {
    return new ChannelMux({
      write: (bytes) => {
        if (bytes.length > this.room) return false;
        wire.push(bytes);
        return true;
      },
      drawId: () => (++this.#ids).toString(16).padStart(16, "0"),
      onClosed: (why) => this.ends.push(why),
      ...(accepts
        ? {
            onChannel: (stream: Duplex, service: ChannelService) => {
              this.accepted.push({ stream, service });
            },
          }
        : {}),
    });
  }

  /** The VM boots again: its side knows nothing. */
  reboot(): void {
    this.guest = this.#make(this.toHost, true);
    this.guest.up(this.nowMs);
  }

  deliver(): void {
    while (this.toGuest.length + this.toHost.length > 0) {
      for (const bytes of this.toGuest.splice(0)) this.guest.receive(bytes, this.nowMs);
      for (const bytes of this.toHost.splice(0)) this.host.receive(bytes, this.nowMs);
    }
  }

  /** Delivers until streams have nothing more to say. */
  async settle(): Promise<void> {
    for (let round = 0; round < 60; round++) {
      this.deliver();
      await turn();
    }
  }

  pass(ms: number): void {
    this.nowMs += ms;
    this.host.tick(this.nowMs);
    this.guest.tick(this.nowMs);
    this.deliver();
  }
}

function openLine(): Line {
  const line = new Line();
  line.guest.up(0);
  line.host.up(0);
  line.deliver();
  return line;
}

function collect(stream: Duplex): { bytes: Buffer[] } {
  const collected = { bytes: [] as Buffer[] };
  stream.on("data", (chunk: Buffer) => collected.bytes.push(chunk));
  return collected;
}

function firstAccepted(line: Line): Duplex {
  const [first] = line.accepted;
  if (first === undefined) throw new Error("no channel was accepted");
  return first.stream;
}

test("both sides open, whoever comes first", () => {
  const line = new Line();
  line.host.up(0);
  line.deliver();
  expect(line.host.isOpen).toBe(false);
  line.guest.up(0);
  line.deliver();
  expect([line.host.isOpen, line.guest.isOpen]).toEqual([true, true]);
});

test("channels carry bytes both ways and do not mix", async () => {
  const line = openLine();
  const one = line.host.open("ssh");
  const two = line.host.open("install-key");
  if (one === undefined || two === undefined) throw new Error("no channel");
  const heard = [collect(one), collect(two)];
  await line.settle();
  expect(line.accepted.map(({ service }) => service)).toEqual(["ssh", "install-key"]);
  for (const { stream, service } of line.accepted) stream.write(`${service} \xff`, "latin1");
  await line.settle();
  expect(heard.map(({ bytes }) => Buffer.concat(bytes).toString("latin1"))).toEqual([
    "ssh \xff",
    "install-key \xff",
  ]);
});

test("a reader that stands still holds up its own channel at the window, and goes on later", async () => {
  const line = openLine();
  const still = line.host.open("ssh");
  const lively = line.host.open("ssh");
  if (still === undefined || lively === undefined) throw new Error("no channel");
  still.write(Buffer.alloc(2 * WINDOW_BYTES));
  await line.settle();
  const [stillEnd, livelyEnd] = line.accepted.map(({ stream }) => stream);
  if (stillEnd === undefined || livelyEnd === undefined) throw new Error("no channel");
  const heard = collect(livelyEnd);
  lively.write("hello");
  await line.settle();
  expect(Buffer.concat(heard.bytes).toString()).toBe("hello");
  expect(stillEnd.readableLength).toBeLessThanOrEqual(WINDOW_BYTES);
  expect(still.writableLength).toBeGreaterThan(0);
  const late = collect(stillEnd);
  await line.settle();
  expect(Buffer.concat(late.bytes)).toHaveLength(2 * WINDOW_BYTES);
});

test("who closes delivers what it wrote, and the other side ends", async () => {
  const line = openLine();
  const channel = line.host.open("ssh");
  await line.settle();
  const end = firstAccepted(line);
  const heard = collect(end);
  const closed = new Promise((resolve) => end.once("close", resolve));
  channel?.end("last words");
  await line.settle();
  await closed;
  expect(Buffer.concat(heard.bytes).toString()).toBe("last words");
  expect([line.host.channelCount, line.guest.channelCount]).toEqual([0, 0]);
});

test("a reboot ends every channel, and new ones work", async () => {
  const line = openLine();
  const old = line.host.open("ssh");
  const closed = new Promise((resolve) => old?.once("close", resolve));
  await line.settle();
  line.reboot();
  await line.settle();
  await closed;
  expect(line.ends).toContain("the other side began anew");
  line.accepted.length = 0;
  const fresh = line.host.open("ssh");
  fresh?.write("x");
  await line.settle();
  expect(line.accepted).toHaveLength(1);
});

test("bytes of an older session reach no channel", async () => {
  const line = openLine();
  line.host.open("ssh");
  const stale = Buffer.concat(line.toGuest);
  line.toGuest.length = 0;
  line.reboot();
  // The old bytes lay in a queue of the host, and arrive first.
  line.guest.receive(stale, 0);
  line.deliver();
  expect(line.accepted).toEqual([]);
  expect([line.host.isOpen, line.guest.isOpen]).toEqual([true, true]);
});

test("a greeting that got lost is repeated", () => {
  const line = new Line();
  line.guest.up(0);
  line.host.up(0);
  line.toGuest.length = 0;
  line.toHost.length = 0;
  line.pass(RETRY_MIN_MS - 1);
  expect(line.host.isOpen).toBe(false);
  line.pass(1);
  line.pass(1);
  expect([line.host.isOpen, line.guest.isOpen]).toEqual([true, true]);
});

test("a hello that names another session opens nothing", () => {
  const line = new Line();
  line.guest.up(0);
  line.guest.receive(encodeMarker("a".repeat(16)), 0);
  const names = Buffer.concat([Buffer.from([1]), Buffer.from("a".repeat(16) + "b".repeat(16))]);
  line.guest.receive(encodeFrame("hello", 0, names), 0);
  expect(line.guest.isOpen).toBe(false);
});

test.each([
  [CHANNELS_MAX - 1, true],
  [CHANNELS_MAX, true],
  [CHANNELS_MAX + 1, false],
])("of %i channels the last one opens: %s", (count, opens) => {
  const line = openLine();
  let last: Duplex | undefined;
  for (let index = 0; index < count; index++) last = line.host.open("ssh");
  line.deliver();
  expect(last !== undefined).toBe(opens);
  expect(line.guest.channelCount).toBe(Math.min(count, CHANNELS_MAX));
});

test("a peer that sends beyond the window loses its session", async () => {
  const line = openLine();
  line.host.open("ssh");
  line.deliver();
  const payload = Buffer.alloc(16 * 1024);
  for (let sent = 0; sent < WINDOW_BYTES; sent += payload.length) {
    line.guest.receive(encodeFrame("data", 1, payload), 0);
  }
  expect(line.ends).toEqual([]);
  line.guest.receive(encodeFrame("data", 1, Buffer.from("x")), 0);
  expect(line.ends).toContain("a channel's window was not kept");
});

test("a port that takes no more ends the session, and a new one begins", async () => {
  const line = openLine();
  line.room = 100;
  const channel = line.host.open("ssh");
  channel?.write(Buffer.alloc(1000));
  expect(line.ends).toContain("the port's queue is full");
  line.room = Number.POSITIVE_INFINITY;
  line.pass(1);
  line.pass(1);
  expect([line.host.isOpen, line.guest.isOpen]).toEqual([true, true]);
});

test("without a peer nothing opens", () => {
  const line = openLine();
  line.host.down();
  expect(line.host.open("ssh")).toBeUndefined();
});
