/**
 * Runs inside a namespace: makes flows. Usage: node conntrack-traffic.mjs udp ADDRESS COUNT, `tcp-server PORT`,
 * or `tcp ADDRESS PORT [quiet]` (connects, exchanges lines, or one only, and ends when its standard input ends).
 */
import { createSocket } from "node:dgram";
import { connect, createServer } from "node:net";

const [what, ...rest] = process.argv.slice(2);

async function udp(address, count) {
  const socket = createSocket("udp4");
  await new Promise((resolve) => socket.bind(0, resolve));
  const DATAGRAMS_PER_TURN = 200;
  const send = (port) => new Promise((resolve) => socket.send("x", port, address, resolve));
  for (let first = 0; first < count; first += DATAGRAMS_PER_TURN) {
    const ports = Array.from({ length: Math.min(DATAGRAMS_PER_TURN, count - first) }, (_, i) => i);
    await Promise.all(ports.map((index) => send(1024 + first + index)));
  }
  await new Promise((resolve) => socket.close(resolve));
  process.stdout.write("DONE\n");
}

function serveTcp(port) {
  createServer((socket) => {
    socket.on("error", () => {});
    socket.pipe(socket);
  }).listen(port, () => process.stdout.write("READY\n"));
}

function openTcp(address, port, manner) {
  const socket = connect(port, address, () => socket.write("hello"));
  socket.once("data", () => process.stdout.write("READY\n"));
  const PAUSE_MS = 10;
  const again = () => setTimeout(() => socket.writable && socket.write("again"), PAUSE_MS);
  if (manner !== "quiet") socket.on("data", again);
  socket.on("error", () => process.stdout.write("CUT\n"));
  process.stdin.on("end", () => socket.end());
  process.stdin.resume();
}

if (what === "udp") await udp(rest[0], Number(rest[1]));
else if (what === "tcp-server") serveTcp(Number(rest[0]));
else openTcp(rest[0], Number(rest[1]), rest[2]);
