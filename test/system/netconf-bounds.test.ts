/** The SSH server at its bounds of connections, time and attempts, with real sockets. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import ssh2 from "ssh2";
import { afterEach, beforeEach, expect, test } from "vitest";
import { MONOTONIC_CLOCK } from "../../src/lib/base/clock.ts";
import { SILENT_LOG } from "../../src/lib/base/log.ts";
import {
  AUTHENTICATION_ATTEMPTS_MAX,
  CONNECTIONS_MAX,
  SshServer,
} from "../../src/management/ssh-server.ts";
import { UserDirectory } from "../../src/management/users.ts";

const SHORT_LOGIN_MS = 1_000;
const USER = "operator";
const makeKey = (): string => ssh2.utils.generateKeyPairSync("ed25519").private;
const RIGHT = ssh2.utils.generateKeyPairSync("ed25519");

let server: SshServer;
let folder: string;
let sockets: Socket[];

async function start(loginTimeoutMs?: number): Promise<void> {
  server = new SshServer({
    hostKey: makeKey(),
    authenticator: new UserDirectory({
      recoveryUsers: [USER],
      recoveryKeysFile: join(folder, "keys"),
      configured: () => new Map(),
      clock: MONOTONIC_CLOCK,
      log: SILENT_LOG,
    }),
    listen: [{ kind: "address", address: "127.0.0.1", port: 0 }],
    log: SILENT_LOG,
    ...(loginTimeoutMs === undefined ? {} : { loginTimeoutMs }),
    mayAccept: () => true,
    onClient: () => {},
  });
  await server.start();
}

beforeEach(async () => {
  sockets = [];
  folder = mkdtempSync(join(tmpdir(), "flowlift-bounds-"));
  writeFileSync(join(folder, "keys"), RIGHT.public);
  await start();
});
afterEach(() => {
  for (const socket of sockets) socket.destroy();
  server.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Resolves with the server's greeting, or with "closed". */
function greet(): Promise<string> {
  const socket = connect(server.ports[0] ?? 0, "127.0.0.1");
  sockets.push(socket);
  return new Promise((resolve) => {
    socket.once("data", (bytes) => resolve(bytes.toString().slice(0, 4)));
    socket.once("close", () => resolve("closed"));
    socket.once("error", () => resolve("closed"));
  });
}

test("one connection more than CONNECTIONS_MAX is closed, and one that ends makes room", async () => {
  const greetings: string[] = [];
  for (let count = 0; count < CONNECTIONS_MAX; count++) greetings.push(await greet());
  expect(new Set(greetings)).toEqual(new Set(["SSH-"]));
  expect(await greet()).toBe("closed");
  const [first] = sockets;
  const gone = new Promise((resolve) => first?.once("close", resolve));
  first?.destroy();
  await gone;
  let last = "closed";
  for (let tries = 0; tries < 50 && last === "closed"; tries++) last = await greet();
  expect(last).toBe("SSH-");
});

/** Offers `wrong` keys, then the right one; opens the subsystem if `asks`. */
function login(wrong: number, asks: boolean): Promise<{ client: ssh2.Client; isIn: boolean }> {
  const client = new ssh2.Client();
  const keys = [...Array.from({ length: wrong }, makeKey), RIGHT.private];
  const offers = keys.map((key) => ({ type: "publickey" as const, username: USER, key }));
  return new Promise((resolve) => {
    client.once("ready", () => {
      if (!asks) resolve({ client, isIn: true });
      else client.subsys("netconf", () => resolve({ client, isIn: true }));
    });
    client.on("error", () => resolve({ client, isIn: false }));
    client.once("close", () => resolve({ client, isIn: false }));
    client.connect({
      host: "127.0.0.1",
      port: server.ports[0] ?? 0,
      username: USER,
      authHandler: offers,
    });
  });
}

/** The right key takes two: whether it would do, and its signature. */
const WRONG_MAX = AUTHENTICATION_ATTEMPTS_MAX - 2;

test.each([
  [WRONG_MAX - 1, true],
  [WRONG_MAX, true],
  [WRONG_MAX + 1, false],
])("after %i wrong keys the right one still opens the door: %s", async (wrong, opens) => {
  const { client, isIn } = await login(wrong, true);
  client.end();
  expect(isIn).toBe(opens);
});

test("a connection that does not reach the subsystem in time is closed, whatever it has done", async () => {
  server.close();
  await start(SHORT_LOGIN_MS);
  const startedMs = performance.now();
  const closed = (emitter: NodeJS.EventEmitter): Promise<number> =>
    new Promise((resolve) => {
      emitter.once("close", () => resolve(performance.now() - startedMs));
    });
  const silent = connect(server.ports[0] ?? 0, "127.0.0.1");
  sockets.push(silent);
  silent.on("error", () => {});
  const idle = await login(0, false);
  const served = await login(0, true);
  let isServed = true;
  served.client.once("close", () => {
    isServed = false;
  });
  const times = await Promise.all([closed(silent.resume()), closed(idle.client)]);
  for (const ms of times) expect(ms).toBeGreaterThanOrEqual(SHORT_LOGIN_MS - 1);
  await new Promise((resolve) => setTimeout(resolve, SHORT_LOGIN_MS));
  expect(isServed).toBe(true);
  served.client.end();
});
