/** Where the bad input lies, and the settings that would do. */
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { findProjectRoot } from "../../src/lib/base/project-root.ts";

export const ROOT = findProjectRoot();
export const HOST = "host-1";

/** What a case may use: every path is in a folder of the test's own. */
export interface Place {
  readonly folder: string;
  readonly busyPort: number;
}

type Settings = Readonly<Record<string, unknown>>;
export const folder: string = mkdtempSync(join(tmpdir(), "fl-bad-input-"));
export const at = (...parts: string[]): string => join(folder, ...parts);

/** Writes a file below the folder and returns its path. */
export function write(name: string, content: string | object): string {
  const path = at(name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
  return path;
}

export const appliance = (): Settings => ({
  name: "gw",
  runDirectory: at("made", "run"),
  stateDirectory: at("made", "state"),
  bootId: "boot-1",
  netconf: {
    listen: [{ address: "127.0.0.1", port: 0 }],
    authorizedKeysFile: write("keys", ""),
    users: ["admin"],
  },
  interfaces: ["eth0"],
});

export const bridge = (): Settings => ({
  hostName: HOST,
  controller: { address: "127.0.0.1:1" },
  pkiDirectory: at("pki", "bridges", HOST),
  vms: [{ tenant: "red", vm: "gw", socketPath: at("made", "vm.sock"), mode: "listen" }],
});

export const controller = (): Settings => ({
  stateDirectory: at("made", "controller"),
  runDirectory: at("made"),
  configFile: join(ROOT, "examples/controller/mock.json"),
  grpc: { address: "127.0.0.1:0" },
  pkiDirectory: at("pki"),
  admin: { address: "127.0.0.1:0" },
  tokenFile: at("made", "token"),
  driver: "memory",
});

export const agent = (): Settings => ({
  hostName: HOST,
  socketPath: at("made", "agent.sock"),
  pinDirectory: at("pins"),
  flowsMax: 16,
});

/** Settings that would do, of each process. */
export const GOOD: Readonly<Record<string, () => Settings>> = {
  "appliance-manage": appliance,
  "appliance-data": appliance,
  bridge,
  controller,
  agent,
};

export const withSettings = (name: string, settings: unknown): string[] => [
  name,
  "--settings",
  write("settings.json", settings as object),
];
