/**
 * The settings file of `flowlift controller`.
 *
 * Pure. Unknown members are refused, so that a misspelt one is not silently a default.
 */
import { err, ok, type Result } from "../lib/base/result.ts";

/** Members of the JSON file; see `flowlift controller --help`. */
export interface ControllerSettings {
  /** Journal, numbers, audit trail; made if missing. */
  readonly stateDirectory: string;
  readonly runDirectory: string;
  /** RFC 7951 data of flowlift-controller; with `netconf` it counts at the first start only. */
  readonly configFile: string;
  readonly grpcAddress: string;
  readonly pkiDirectory: string;
  /** A descriptor that was inherited listening, or an address of the loopback. */
  readonly admin: { readonly listenFd: number } | { readonly address: string };
  /** Made at the first run, readable by its owner alone. */
  readonly tokenFile: string;
  readonly driver: "memory" | "agent";
  readonly statisticsIntervalMs: number;
  /** Where operators reach NETCONF over SSH; undefined: the configuration file is all there is. */
  readonly netconf: NetconfSettings | undefined;
  /** `xml`: the serial ports speak XML alone. Default: CBOR where the VM offers it. */
  readonly encoding: "xml" | "cbor";
  /** With the memory driver: flows that its table holds. */
  readonly tableFlowsMax: number | undefined;
}

/** A descriptor that was inherited listening, or an address. */
export type NetconfSettings =
  | { readonly listenFd: number }
  | { readonly host: string; readonly port: number };

export interface SettingsProblem {
  readonly kind: "settings-invalid";
  readonly message: string;
}

const MEMBERS: readonly string[] = [
  "stateDirectory",
  "runDirectory",
  "configFile",
  "grpc",
  "pkiDirectory",
  "admin",
  "tokenFile",
  "driver",
  "statisticsIntervalMs",
  "tableFlowsMax",
  "netconf",
];
export const STATISTICS_INTERVAL_DEFAULT_MS = 1_000;
export const STATISTICS_INTERVAL_MIN_MS = 10;
const LOOPBACK = /^(127(?:\.\d{1,3}){3}|\[::1\]|localhost):\d{1,5}$/;

class Problem extends Error {}

/** Reads the settings from JSON text. */
export function parseControllerSettings(text: string): Result<ControllerSettings, SettingsProblem> {
  try {
    return ok(readSettings(JSON.parse(text)));
  } catch (error) {
    const message = error instanceof Problem ? error.message : "it is not JSON";
    return err({ kind: "settings-invalid", message });
  }
}

type Members = Readonly<Record<string, unknown>>;

function readSettings(json: unknown): ControllerSettings {
  const members = objectOf(json, "it");
  const unknown = Object.keys(members).find((name) => !MEMBERS.includes(name));
  if (unknown !== undefined) throw new Problem(`there is no setting "${unknown}"`);
  const driver = members["driver"] ?? "agent";
  if (driver !== "memory" && driver !== "agent") {
    throw new Problem('"driver" must be "memory" or "agent"');
  }
  const encoding = members["encoding"] ?? "cbor";
  if (encoding !== "xml" && encoding !== "cbor") {
    throw new Problem('"encoding" must be "cbor" or "xml"');
  }
  const runDirectory = textOf(members, "runDirectory");
  return {
    stateDirectory: textOf(members, "stateDirectory"),
    runDirectory,
    configFile: textOf(members, "configFile"),
    grpcAddress: textOf(objectOf(members["grpc"], '"grpc"'), "address"),
    pkiDirectory: textOf(members, "pkiDirectory"),
    admin: readAdmin(objectOf(members["admin"] ?? {}, '"admin"')),
    tokenFile: textOf(members, "tokenFile"),
    driver,
    statisticsIntervalMs:
      numberOf(members, "statisticsIntervalMs", STATISTICS_INTERVAL_MIN_MS) ??
      STATISTICS_INTERVAL_DEFAULT_MS,
    encoding,
    tableFlowsMax: numberOf(members, "tableFlowsMax", 1),
    netconf: readNetconf(members["netconf"]),
  };
}

function readNetconf(value: unknown): NetconfSettings | undefined {
  if (value === undefined) return undefined;
  const netconf = objectOf(value, '"netconf"');
  const listenFd = numberOf(netconf, "listenFd", 3);
  if (listenFd !== undefined) return { listenFd };
  const address = /^(.+):(\d{1,5})$/.exec(textOf(netconf, "address"));
  const port = Number(address?.[2] ?? Number.NaN);
  if (address === null || !(port <= 65_535)) {
    throw new Problem('"address" of "netconf" must be an address and a port, such as "[::1]:830"');
  }
  return { host: (address[1] ?? "").replace(/^\[|\]$/g, ""), port };
}

function readAdmin(admin: Members): ControllerSettings["admin"] {
  const listenFd = numberOf(admin, "listenFd", 3);
  if (listenFd !== undefined) return { listenFd };
  const address = admin["address"] ?? "127.0.0.1:0";
  if (typeof address !== "string" || !LOOPBACK.test(address)) {
    throw new Problem('"admin.address" must be a port of the loopback, such as "127.0.0.1:0"');
  }
  return { address };
}

function objectOf(value: unknown, what: string): Members {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Members;
  throw new Problem(`${what} is not a JSON object`);
}

function textOf(members: Members, name: string): string {
  const value = members[name];
  if (typeof value === "string" && value !== "") return value;
  throw new Problem(`"${name}" must be a text`);
}

function numberOf(members: Members, name: string, min: number): number | undefined {
  const value = members[name];
  if (value === undefined) return undefined;
  if (typeof value === "number" && Number.isInteger(value) && value >= min) return value;
  throw new Problem(`"${name}" must be a whole number from ${min}`);
}
