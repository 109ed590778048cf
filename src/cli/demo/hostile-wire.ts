/**
 * Sends and sees whole frames at the interfaces of lab hosts: `node hostile-wire.js [{netns, interface}, …]`.
 *
 * Effect: packet sockets in other network namespaces, standard input and output; needs root. A line of JSON in:
 * {"id", "frames": [{"at": index, "bytes": base64}], "listenMs"}; one out: {"id", "seen": [{"at", "bytes"}]}.
 * Source: packet(7). Limit: FRAME_BYTES_MAX of each frame are seen.
 */
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import koffi from "koffi";
import { findInterface, inNetworkNamespace } from "../../lib/bpf/network-namespace.ts";

const FRAME_BYTES_MAX = 2048;
const POLL_MS = 5;
const AF_PACKET = 17;
const SOCK_RAW_NONBLOCK_CLOEXEC = 3 | 0o4000 | 0o2000000;
/** In network byte order, as the kernel wants it. A socket does not see what it sent itself. */
const ETH_P_ALL = 0x0300;
const SOCKADDR_LL_BYTES = 20;
const RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024;
const SOL_SOCKET = 1;
const SO_RCVBUFFORCE = 33;

const libc = koffi.load(null);
const native = {
  socket: libc.func("int socket(int domain, int type, int protocol)"),
  bind: libc.func("int bind(int fd, const uint8_t *address, uint32_t bytes)"),
  send: libc.func("int64_t send(int fd, const uint8_t *buffer, size_t bytes, int flags)"),
  recv: libc.func("int64_t recv(int fd, _Out_ uint8_t *buffer, size_t bytes, int flags)"),
  setsockopt: libc.func(
    "int setsockopt(int fd, int level, int name, const uint8_t *value, uint32_t bytes)",
  ),
};

interface Place {
  readonly netns: string;
  readonly interface: string;
}

interface Frame {
  readonly at: number;
  readonly bytes: string;
}

interface Order {
  readonly id: number;
  readonly frames: readonly Frame[];
  readonly listenMs: number;
}

function check(result: unknown, what: string): number {
  const number = Number(result);
  if (number >= 0) return number;
  process.stderr.write(`Cannot ${what}: errno ${koffi.errno()}\n`);
  process.exit(1);
}

/** A socket belongs to the namespace that it was made in. */
function open(place: Place): number {
  return inNetworkNamespace(place.netns, () => {
    const fd = check(
      native.socket(AF_PACKET, SOCK_RAW_NONBLOCK_CLOEXEC, 0),
      "open a packet socket",
    );
    const room = Buffer.alloc(4);
    room.writeInt32LE(RECEIVE_BUFFER_BYTES);
    check(native.setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, room, 4), "size a packet socket");
    const address = Buffer.alloc(SOCKADDR_LL_BYTES);
    address.writeUInt16LE(AF_PACKET, 0);
    address.writeUInt16LE(ETH_P_ALL, 2);
    address.writeInt32LE(findInterface(place.interface), 4);
    check(native.bind(fd, address, address.length), `bind a packet socket to ${place.interface}`);
    return fd;
  });
}

function receiveAll(fds: readonly number[], into: Frame[]): void {
  const buffer = Buffer.alloc(FRAME_BYTES_MAX);
  fds.forEach((fd, at) => {
    for (;;) {
      const bytes = Number(native.recv(fd, buffer, buffer.length, 0));
      if (bytes < 0) return; // Nothing waits.
      into.push({ at, bytes: buffer.subarray(0, bytes).toString("base64") });
    }
  });
}

async function carryOut({ id, frames, listenMs }: Order, fds: readonly number[]): Promise<void> {
  for (const { at, bytes } of frames) {
    const frame = Buffer.from(bytes, "base64");
    check(native.send(fds[at], frame, frame.length, 0), "send a frame");
  }
  const seen: Frame[] = [];
  const endMs = performance.now() + listenMs;
  do {
    await sleep(POLL_MS);
    receiveAll(fds, seen);
  } while (performance.now() < endMs);
  process.stdout.write(`${JSON.stringify({ id, seen })}\n`);
}

const fds = (JSON.parse(process.argv[2] ?? "[]") as Place[]).map(open);
const orders = createInterface({ input: process.stdin });
let last = Promise.resolve();
orders.on("line", (line) => {
  last = last.then(() => carryOut(JSON.parse(line) as Order, fds));
});
orders.on("close", () => process.exit(0));
