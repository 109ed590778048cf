/**
 * The file of `flowlift tenant add`: a tenant in the words of flowlift-controller.yang, and its ports.
 *
 *     name: green
 *     segment:
 *       - { name: inside, prefix: [10.0.0.0/24] }
 *       - { name: outside, prefix: [203.0.113.0/28], transit: true }
 *     external-pool:
 *       - { name: nat, segment: outside, prefix: 203.0.113.8/32 }
 *     port:
 *       - { host: host-1, interface: tap7, segment: inside }
 *
 * Pure: YAML or JSON text in. What the words mean is checked by the controller's schema; here only the outline.
 * Limit: FILE_BYTES_MAX, PORTS_MAX.
 */
import { parseDocument } from "yaml";
import { err, ok, type Result } from "../../lib/base/result.ts";
import { isName } from "./names.ts";

export const FILE_BYTES_MAX: number = 4 * 1024 * 1024;
export const PORTS_MAX = 4096;
const DEPTH_MAX = 16;

export type Data = Readonly<Record<string, unknown>>;

export interface TenantPort {
  readonly host: string;
  /** Members of `port` as the schema has them, without tenant. */
  readonly port: Data;
}

export interface TenantFile {
  readonly name: string;
  /** The list entry `tenant`, as it is sent. */
  readonly tenant: Data;
  readonly ports: readonly TenantPort[];
}

export type TenantFileError = { readonly kind: "tenant-file-invalid"; readonly message: string };

const MEMBERS: readonly string[] = ["name", "segment", "external-pool", "virtual-machine", "port"];
const PORT_MEMBERS: readonly string[] = ["host", "interface", "segment", "static-neighbour"];

class Problem extends Error {}

/** Returns the tenant. */
export function parseTenantFile(text: string): Result<TenantFile, TenantFileError> {
  try {
    return ok(readTenant(readText(text)));
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return err({ kind: "tenant-file-invalid", message: error.message });
  }
}

function readText(text: string): unknown {
  if (Buffer.byteLength(text) > FILE_BYTES_MAX) {
    throw new Problem(`it has more than ${FILE_BYTES_MAX} bytes`);
  }
  // JSON is YAML too, but its own reader is faster by far.
  if (text.trimStart().startsWith("{")) return readJson(text);
  const document = parseDocument(text, { uniqueKeys: true });
  const [first] = document.errors;
  if (first !== undefined) throw new Problem(first.message.split("\n")[0] ?? "it is no YAML");
  return document.toJS({ maxAliasCount: 0 });
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Problem(error instanceof Error ? error.message : "it is no JSON");
  }
}

function readTenant(value: unknown): TenantFile {
  const members = objectOf(value, "the file");
  checkMembers(members, 0);
  const unknown = Object.keys(members).find((name) => !MEMBERS.includes(name));
  if (unknown !== undefined) {
    throw new Problem(`there is no member "${unknown}", only: ${MEMBERS.join(", ")}`);
  }
  const name = nameOf(members, "name", "the file");
  const { port, ...tenant } = members;
  const ports = listOf(port, "port").map((entry, index) => readPort(entry, `port ${index + 1}`));
  if (ports.length > PORTS_MAX) throw new Problem(`it has more than ${PORTS_MAX} ports`);
  for (const list of ["segment", "external-pool", "virtual-machine"]) {
    for (const entry of listOf(tenant[list], list)) nameOf(objectOf(entry, list), "name", list);
  }
  return { name, tenant, ports };
}

/** Names of members become names of elements. */
function checkMembers(value: unknown, depth: number): void {
  if (typeof value !== "object" || value === null) return;
  if (depth > DEPTH_MAX) throw new Problem(`it is nested deeper than ${DEPTH_MAX}`);
  const isList = Array.isArray(value);
  for (const [member, inside] of Object.entries(value)) {
    if (!isList && !/^[a-z][a-z0-9-]*$/.test(member)) {
      throw new Problem(`"${member}" is no member of a tenant`);
    }
    checkMembers(inside, depth + 1);
  }
}

function readPort(value: unknown, where: string): TenantPort {
  const members = objectOf(value, where);
  const unknown = Object.keys(members).find((name) => !PORT_MEMBERS.includes(name));
  if (unknown !== undefined) throw new Problem(`${where} has an unknown member "${unknown}"`);
  const { host: _, ...port } = members;
  if (typeof port["interface"] !== "string") throw new Problem(`${where} has no interface`);
  nameOf(members, "segment", where);
  return { host: nameOf(members, "host", where), port };
}

function objectOf(value: unknown, what: string): Data {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Data;
  throw new Problem(`${what} is no map of members`);
}

function listOf(value: unknown, what: string): readonly unknown[] {
  if (value === undefined || value === null) return [];
  if (Array.isArray(value)) return value;
  throw new Problem(`"${what}" is no list`);
}

function nameOf(members: Data, member: string, where: string): string {
  const value = members[member];
  if (typeof value === "string" && isName(value)) return value;
  throw new Problem(`${where} has no usable "${member}"`);
}
