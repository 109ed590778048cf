/** One story told to a whole controller in both encodings: the answers are the same. */
import { expect, test } from "vitest";
import { Controller } from "../../src/controller/controller.ts";
import type { VmSession } from "../../src/controller/vm-session.ts";
import { MemoryDriver } from "../../src/fast-path/memory/memory-driver.ts";
import { createLog } from "../../src/lib/base/log.ts";
import type { SessionId } from "../../src/offload-protocol/framing.ts";
import type { Encoding } from "../../src/offload-protocol/hello.ts";
import { codecOf, type MessageCodec } from "../../src/offload-protocol/message-codec.ts";
import type { OffloadRequest } from "../../src/offload-protocol/messages.ts";
import {
  SESSION_STOPPED,
  type SessionEvent,
  stepSession,
} from "../../src/offload-protocol/session.ts";
import { EPOCH, exampleModel, natFlow } from "./world.ts";

const CLOCK = { nowMs: (): number => performance.now() };
const POLL_MS = 5;
const ANSWER_MS_MAX = 4_000;

/** What changes from run to run: times, and sequences that begin with the clock. */
function withoutTimes(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (name, member: unknown) => {
      if (["sequence", "asOfSequence", "lastUsedMsAgo", "eventTime"].includes(name)) return "…";
      return typeof member === "bigint" ? `${member}` : member;
    }),
  );
}

/** The virtual machine's end of a session with a controller of its own. */
class Story {
  readonly #controller: Controller;
  readonly #session: VmSession;
  readonly #asked = new Map<string, OffloadRequest["kind"]>();
  readonly #offersCbor: boolean;
  #state = SESSION_STOPPED;
  #codec: MessageCodec = codecOf("xml");
  encoding: Encoding | undefined;
  /** Answers by message-id, and every event; credit depends on when it is told. */
  readonly replies = new Map<string, unknown>();
  readonly events: unknown[] = [];

  private constructor(controller: Controller, offersCbor: boolean) {
    this.#controller = controller;
    this.#offersCbor = offersCbor;
    const transport = {
      sendMarker: (sessionId: SessionId) => this.#take({ kind: "marker", sessionId }),
      sendMessage: (bytes: Uint8Array) =>
        this.#take({ kind: "message", bytes: Buffer.from(bytes) }),
      isWritable: true,
    };
    const session = controller.attach("host-1", "red/gateway", transport, () => {});
    if (session === undefined) throw new Error("the gateway is placed on host-1");
    this.#session = session;
  }

  static async begin(controllerOffers: boolean, vmOffers: boolean): Promise<Story> {
    const controller = await Controller.start({
      model: exampleModel(),
      clock: CLOCK,
      log: createLog("test", "error"),
      statisticsIntervalMs: 60_000,
      offersCbor: controllerOffers,
      assumesLocations: true,
      connectDriver: async () => new MemoryDriver(),
    });
    const story = new Story(controller, vmOffers);
    story.#take({ kind: "start" });
    story.#session.take({ kind: "start" });
    await story.until(() => story.encoding !== undefined);
    return story;
  }

  #take(event: SessionEvent): void {
    const { state, effects } = stepSession(this.#state, event, {
      nowMs: CLOCK.nowMs(),
      drawSessionId: () => "00000000000000aa" as SessionId,
      offersCbor: this.#offersCbor,
    });
    this.#state = state;
    for (const effect of effects) {
      // Later, as over a wire.
      if (effect.kind === "send-marker") {
        setImmediate(() => this.#session.take({ kind: "marker", sessionId: effect.sessionId }));
      } else if (effect.kind === "send-hello") this.send(effect.bytes);
      else if (effect.kind === "opened") {
        this.encoding = effect.encoding;
        this.#codec = codecOf(effect.encoding);
      } else if (effect.kind === "deliver") {
        this.#hear(effect.bytes);
      }
    }
  }

  #hear(bytes: Buffer): void {
    const message = this.#codec.decodeServerMessage(bytes, (id) => this.#asked.get(id));
    if (!message.ok) throw new Error(message.error.message);
    const { value } = message;
    if (value.kind !== "notification") this.replies.set(`${value.messageId}`, withoutTimes(value));
    else if (value.notification.kind === "flow-events") {
      this.events.push(...value.notification.events.map(withoutTimes));
    }
  }

  send(bytes: Uint8Array): void {
    setImmediate(() => this.#session.take({ kind: "message", bytes: Buffer.from(bytes) }));
  }

  async ask(request: OffloadRequest): Promise<void> {
    const messageId = String(this.#asked.size + 1);
    this.#asked.set(messageId, request.kind);
    this.send(this.#codec.encodeRpc(messageId, request));
    await this.until(() => this.replies.has(messageId));
  }

  async until(isSo: () => boolean): Promise<void> {
    const endMs = CLOCK.nowMs() + ANSWER_MS_MAX;
    while (!isSo() && CLOCK.nowMs() < endMs) {
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
    expect(isSo()).toBe(true);
  }

  async end(): Promise<unknown> {
    await this.#controller.close();
    return { replies: [...this.replies], events: this.events };
  }
}

/** A lease, flows granted and refused, an update, pages, withdrawals, an acknowledgement. */
async function tell(controllerOffers: boolean, vmOffers: boolean): Promise<Story> {
  const story = await Story.begin(controllerOffers, vmOffers);
  const stolen = { ...natFlow(3n), original: { ...natFlow(3n).original, rewrite: {} } };
  await story.ask({ kind: "renew-lease", epoch: EPOCH });
  const flows = [natFlow(1n), natFlow(2n), stolen, natFlow(4n, 1025)];
  await story.ask({ kind: "request-offload", epoch: EPOCH, flows });
  await story.until(() => story.events.length === 2);
  const update = { epoch: EPOCH, flowId: 1n, expectedVersion: 1n } as const;
  await story.ask({ kind: "update-offload", ...update, idleTimeoutMs: 90_000 });
  await story.ask({ kind: "update-offload", ...update });
  await story.ask({ kind: "get-flows", limit: 1 });
  await story.ask({ kind: "get-flows", limit: 9, after: { epoch: EPOCH, flowId: 1n } });
  const selection = { kind: "flow-ids", flowIds: [1n, 77n] } as const;
  await story.ask({ kind: "withdraw-offload", epoch: EPOCH, selection });
  await story.ask({ kind: "withdraw-offload", epoch: EPOCH, selection: { kind: "all" } });
  await story.ask({ kind: "acknowledge-events", sequence: (1n << 64n) - 1n });
  return story;
}

test("a story ends the same in XML and in CBOR, whoever does without CBOR", async () => {
  const cases = [
    [true, true, "cbor"],
    [true, false, "xml"],
    [false, true, "xml"],
  ] as const;
  const stories = await Promise.all(cases.map(([ours, theirs]) => tell(ours, theirs)));
  expect(stories.map(({ encoding }) => encoding)).toEqual(cases.map(([, , encoding]) => encoding));
  const [inCbor, ...inXml] = await Promise.all(stories.map((story) => story.end()));
  expect(JSON.stringify(inCbor)).toContain("version-conflict");
  expect(stories.map(({ replies, events }) => [replies.size, events.length])).toEqual(
    cases.map(() => [9, 4]),
  );
  for (const heard of inXml) expect(heard).toEqual(inCbor);
});
