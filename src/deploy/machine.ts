/**
 * A tenant VM as every deployment artefact describes it: names, sizes, disks, network cards, sockets.
 *
 * Pure. Bounds and names are those of the guest's contract; what breaks one is told with what is allowed.
 */
import { createHash } from "node:crypto";
import { join, normalize } from "node:path";
import { err, ok, type Result } from "../lib/base/result.ts";
import {
  HOST_VMS_DIRECTORY,
  MANAGE_PORT_NAME,
  MANAGE_SOCKET_NAME,
  OFFLOAD_PORT_NAME,
  OFFLOAD_SOCKET_NAME,
} from "../lib/guest/contract.ts";
import {
  VM_MEMORY_MIB_MAX,
  VM_MEMORY_MIB_MIN,
  VM_NICS_MAX,
  VM_PROCESSORS_MAX,
} from "../lib/guest/vm-spec.ts";
import { parseVmName } from "./tenancy/names.ts";
import { INTERFACE_NAME_MAX, parseVnics } from "./tenancy/vnic-words.ts";

export const MEMORY_MIB_DEFAULT = 512;
/** Longest path of a Unix socket on Linux, without its ending zero. */
const SOCKET_PATH_BYTES_MAX = 107;

export interface MachineNic {
  readonly mac: string;
  readonly segment: string;
  /** What it is plugged into, in the platform's words: a Linux bridge, a tap, a network. */
  readonly network: string;
}

export interface MachinePort {
  readonly name: string;
  /** The hypervisor listens; bridge and `flowlift connect` connect. */
  readonly socketPath: string;
}

export interface Machine {
  readonly tenant: string;
  readonly vm: string;
  /** `TENANT-VM`, for platforms that have one name. */
  readonly label: string;
  readonly uuid: string;
  readonly memoryMib: number;
  readonly processors: number;
  readonly disk: string;
  readonly dataDisk: string | undefined;
  readonly seed: string | undefined;
  readonly nics: readonly MachineNic[];
  readonly ports: readonly [MachinePort, MachinePort];
}

/** What an operator says, as text. */
export interface MachineWords {
  readonly name: string | undefined;
  readonly nics: readonly string[];
  readonly disk: string | undefined;
  readonly dataDisk?: string | undefined;
  readonly seed?: string | undefined;
  readonly memory?: string | undefined;
  readonly processors?: string | undefined;
  readonly socketDirectory?: string | undefined;
  /** Longest name of a network; default: that of an interface. */
  readonly networkCharactersMax?: number;
}

export type MachineError = { readonly kind: "machine-invalid"; readonly message: string };

class Problem extends Error {}

/** Returns the machine, or what is wrong with the first word that is. */
export function parseMachine(words: MachineWords): Result<Machine, MachineError> {
  try {
    return ok(readMachine(words));
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return err({ kind: "machine-invalid", message: error.message });
  }
}

function readMachine(words: MachineWords): Machine {
  if (words.name === undefined) throw new Problem('"--name TENANT/VM" is missing');
  const { tenant, vm } = orProblem(parseVmName(words.name));
  const label = `${tenant}-${vm}`;
  if (!/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(label)) {
    throw new Problem(
      `"${label}" is no name that every platform takes: 1 to 63 of a-z, 0-9 and "-", not at an end`,
    );
  }
  const directory = join(readDirectory(words.socketDirectory), tenant, vm);
  const port = (name: string, file: string): MachinePort => {
    const socketPath = join(directory, file);
    if (Buffer.byteLength(socketPath) <= SOCKET_PATH_BYTES_MAX) return { name, socketPath };
    throw new Problem(`"${socketPath}" is longer than ${SOCKET_PATH_BYTES_MAX} bytes`);
  };
  return {
    tenant,
    vm,
    label,
    uuid: nameUuid(`vm:${words.name}`),
    memoryMib: readNumber("memory", words.memory, MEMORY_MIB_DEFAULT, [
      VM_MEMORY_MIB_MIN,
      VM_MEMORY_MIB_MAX,
    ]),
    processors: readNumber("processors", words.processors, 1, [1, VM_PROCESSORS_MAX]),
    disk: readFileName("disk", words.disk) ?? "",
    dataDisk: readFileName("data-disk", words.dataDisk),
    seed: readFileName("seed", words.seed),
    nics: readNics(words.nics, words.networkCharactersMax ?? INTERFACE_NAME_MAX),
    ports: [
      port(OFFLOAD_PORT_NAME, OFFLOAD_SOCKET_NAME),
      port(MANAGE_PORT_NAME, MANAGE_SOCKET_NAME),
    ],
  };
}

function readNics(list: readonly string[], charactersMax: number): readonly MachineNic[] {
  if (list.length > VM_NICS_MAX) throw new Problem(`More than ${VM_NICS_MAX} --nic`);
  if (list.length === 0) throw new Problem('At least one "--nic MAC=SEGMENT@NETWORK" is needed');
  return orProblem(parseVnics(list, charactersMax)).map(({ mac, segment, interfaceName }) => {
    if (interfaceName === undefined) {
      throw new Problem(`"--nic ${mac}=${segment}" names no network: add @NETWORK`);
    }
    if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(interfaceName)) {
      throw new Problem(`"${interfaceName}" cannot name a network: only letters, digits, ". _ -"`);
    }
    return { mac, segment, network: interfaceName };
  });
}

function readDirectory(path: string | undefined): string {
  const directory = path ?? HOST_VMS_DIRECTORY;
  if (directory.startsWith("/") && isPlain(directory)) return directory;
  throw new Problem(`"--socket-directory" needs an absolute path, not "${directory}"`);
}

function readFileName(what: string, path: string | undefined): string | undefined {
  if (path === undefined || path === "") return undefined;
  if (path.startsWith("/") && isPlain(path)) return path;
  throw new Problem(`"--${what}" needs an absolute path without "..", not "${path}"`);
}

/** No control characters, and nothing that reads differently elsewhere. */
function isPlain(path: string): boolean {
  return normalize(path) === path && /^[A-Za-z0-9/._+@:-]+$/.test(path);
}

function readNumber(
  what: string,
  text: string | undefined,
  otherwise: number,
  range: readonly [number, number],
): number {
  return orProblem(readMachineNumber(what, text, otherwise, range));
}

/** Returns a number that an operator wrote; both ends of the range belong to it. */
export function readMachineNumber(
  what: string,
  text: string | undefined,
  otherwise: number,
  [min, max]: readonly [number, number],
): Result<number, MachineError> {
  if (text === undefined) return ok(otherwise);
  const value = /^\d{1,7}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return ok(value);
  const message = `"--${what}" is a whole number from ${min} to ${max}, not "${text}"`;
  return err({ kind: "machine-invalid", message });
}

/** The same name always has the same UUID (RFC 9562 §5.5, a name-based one). */
export function nameUuid(name: string): string {
  const bytes = createHash("sha1").update(`urn:flowlift:${name}`).digest().subarray(0, 16);
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x50, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  const hex = bytes.toString("hex");
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    hex.slice(12, 16),
    hex.slice(16, 20),
    hex.slice(20),
  ].join("-");
}

function orProblem<T>(result: Result<T, { readonly message: string }>): T {
  if (result.ok) return result.value;
  throw new Problem(result.error.message);
}
