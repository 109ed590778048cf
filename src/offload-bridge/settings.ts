/**
 * The settings file of `flowlift bridge`.
 *
 * Pure: JSON text in, settings or one sentence out. Unknown members are refused.
 * Limit: VMS_MAX virtual machines on one host.
 */
import { normalize } from "node:path";
import { err, ok, type Result } from "../lib/base/result.ts";
import { isPkiName } from "../lib/pki/peer.ts";
import { MESSAGE_BYTES_MAX } from "../offload-protocol/messages.ts";
import { SOCKET_PATH_BYTES_MAX } from "../offload-protocol/placements.ts";
import { NAME_BYTES_MAX } from "../offload-protocol/upstream.ts";
import { VM_LIMITS_DEFAULT, type VmLimits } from "./limits.ts";

export const VMS_MAX = 1024;

export interface BridgeVm {
  readonly tenant: string;
  readonly vm: string;
  readonly socketPath: string;
  /** `listen`: the bridge makes the socket; `connect`: QEMU does. */
  readonly mode: "listen" | "connect";
}

export interface BridgeSettings {
  readonly hostName: string;
  /** `host:port` or `unix:PATH`. */
  readonly controllerAddress: string;
  readonly pkiDirectory: string;
  readonly vms: readonly BridgeVm[];
  /** Below it the controller may place sockets; undefined: nowhere. Absolute, without `.` and `..`. */
  readonly socketDirectory: string | undefined;
  readonly limits: VmLimits;
}

export type SettingsError = { readonly kind: "settings-invalid"; readonly message: string };

type Members = Readonly<Record<string, unknown>>;

/** Returns the settings; the error's message names the member that is wrong. */
export function parseBridgeSettings(text: string): Result<BridgeSettings, SettingsError> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    return invalid(`the file is no JSON: ${error instanceof Error ? error.message : ""}`);
  }
  try {
    return ok(readSettings(json));
  } catch (error) {
    if (error instanceof WrongMember) return invalid(error.message);
    throw error;
  }
}

function invalid(message: string): Result<never, SettingsError> {
  return err({ kind: "settings-invalid", message });
}

/** Travels no further than `parseBridgeSettings`. */
class WrongMember extends Error {}

function readSettings(json: unknown): BridgeSettings {
  const members = readMembers(json, "the file", [
    "hostName",
    "controller",
    "pkiDirectory",
    "vms",
    "socketDirectory",
    "limits",
  ]);
  const hostName = readText(members, "hostName", "");
  if (!isPkiName(hostName)) throw new WrongMember(`"hostName" is no name: "${hostName}"`);
  const controller = readMembers(members["controller"], '"controller"', ["address"]);
  const controllerAddress = readText(controller, "address", "controller.");
  if (!/^(unix:.+|.+:\d{1,5})$/.test(controllerAddress)) {
    throw new WrongMember('"controller.address" is neither "host:port" nor "unix:PATH"');
  }
  const list = members["vms"];
  if (!Array.isArray(list)) throw new WrongMember('"vms" is not a list');
  if (list.length > VMS_MAX) throw new WrongMember(`"vms" has more than ${VMS_MAX} entries`);
  const vms = list.map(readVm);
  requireUnique(
    vms.map(({ tenant, vm }) => JSON.stringify([tenant, vm])),
    "virtual machine",
  );
  requireUnique(
    vms.map(({ socketPath }) => JSON.stringify(socketPath)),
    "socketPath",
  );
  return {
    hostName,
    controllerAddress,
    pkiDirectory: readText(members, "pkiDirectory", ""),
    vms,
    socketDirectory: readSocketDirectory(members),
    limits: readLimits(members["limits"]),
  };
}

function readSocketDirectory(members: Members): string | undefined {
  if (members["socketDirectory"] === undefined) return undefined;
  const path = readText(members, "socketDirectory", "");
  if (path.startsWith("/") && path !== "/" && normalize(path) === path) {
    return path.replace(/\/$/, "");
  }
  throw new WrongMember('"socketDirectory" is no absolute path, or has "." or ".." in it');
}

function readVm(json: unknown, index: number): BridgeVm {
  const where = `vms[${index}]`;
  const members = readMembers(json, `"${where}"`, ["tenant", "vm", "socketPath", "mode"]);
  const mode = members["mode"];
  if (mode !== "listen" && mode !== "connect") {
    throw new WrongMember(`"${where}.mode" is neither "listen" nor "connect"`);
  }
  const socketPath = readText(members, "socketPath", `${where}.`);
  if (Buffer.byteLength(socketPath) > SOCKET_PATH_BYTES_MAX) {
    throw new WrongMember(`"${where}.socketPath" has more than ${SOCKET_PATH_BYTES_MAX} bytes`);
  }
  const tenant = readName(members, "tenant", where);
  return { tenant, vm: readName(members, "vm", where), socketPath, mode };
}

function readName(members: Members, name: string, where: string): string {
  const text = readText(members, name, `${where}.`);
  if (Buffer.byteLength(text) <= NAME_BYTES_MAX) return text;
  throw new WrongMember(`"${where}.${name}" has more than ${NAME_BYTES_MAX} bytes`);
}

function readLimits(json: unknown): VmLimits {
  if (json === undefined) return VM_LIMITS_DEFAULT;
  const names = Object.keys(VM_LIMITS_DEFAULT);
  const members = readMembers(json, '"limits"', names);
  for (const [name, value] of Object.entries(members)) {
    if (!Number.isSafeInteger(value) || Number(value) < 1) {
      throw new WrongMember(`"limits.${name}" is no whole number above 0`);
    }
  }
  const limits = { ...VM_LIMITS_DEFAULT, ...members } as VmLimits;
  if (limits.messageBytesMax > MESSAGE_BYTES_MAX) {
    throw new WrongMember(`"limits.messageBytesMax" is above ${MESSAGE_BYTES_MAX}`);
  }
  if (limits.bytesBurst < limits.messageBytesMax) {
    throw new WrongMember('"limits.bytesBurst" is below "limits.messageBytesMax"');
  }
  return limits;
}

function readMembers(json: unknown, what: string, names: readonly string[]): Members {
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw new WrongMember(`${what} is no object`);
  }
  const unknown = Object.keys(json).find((name) => !names.includes(name));
  if (unknown !== undefined) throw new WrongMember(`${what} has an unknown member "${unknown}"`);
  return json as Members;
}

function readText(members: Members, name: string, where: string): string {
  const value = members[name];
  if (typeof value === "string" && value !== "") return value;
  throw new WrongMember(`"${where}${name}" is no text`);
}

function requireUnique(values: readonly string[], what: string): void {
  const twice = values.find((value, index) => values.indexOf(value) !== index);
  if (twice !== undefined) throw new WrongMember(`the ${what} ${twice} comes twice`);
}
