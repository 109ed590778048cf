/**
 * Steady UDP flows and the moment of each flow's last datagram: `node flow-stream.js source|sink JSON`.
 *
 * Effect: blocking sockets; this process does nothing else. Times are nanoseconds of CLOCK_MONOTONIC, which
 * all processes of a machine share. Datagrams carry their flow's number in the first four bytes.
 */
import { performance } from "node:perf_hooks";
import { FlowliftError } from "../../lib/base/errors.ts";
import { type IpAddress, parseIpAddress } from "../../lib/inet/address.ts";
import {
  closeSocket,
  connectSocket,
  DatagramBatch,
  encodeSocketAddress,
  MSG_DONTWAIT,
  MSG_WAITFORONE,
  openSocket,
  receiveBytes,
  SOCK_DGRAM,
  sendBytes,
} from "../../lib/socket/native-socket.ts";

export interface StreamOptions {
  readonly address: string;
  readonly port: number;
  readonly seconds: number;
  /** Number of the first flow. */
  readonly firstFlow: number;
  readonly flows: number;
  readonly ratePps: number;
}

export interface SinkResult {
  readonly flows: readonly {
    readonly flow: number;
    readonly datagrams: number;
    readonly lastNs: string;
  }[];
}

const PAYLOAD_BYTES = 64;
const BATCH_COUNT = 32;
const POLL_MS = 100;
/** A busy machine takes its time to start the source. */
const FIRST_WAIT_MS = 30_000;
const BUFFER_BYTES = 4 * 1024 * 1024;
/** So many datagrams of a flow are answered: a flow without answer is never offloaded. */
const ANSWERS = 40;
const SEND_PAUSE_MS = 1;

function addressOf(text: string): IpAddress {
  const address = parseIpAddress(text);
  if (address === undefined) throw new FlowliftError("USAGE", `"${text}" is no address`);
  return address;
}

function runSource(options: StreamOptions): object {
  const to = encodeSocketAddress(addressOf(options.address), options.port);
  const payload = Buffer.alloc(PAYLOAD_BYTES);
  const answer = Buffer.alloc(PAYLOAD_BYTES);
  const pause = new Int32Array(new SharedArrayBuffer(4));
  const sockets = Array.from({ length: options.flows }, () => {
    const fd = openSocket(SOCK_DGRAM, 4, { bufferBytes: BUFFER_BYTES });
    connectSocket(fd, to);
    return fd;
  });
  const started = performance.now();
  let sent = 0;
  for (let now = 0; now < options.seconds * 1000; now = performance.now() - started) {
    const due = (now / 1000) * options.ratePps;
    for (; sent < due; sent++) {
      const index = sent % options.flows;
      payload.writeUInt32BE(options.firstFlow + index, 0);
      sendBytes(sockets[index] ?? -1, payload);
    }
    for (const fd of sockets) receiveBytes(fd, answer, MSG_DONTWAIT);
    Atomics.wait(pause, 0, 0, SEND_PAUSE_MS);
  }
  for (const fd of sockets) closeSocket(fd);
  return { sent };
}

function runSink(options: StreamOptions): SinkResult {
  const address = addressOf(options.address);
  const fd = openSocket(SOCK_DGRAM, 4, {
    ...{ address, port: options.port, bufferBytes: BUFFER_BYTES, timeoutMs: POLL_MS },
  });
  const batch = new DatagramBatch(BATCH_COUNT, PAYLOAD_BYTES);
  const seen = new Map<number, { datagrams: number; last: bigint }>();
  process.stdout.write("READY\n");
  let until = performance.now() + FIRST_WAIT_MS;
  while (performance.now() < until) {
    const count = batch.receive(fd, MSG_WAITFORONE);
    if (count > 0 && seen.size === 0) until = performance.now() + options.seconds * 1000;
    const now = process.hrtime.bigint();
    let isYoung = false;
    for (let index = 0; index < count; index++) {
      const flow = batch.payloadOf(index).readUInt32BE(0);
      const datagrams = (seen.get(flow)?.datagrams ?? 0) + 1;
      seen.set(flow, { datagrams, last: now });
      isYoung ||= datagrams <= ANSWERS;
    }
    if (isYoung) batch.echo(fd, count);
  }
  return {
    flows: [...seen].map(([flow, { datagrams, last }]) => ({ flow, datagrams, lastNs: `${last}` })),
  };
}

const mode = process.argv[2];
if (mode !== "source" && mode !== "sink") {
  process.stderr.write("flow-stream: the modes are source and sink\n");
  process.exitCode = 2;
} else {
  const options = JSON.parse(process.argv[3] ?? "{}") as StreamOptions;
  const result = mode === "source" ? runSource(options) : runSink(options);
  process.stdout.write(`${JSON.stringify(result)}\n`);
}
