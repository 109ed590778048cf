/** Bad input, case by case: what is wrong, the exit code, and the words that say it. */
import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import {
  agent,
  appliance,
  at,
  bridge,
  controller,
  HOST,
  type Place,
  withSettings,
  write,
} from "./bad-input-site.ts";

export type Case = readonly [
  what: string,
  code: number,
  words: string | RegExp,
  args: (where: Place) => readonly string[],
  before?: readonly string[],
];

const lab = (text: string): string[] => ["lab", "up", "--file", write("lab.yaml", text)];
const tenant = (rest: string): string =>
  `flowlift-lab:lab:\n  tenant:\n    - name: red\n      segment:\n        - name: in\n${rest}`;
const mock = (...rest: string[]): string[] => [
  "controller",
  "--mock",
  "--listen",
  `unix:${at("made", "mock.sock")}`,
  ...rest,
];
const POWERLESS = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"];

export const CERTIFICATES: readonly Case[] = [
  [
    "a bridge without a certificate",
    1,
    /bridge\.cert\.pem".*flowlift pki/,
    () => withSettings("bridge", { ...bridge(), pkiDirectory: at("nothing") }),
  ],
  [
    "a bridge with an expired certificate",
    1,
    /expired at .*flowlift pki.* renews it/,
    () => withSettings("bridge", { ...bridge(), pkiDirectory: at("old", "bridges", HOST) }),
  ],
  [
    "a bridge with the certificate of another host",
    1,
    /is for host "host-1", not for "host-2"/,
    () => withSettings("bridge", { ...bridge(), hostName: "host-2" }),
  ],
  [
    "a bridge with a certificate of a foreign authority",
    1,
    "was not issued by",
    () => {
      const mixed = at("mixed");
      mkdirSync(mixed, { recursive: true });
      for (const file of ["bridge.key.pem", "bridge.cert.pem", "controller.name"]) {
        spawnSync("cp", [at("foreign", "bridges", HOST, file), mixed]);
      }
      spawnSync("cp", [at("pki", "ca.cert.pem"), mixed]);
      return withSettings("bridge", { ...bridge(), pkiDirectory: mixed });
    },
  ],
  [
    "a controller without a certificate",
    1,
    /controller\.cert\.pem".*flowlift pki/,
    () => withSettings("controller", { ...controller(), pkiDirectory: at("nothing") }),
  ],
  [
    "a controller with an expired certificate",
    1,
    "expired at",
    () => withSettings("controller", { ...controller(), pkiDirectory: at("old") }),
  ],
  [
    "pki: a name that leaves the folder",
    2,
    '"../x" cannot name a host',
    () => ["pki", "bridge", "--dir", at("pki"), "--host", "../x"],
  ],
  [
    "pki: a folder without authority",
    1,
    "ca.key.pem",
    () => ["pki", "bridge", "--dir", at("nothing"), "--host", HOST],
  ],
];

export const PORTS: readonly Case[] = [
  [
    "the controller's admin port in use",
    1,
    "EADDRINUSE",
    ({ busyPort }) =>
      withSettings("controller", { ...controller(), admin: { address: `127.0.0.1:${busyPort}` } }),
  ],
  [
    "the controller's gRPC port in use",
    1,
    "EADDRINUSE",
    ({ busyPort }) =>
      withSettings("controller", { ...controller(), grpc: { address: `127.0.0.1:${busyPort}` } }),
  ],
  [
    "a gRPC address that is none",
    1,
    '"nonsense"',
    () => withSettings("controller", { ...controller(), grpc: { address: "nonsense" } }),
  ],
  [
    "the mock's admin port in use",
    1,
    "EADDRINUSE",
    ({ busyPort }) => mock("--admin", `127.0.0.1:${busyPort}`),
  ],
  [
    "a mock's socket in a folder that is missing",
    1,
    /Cannot listen on .*nowhere/,
    () => ["controller", "--mock", "--listen", `unix:${at("nowhere", "m.sock")}`],
  ],
  [
    "a mock's socket where a file is",
    1,
    "EADDRINUSE",
    () => ["controller", "--mock", "--listen", `unix:${write("precious", "text")}`],
  ],
  [
    "a bridge's socket in a folder that is missing",
    1,
    /Cannot listen on .*nowhere/,
    () =>
      withSettings("bridge", {
        ...bridge(),
        vms: [{ tenant: "red", vm: "gw", socketPath: at("nowhere", "s"), mode: "listen" }],
      }),
  ],
];

export const FILES: readonly Case[] = [
  [
    "a configuration that is missing",
    2,
    /Cannot read .*none\.json/,
    () => withSettings("controller", { ...controller(), configFile: at("none.json") }),
  ],
  [
    "a configuration that is no JSON",
    2,
    "not JSON",
    () => withSettings("controller", { ...controller(), configFile: write("c.json", "{") }),
  ],
  [
    "a configuration that libyang refuses",
    2,
    /controller\/lease: .*"5"/,
    () =>
      withSettings("controller", {
        ...controller(),
        configFile: write("c.json", { "flowlift-controller:controller": { lease: 5 } }),
      }),
  ],
  [
    "a fault that is no share",
    2,
    '"refuseShare" must be a number from 0 to 1',
    () => mock("--refuse-share", "7"),
  ],
  ["a fault that is no number", 2, '"delayMs"', () => mock("--delay", "soon")],
  [
    "a day-zero configuration that is missing",
    2,
    "none.json",
    () => withSettings("appliance-manage", { ...appliance(), dayZeroConfigFile: at("none.json") }),
  ],
  [
    "a lab file that is missing",
    2,
    /Cannot read the lab file .*ENOENT/,
    () => ["lab", "up", "--file", at("none.yaml")],
  ],
  [
    "a lab file that is no YAML",
    2,
    /lab\.yaml:\d: .*\]$/,
    () => lab("flowlift-lab:lab:\n  tenant: [\n"),
  ],
  ["a lab file that is empty", 2, /lab\.yaml:1: The file is empty/, () => lab("")],
  [
    "a lab file with an unknown leaf",
    2,
    /lab\.yaml:6: .*nmae/,
    () => lab(tenant("          nmae: x\n")),
  ],
  [
    "a lab file with an address that is none",
    2,
    /lab\.yaml:8: "10\.0\.0\.300" is no IP address/,
    () =>
      lab(
        tenant(
          "      host:\n        - name: a\n          address: [10.0.0.300/24]\n          segment: in\n",
        ),
      ),
  ],
  [
    "a lab file with a segment that is missing",
    2,
    /lab\.yaml:\d+: .*out/,
    () =>
      lab(
        tenant(
          "      host:\n        - name: a\n          address: [10.0.0.3/24]\n          segment: out\n",
        ),
      ),
  ],
];

export const WORDS: readonly Case[] = [
  ["an unknown command", 2, /"nope".*flowlift help/, () => ["nope"]],
  ["an unknown flag of lab", 2, /--jsno.*usage: flowlift lab/, () => ["lab", "up", "--jsno"]],
  ["an unknown flag of demo", 2, /--nope.*usage: flowlift demo/, () => ["demo", "--nope"]],
  ["an unknown flag of pki", 2, /--nope.*usage: flowlift pki/, () => ["pki", "init", "--nope"]],
  ["an unknown bench", 2, /"nope".*usage: flowlift bench/, () => ["bench", "nope"]],
  [
    "a kind of process that is none",
    2,
    '"foo" is no kind of process',
    () => ["lab", "up", "--processes", "foo"],
  ],
  [
    "a name that leaves the folder",
    2,
    '"../x" cannot name a lab',
    () => ["lab", "up", "--name", "../x"],
  ],
  [
    "a lab that is not there",
    1,
    'There is no lab "nope"',
    ({ folder: where }) => [
      "lab",
      "down",
      "--name",
      "nope",
      "--run-directory",
      join(where, "labs"),
    ],
  ],
];

export const ENVIRONMENT: readonly Case[] = [
  [
    "an agent whose pin directory is missing",
    3,
    /"\S+nothing" does not exist.*bpffs/,
    () => withSettings("agent", { ...agent(), pinDirectory: at("nothing") }),
  ],
  [
    "an agent whose pin directory is no bpffs",
    3,
    /is not on a bpffs; mount one: mount -t bpf/,
    () => withSettings("agent", agent()),
  ],
  [
    "an agent without its BPF object",
    3,
    /none\.bpf\.o" is missing; build it: sh /,
    () =>
      withSettings("agent", {
        ...agent(),
        pinDirectory: "/sys/fs/bpf",
        objectFile: at("none.bpf.o"),
      }),
    ["unshare", "--mount", "sh", "-c", 'mount -t bpf bpf /sys/fs/bpf && exec "$@"', "sh"],
  ],
  [
    "an agent without capabilities",
    3,
    /lacks CAP_BPF and CAP_NET_ADMIN/,
    () => withSettings("agent", agent()),
    POWERLESS,
  ],
  [
    "a data process without capabilities",
    3,
    /lacks CAP_NET_ADMIN/,
    () => withSettings("appliance-data", appliance()),
    POWERLESS,
  ],
];
