/** A RESTCONF server on real HTTPS with a client, and an applier that refuses on request. */
import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { request as httpsRequest } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MONOTONIC_CLOCK } from "../../src/lib/base/clock.ts";
import { SILENT_LOG } from "../../src/lib/base/log.ts";
import { findProjectRoot } from "../../src/lib/base/project-root.ts";
import { err, ok } from "../../src/lib/base/result.ts";
import { issueCertificate } from "../../src/lib/pki/certificate.ts";
import { defaultYangDirectories } from "../../src/lib/yang/yang-directories.ts";
import type { Authenticator } from "../../src/management/authenticator.ts";
import { ManagementServer } from "../../src/management/management-server.ts";
import { RestconfServer } from "../../src/management/restconf/restconf-server.ts";

let folder: string;
let server: ManagementServer;
let rest: RestconfServer;
export let port = 0;
let refused: string | undefined;

/** What the applier says to the next commits; undefined: it takes them. */
export function refuseCommits(reason: string | undefined): void {
  refused = reason;
}

const AUTHENTICATOR: Authenticator = {
  methods: () => ["password"],
  findKey: () => undefined,
  checkPassword: async (user, password) => user === "admin" && password === "right",
  report: () => {},
};

export async function openSite(): Promise<void> {
  folder = mkdtempSync(join(tmpdir(), "flowlift-restconf-"));
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const certificate = issueCertificate({
    ...{ role: "server", commonName: "localhost", issuerName: "localhost", validDays: 1 },
    alternativeNames: [{ kind: "dns", name: "localhost" }],
    ...{ subjectKey: privateKey, issuerKey: privateKey, now: new Date() },
  });
  writeFileSync(join(folder, "keys"), "");
  server = await ManagementServer.start({
    searchDirectories: defaultYangDirectories(findProjectRoot()),
    modules: [
      { name: "iana-if-type" },
      { name: "ietf-interfaces", features: ["if-mib"] },
      { name: "ietf-ip" },
      { name: "ietf-system" },
      { name: "flowlift-system" },
    ],
    applier: {
      prepare: async () =>
        refused === undefined
          ? ok(undefined)
          : err({ kind: "config-not-applicable", path: "/ietf-system:system", message: refused }),
      commit: async () => ({ late: [] }),
      abort: async () => {},
      getState: async () => ({
        "ietf-interfaces:interfaces-state": {
          interface: [
            {
              name: "eth0",
              type: "iana-if-type:ethernetCsmacd",
              "if-index": 2,
              "admin-status": "up",
              "oper-status": "up",
              statistics: { "discontinuity-time": "2026-11-21T00:00:00Z" },
            },
          ],
        },
      }),
    },
    stateDirectory: folder,
    hostKeyFile: join(folder, "host-key"),
    authorizedKeysFile: join(folder, "keys"),
    users: ["admin"],
    listen: [],
    bootId: "boot",
    dayZeroConfig: undefined,
    savesStartup: () => true,
    log: SILENT_LOG,
  });
  rest = new RestconfServer({
    operations: server.operations,
    registry: server.registry,
    authenticator: AUTHENTICATOR,
    bus: server.events,
    modules: server.operations.store.yang.listModules(),
    certificate,
    key: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
    clock: MONOTONIC_CLOCK,
    log: SILENT_LOG,
  });
  port = await rest.start({ address: "127.0.0.1", port: 0 });
}

export function closeSite(): void {
  rest.close();
  server.close();
  rmSync(folder, { recursive: true, force: true });
}

export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
  readonly json: Record<string, unknown>;
}

const JSON_TYPE = "application/yang-data+json";

export function call(
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Reply> {
  const text = typeof body === "string" ? body : body === undefined ? "" : JSON.stringify(body);
  const authorization = `Basic ${Buffer.from("admin:right").toString("base64")}`;
  const type = body === undefined ? {} : { "content-type": JSON_TYPE };
  return new Promise((resolve, reject) => {
    const sent = httpsRequest(
      {
        host: "127.0.0.1",
        port,
        method,
        path,
        rejectUnauthorized: false,
        headers: { authorization, ...type, ...headers },
      },
      (response) => {
        const parts: Buffer[] = [];
        response.on("data", (part: Buffer) => parts.push(part));
        response.on("end", () => {
          const received = Buffer.concat(parts).toString();
          const isJson = received.startsWith("{");
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers as Record<string, string>,
            text: received,
            json: isJson ? (JSON.parse(received) as Record<string, unknown>) : {},
          });
        });
      },
    );
    sent.on("error", reject);
    sent.end(text);
  });
}

export const DATA = "/restconf/data";
export const INTERFACES = `${DATA}/ietf-interfaces:interfaces`;
export const ETH = (name: string, more: object = {}) => ({
  "ietf-interfaces:interface": [{ name, type: "iana-if-type:ethernetCsmacd", ...more }],
});
export const errorOf = (reply: Reply): Record<string, unknown> => {
  const errors = reply.json["ietf-restconf:errors"] as { error: Record<string, unknown>[] };
  return errors.error[0] ?? {};
};
