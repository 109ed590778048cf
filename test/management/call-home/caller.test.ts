import { createServer, type Server, type Socket } from "node:net";
import { afterEach, expect, test } from "vitest";
import { MONOTONIC_CLOCK } from "../../../src/lib/base/clock.ts";
import { SILENT_LOG } from "../../../src/lib/base/log.ts";
import type { CalledClient } from "../../../src/management/call-home/call-home-config.ts";
import { Caller } from "../../../src/management/call-home/caller.ts";

const servers: Server[] = [];
const callers: Caller[] = [];
afterEach(() => {
  for (const caller of callers.splice(0)) caller.stop();
  for (const server of servers.splice(0)) server.close();
});

async function listen(): Promise<{ port: number; sockets: Socket[] }> {
  const sockets: Socket[] = [];
  const server = createServer((socket) => sockets.push(socket.on("error", () => {}).resume()));
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  return { port: typeof address === "object" ? (address?.port ?? 0) : 0, sockets };
}

function call(ports: readonly number[], more: Partial<CalledClient> = {}): Caller {
  const client: CalledClient = {
    ...{ name: "one", transport: "ssh", keepaliveMs: 15_000 },
    endpoints: ports.map((port) => ({ name: `at-${port}`, host: "127.0.0.1", port })),
    strategy: { startWith: "first-listed", maxWaitMs: 500, maxAttempts: 1, maxBackOffMs: 20 },
    ...more,
  };
  const options = { client, clock: MONOTONIC_CLOCK, log: SILENT_LOG };
  const caller = new Caller({ ...options, serve: (socket) => socket.write("hello") });
  callers.push(caller);
  caller.start();
  return caller;
}

const until = async (condition: () => boolean): Promise<void> => {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
};

test("a dead endpoint is told, the next one is connected, and called again when it hangs up", async () => {
  const dead = await listen();
  await new Promise((resolve) => servers.shift()?.close(resolve));
  const alive = await listen();
  const caller = call([dead.port, alive.port]);
  await until(() => alive.sockets.length === 1);
  expect(caller.state).toMatchObject({ status: "connected", endpoint: `at-${alive.port}` });
  expect(caller.state).toMatchObject({ attempts: "2", connections: "1" });
  alive.sockets[0]?.destroy();
  await until(() => caller.state["last-problem"] !== undefined);
  expect(caller.state["last-problem"]).toContain(`at-${dead.port}: connect ECONNREFUSED`);
  await until(() => alive.sockets.length === 2);
});

test("a periodic connection is ended when it is idle, not while something is sent", async () => {
  const peer = await listen();
  call([peer.port], { periodic: { periodMs: 50, idleMs: 160 } });
  await until(() => peer.sockets.length === 1);
  let isClosed = false;
  peer.sockets[0]?.once("close", () => {
    isClosed = true;
  });
  for (let count = 0; count < 10; count++) {
    peer.sockets[0]?.write("x");
    await new Promise((resolve) => setTimeout(resolve, 40));
  }
  expect(isClosed).toBe(false);
  await until(() => isClosed);
  await until(() => peer.sockets.length === 2);
});

test("stop() ends the connection, and nothing is called any more", async () => {
  const peer = await listen();
  const caller = call([peer.port]);
  await until(() => peer.sockets.length === 1);
  let isClosed = false;
  peer.sockets[0]?.once("close", () => {
    isClosed = true;
  });
  caller.stop();
  await until(() => isClosed);
  await new Promise((resolve) => setTimeout(resolve, 60));
  expect(peer.sockets).toHaveLength(1);
});
