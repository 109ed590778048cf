/**
 * Blocking inet sockets by direct system calls, for traffic programs that must not be the bottleneck.
 *
 * Effect: the one file that opens inet sockets through koffi. Every call blocks its thread: only for
 * programs that do nothing else. Source: linux/socket.h, netinet/in.h, linux/tcp.h.
 */
import koffi from "koffi";
import { FlowliftError } from "../base/errors.ts";
import { familyOf, type IpAddress, ipToBytes } from "../inet/address.ts";

const AF_INET = 2;
const AF_INET6 = 10;
const AF_PACKET = 17;
const SOCK_RAW = 3;
const SOL_PACKET = 263;
const PACKET_QDISC_BYPASS = 20;
export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const SO_SNDBUF = 7;
const SO_RCVBUF = 8;
const SO_RCVTIMEO = 20;
const SO_SNDTIMEO = 21;
const SO_LINGER = 13;
export const MSG_DONTWAIT = 0x40;
export const MSG_NOSIGNAL = 0x4000;
/** recvmmsg: block for the first datagram, take the rest if they are there. */
export const MSG_WAITFORONE = 0x10000;
/** struct mmsghdr on 64-bit Linux: msghdr (56) + msg_len (4) + padding (4). */
const MMSGHDR_BYTES = 64;

const libc = koffi.load("libc.so.6");
const native = {
  socket: libc.func("int socket(int domain, int type, int protocol)"),
  bind: libc.func("int bind(int fd, const uint8_t *address, uint32_t bytes)"),
  connect: libc.func("int connect(int fd, const uint8_t *address, uint32_t bytes)"),
  listen: libc.func("int listen(int fd, int backlog)"),
  accept: libc.func("int accept4(int fd, void *address, void *bytes, int flags)"),
  send: libc.func("int64_t send(int fd, const uint8_t *buffer, size_t bytes, int flags)"),
  recv: libc.func("int64_t recv(int fd, uint8_t *buffer, size_t bytes, int flags)"),
  sendmmsg: libc.func("int sendmmsg(int fd, uint8_t *messages, uint32_t count, int flags)"),
  recvmmsg: libc.func(
    "int recvmmsg(int fd, uint8_t *messages, uint32_t count, int flags, void *t)",
  ),
  setsockopt: libc.func(
    "int setsockopt(int fd, int level, int name, const uint8_t *value, uint32_t bytes)",
  ),
  close: libc.func("int close(int fd)"),
  ifIndex: libc.func("uint32_t if_nametoindex(const char *name)"),
};

/** Returns a sockaddr_in or sockaddr_in6. */
export function encodeSocketAddress(address: IpAddress, port: number): Buffer {
  const bytes = ipToBytes(address);
  const buffer = Buffer.alloc(bytes.length === 4 ? 16 : 28);
  buffer.writeUInt16LE(bytes.length === 4 ? AF_INET : AF_INET6, 0);
  buffer.writeUInt16BE(port, 2);
  buffer.set(bytes, bytes.length === 4 ? 4 : 8);
  return buffer;
}

function fail(what: string): never {
  const code = koffi.errno();
  throw new FlowliftError("LAB_FAILED", `${what} failed with errno ${code}`);
}

function setOption(fd: number, name: number, value: Buffer): void {
  if (native.setsockopt(fd, SOL_SOCKET, name, value, value.length) < 0) fail("setsockopt");
}

export interface OpenOptions {
  readonly address?: IpAddress;
  readonly port?: number;
  readonly bufferBytes?: number;
  /** Receive and send give up after this long; 0 waits for ever. */
  readonly timeoutMs?: number;
}

/** Opens and binds a socket of the address's family. Throws LAB_FAILED. */
export function openSocket(type: number, family: 4 | 6, options: OpenOptions): number {
  const fd = native.socket(family === 4 ? AF_INET : AF_INET6, type | SOCK_CLOEXEC, 0) as number;
  if (fd < 0) fail("socket");
  const one = Buffer.alloc(4);
  one.writeInt32LE(1);
  setOption(fd, SO_REUSEADDR, one);
  if (options.bufferBytes !== undefined) {
    const bytes = Buffer.alloc(4);
    bytes.writeInt32LE(options.bufferBytes);
    setOption(fd, SO_SNDBUF, bytes);
    setOption(fd, SO_RCVBUF, bytes);
  }
  if (options.timeoutMs !== undefined) {
    const time = Buffer.alloc(16);
    time.writeBigInt64LE(BigInt(Math.floor(options.timeoutMs / 1000)), 0);
    time.writeBigInt64LE(BigInt((options.timeoutMs % 1000) * 1000), 8);
    setOption(fd, SO_RCVTIMEO, time);
    setOption(fd, SO_SNDTIMEO, time);
  }
  if (options.address !== undefined) {
    const at = encodeSocketAddress(options.address, options.port ?? 0);
    if (native.bind(fd, at, at.length) < 0) fail(`bind to ${options.address} port ${options.port}`);
  }
  return fd;
}

/**
 * Opens a raw packet socket on an interface; frames skip the queueing discipline. Needs CAP_NET_RAW.
 * Source: linux/if_packet.h.
 */
export function openPacketSocket(interfaceName: string): number {
  const fd = native.socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0) as number;
  if (fd < 0) fail("socket(AF_PACKET)");
  const one = Buffer.alloc(4);
  one.writeInt32LE(1);
  if (native.setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, one, one.length) < 0)
    fail("setsockopt");
  const link = Buffer.alloc(20); // struct sockaddr_ll
  link.writeUInt16LE(AF_PACKET, 0);
  link.writeInt32LE(native.ifIndex(interfaceName) as number, 4);
  if (native.bind(fd, link, link.length) < 0) fail(`bind to ${interfaceName}`);
  return fd;
}

/** Makes close() send a reset, so that no TIME_WAIT entry stays at this end. */
export function setResetOnClose(fd: number): void {
  const linger = Buffer.alloc(8);
  linger.writeInt32LE(1, 0);
  setOption(fd, SO_LINGER, linger);
}

export function listenSocket(fd: number, backlogCount: number): void {
  if (native.listen(fd, backlogCount) < 0) fail("listen");
}

/** Returns the new socket, or -1 when the timeout is over. */
export function acceptSocket(fd: number): number {
  return native.accept(fd, null, null, SOCK_CLOEXEC) as number;
}

/** Returns whether the connection was made. */
export function connectSocket(fd: number, to: Buffer): boolean {
  return (native.connect(fd, to, to.length) as number) === 0;
}

/** Returns the bytes sent, or -1. */
export function sendBytes(fd: number, buffer: Buffer, flags = 0): number {
  return Number(native.send(fd, buffer, buffer.length, flags | MSG_NOSIGNAL));
}

/** Returns the bytes received, 0 at the end of a stream, -1 on a timeout. */
export function receiveBytes(fd: number, buffer: Buffer, flags = 0): number {
  return Number(native.recv(fd, buffer, buffer.length, flags));
}

export function closeSocket(fd: number): void {
  native.close(fd);
}

/** Returns the family number of an address, for openSocket(). */
export function socketFamily(address: IpAddress): 4 | 6 {
  return familyOf(address);
}

/** A reusable array of datagrams for sendmmsg and recvmmsg; owns its memory. */
export class DatagramBatch {
  readonly count: number;
  readonly #payloadBytes: number;
  readonly #payloads: Buffer;
  readonly #names: Buffer;
  readonly #vectors: Buffer;
  readonly #headers: Buffer;

  constructor(count: number, payloadBytes: number) {
    this.count = count;
    this.#payloadBytes = payloadBytes;
    this.#payloads = Buffer.alloc(count * payloadBytes);
    this.#names = Buffer.alloc(count * 28);
    this.#vectors = Buffer.alloc(count * 16);
    this.#headers = Buffer.alloc(count * MMSGHDR_BYTES);
    const payloads = koffi.address(this.#payloads) as bigint;
    const names = koffi.address(this.#names) as bigint;
    const vectors = koffi.address(this.#vectors) as bigint;
    for (let index = 0; index < count; index++) {
      const vector = index * 16;
      this.#vectors.writeBigUInt64LE(payloads + BigInt(index * payloadBytes), vector);
      this.#vectors.writeBigUInt64LE(BigInt(payloadBytes), vector + 8);
      const header = index * MMSGHDR_BYTES;
      this.#headers.writeBigUInt64LE(names + BigInt(index * 28), header);
      this.#headers.writeUInt32LE(0, header + 8);
      this.#headers.writeBigUInt64LE(vectors + BigInt(vector), header + 16);
      this.#headers.writeBigUInt64LE(1n, header + 24);
    }
  }

  payloadOf(index: number): Buffer {
    return this.#payloads.subarray(index * this.#payloadBytes, (index + 1) * this.#payloadBytes);
  }

  /** Sets where one datagram goes; without it, it goes to the connected peer. */
  setDestination(index: number, to: Buffer): void {
    this.#names.set(to, index * 28);
    this.#headers.writeUInt32LE(to.length, index * MMSGHDR_BYTES + 8);
  }

  /** Returns how many of the first `count` datagrams the kernel took. */
  send(fd: number, count: number): number {
    return Math.max(0, native.sendmmsg(fd, this.#headers, count, 0) as number);
  }

  /** Sends each received datagram back to where it came from, with its own length. */
  echo(fd: number, count: number): number {
    for (let index = 0; index < count; index++) {
      const bytes = this.#headers.readUInt32LE(index * MMSGHDR_BYTES + 56);
      this.#vectors.writeBigUInt64LE(BigInt(bytes), index * 16 + 8);
    }
    return this.send(fd, count);
  }

  /** Receives up to `count` datagrams and their senders; 0 when the timeout is over. */
  receive(fd: number, flags: number): number {
    for (let index = 0; index < this.count; index++) {
      this.#headers.writeUInt32LE(28, index * MMSGHDR_BYTES + 8);
      this.#vectors.writeBigUInt64LE(BigInt(this.#payloadBytes), index * 16 + 8);
    }
    return Math.max(0, native.recvmmsg(fd, this.#headers, this.count, flags, null) as number);
  }
}

/** Sends every datagram back to its sender until `untilMs` of performance.now(); returns how many. */
export function echoDatagrams(fd: number, batch: DatagramBatch, untilMs: number): number {
  let echoed = 0;
  while (performance.now() < untilMs) {
    const count = batch.receive(fd, MSG_WAITFORONE);
    if (count > 0) echoed += batch.echo(fd, count);
  }
  return echoed;
}
