/**
 * How a bridge learns which serial ports it shall open: one call for each bridge, beside those of the VMs.
 *
 * Pure, but for the types of grpc-js: lists to bytes and back. Source: upstream.proto, which says the same.
 * Limit: PLACEMENTS_MAX in a list, NAME_BYTES_MAX a name, SOCKET_PATH_BYTES_MAX a path, PROBLEM_BYTES_MAX a text.
 */
import type { ServiceDefinition } from "@grpc/grpc-js";
import { err, ok, type Result } from "../lib/base/result.ts";
import { decodeFields, encodeField, type ProtobufField } from "./protobuf.ts";
import { NAME_BYTES_MAX } from "./upstream.ts";

/** Serial ports of one host; equals the number of VMs of a bridge. */
export const PLACEMENTS_MAX = 1024;
/** Longest path of a Unix socket on Linux, without its ending zero. */
export const SOCKET_PATH_BYTES_MAX = 107;
export const PROBLEM_BYTES_MAX = 512;
export const WATCH_PATH = "/flowlift.offload.v1.Placements/Watch";

/** A serial port that the host's bridge shall open. */
export interface Placement {
  readonly tenant: string;
  readonly vm: string;
  readonly socketPath: string;
  readonly mode: "connect" | "listen";
}

/** A placement that the bridge does not carry out, and why. */
export interface PlacementProblem {
  readonly tenant: string;
  readonly vm: string;
  readonly problem: string;
}

export type PlacementsError = { readonly kind: "placements-malformed"; readonly message: string };

const FIELD_ITEM = 1;
const FIELD_TENANT = 1;
const FIELD_VM = 2;
const FIELD_PATH_OR_PROBLEM = 3;
const FIELD_MODE = 4;

/** Returns the protobuf bytes of a `PlacementList`. */
export function encodePlacements(list: readonly Placement[]): Buffer {
  return encodeItems(
    list.map(({ tenant, vm, socketPath, mode }) => [
      [FIELD_TENANT, tenant],
      [FIELD_VM, vm],
      [FIELD_PATH_OR_PROBLEM, socketPath],
      [FIELD_MODE, mode],
    ]),
  );
}

/** Returns the list; a socket or a virtual machine that comes twice makes it malformed. */
export function decodePlacements(bytes: Uint8Array): Result<Placement[], PlacementsError> {
  const items = decodeItems(bytes);
  if (!items.ok) return items;
  const placements: Placement[] = [];
  const seen = new Set<string>();
  for (const item of items.value) {
    const tenant = nameOf(item.get(FIELD_TENANT));
    const vm = nameOf(item.get(FIELD_VM));
    const socketPath = textOf(item.get(FIELD_PATH_OR_PROBLEM), SOCKET_PATH_BYTES_MAX);
    const mode = item.get(FIELD_MODE)?.toString("utf8");
    if (tenant === undefined || vm === undefined) return malformed("a name is absent or too long");
    if (socketPath === undefined) return malformed("a path is absent or too long");
    if (mode !== "connect" && mode !== "listen") return malformed("a mode is unknown");
    for (const key of [JSON.stringify([tenant, vm]), JSON.stringify(socketPath)]) {
      if (seen.has(key)) return malformed(`${key} comes twice`);
      seen.add(key);
    }
    placements.push({ tenant, vm, socketPath, mode });
  }
  return ok(placements);
}

/** Returns the protobuf bytes of a `PlacementReport`; long texts are cut. */
export function encodeProblems(list: readonly PlacementProblem[]): Buffer {
  return encodeItems(
    list.map(({ tenant, vm, problem }) => [
      [FIELD_TENANT, tenant],
      [FIELD_VM, vm],
      // Cut in characters, of at most 3 bytes each: never in the middle of one.
      [FIELD_PATH_OR_PROBLEM, problem.slice(0, Math.floor(PROBLEM_BYTES_MAX / 3))],
    ]),
  );
}

/** Returns the report. */
export function decodeProblems(bytes: Uint8Array): Result<PlacementProblem[], PlacementsError> {
  const items = decodeItems(bytes);
  if (!items.ok) return items;
  const problems: PlacementProblem[] = [];
  for (const item of items.value) {
    const tenant = nameOf(item.get(FIELD_TENANT));
    const vm = nameOf(item.get(FIELD_VM));
    const problem = textOf(item.get(FIELD_PATH_OR_PROBLEM), PROBLEM_BYTES_MAX);
    if (tenant === undefined || vm === undefined || problem === undefined) {
      return malformed("a report is incomplete or too long");
    }
    problems.push({ tenant, vm, problem });
  }
  return ok(problems);
}

function encodeItems(items: readonly (readonly (readonly [number, string])[])[]): Buffer {
  const encoded = items.map((fields) => {
    const parts = fields.map(([number, text]) => encodeField(number, Buffer.from(text, "utf8")));
    return encodeField(FIELD_ITEM, Buffer.concat(parts));
  });
  return Buffer.concat(encoded);
}

function decodeItems(bytes: Uint8Array): Result<Map<number, Buffer>[], PlacementsError> {
  const outer = decodeFields(bytes);
  if (!outer.ok) return malformed(outer.error.message);
  const items = outer.value.filter(({ number }) => number === FIELD_ITEM);
  if (items.length > PLACEMENTS_MAX) return malformed(`it has more than ${PLACEMENTS_MAX} entries`);
  const decoded: Map<number, Buffer>[] = [];
  for (const item of items) {
    const fields = decodeFields(item.bytes);
    if (!fields.ok) return malformed(fields.error.message);
    decoded.push(new Map(fields.value.map(({ number, bytes: value }) => [number, copyOf(value)])));
  }
  return ok(decoded);
}

function copyOf(bytes: ProtobufField["bytes"]): Buffer {
  return Buffer.from(bytes);
}

function nameOf(bytes: Buffer | undefined): string | undefined {
  return textOf(bytes, NAME_BYTES_MAX);
}

function textOf(bytes: Buffer | undefined, bytesMax: number): string | undefined {
  if (bytes === undefined || bytes.length === 0 || bytes.length > bytesMax) return undefined;
  return bytes.toString("utf8");
}

function malformed(why: string): Result<never, PlacementsError> {
  return err({ kind: "placements-malformed", message: `The list cannot be used: ${why}` });
}

function orThrow<T>(result: Result<T, PlacementsError>): T {
  // grpc-js turns the exception into a status for the peer; it has no other way.
  if (!result.ok) throw new Error(result.error.message);
  return result.value;
}

/** The service, for `Server.addService` and for `Client.makeBidiStreamRequest`. */
export const PLACEMENT_SERVICE: ServiceDefinition = {
  watch: {
    path: WATCH_PATH,
    requestStream: true,
    responseStream: true,
    requestSerialize: encodeProblems,
    requestDeserialize: (bytes: Buffer) => orThrow(decodeProblems(bytes)),
    responseSerialize: encodePlacements,
    responseDeserialize: (bytes: Buffer) => orThrow(decodePlacements(bytes)),
    originalName: "watch",
  },
};
