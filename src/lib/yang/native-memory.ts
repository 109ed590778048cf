/**
 * Reads libyang's C structs: error items, modules, schema nodes, data nodes and sets.
 *
 * Effect: reads C memory. Only addresses that libyang has just returned may be passed in.
 * Source: libyang 2.1.30 log.h, tree_schema.h, tree_data.h, set.h (LP64 layout).
 */
import koffi from "koffi";
import { NULL_POINTER, type Pointer } from "./libyang.ts";

const P = "void *";
const S = "const char *";

const ERROR_ITEM = koffi.struct({
  level: "int",
  no: "int",
  vecode: "int",
  msg: S,
  path: S,
  apptag: S,
  next: P,
  prev: P,
});

const MODULE = koffi.struct({
  ctx: P,
  name: S,
  revision: S,
  ns: S,
  prefix: S,
  filepath: S,
  org: P,
  contact: P,
  dsc: P,
  ref: P,
  parsed: P,
  compiled: P,
  identities: P,
  augmentedBy: P,
  deviatedBy: P,
  implemented: "uint8_t",
});

const PARSED_MODULE = koffi.struct({
  mod: P,
  revs: P,
  imports: P,
  includes: P,
  extensions: P,
  features: P,
});

const FEATURE = koffi.struct({
  name: S,
  iffeatures: P,
  iffeaturesC: P,
  depfeatures: P,
  dsc: P,
  ref: P,
  exts: P,
  flags: "uint16_t",
});
const FEATURE_BYTES: bigint = BigInt(koffi.sizeof(FEATURE));
const LYS_FENABLED = 0x20;

const SCHEMA_NODE = koffi.struct({
  nodetype: "uint16_t",
  flags: "uint16_t",
  hash: "uint32_t",
  module: P,
  parent: P,
  next: P,
  prev: P,
  name: S,
  dsc: P,
  ref: P,
  exts: P,
  priv: P,
});
/** Where a leaf's or leaf-list's schema node points to its type. */
const LEAF_TYPE_OFFSET = 96n;

const DATA_NODE = koffi.struct({
  hash: "uint32_t",
  flags: "uint32_t",
  schema: P,
  parent: P,
  next: P,
  prev: P,
});
/** Where the value of a leaf lies in its data node. */
const TERM_VALUE_OFFSET = 56n;
const LYD_DEFAULT = 0x01;
/** Where a compiled type holds its base type, a leafref its target's type, a union its members. */
const TYPE_BASE_OFFSET = 16n;
const LEAFREF_TARGET_OFFSET = 48n;
const UNION_MEMBERS_OFFSET = 24n;
/** The length of `struct lysc_ext_instance`. */
const EXTENSION_BYTES = 72n;

/** One stored error of a context. */
export interface NativeError {
  readonly vecode: number;
  readonly msg: string | null;
  readonly path: string | null;
  readonly apptag: string | null;
  readonly next: Pointer | null;
}

export interface NativeFeature {
  readonly name: string;
  readonly enabled: boolean;
}

export interface NativeModule {
  readonly name: string;
  readonly revision: string | null;
  readonly ns: string;
  readonly prefix: string;
  readonly filepath: string | null;
  readonly parsed: Pointer | null;
  readonly compiled: Pointer | null;
  readonly implemented: boolean;
}

export interface NativeSchemaNode {
  readonly nodetype: number;
  readonly flags: number;
  readonly module: Pointer;
  readonly parent: Pointer | null;
  readonly name: string;
  readonly exts: Pointer | null;
}

export interface NativeDataNode {
  readonly isDefault: boolean;
  readonly schema: Pointer | null;
  readonly parent: Pointer | null;
  readonly next: Pointer | null;
  readonly value: Pointer;
}

export function readError(item: Pointer): NativeError {
  return koffi.decode(item, ERROR_ITEM) as NativeError;
}

export function readModule(module: Pointer): NativeModule {
  const raw = koffi.decode(module, MODULE) as Omit<NativeModule, "implemented"> & {
    readonly implemented: number;
  };
  return { ...raw, implemented: raw.implemented !== 0 };
}

/** Returns the features that a parsed module defines. */
export function readFeatures(parsed: Pointer | null): NativeFeature[] {
  if (parsed === null) return [];
  const { features } = koffi.decode(parsed, PARSED_MODULE) as { features: Pointer | null };
  if (features === null) return [];
  // A sized array: its length stands in the 8 bytes before it.
  const count = Number(koffi.decode.uint64(features - 8n));
  return Array.from({ length: count }, (_, index) => {
    const raw = koffi.decode(features + BigInt(index) * FEATURE_BYTES, FEATURE) as {
      name: string;
      flags: number;
    };
    return { name: raw.name, enabled: (raw.flags & LYS_FENABLED) !== 0 };
  });
}

export function readSchemaNode(node: Pointer): NativeSchemaNode {
  return koffi.decode(node, SCHEMA_NODE) as NativeSchemaNode;
}

/** Returns the base type (LY_DATA_TYPE) of a leaf's or leaf-list's schema node. */
export function readBaseType(leaf: Pointer): number {
  const type = koffi.decode(leaf + LEAF_TYPE_OFFSET, P) as Pointer;
  return koffi.decode.uint32(type + TYPE_BASE_OFFSET);
}

/**
 * Returns the base types that a value of a leaf can have: those of a union's members, and of what a
 * leafref points to.
 */
export function readValueTypes(leaf: Pointer): ReadonlySet<number> {
  const found = new Set<number>();
  collectTypes(koffi.decode(leaf + LEAF_TYPE_OFFSET, P) as Pointer, found);
  return found;
}

const TYPE_UNION = 15;
const TYPE_LEAFREF = 14;
/** Types nest no deeper; libyang refuses circles. */
const TYPE_DEPTH_MAX = 64;

function collectTypes(type: Pointer, found: Set<number>, depth = 0): void {
  const base = koffi.decode.uint32(type + TYPE_BASE_OFFSET);
  if (depth < TYPE_DEPTH_MAX && base === TYPE_LEAFREF) {
    collectTypes(koffi.decode(type + LEAFREF_TARGET_OFFSET, P) as Pointer, found, depth + 1);
  } else if (depth < TYPE_DEPTH_MAX && base === TYPE_UNION) {
    const members = koffi.decode(type + UNION_MEMBERS_OFFSET, P) as Pointer;
    const count = Number(koffi.decode.uint64(members - 8n));
    for (const member of koffi.decode(members, P, count) as Pointer[]) {
      collectTypes(member, found, depth + 1);
    }
  } else found.add(base);
}

/** Returns the names of the extensions at a schema node, e.g. "default-deny-write". */
export function readExtensions(node: NativeSchemaNode): string[] {
  if (node.exts === null) return [];
  const count = Number(koffi.decode.uint64(node.exts - 8n));
  return Array.from({ length: count }, (_, index) => {
    const at = (node.exts ?? NULL_POINTER) + BigInt(index) * EXTENSION_BYTES;
    const definition = koffi.decode(at, P) as Pointer;
    return koffi.decode(definition, S) as string;
  });
}

export function readDataNode(node: Pointer): NativeDataNode {
  const raw = koffi.decode(node, DATA_NODE) as Omit<NativeDataNode, "isDefault" | "value"> & {
    readonly flags: number;
  };
  return {
    isDefault: (raw.flags & LYD_DEFAULT) !== 0,
    schema: raw.schema,
    parent: raw.parent,
    next: raw.next,
    value: node + TERM_VALUE_OFFSET,
  };
}

/** Returns the members of a `struct ly_set`: two 32-bit numbers, then the array. */
export function readSet(set: Pointer): Pointer[] {
  const count = koffi.decode.uint32(set + 4n);
  if (count === 0) return [];
  const array = koffi.decode(set + 8n, P) as Pointer;
  return Array.from(koffi.decode(array, P, count) as Pointer[]);
}

/** Returns the NUL-terminated text at an address, and gives its memory back to C's allocator. */
export function takeString(text: Pointer): string {
  if (text === NULL_POINTER) return "";
  const value = koffi.decode.string(text);
  koffi.free(text);
  return value;
}
