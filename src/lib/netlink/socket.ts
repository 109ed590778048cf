/**
 * The one file that opens netlink sockets.
 *
 * Effect: socket(2) calls of the C library, through koffi. Nothing here knows what messages mean.
 *
 * Use: `new NetlinkSocket(NETLINK_ROUTE, { groups: [RTNLGRP_NEIGH] })`, then either `onReadable(read)` with
 * `receiveBatch()` in it for events, or `request.ts` for questions and answers. Sockets are non-blocking and
 * the event loop waits for them (epoll): nobody polls and nobody blocks a thread.
 *
 * Source: linux/netlink.h; recvmmsg(2); netlink(7).
 * Limit: BATCH_MESSAGES_MAX datagrams of DATAGRAM_BYTES_MAX for each receiveBatch().
 */
import { endianness } from "node:os";
import koffi from "koffi";
import { assert } from "../base/assert.ts";
import { FlowliftError } from "../base/errors.ts";
import { makePortFilter, PORT_FILTER_COUNT } from "./port-filter.ts";

export const NETLINK_ROUTE = 0;
export const NETLINK_NETFILTER = 12;

/** Datagrams taken by one system call. */
export const BATCH_MESSAGES_MAX = 256;
/** A longer datagram is cut by the kernel and reported as an overrun. */
export const DATAGRAM_BYTES_MAX = 8192;
/** Answers to a dump: the kernel fills up to 32 KiB for each receive when it sees such a buffer. */
const ANSWER_BYTES_MAX = 65_536;

export const ENOENT = 2;
export const EINTR = 4;
export const EAGAIN = 11;
export const ENOBUFS = 105;

const AF_NETLINK = 16;
const SOCK_RAW = 3;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SO_SNDBUF = 7;
const SO_RCVBUF = 8;
const SO_ATTACH_FILTER = 26;
const SO_SNDBUFFORCE = 32;
const SO_RCVBUFFORCE = 33;
const SOL_NETLINK = 270;
const NETLINK_ADD_MEMBERSHIP = 1;
const NETLINK_EXT_ACK = 11;
const NETLINK_CAP_ACK = 10;
const MSG_DONTWAIT = 0x40;
const MSG_TRUNC = 0x20;
const SOCKADDR_BYTES = 12;
const SOCKADDR_PORT_OFFSET = 4;
/** struct mmsghdr and struct iovec of every 64-bit Linux. */
const MMSGHDR_BYTES = 64;
const MSGHDR_IOV_OFFSET = 16;
const MSGHDR_IOVLEN_OFFSET = 24;
const MSGHDR_FLAGS_OFFSET = 48;
const MMSGHDR_LEN_OFFSET = 56;
const IOVEC_BYTES = 16;

assert(endianness() === "LE", "the machine is little-endian");

const libc = koffi.load(null);
const sysSocket = libc.func("int socket(int domain, int type, int protocol)");
const sysBind = libc.func("int bind(int fd, const void *address, uint32_t length)");
const sysGetsockname = libc.func(
  "int getsockname(int fd, _Out_ void *address, _Inout_ uint32_t *length)",
);
const sysSetsockopt = libc.func(
  "int setsockopt(int fd, int level, int name, const void *value, uint32_t length)",
);
const sysSendto = libc.func(
  "int64_t sendto(int fd, const void *bytes, size_t length, int flags, const void *to, uint32_t n)",
);
const sysRecv = libc.func("int64_t recv(int fd, _Out_ void *bytes, size_t length, int flags)");
const sysRecvmmsg = libc.func(
  "int recvmmsg(int fd, void *messages, unsigned int count, int flags, void *timeout)",
);
const sysClose = libc.func("int close(int fd)");

/** A netlink operation that the kernel refused; `errno` says why. */
export class NetlinkError extends FlowliftError {
  readonly errno: number;

  constructor(action: string, errno: number, detail = "") {
    super("NETLINK_REQUEST_FAILED", `Cannot ${action}: errno ${errno}${detail && ` (${detail})`}`);
    this.errno = errno;
  }
}

export interface NetlinkSocketOptions {
  readonly groups?: readonly number[];
  /** Receive buffer; set with SO_RCVBUFFORCE, or as far as SO_RCVBUF allows without CAP_NET_ADMIN. */
  readonly receiveBytes?: number;
  readonly sendBytes?: number;
  /** What this port's requests caused is dropped by the kernel. */
  readonly ignoredPort?: number;
}

export interface EventBatch {
  /** Whole datagrams behind each other, each padded to 4; owned by the caller. */
  readonly bytes: ArrayBuffer;
  /** Datagrams were lost before this batch (ENOBUFS) or one was cut. */
  readonly overrun: boolean;
  /** Probably nothing is left to read now. */
  readonly drained: boolean;
}

interface Slab {
  readonly memory: unknown;
  readonly headers: DataView;
  readonly data: Uint8Array;
}

/** One netlink socket. Not shared between threads. */
export class NetlinkSocket {
  #fd: number;
  readonly #peer: Uint8Array = makeAddress();
  readonly #answer: Uint8Array = new Uint8Array(ANSWER_BYTES_MAX);
  #slab: Slab | undefined;
  #poll: ReturnType<typeof koffi.node.poll> | undefined;

  constructor(protocol: number, options: NetlinkSocketOptions = {}) {
    const type = SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC;
    this.#fd = check(sysSocket(AF_NETLINK, type, protocol), "open a netlink socket");
    try {
      if (options.receiveBytes !== undefined) {
        this.#setBuffer(SO_RCVBUFFORCE, SO_RCVBUF, options.receiveBytes);
      }
      if (options.sendBytes !== undefined) {
        this.#setBuffer(SO_SNDBUFFORCE, SO_SNDBUF, options.sendBytes);
      }
      check(sysBind(this.#fd, makeAddress(), SOCKADDR_BYTES), "bind a netlink socket");
      this.#setOption(SOL_NETLINK, NETLINK_CAP_ACK, 1);
      this.#setOption(SOL_NETLINK, NETLINK_EXT_ACK, 1);
      if (options.ignoredPort !== undefined) this.#ignore(options.ignoredPort);
      for (const group of options.groups ?? []) {
        check(
          this.#setOption(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group),
          `join netlink group ${group}`,
        );
      }
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Returns the number by which the kernel knows the socket. */
  get port(): number {
    const address = new Uint8Array(SOCKADDR_BYTES);
    check(sysGetsockname(this.#fd, address, [SOCKADDR_BYTES]), "read a netlink socket's port");
    return new DataView(address.buffer).getUint32(SOCKADDR_PORT_OFFSET, true);
  }

  /** Sends to the kernel, which has done the whole request when this returns. */
  send(bytes: Uint8Array): void {
    const sent = Number(sysSendto(this.#fd, bytes, bytes.length, 0, this.#peer, SOCKADDR_BYTES));
    check(sent, "send a netlink request");
  }

  /** Returns the next datagram, valid until the next call; undefined when none waits. */
  receive(): { readonly bytes: Uint8Array } | "overrun" | undefined {
    for (;;) {
      const count = Number(sysRecv(this.#fd, this.#answer, ANSWER_BYTES_MAX, MSG_DONTWAIT));
      if (count >= 0) return { bytes: this.#answer.subarray(0, count) };
      const errno = koffi.errno();
      if (errno === EAGAIN) return undefined;
      if (errno === ENOBUFS) return "overrun";
      if (errno !== EINTR) throw new NetlinkError("receive from a netlink socket", errno);
    }
  }

  /** Takes what waits, up to BATCH_MESSAGES_MAX datagrams, with one system call. */
  receiveBatch(): EventBatch {
    this.#slab ??= makeSlab();
    const { memory, headers, data } = this.#slab;
    const count = sysRecvmmsg(this.#fd, memory, BATCH_MESSAGES_MAX, MSG_DONTWAIT, null) as number;
    if (count < 0) {
      const errno = koffi.errno();
      if (errno === EAGAIN || errno === EINTR) {
        return { bytes: new ArrayBuffer(0), overrun: false, drained: errno === EAGAIN };
      }
      if (errno === ENOBUFS) return { bytes: new ArrayBuffer(0), overrun: true, drained: false };
      throw new NetlinkError("receive from a netlink socket", errno);
    }
    return { ...compact(headers, data, count), drained: count < BATCH_MESSAGES_MAX };
  }

  /** Calls `read` whenever something can be read; the socket keeps the process alive. */
  onReadable(read: () => void): void {
    assert(this.#poll === undefined, "a socket has one reader");
    this.#poll = koffi.node.poll(this.#fd, { readable: true }, read);
  }

  close(): void {
    this.#poll?.close();
    this.#poll = undefined;
    if (this.#fd >= 0) sysClose(this.#fd);
    this.#fd = -1;
    if (this.#slab !== undefined) koffi.free(this.#slab.memory);
    this.#slab = undefined;
  }

  #setOption(level: number, name: number, value: number): number {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setInt32(0, value, true);
    return sysSetsockopt(this.#fd, level, name, bytes, bytes.length) as number;
  }

  /** The kernel copies the program. */
  #ignore(port: number): void {
    const filter = makePortFilter(port);
    const memory = koffi.alloc("uint8_t", filter.length) as unknown;
    new Uint8Array(koffi.view(memory, filter.length)).set(filter);
    const program = new Uint8Array(16);
    const view = new DataView(program.buffer);
    view.setUint16(0, PORT_FILTER_COUNT, true);
    view.setBigUint64(8, koffi.address(memory), true);
    const result = sysSetsockopt(this.#fd, SOL_SOCKET, SO_ATTACH_FILTER, program, program.length);
    koffi.free(memory);
    check(result, "filter a netlink socket");
  }

  #setBuffer(forced: number, plain: number, bytes: number): void {
    if (this.#setOption(SOL_SOCKET, forced, bytes) >= 0) return;
    check(this.#setOption(SOL_SOCKET, plain, bytes), "size a netlink socket's buffer");
  }
}

function check(result: number, action: string): number {
  if (result < 0) throw new NetlinkError(action, koffi.errno());
  return result;
}

function makeAddress(): Uint8Array {
  const address = new Uint8Array(SOCKADDR_BYTES);
  new DataView(address.buffer).setUint16(0, AF_NETLINK, true);
  return address;
}

/** Lays out mmsghdr[], iovec[] and the datagrams behind each other in memory that never moves. */
function makeSlab(): Slab {
  const iovecsAt = BATCH_MESSAGES_MAX * MMSGHDR_BYTES;
  const dataAt = iovecsAt + BATCH_MESSAGES_MAX * IOVEC_BYTES;
  const bytes = dataAt + BATCH_MESSAGES_MAX * DATAGRAM_BYTES_MAX;
  const memory = koffi.alloc("uint8_t", bytes) as unknown;
  const base = koffi.address(memory);
  const whole = new Uint8Array(koffi.view(memory, bytes));
  whole.fill(0, 0, dataAt);
  const headers = new DataView(whole.buffer, 0, dataAt);
  for (let index = 0; index < BATCH_MESSAGES_MAX; index++) {
    const iovecAt = iovecsAt + index * IOVEC_BYTES;
    const header = index * MMSGHDR_BYTES;
    headers.setBigUint64(header + MSGHDR_IOV_OFFSET, base + BigInt(iovecAt), true);
    headers.setBigUint64(header + MSGHDR_IOVLEN_OFFSET, 1n, true);
    const at = base + BigInt(dataAt + index * DATAGRAM_BYTES_MAX);
    headers.setBigUint64(iovecAt, at, true);
    headers.setBigUint64(iovecAt + 8, BigInt(DATAGRAM_BYTES_MAX), true);
  }
  return { memory, headers, data: whole.subarray(dataAt) };
}

function compact(
  headers: DataView,
  data: Uint8Array,
  count: number,
): { readonly bytes: ArrayBuffer; readonly overrun: boolean } {
  let total = 0;
  let overrun = false;
  for (let index = 0; index < count; index++) {
    const header = index * MMSGHDR_BYTES;
    total += (headers.getUint32(header + MMSGHDR_LEN_OFFSET, true) + 3) & ~3;
    if ((headers.getInt32(header + MSGHDR_FLAGS_OFFSET, true) & MSG_TRUNC) !== 0) overrun = true;
  }
  const bytes = new Uint8Array(total);
  let at = 0;
  for (let index = 0; index < count; index++) {
    const length = headers.getUint32(index * MMSGHDR_BYTES + MMSGHDR_LEN_OFFSET, true);
    const from = index * DATAGRAM_BYTES_MAX;
    bytes.set(data.subarray(from, from + length), at);
    at += (length + 3) & ~3;
  }
  return { bytes: bytes.buffer, overrun };
}
