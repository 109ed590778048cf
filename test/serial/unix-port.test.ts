import { chmodSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { SILENT_LOG } from "../../src/lib/base/log.ts";
import { openSerialPort } from "../../src/lib/serial/open-port.ts";
import {
  BACKOFF_MAX_MS,
  BACKOFF_MIN_MS,
  backoffMs,
  type SerialPort,
  WRITE_QUEUE_BYTES_MAX,
} from "../../src/lib/serial/port.ts";
import { eventually } from "./eventually.ts";

let folder = "";
let path = "";
const cleanups: (() => unknown)[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "flowlift-serial-"));
  path = join(folder, "port.sock");
});
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  rmSync(folder, { recursive: true });
});

/** Opens a port and records what it says. */
async function open(mode: "connect" | "listen"): Promise<{ port: SerialPort; said: string[] }> {
  const port = await openSerialPort({ kind: "unix", path, mode }, SILENT_LOG);
  const said: string[] = [];
  port.onUp = () => said.push("up");
  port.onDown = () => said.push("down");
  port.onData = (bytes) => said.push(bytes.toString());
  cleanups.push(() => port.close());
  return { port, said };
}

function dial(): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(path, () => resolve(socket));
    socket.once("error", reject);
    cleanups.push(() => socket.destroy());
  });
}

function listen(onSocket: (socket: Socket) => void): Promise<Server> {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on("error", () => {});
    onSocket(socket);
  });
  cleanups.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return new Promise((resolve) => server.listen(path, () => resolve(server)));
}

test("a connecting port waits for its socket, connects, and connects again", async () => {
  const { port, said } = await open("connect");
  expect(port.write(Buffer.from("x"))).toBe(false);
  const received: string[] = [];
  let sockets: Socket[] = [];
  const server = await listen((socket) => {
    sockets.push(socket);
    socket.on("data", (bytes) => received.push(bytes.toString()));
    socket.write("hello");
  });
  await eventually(() => expect(said).toEqual(["up", "hello"]));
  expect(port.write(Buffer.from("one"))).toBe(true);
  await eventually(() => expect(received).toEqual(["one"]));
  sockets[0]?.destroy();
  sockets = [];
  await eventually(() => expect(said).toEqual(["up", "hello", "down", "up", "hello"]));
  expect(server.listening).toBe(true);
});

test("a listening port has mode 0660 and takes one connection, the newest", async () => {
  const { port, said } = await open("listen");
  expect(statSync(path).mode & 0o777).toBe(0o660);
  const first = await dial();
  const firstEnded = new Promise((resolve) => first.once("close", resolve));
  first.write("a");
  await eventually(() => expect(said).toEqual(["up", "a"]));
  const second = await dial();
  await firstEnded;
  second.write("b");
  await eventually(() => expect(said).toEqual(["up", "a", "down", "up", "b"]));
  const answer = new Promise((resolve) =>
    second.once("data", (bytes) => resolve(bytes.toString())),
  );
  expect(port.write(Buffer.from("to the newest"))).toBe(true);
  expect(await answer).toBe("to the newest");
});

test("a listening port replaces a stale socket file, but not one that answers", async () => {
  const owner = await listen(() => {});
  await expect(open("listen")).rejects.toMatchObject({ code: "PORT_IN_USE" });
  expect(owner.listening).toBe(true);
});

test("a listening port replaces the socket file of a killed process", async () => {
  const { spawnSync } = await import("node:child_process");
  const bind = "import socket,sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])";
  spawnSync("python3", ["-c", bind, path]);
  expect(statSync(path).isSocket()).toBe(true);
  const { said } = await open("listen");
  await dial();
  await eventually(() => expect(said).toEqual(["up"]));
});

test("a listening port refuses a path that is a file, and one that cannot be made", async () => {
  writeFileSync(path, "");
  await expect(open("listen")).rejects.toMatchObject({ code: "SERIAL_PORT_FAILED" });
  path = join(folder, "no/such/folder.sock");
  await expect(open("listen")).rejects.toMatchObject({ code: "SERIAL_PORT_FAILED" });
  chmodSync(folder, 0o700);
});

test("a port takes WRITE_QUEUE_BYTES_MAX for a peer that does not read, and refuses more", async () => {
  const { port } = await open("listen");
  const peer = await dial();
  peer.pause();
  await eventually(() => expect(port.isUp).toBe(true));
  const piece = Buffer.alloc(1024 * 1024);
  let taken = 0;
  while (port.write(piece)) taken++;
  expect(taken).toBeGreaterThanOrEqual(WRITE_QUEUE_BYTES_MAX / piece.length);
  expect(port.queuedBytes).toBeLessThanOrEqual(WRITE_QUEUE_BYTES_MAX);
  const room = WRITE_QUEUE_BYTES_MAX - port.queuedBytes;
  expect(port.write(Buffer.alloc(room + 1))).toBe(false);
  if (room > 0) expect(port.write(Buffer.alloc(room))).toBe(true);
  expect(port.write(Buffer.alloc(1))).toBe(false);
});

test("close() ends connecting, listening and connections, twice without harm", async () => {
  const listening = await open("listen");
  const peer = await dial();
  await eventually(() => expect(listening.port.isUp).toBe(true));
  const ended = new Promise((resolve) => peer.once("close", resolve));
  await listening.port.close();
  await listening.port.close();
  await ended;
  expect(listening.port.isUp).toBe(false);
  expect(listening.port.write(Buffer.from("x"))).toBe(false);
});

test("backoffMs() doubles from BACKOFF_MIN_MS and stays at BACKOFF_MAX_MS", () => {
  expect(backoffMs(0)).toBe(BACKOFF_MIN_MS);
  expect(backoffMs(1)).toBe(2 * BACKOFF_MIN_MS);
  expect(backoffMs(1_000_000)).toBe(BACKOFF_MAX_MS);
});
