/**
 * Drives a program that holds a virtual machine's serial port: messages as bytes, answers as values.
 *
 * Effect: a child process on the machine, without capabilities. Limit: ANSWER_MS_MAX for each answer.
 */
import type { Lab } from "../../lab/lab.ts";
import { DATA_UID, FLOWLIFT_GID } from "../../lab/privileges.ts";
import { assert } from "../../lib/base/assert.ts";
import { decodeServerMessage, type ServerMessage } from "../../offload-protocol/codec-xml.ts";
import type { FlowEvent, OffloadReply, OffloadRequest } from "../../offload-protocol/messages.ts";
import { LineProgram } from "./hostile-program.ts";

export const ANSWER_MS_MAX = 10_000;
const PROGRAM = "cli/demo/hostile.js";

export type RequestKind = OffloadRequest["kind"];

export type Answer = OffloadReply | Extract<ServerMessage, { readonly kind: "error" }>;

/** A message as it is written: whoever sends it, the bytes are the same. */
export interface RawRequest {
  readonly messageId: string;
  readonly kind: RequestKind;
  readonly bytes: Buffer;
}

type Line =
  | { readonly kind: "open" | "closed" }
  | { readonly kind: "message"; readonly bytes: string };

export class HostileSession {
  readonly #program: LineProgram;
  readonly #kinds = new Map<string, RequestKind>();
  readonly #answers = new Map<string, Answer>();
  #opened = 0;
  /** Events since the session opened, repeated ones included. */
  events: FlowEvent[] = [];

  private constructor(program: LineProgram) {
    this.#program = program;
    program.onLine = (line) => this.#take(JSON.parse(line) as Line);
  }

  /** Takes the serial port of a bare appliance (`red/probe`) and opens a session. */
  static async open(lab: Lab, machine: string): Promise<HostileSession> {
    const appliance = lab.description.appliances.find(
      ({ tenant, name }) => `${tenant}/${name}` === machine,
    );
    assert(appliance !== undefined, "the lab has the probes");
    const words = [...lab.nodeWords(PROGRAM), appliance.serialSocket];
    const child = lab.exec(machine, words, {
      privileges: { uid: DATA_UID, gid: FLOWLIFT_GID, capabilities: [] },
      stdio: ["pipe", "pipe", "pipe"],
    });
    const session = new HostileSession(new LineProgram(`serial port of ${machine}`, child));
    await session.#untilOpened(1);
    return session;
  }

  /** Starts a session anew: what was not acknowledged is told again. */
  async reopen(): Promise<void> {
    const opened = this.#opened;
    this.events = [];
    this.#program.send({ reopen: true });
    await this.#untilOpened(opened + 1);
  }

  /** Writes the message and returns what came back. */
  async call({ messageId, kind, bytes }: RawRequest): Promise<Answer> {
    this.#kinds.set(messageId, kind);
    this.#answers.delete(messageId);
    this.#program.send({ write: bytes.toString("base64") });
    await this.until(`the answer to ${kind}`, () => this.#answers.has(messageId));
    const answer = this.#answers.get(messageId);
    assert(answer !== undefined, "the answer has come");
    return answer;
  }

  async until(
    what: string,
    isOver: () => boolean,
    timeoutMs: number = ANSWER_MS_MAX,
  ): Promise<void> {
    await this.#program.until(what, isOver, timeoutMs);
  }

  stop(): Promise<void> {
    return this.#program.stop();
  }

  #untilOpened(count: number): Promise<void> {
    return this.until("the session", () => this.#opened >= count);
  }

  #take(line: Line): void {
    if (line.kind === "open") this.#opened++;
    if (line.kind !== "message") return;
    const message = decodeServerMessage(Buffer.from(line.bytes, "base64"), (id) =>
      this.#kinds.get(id),
    );
    assert(message.ok, "the controller's messages can be read");
    const { value } = message;
    if (value.kind === "notification") {
      if (value.notification.kind === "flow-events") this.events.push(...value.notification.events);
      return;
    }
    this.#answers.set(value.messageId ?? "", value.kind === "reply" ? value.reply : value);
  }
}
