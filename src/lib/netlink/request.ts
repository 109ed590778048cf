/**
 * Questions to the kernel: single answers, acknowledgements in batches, and dumps.
 *
 * Effect: sends and receives on its own sockets. The kernel carries a request out inside send(), so the
 * acknowledgements wait to be read when it returns: request() and batch() are synchronous and short. A dump
 * has a socket of its own and gives other work its turn.
 * Source: netlink(7); linux/netlink.h (struct nlmsgerr, NLMSGERR_ATTR_MSG).
 * Limit: MESSAGES_PER_BATCH_MAX for each send; DUMP_RETRIES_MAX when a dump was interrupted.
 */
import { assert } from "../base/assert.ts";
import {
  AttributeCursor,
  forEachMessage,
  MessageBuilder,
  type MessageSpan,
  NLM_F_ACK,
  NLM_F_DUMP,
  NLM_F_DUMP_INTR,
  NLM_F_REQUEST,
  NLMSG_DONE,
  NLMSG_ERROR,
} from "./attributes.ts";
import { ENOBUFS, NetlinkError, NetlinkSocket } from "./socket.ts";

/** Messages in one send; all of their acknowledgements fit the receive buffer. */
export const MESSAGES_PER_BATCH_MAX = 128;
export const DUMP_RETRIES_MAX = 3;
/** Datagrams of a dump that are read before other work gets its turn. */
const DUMP_DATAGRAMS_PER_TURN = 8;
/** Holds MESSAGES_PER_BATCH_MAX refusals, about 1 kB each with the kernel's own overhead. */
const ANSWERS_BYTES: number = 4 * 1024 * 1024;
const SEQUENCE_MAX = 0x7fff_ffff;
const NLMSGERR_ATTR_MSG = 1;
/** struct nlmsgerr with NETLINK_CAP_ACK: errno and the header of the request. */
const ERROR_PAYLOAD_BYTES = 20;

/** Writes the body of one message: family header and attributes. */
export type WriteBody = (builder: MessageBuilder) => void;
/** Gets each message that answers; bytes are valid during the call only. */
export type VisitAnswer = (view: DataView, message: MessageSpan) => void;

interface Acknowledgement {
  readonly sequence: number;
  readonly errno: number;
  readonly detail: string;
}

/** Asks one netlink family. */
export class NetlinkRequester {
  readonly #protocol: number;
  readonly #socket: NetlinkSocket;
  readonly #builder: MessageBuilder = new MessageBuilder();
  #sequence = 0;

  constructor(protocol: number) {
    this.#protocol = protocol;
    this.#socket = new NetlinkSocket(protocol, { receiveBytes: ANSWERS_BYTES });
  }

  /** Events that its requests cause carry this number. */
  get port(): number {
    return this.#socket.port;
  }

  close(): void {
    this.#socket.close();
  }

  /** Sends one request and visits its answers; throws NetlinkError with the kernel's errno. */
  request(action: string, type: number, flags: number, body: WriteBody, visit: VisitAnswer): void {
    this.#reserveSequences(1);
    const sequence = this.#nextSequence();
    this.#builder.reset();
    this.#builder.beginMessage(type, NLM_F_REQUEST | NLM_F_ACK | flags, sequence);
    body(this.#builder);
    this.#builder.endMessage();
    this.#socket.send(this.#builder.finish());
    let acknowledged: Acknowledgement | undefined;
    while (acknowledged === undefined) {
      const view = receive(this.#socket, action);
      forEachMessage(view, (message) => {
        if (message.sequence !== sequence) return;
        if (message.type === NLMSG_ERROR) acknowledged = readAcknowledgement(view, message);
        else visit(view, message);
      });
    }
    if (acknowledged.errno !== 0) {
      throw new NetlinkError(action, acknowledged.errno, acknowledged.detail);
    }
  }

  /**
   * Sends one message for each body and returns one errno for each, in order; 0 is success. Only the last
   * message asks to be acknowledged: the kernel works through them in order and reports every failure.
   */
  batch(type: number, flags: number, bodies: readonly WriteBody[]): Int32Array {
    const errnos = new Int32Array(bodies.length);
    for (let first = 0; first < bodies.length; first += MESSAGES_PER_BATCH_MAX) {
      this.#batchPart(
        type,
        flags,
        bodies.slice(first, first + MESSAGES_PER_BATCH_MAX),
        first,
        errnos,
      );
    }
    return errnos;
  }

  #batchPart(
    type: number,
    flags: number,
    bodies: readonly WriteBody[],
    first: number,
    errnos: Int32Array,
  ): void {
    this.#reserveSequences(bodies.length);
    const firstSequence = this.#sequence + 1;
    this.#builder.reset();
    bodies.forEach((body, index) => {
      const acknowledge = index === bodies.length - 1 ? NLM_F_ACK : 0;
      this.#builder.beginMessage(type, NLM_F_REQUEST | acknowledge | flags, this.#nextSequence());
      body(this.#builder);
      this.#builder.endMessage();
    });
    const lastSequence = this.#sequence;
    this.#socket.send(this.#builder.finish());
    let finished = false;
    while (!finished) {
      const view = receive(this.#socket, "send a batch of changes");
      forEachMessage(view, (message) => {
        if (message.type !== NLMSG_ERROR) return;
        const { sequence, errno } = readAcknowledgement(view, message);
        if (sequence < firstSequence || sequence > lastSequence) return; // Of a batch that failed.
        errnos[first + sequence - firstSequence] = errno;
        if (sequence === lastSequence) finished = true;
      });
    }
  }

  /** Visits everything of a dump, letting other work run in between. Starts again if interrupted. */
  async dump(action: string, type: number, body: WriteBody, visit: VisitAnswer): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      const interrupted = await this.#dumpOnce(action, type, body, visit);
      if (!interrupted || attempt >= DUMP_RETRIES_MAX) return;
    }
  }

  #dumpOnce(action: string, type: number, body: WriteBody, visit: VisitAnswer): Promise<boolean> {
    const builder = new MessageBuilder();
    builder.beginMessage(type, NLM_F_REQUEST | NLM_F_DUMP, 1);
    body(builder);
    builder.endMessage();
    const socket = new NetlinkSocket(this.#protocol, { receiveBytes: ANSWERS_BYTES });
    try {
      socket.send(builder.finish());
    } catch (error) {
      socket.close();
      throw error;
    }
    return readDump(socket, action, visit).finally(() => socket.close());
  }

  /** Numbers of one batch are consecutive, so they start again before they would wrap. */
  #reserveSequences(count: number): void {
    if (this.#sequence > SEQUENCE_MAX - count) this.#sequence = 0;
  }

  #nextSequence(): number {
    this.#sequence += 1;
    return this.#sequence;
  }
}

/** Returns whether the table changed so much that the dump may be inconsistent. */
async function readDump(
  socket: NetlinkSocket,
  action: string,
  visit: VisitAnswer,
): Promise<boolean> {
  let done = false;
  let interrupted = false;
  for (let datagrams = 1; !done; datagrams++) {
    const view = receive(socket, action);
    forEachMessage(view, (message) => {
      if ((message.flags & NLM_F_DUMP_INTR) !== 0) interrupted = true;
      if (message.type === NLMSG_DONE) done = true;
      else if (message.type === NLMSG_ERROR) {
        const { errno, detail } = readAcknowledgement(view, message);
        throw new NetlinkError(action, errno, detail);
      } else visit(view, message);
    });
    if (!done && datagrams % DUMP_DATAGRAMS_PER_TURN === 0) await nextTurn();
  }
  return interrupted;
}

function receive(socket: NetlinkSocket, action: string): DataView {
  const datagram = socket.receive();
  if (datagram === "overrun") throw new NetlinkError(action, ENOBUFS, "answers were lost");
  assert(datagram !== undefined, "the kernel has answered when send() returns");
  const { buffer, byteOffset, byteLength } = datagram.bytes;
  return new DataView(buffer, byteOffset, byteLength);
}

function readAcknowledgement(view: DataView, message: MessageSpan): Acknowledgement {
  if (message.start + 4 > message.end) {
    return { sequence: message.sequence, errno: 0, detail: "" };
  }
  const errno = -view.getInt32(message.start, true);
  let detail = "";
  const cursor = new AttributeCursor(view, message.start + ERROR_PAYLOAD_BYTES, message.end);
  while (errno !== 0 && cursor.next()) {
    if (cursor.type === NLMSGERR_ATTR_MSG) detail = cursor.text();
  }
  return { sequence: message.sequence, errno, detail };
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
