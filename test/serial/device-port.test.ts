/** The device port on real pseudo-terminals; python3 holds the other side. */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync, unlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { SILENT_LOG } from "../../src/lib/base/log.ts";
import { DevicePort } from "../../src/lib/serial/device-port.ts";
import { WRITE_QUEUE_BYTES_MAX } from "../../src/lib/serial/port.ts";
import { eventually } from "./eventually.ts";

/**
 * Prints the slave's name, then copies its own stdin to the master and the master to stdout. It keeps
 * the slave's default settings (echo, line editing): making it raw is the port's task.
 */
const MASTER = `
import os, pty, select, sys
master, slave = pty.openpty()
print(os.ttyname(slave), flush=True)
reading = len(sys.argv) < 2
while True:
    ready, _, _ = select.select([0] + ([master] if reading else []), [], [])
    if 0 in ready:
        data = os.read(0, 65536)
        if not data: break
        os.write(master, data)
    if master in ready:
        os.write(1, os.read(master, 65536))
`;

interface Master {
  readonly process: ChildProcessWithoutNullStreams;
  readonly received: () => Buffer;
}

let folder = "";
let link = "";
const cleanups: (() => unknown)[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "flowlift-pty-"));
  link = join(folder, "port");
});
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  rmSync(folder, { recursive: true });
});

async function startMaster(...args: string[]): Promise<Master> {
  const process = spawn("python3", ["-c", MASTER, ...args]);
  cleanups.push(() => process.kill("SIGKILL"));
  let output = Buffer.alloc(0);
  let name = "";
  await new Promise<void>((resolve) => {
    process.stdout.on("data", (bytes: Buffer) => {
      output = Buffer.concat([output, bytes]);
      const end = output.indexOf(10);
      if (name !== "" || end < 0) return;
      name = output.subarray(0, end).toString();
      output = output.subarray(end + 1);
      resolve();
    });
  });
  symlinkSync(name, link);
  return { process, received: () => output };
}

function openDevice(): { port: DevicePort; said: string[]; data: () => Buffer } {
  const port = new DevicePort(link, SILENT_LOG);
  const said: string[] = [];
  let data = Buffer.alloc(0);
  port.onUp = () => said.push("up");
  port.onDown = () => said.push("down");
  port.onData = (bytes) => {
    data = Buffer.concat([data, bytes]);
  };
  cleanups.push(() => port.close());
  return { port, said, data: () => data };
}

/** Every byte value: line editing or translation would change some, echo would send them back. */
const ALL_BYTES = Buffer.from(Array.from({ length: 256 }, (_, value) => value));

test("a device port is raw: every byte value passes both ways, unchanged and without echo", async () => {
  const master = await startMaster();
  const { port, said, data } = openDevice();
  await eventually(() => expect(said).toEqual(["up"]));
  master.process.stdin.write(ALL_BYTES);
  await eventually(() => expect(data().equals(ALL_BYTES)).toBe(true));
  expect(master.received().length).toBe(0);
  expect(port.write(ALL_BYTES)).toBe(true);
  await eventually(() => expect(master.received().equals(ALL_BYTES)).toBe(true));
});

test("a device port writes more than the device takes at once, in order", async () => {
  const master = await startMaster();
  const { port } = openDevice();
  await eventually(() => expect(port.isUp).toBe(true));
  const bytes = Buffer.alloc(300_000, ALL_BYTES);
  expect(port.write(bytes.subarray(0, 100_000))).toBe(true);
  expect(port.write(bytes.subarray(100_000))).toBe(true);
  await eventually(() => expect(master.received().length).toBe(bytes.length));
  expect(master.received().equals(bytes)).toBe(true);
  expect(port.queuedBytes).toBe(0);
});

test("a device port whose peer does not read refuses a write beyond its queue, and never blocks", async () => {
  await startMaster("deaf");
  const { port } = openDevice();
  await eventually(() => expect(port.isUp).toBe(true));
  const piece = Buffer.alloc(1024 * 1024);
  let taken = 0;
  while (port.write(piece)) taken++;
  expect(taken).toBeGreaterThanOrEqual(WRITE_QUEUE_BYTES_MAX / piece.length);
  const room = WRITE_QUEUE_BYTES_MAX - port.queuedBytes;
  expect(port.write(Buffer.alloc(room + 1))).toBe(false);
  expect(port.write(Buffer.alloc(room))).toBe(true);
  expect(port.write(Buffer.alloc(1))).toBe(false);
});

test("a device port waits for a device that is not there yet", async () => {
  const { said } = openDevice();
  await startMaster();
  await eventually(() => expect(said).toEqual(["up"]));
});

test("a device port without a peer does not spin, and finds the next device at its path", async () => {
  const master = await startMaster();
  const { port, said, data } = openDevice();
  await eventually(() => expect(said).toEqual(["up"]));
  master.process.kill("SIGKILL");
  await eventually(() => expect(said).toEqual(["up", "down"]));
  const before = process.cpuUsage();
  await new Promise((resolve) => setTimeout(resolve, 200));
  const used = process.cpuUsage(before);
  // A busy loop would use all of the time.
  expect((used.user + used.system) / 1000).toBeLessThan(100);
  expect(port.write(Buffer.from("x"))).toBe(false);
  unlinkSync(link);
  const next = await startMaster();
  next.process.stdin.write("again");
  await eventually(() => expect(data().toString()).toBe("again"));
  expect(said).toEqual(["up", "down", "up"]);
});

test("close() ends a device port; it writes nothing any more", async () => {
  await startMaster();
  const { port, said } = openDevice();
  await eventually(() => expect(said).toEqual(["up"]));
  await port.close();
  expect(said).toEqual(["up", "down"]);
  expect(port.write(Buffer.from("x"))).toBe(false);
});
