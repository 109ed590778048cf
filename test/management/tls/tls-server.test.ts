import { once } from "node:events";
import { connect as connectTcp, type Socket } from "node:net";
import { type ConnectionOptions, connect, type TLSSocket } from "node:tls";
import { afterEach, expect, test } from "vitest";
import { SILENT_LOG } from "../../../src/lib/base/log.ts";
import type { SshClient } from "../../../src/management/ssh-server.ts";
import { formatFingerprint } from "../../../src/management/tls/cert-to-name.ts";
import { ClientCertificates, NO_TRUST } from "../../../src/management/tls/client-certificates.ts";
import { NetconfTlsServer } from "../../../src/management/tls/tls-server.ts";
import { type Identity, issue } from "./certificates.ts";

const CONNECTIONS_MAX = 3;
const server = issue("server", "appliance");
const authority = issue("authority", "Good");
const alice = issue("client", "alice", { by: authority });
const trust = {
  ...NO_TRUST,
  authorities: [authority.certificate],
  rules: [
    {
      id: 1,
      fingerprint: formatFingerprint(authority.certificate) ?? "",
      mapType: "common-name" as const,
    },
  ],
};

const opened: (NetconfTlsServer | Socket)[] = [];
afterEach(() => {
  for (const one of opened.splice(0)) one instanceof NetconfTlsServer ? one.close() : one.destroy();
});

async function open(more: { handshakeTimeoutMs?: number } = {}) {
  const clients: SshClient[] = [];
  const refused: string[] = [];
  const certificates = new ClientCertificates(() => false);
  certificates.trust = trust;
  const tls = new NetconfTlsServer({
    identity: { certificate: server.certificate.toString(), key: server.keyPem },
    certificates,
    connectionsMax: CONNECTIONS_MAX,
    log: SILENT_LOG,
    mayAccept: () => true,
    onClient: (client) => clients.push(client),
    onRefused: (who) => refused.push(who),
    ...more,
  });
  opened.push(tls);
  const port = await tls.listen({ address: "127.0.0.1", port: 0 });
  return { tls, clients, refused, certificates, port };
}

function dial(port: number, who?: Identity, more: ConnectionOptions = {}): TLSSocket {
  const socket = connect({
    ...{ port, host: "127.0.0.1", ca: server.certificate.toString() },
    checkServerIdentity: () => undefined,
    ...(who === undefined ? {} : { cert: who.certificate.toString(), key: who.keyPem }),
    ...more,
  });
  socket.on("error", () => {});
  opened.push(socket);
  return socket;
}

const until = async (condition: () => boolean): Promise<void> => {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
};

test("a known certificate is a user, and the connection carries bytes both ways until end()", async () => {
  const { tls, clients, port } = await open();
  const socket = dial(port, alice);
  await until(() => clients.length === 1);
  const [client] = clients;
  expect(client).toMatchObject({ username: "alice", sourceHost: "127.0.0.1" });
  let isGone = false;
  client?.onGone(() => {
    isGone = true;
  });
  client?.stream.write("hello");
  const [bytes] = await once(socket, "data");
  expect(String(bytes)).toBe("hello");
  client?.end();
  await until(() => isGone && tls.connections === 0);
});

test("no certificate, an unknown one and a withdrawn one are refused, each told with what was shown", async () => {
  const { clients, refused, certificates, port, tls } = await open();
  dial(port);
  await until(() => refused.length === 1);
  const mallory = issue("client", "alice");
  dial(port, mallory);
  await until(() => refused.length === 2);
  certificates.trust = NO_TRUST;
  dial(port, alice);
  await until(() => refused.length === 3);
  const prints = [mallory, alice].map((one) => formatFingerprint(one.certificate));
  expect(refused).toEqual(["none", ...prints].map((print) => `certificate ${print}`));
  expect(clients).toEqual([]);
  expect(tls.counters).toEqual({ accepted: 0, refused: 3, failedHandshakes: 0 });
  await until(() => tls.connections === 0);
});

test("TLS older than 1.2, garbage and silence end before a session, and are counted", async () => {
  const { port, tls } = await open({ handshakeTimeoutMs: 100 });
  dial(port, alice, { minVersion: "TLSv1", maxVersion: "TLSv1.1", ciphers: "ALL:@SECLEVEL=0" });
  await until(() => tls.counters.failedHandshakes === 1);
  const garbage = connectTcp(port, "127.0.0.1");
  opened.push(garbage);
  garbage.on("error", () => {}).write("GET / HTTP/1.0\r\n\r\n");
  await until(() => tls.counters.failedHandshakes === 2);
  const silent = connectTcp(port, "127.0.0.1");
  opened.push(silent);
  await until(() => tls.counters.failedHandshakes === 3);
  await until(() => tls.connections === 0);
});

test("one connection more than there may be is closed, and one fewer makes room", async () => {
  const { tls, clients, port } = await open();
  const sockets = [];
  for (let count = 0; count < CONNECTIONS_MAX; count++) sockets.push(dial(port, alice));
  await until(() => clients.length === CONNECTIONS_MAX);
  const refused = dial(port, alice);
  await until(() => refused.closed);
  expect(clients).toHaveLength(CONNECTIONS_MAX);
  sockets[0]?.destroy();
  await until(() => tls.connections === CONNECTIONS_MAX - 1);
  dial(port, alice);
  await until(() => clients.length === CONNECTIONS_MAX + 1);
});

test("a ticket is not taken again: every connection shows its certificate", async () => {
  const { clients, port } = await open();
  for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const) {
    let session: Buffer | undefined;
    const before = clients.length;
    const first = dial(port, alice, { maxVersion });
    first.on("session", (given) => {
      session = given;
    });
    await until(() => clients.length === before + 1);
    clients.at(-1)?.stream.write("x");
    await once(first, "data");
    session ??= first.getSession();
    if (session === undefined) throw new Error("a session belongs to every connection");
    const second = dial(port, alice, { maxVersion, session });
    await once(second, "secureConnect");
    expect(second.isSessionReused()).toBe(false);
    second.destroy();
    first.destroy();
  }
});
