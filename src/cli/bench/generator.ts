/**
 * Traffic programs of the benches: each runs in a lab host's namespace and prints one JSON line.
 *
 * Effect: blocking sockets; this process does nothing else. `node generator.js MODE JSON`.
 * A serving mode prints `READY` first and ends by itself after `seconds`.
 */

import { FlowliftError } from "../../lib/base/errors.ts";
import { type IpAddress, parseIpAddress } from "../../lib/inet/address.ts";
import {
  acceptSocket,
  closeSocket,
  connectSocket,
  DatagramBatch,
  encodeSocketAddress,
  listenSocket,
  MSG_DONTWAIT,
  openSocket,
  receiveBytes,
  SOCK_DGRAM,
  SOCK_STREAM,
  sendBytes,
  setResetOnClose,
  socketFamily,
} from "../../lib/socket/native-socket.ts";

/** Arguments of every mode; each uses what it needs. */
export interface GeneratorOptions {
  readonly address: string;
  readonly port: number;
  /** How many consecutive ports from `port` are used. */
  readonly ports?: number;
  readonly seconds: number;
  readonly flows?: number;
  readonly payloadBytes?: number;
  readonly sourceAddress?: string;
  /** New flows a second; absent: as fast as it goes. */
  readonly ratePerSec?: number;
  /** First local port of udp-exchange. */
  readonly sourcePort?: number;
  /** udp-hold answers this long; udp-blast first exchanges a few datagrams a flow for this long. */
  readonly warmUpSeconds?: number;
}

const BATCH_COUNT = 64;
const BUFFER_BYTES = 8 * 1024 * 1024;
const BULK_BYTES = 256 * 1024;
const POLL_MS = 200;

function addressOf(text: string): IpAddress {
  const address = parseIpAddress(text);
  if (address === undefined) throw new FlowliftError("USAGE", `"${text}" is no address`);
  return address;
}

function untilOf(options: GeneratorOptions): number {
  return performance.now() + options.seconds * 1000;
}

/** Accepts and closes at once. */
function tcpAccept(options: GeneratorOptions): object {
  const address = addressOf(options.address);
  const fd = openSocket(SOCK_STREAM, socketFamily(address), {
    address,
    port: options.port,
    timeoutMs: POLL_MS,
  });
  listenSocket(fd, 4096);
  process.stdout.write("READY\n");
  const until = untilOf(options);
  let accepted = 0;
  while (performance.now() < until) {
    const peer = acceptSocket(fd);
    if (peer < 0) continue;
    accepted++;
    closeSocket(peer);
  }
  return { accepted };
}

/** Connects, reads the peer's close, closes: one connection after the other, over all ports. */
function tcpConnect(options: GeneratorOptions): object {
  const address = addressOf(options.address);
  const to = encodeSocketAddress(address, options.port);
  const family = socketFamily(address);
  const until = untilOf(options);
  const started = performance.now();
  const byte = Buffer.alloc(1);
  let connected = 0;
  let failed = 0;
  while (performance.now() < until) {
    const fd = openSocket(SOCK_STREAM, family, { timeoutMs: 2000 });
    if (connectSocket(fd, to)) {
      receiveBytes(fd, byte);
      connected++;
    } else failed++;
    setResetOnClose(fd);
    closeSocket(fd);
  }
  return { connected, failed, seconds: (performance.now() - started) / 1000 };
}

/** Sends small datagrams over many flows as fast as the kernel takes them. */
function udpBlast(options: GeneratorOptions): object {
  const address = addressOf(options.address);
  const flows = options.flows ?? 16;
  const batch = new DatagramBatch(BATCH_COUNT, options.payloadBytes ?? 18);
  const to = encodeSocketAddress(address, options.port);
  const sockets = Array.from({ length: flows }, () => {
    const fd = openSocket(SOCK_DGRAM, socketFamily(address), { bufferBytes: BUFFER_BYTES });
    connectSocket(fd, to);
    return fd;
  });
  warmUp(sockets, options.warmUpSeconds ?? 0);
  const started = performance.now();
  const until = untilOf(options);
  let sent = 0;
  while (performance.now() < until) {
    for (const fd of sockets) sent += batch.send(fd, BATCH_COUNT);
  }
  const seconds = (performance.now() - started) / 1000;
  for (const fd of sockets) closeSocket(fd);
  return { sent, seconds };
}

const WARM_UP_PAUSE_MS = 20;

function pause(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

/** Lets every flow be answered often enough to be established and worthy. */
function warmUp(sockets: readonly number[], seconds: number): void {
  const until = performance.now() + seconds * 1000;
  const payload = Buffer.alloc(18);
  const answer = Buffer.alloc(64);
  while (performance.now() < until) {
    for (const fd of sockets) sendBytes(fd, payload);
    pause(WARM_UP_PAUSE_MS);
    for (const fd of sockets) receiveBytes(fd, answer, MSG_DONTWAIT);
  }
}

/** Sends every datagram back to its sender. */
function udpEcho(options: GeneratorOptions): object {
  const address = addressOf(options.address);
  const batch = new DatagramBatch(BATCH_COUNT, 2048);
  const fd = openSocket(SOCK_DGRAM, socketFamily(address), {
    address,
    port: options.port,
    bufferBytes: BUFFER_BYTES,
    timeoutMs: POLL_MS,
  });
  process.stdout.write("READY\n");
  const until = untilOf(options);
  let echoed = 0;
  while (performance.now() < until) {
    // MSG_WAITFORONE: block for the first, take the rest if they are there.
    const count = batch.receive(fd, 0x10000);
    if (count > 0) echoed += batch.echo(fd, count);
  }
  return { echoed };
}

/** Opens new UDP flows: one datagram each way, from a fresh port every time, at a rate. */
function udpExchange(options: GeneratorOptions): object {
  const address = addressOf(options.address);
  const to = encodeSocketAddress(address, options.port);
  const source = options.sourceAddress === undefined ? undefined : addressOf(options.sourceAddress);
  const family = socketFamily(address);
  const payload = Buffer.from("flow");
  const reply = Buffer.alloc(64);
  const started = performance.now();
  const until = untilOf(options);
  const flowsMax = options.flows ?? Number.MAX_SAFE_INTEGER;
  const open: number[] = [];
  let port = options.sourcePort ?? 1024;
  let sent = 0;
  let replied = 0;
  const settle = (keep: number): void => {
    while (open.length > keep) {
      const fd = open.shift() ?? -1;
      if (receiveBytes(fd, reply) > 0) replied++;
      closeSocket(fd);
    }
  };
  while (performance.now() < until && sent < flowsMax) {
    const due =
      options.ratePerSec === undefined
        ? sent + BATCH_COUNT
        : ((performance.now() - started) / 1000) * options.ratePerSec;
    while (sent < due && sent < flowsMax) {
      const fd = openSocket(SOCK_DGRAM, family, {
        ...(source === undefined ? {} : { address: source, port: port++ }),
        timeoutMs: 1000,
      });
      connectSocket(fd, to);
      sendBytes(fd, payload);
      open.push(fd);
      sent++;
      if (port > 65_535) port = 1024;
    }
    settle(options.ratePerSec === undefined ? BATCH_COUNT : 0);
  }
  settle(0);
  return { sent, replied, seconds: (performance.now() - started) / 1000 };
}

/** Reads one stream to its end. */
function tcpSink(options: GeneratorOptions): object {
  const address = addressOf(options.address);
  const fd = openSocket(SOCK_STREAM, socketFamily(address), {
    address,
    port: options.port,
    timeoutMs: POLL_MS,
  });
  listenSocket(fd, 16);
  process.stdout.write("READY\n");
  const until = untilOf(options) + 10_000;
  let peer = -1;
  while (peer < 0 && performance.now() < until) peer = acceptSocket(fd);
  if (peer < 0) return { bytes: 0, seconds: 0 };
  const buffer = Buffer.alloc(BULK_BYTES);
  const started = performance.now();
  let bytes = 0;
  for (let got = 1; got !== 0 && performance.now() < until; ) {
    got = receiveBytes(peer, buffer);
    if (got > 0) bytes += got;
  }
  return { bytes, seconds: (performance.now() - started) / 1000 };
}

/** Writes one stream as fast as it goes. */
function tcpSource(options: GeneratorOptions): object {
  const address = addressOf(options.address);
  const fd = openSocket(SOCK_STREAM, socketFamily(address), { timeoutMs: 2000 });
  if (!connectSocket(fd, encodeSocketAddress(address, options.port))) {
    throw new FlowliftError("LAB_FAILED", `Cannot connect to ${address} port ${options.port}`);
  }
  const buffer = Buffer.alloc(BULK_BYTES);
  const started = performance.now();
  const until = untilOf(options);
  let bytes = 0;
  while (performance.now() < until) bytes += Math.max(0, sendBytes(fd, buffer));
  closeSocket(fd);
  return { bytes, seconds: (performance.now() - started) / 1000 };
}

/** Counts datagrams until nothing came for a while. */
function udpSink(options: GeneratorOptions): object {
  const address = addressOf(options.address);
  const batch = new DatagramBatch(BATCH_COUNT, 2048);
  const fd = openSocket(SOCK_DGRAM, socketFamily(address), {
    address,
    port: options.port,
    bufferBytes: BUFFER_BYTES,
    timeoutMs: POLL_MS,
  });
  process.stdout.write("READY\n");
  const until = untilOf(options);
  let received = 0;
  while (performance.now() < until) received += batch.receive(fd, 0x10000);
  for (let count = 1; count > 0; received += count) count = batch.receive(fd, MSG_DONTWAIT);
  return { received };
}

/** Answers for a while, then holds the port without reading: datagrams die at the full buffer. */
function udpHold(options: GeneratorOptions): object {
  const address = addressOf(options.address);
  const fd = openSocket(SOCK_DGRAM, socketFamily(address), {
    address,
    port: options.port,
    bufferBytes: 65_536,
    timeoutMs: POLL_MS,
  });
  process.stdout.write("READY\n");
  const batch = new DatagramBatch(BATCH_COUNT, 64);
  const until = performance.now() + (options.warmUpSeconds ?? 0) * 1000;
  while (performance.now() < until) {
    const count = batch.receive(fd, 0x10000);
    if (count > 0) batch.echo(fd, count);
  }
  pause(options.seconds * 1000);
  closeSocket(fd);
  return {};
}

const MODES: Readonly<Record<string, (options: GeneratorOptions) => object>> = {
  "tcp-accept": tcpAccept,
  "tcp-connect": tcpConnect,
  "tcp-sink": tcpSink,
  "tcp-source": tcpSource,
  "udp-blast": udpBlast,
  "udp-echo": udpEcho,
  "udp-exchange": udpExchange,
  "udp-hold": udpHold,
  "udp-sink": udpSink,
};

const mode = MODES[process.argv[2] ?? ""];
if (mode === undefined) {
  process.stderr.write(`generator: the modes are ${Object.keys(MODES).join(", ")}\n`);
  process.exitCode = 2;
} else {
  const result = mode(JSON.parse(process.argv[3] ?? "{}") as GeneratorOptions);
  process.stdout.write(`${JSON.stringify(result)}\n`);
}
