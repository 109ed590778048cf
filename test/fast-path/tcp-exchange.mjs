// TCP for tests: both ends send the same number of bytes at once and check what they get by its hash.
// `server PORT`; `client SERVER PORT SOURCE_PORT BYTES` prints how it went. A request is the byte count, 8 bytes.
import { createHash } from "node:crypto";
import { connect, createServer } from "node:net";

const BLOCK_BYTES = 65536;
const HASH_BYTES = 20;
const [role, ...rest] = process.argv.slice(2);

function makeBlock(seed) {
  return Buffer.from(Array.from({ length: BLOCK_BYTES }, (_, at) => (at * 131 + seed) & 0xff));
}

async function sendBytes(socket, bytes) {
  const hash = createHash("sha1");
  const block = makeBlock(bytes % 251);
  for (let sent = 0; sent < bytes; sent += block.length) {
    const part = block.subarray(0, Math.min(block.length, bytes - sent));
    part.writeUInt32BE(sent >>> 0, 0);
    const copy = Buffer.from(part);
    hash.update(copy);
    if (!socket.write(copy)) await new Promise((resolve) => socket.once("drain", resolve));
  }
  socket.write(hash.digest());
}

function receiveBytes(socket, bytes, rest) {
  const hash = createHash("sha1");
  let received = 0;
  let tail = Buffer.alloc(0);
  return new Promise((resolve) => {
    const take = (chunk) => {
      const part = chunk.subarray(0, bytes - received);
      hash.update(part);
      received += part.length;
      tail = Buffer.concat([tail, chunk.subarray(part.length)]);
      if (tail.length < HASH_BYTES) return;
      socket.off("data", take);
      resolve(hash.digest().equals(tail.subarray(0, HASH_BYTES)));
    };
    socket.on("data", take);
    socket.on("error", () => resolve(false));
    socket.on("close", () => resolve(false));
    if (rest.length > 0) take(rest);
  });
}

if (role === "server") {
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", async (first) => {
      const bytes = Number(first.readBigUInt64BE(0));
      const received = receiveBytes(socket, bytes, first.subarray(8));
      await sendBytes(socket, bytes);
      socket.end(Buffer.from([(await received) ? 1 : 0]));
    });
  });
  server.listen(Number(rest[0]));
} else {
  const [host, port, localPort, count] = rest;
  const bytes = Number(count);
  const socket = connect({ host, port: Number(port), localPort: Number(localPort) });
  await new Promise((resolve) => socket.once("connect", resolve));
  const request = Buffer.alloc(8);
  request.writeBigUInt64BE(BigInt(bytes), 0);
  socket.write(request);
  let last = Buffer.alloc(0);
  const received = receiveBytes(socket, bytes, Buffer.alloc(0));
  socket.on("data", (chunk) => {
    last = chunk.subarray(-1);
  });
  const ended = new Promise((resolve) => socket.once("end", resolve));
  await sendBytes(socket, bytes);
  const mine = await received;
  await ended;
  const theirs = last[0] === 1;
  process.stdout.write(mine && theirs ? "both directions arrived whole\n" : `${mine} ${theirs}\n`);
  socket.destroy();
}
