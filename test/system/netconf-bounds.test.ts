/** The SSH server at its bound of connections, with real sockets. */
import { connect, type Socket } from "node:net";
import ssh2 from "ssh2";
import { afterEach, beforeEach, expect, test } from "vitest";
import { SILENT_LOG } from "../../src/lib/base/log.ts";
import { CONNECTIONS_MAX, SshServer } from "../../src/management/ssh-server.ts";

let server: SshServer;
let sockets: Socket[];

beforeEach(async () => {
  sockets = [];
  server = new SshServer({
    hostKey: ssh2.utils.generateKeyPairSync("ed25519").private,
    authorizedKeysFile: "/nonexistent",
    users: [],
    listen: [{ kind: "address", address: "127.0.0.1", port: 0 }],
    log: SILENT_LOG,
    mayAccept: () => true,
    onClient: () => {},
  });
  await server.start();
});
afterEach(() => {
  for (const socket of sockets) socket.destroy();
  server.close();
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
