/** TCP traffic programs. Effect: blocking sockets. */

import { FlowliftError } from "../../lib/base/errors.ts";
import {
  acceptSocket,
  closeSocket,
  connectSocket,
  encodeSocketAddress,
  listenSocket,
  openSocket,
  receiveBytes,
  SOCK_STREAM,
  sendBytes,
  setResetOnClose,
  socketFamily,
} from "../../lib/socket/native-socket.ts";
import { addressOf, type GeneratorOptions, POLL_MS, untilOf } from "./generator-options.ts";

const BULK_BYTES = 256 * 1024;

/** Accepts and closes at once. */
export function tcpAccept(options: GeneratorOptions): object {
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
export function tcpConnect(options: GeneratorOptions): object {
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

/** Reads one stream to its end. */
export function tcpSink(options: GeneratorOptions): object {
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
export function tcpSource(options: GeneratorOptions): object {
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
