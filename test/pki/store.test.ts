import { spawnSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer, type TLSSocket, connect as tlsConnect } from "node:tls";
import { afterEach, beforeEach, expect, test } from "vitest";
import { hostNameOfPeer, isPkiName } from "../../src/lib/pki/peer.ts";
import {
  AUTHORITY_RENEW_DAYS,
  AUTHORITY_VALID_DAYS,
  CONTROLLER_NAME_DEFAULT,
  initControllerPki,
  issueBridgePki,
  LEAF_RENEW_DAYS,
  LEAF_VALID_DAYS,
  loadBridgeTls,
  loadControllerTls,
  type TlsMaterial,
} from "../../src/lib/pki/store.ts";

const DAY_MS = 24 * 3600 * 1000;
let folder = "";
let pki = "";

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "flowlift-pki-"));
  pki = join(folder, "controller");
});
afterEach(() => rmSync(folder, { recursive: true }));

function inDays(days: number): Date {
  return new Date(Date.now() + days * DAY_MS);
}

function certificateAt(path: string): X509Certificate {
  return new X509Certificate(readFileSync(path));
}

test("initControllerPki() makes keys of mode 0600 that openssl verifies for their purpose", () => {
  initControllerPki(pki);
  const bridge = issueBridgePki(pki, "host-1");
  for (const key of [`${pki}/ca.key.pem`, `${pki}/controller.key.pem`, `${bridge}/bridge.key.pem`])
    expect(statSync(key).mode & 0o777).toBe(0o600);
  expect(statSync(pki).mode & 0o777).toBe(0o700);
  const verify = (purpose: string, path: string): number | null =>
    spawnSync("openssl", [
      "verify",
      "-x509_strict",
      "-purpose",
      purpose,
      "-CAfile",
      `${pki}/ca.cert.pem`,
      path,
    ]).status;
  expect(verify("sslserver", `${pki}/controller.cert.pem`)).toBe(0);
  expect(verify("sslclient", `${bridge}/bridge.cert.pem`)).toBe(0);
  expect(verify("sslserver", `${bridge}/bridge.cert.pem`)).not.toBe(0);
  expect(verify("sslclient", `${pki}/controller.cert.pem`)).not.toBe(0);
});

test("initControllerPki() changes nothing the second time", () => {
  expect(initControllerPki(pki).length).toBe(2);
  const before = readFileSync(`${pki}/controller.cert.pem`, "utf8");
  expect(initControllerPki(pki)).toEqual([]);
  expect(readFileSync(`${pki}/controller.cert.pem`, "utf8")).toBe(before);
});

test("initControllerPki() issues the controller's certificate anew for another name", () => {
  initControllerPki(pki);
  expect(loadControllerTls(pki).controllerName).toBe(CONTROLLER_NAME_DEFAULT);
  initControllerPki(pki, { controllerName: "ctl.example" });
  expect(loadControllerTls(pki).controllerName).toBe("ctl.example");
  expect(certificateAt(`${pki}/controller.cert.pem`).checkHost("ctl.example")).toBe("ctl.example");
  expect(initControllerPki(pki)).toEqual([]);
});

test("certificates are renewed under the same key when little is left, and not before", () => {
  initControllerPki(pki);
  const bridge = issueBridgePki(pki, "host-1");
  const path = `${bridge}/bridge.cert.pem`;
  const first = certificateAt(path);
  issueBridgePki(pki, "host-1", { now: inDays(LEAF_VALID_DAYS - LEAF_RENEW_DAYS - 1) });
  expect(certificateAt(path).serialNumber).toBe(first.serialNumber);
  issueBridgePki(pki, "host-1", { now: inDays(LEAF_VALID_DAYS - LEAF_RENEW_DAYS + 1) });
  const second = certificateAt(path);
  expect(second.serialNumber).not.toBe(first.serialNumber);
  expect(second.publicKey.equals(first.publicKey)).toBe(true);
});

test("an authority that is renewed still vouches for what it issued before", () => {
  initControllerPki(pki);
  const bridge = issueBridgePki(pki, "host-1");
  const old = certificateAt(`${pki}/ca.cert.pem`);
  initControllerPki(pki, { now: inDays(AUTHORITY_VALID_DAYS - AUTHORITY_RENEW_DAYS + 1) });
  const renewed = certificateAt(`${pki}/ca.cert.pem`);
  expect(renewed.serialNumber).not.toBe(old.serialNumber);
  expect(certificateAt(`${bridge}/bridge.cert.pem`).verify(renewed.publicKey)).toBe(true);
});

test("hostNameOfPeer() names the host of a bridge's certificate, and nothing else's", () => {
  initControllerPki(pki);
  const bridge = certificateAt(`${issueBridgePki(pki, "host-1")}/bridge.cert.pem`);
  expect(hostNameOfPeer({ raw: bridge.raw })).toEqual({ ok: true, value: "host-1" });
  const controller = certificateAt(`${pki}/controller.cert.pem`);
  expect(hostNameOfPeer({ raw: controller.raw })).toMatchObject({
    ok: false,
    error: { kind: "no-host-name" },
  });
  expect(hostNameOfPeer(undefined)).toMatchObject({ ok: false, error: { kind: "no-certificate" } });
});

test("isPkiName() takes 63 characters, no separators, nothing that leaves a folder", () => {
  for (const good of ["a", "host-1", "h.example", "A_1", "x".repeat(63)]) {
    expect(isPkiName(good)).toBe(true);
  }
  for (const bad of ["", "x".repeat(64), ".", "..", "a/b", "-a", "a,b", "a b", "ä", "a:b"]) {
    expect(isPkiName(bad)).toBe(false);
  }
});

test("issueBridgePki() refuses a name that is a path, and a folder without authority", () => {
  initControllerPki(pki);
  expect(() => issueBridgePki(pki, "../x")).toThrow(/cannot name a host/);
  expect(() => issueBridgePki(join(folder, "none"), "host-1")).toThrow(/flowlift pki/);
});

const DAMAGE: [string, (bridge: string) => Date | undefined, RegExp][] = [
  ["an expired certificate", () => inDays(LEAF_VALID_DAYS + 1), /bridge.cert.pem" expired at/],
  ["a clock before the certificate", () => inDays(-1), /not valid before .* check the clock/],
  [
    "a key of another certificate",
    (bridge) => void copyFileSync(`${pki}/controller.key.pem`, `${bridge}/bridge.key.pem`),
    /is not the key of/,
  ],
  [
    "a certificate of a foreign authority",
    (bridge) => {
      const foreign = join(folder, "foreign");
      initControllerPki(foreign);
      copyFileSync(`${foreign}/ca.cert.pem`, `${bridge}/ca.cert.pem`);
      return undefined;
    },
    /was not issued by/,
  ],
  [
    "a certificate that is none",
    (bridge) => void writeFileSync(`${bridge}/bridge.cert.pem`, "x"),
    /is no certificate/,
  ],
  [
    "a key that is none",
    (bridge) => void writeFileSync(`${bridge}/bridge.key.pem`, "x"),
    /is no private key/,
  ],
  ["a missing file", (bridge) => void rmSync(`${bridge}/ca.cert.pem`), /Cannot read .*ca.cert.pem/],
];

test.each(DAMAGE)("loadBridgeTls() refuses %s", (_, damage, message) => {
  initControllerPki(pki);
  const bridge = issueBridgePki(pki, "host-1");
  const now = damage(bridge) ?? new Date();
  const load = (): TlsMaterial => loadBridgeTls(bridge, "host-1", now);
  expect(load).toThrow(message);
  expect(load).toThrow(expect.objectContaining({ code: "CERTIFICATE_INVALID" }));
});

test("loadBridgeTls() refuses the certificate of another host", () => {
  initControllerPki(pki);
  const bridge = issueBridgePki(pki, "host-1");
  expect(() => loadBridgeTls(bridge, "host-2")).toThrow(/is for host "host-1", not for "host-2"/);
});

/** One TLS connection; returns what the server saw: the host, or the failure. */
async function shakeHands(server: TlsMaterial, client: Partial<TlsMaterial>): Promise<string> {
  const { authority: ca, key, certificate: cert } = server;
  const listener = createServer({ ca, key, cert, requestCert: true, rejectUnauthorized: true });
  const seen = new Promise<string>((resolve) => {
    listener.on("secureConnection", (socket: TLSSocket) => {
      const host = hostNameOfPeer(socket.getPeerCertificate());
      resolve(host.ok ? host.value : host.error.kind);
      socket.destroy();
    });
    listener.on("tlsClientError", () => resolve("refused by the server"));
  });
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  const { port } = listener.address() as AddressInfo;
  const socket = tlsConnect({
    port,
    host: "127.0.0.1",
    servername: client.controllerName ?? "",
    ...(client.authority === undefined ? {} : { ca: client.authority }),
    ...(client.key === undefined ? {} : { key: client.key, cert: client.certificate }),
  });
  const failed = new Promise<string>((resolve) => {
    socket.once("error", (error) => {
      const code = "code" in error ? String(error.code) : "";
      if (/CERT|VERIFY|ALTNAME|ISSUER/.test(code)) resolve("refused by the client");
    });
  });
  const outcome = await Promise.race([seen, failed]);
  socket.destroy();
  listener.close();
  return outcome;
}

test("TLS lets a bridge in, and names its host; nobody else gets in", async () => {
  initControllerPki(pki);
  const server = loadControllerTls(pki);
  const client = loadBridgeTls(issueBridgePki(pki, "host-1"), "host-1");
  const foreign = join(folder, "foreign");
  initControllerPki(foreign);
  const stranger = loadBridgeTls(issueBridgePki(foreign, "host-1"), "host-1");
  expect(await shakeHands(server, client)).toBe("host-1");
  const { key, certificate } = stranger;
  expect(await shakeHands(server, { ...client, key, certificate })).toBe("refused by the server");
  const { controllerName, authority } = client;
  expect(await shakeHands(server, { controllerName, authority })).toBe("refused by the server");
  expect(await shakeHands(server, { ...client, controllerName: "other.example" })).toMatch(
    /client/,
  );
  expect(await shakeHands(loadControllerTls(foreign), client)).toMatch(/refused by the client/);
});
