/**
 * The one file that loads libbpf: its functions, its structs, its error numbers.
 *
 * Effect: bpf(2) and tc netlink calls of the calling thread, in its network namespace. What maps and programs
 * mean is known above only (bpf-object.ts, bpf-map.ts, tc-program.ts).
 * Source: libbpf 1.1 (Debian 12), headers libbpf.h and bpf.h; structs as on every 64-bit Linux.
 */
import koffi from "koffi";
import { describeError, FlowliftError } from "../base/errors.ts";

/** An address in C memory. */
export type Pointer = bigint;

export const ENOENT = 2;
export const EEXIST = 17;
export const ENODEV = 19;
export const EINVAL = 22;

/** A bpf(2) or tc operation that the kernel or libbpf refused; `errno` says why. */
export class BpfError extends FlowliftError {
  override readonly name: string = "BpfError";
  readonly errno: number;

  constructor(action: string, errno: number) {
    super("BPF_OPERATION_FAILED", `Cannot ${action}: errno ${errno}`);
    this.errno = errno;
  }
}

export interface LibbpfFunctions {
  libbpf_num_possible_cpus(): number;
  libbpf_set_print(callback: Pointer | null): Pointer | null;
  bpf_object__open_file(path: string, options: null): Pointer | null;
  bpf_object__load(object: Pointer): number;
  bpf_object__close(object: Pointer): void;
  bpf_object__find_map_by_name(object: Pointer, name: string): Pointer | null;
  bpf_object__next_map(object: Pointer, previous: Pointer | null): Pointer | null;
  bpf_object__find_program_by_name(object: Pointer, name: string): Pointer | null;
  bpf_program__fd(program: Pointer): number;
  bpf_map__name(map: Pointer): string;
  bpf_map__fd(map: Pointer): number;
  bpf_map__type(map: Pointer): number;
  bpf_map__key_size(map: Pointer): number;
  bpf_map__value_size(map: Pointer): number;
  bpf_map__max_entries(map: Pointer): number;
  bpf_map__set_max_entries(map: Pointer, entriesMax: number): number;
  bpf_map__set_pin_path(map: Pointer, path: string): number;
  bpf_obj_get(path: string): number;
  bpf_map_update_elem(fd: number, key: Uint8Array, value: Uint8Array, flags: bigint): number;
  bpf_map_lookup_elem(fd: number, key: Uint8Array, value: Uint8Array): number;
  bpf_map_delete_elem(fd: number, key: Uint8Array): number;
  bpf_map_update_batch(
    fd: number,
    keys: Uint8Array,
    values: Uint8Array,
    count: Uint32Array,
    options: null,
  ): number;
  bpf_map_lookup_batch(
    fd: number,
    from: Uint8Array | null,
    next: Uint8Array,
    keys: Uint8Array,
    values: Uint8Array,
    count: Uint32Array,
    options: null,
  ): number;
  bpf_map_delete_batch(fd: number, keys: Uint8Array, count: Uint32Array, options: null): number;
  bpf_tc_hook_create(hook: Uint8Array): number;
  bpf_tc_attach(hook: Uint8Array, options: Uint8Array): number;
  bpf_tc_detach(hook: Uint8Array, options: Uint8Array): number;
  bpf_tc_query(hook: Uint8Array, options: Uint8Array): number;
  bpf_prog_test_run_opts(fd: number, options: Uint8Array): number;
}

const SIGNATURES: Readonly<Record<keyof LibbpfFunctions, string>> = {
  libbpf_num_possible_cpus: "int libbpf_num_possible_cpus()",
  libbpf_set_print: "void *libbpf_set_print(void *callback)",
  bpf_object__open_file: "void *bpf_object__open_file(const char *path, const void *options)",
  bpf_object__load: "int bpf_object__load(void *object)",
  bpf_object__close: "void bpf_object__close(void *object)",
  bpf_object__find_map_by_name:
    "void *bpf_object__find_map_by_name(const void *object, const char *name)",
  bpf_object__next_map: "void *bpf_object__next_map(const void *object, const void *previous)",
  bpf_object__find_program_by_name:
    "void *bpf_object__find_program_by_name(const void *object, const char *name)",
  bpf_program__fd: "int bpf_program__fd(const void *program)",
  bpf_map__name: "const char *bpf_map__name(const void *map)",
  bpf_map__fd: "int bpf_map__fd(const void *map)",
  bpf_map__type: "int bpf_map__type(const void *map)",
  bpf_map__key_size: "uint32_t bpf_map__key_size(const void *map)",
  bpf_map__value_size: "uint32_t bpf_map__value_size(const void *map)",
  bpf_map__max_entries: "uint32_t bpf_map__max_entries(const void *map)",
  bpf_map__set_max_entries: "int bpf_map__set_max_entries(void *map, uint32_t entries)",
  bpf_map__set_pin_path: "int bpf_map__set_pin_path(void *map, const char *path)",
  bpf_obj_get: "int bpf_obj_get(const char *path)",
  bpf_map_update_elem:
    "int bpf_map_update_elem(int fd, const void *key, const void *value, uint64_t flags)",
  bpf_map_lookup_elem: "int bpf_map_lookup_elem(int fd, const void *key, _Out_ void *value)",
  bpf_map_delete_elem: "int bpf_map_delete_elem(int fd, const void *key)",
  bpf_map_update_batch:
    "int bpf_map_update_batch(int fd, const void *keys, const void *values, _Inout_ void *count, const void *options)",
  bpf_map_lookup_batch:
    "int bpf_map_lookup_batch(int fd, const void *from, _Out_ void *next, _Out_ void *keys, _Out_ void *values, _Inout_ void *count, const void *options)",
  bpf_map_delete_batch:
    "int bpf_map_delete_batch(int fd, const void *keys, _Inout_ void *count, const void *options)",
  bpf_tc_hook_create: "int bpf_tc_hook_create(void *hook)",
  bpf_tc_attach: "int bpf_tc_attach(const void *hook, _Inout_ void *options)",
  bpf_tc_detach: "int bpf_tc_detach(const void *hook, const void *options)",
  bpf_tc_query: "int bpf_tc_query(const void *hook, _Inout_ void *options)",
  bpf_prog_test_run_opts: "int bpf_prog_test_run_opts(int fd, _Inout_ void *options)",
};

const LIBRARY = "libbpf.so.1";
let loaded: LibbpfFunctions | undefined;

/** Returns libbpf's functions. Throws NATIVE_LIBRARY_MISSING. Its warnings appear on stderr. */
export function getLibbpf(): LibbpfFunctions {
  if (loaded !== undefined) return loaded;
  try {
    const library = koffi.load(LIBRARY);
    const functions: Record<string, unknown> = {};
    for (const [name, signature] of Object.entries(SIGNATURES)) {
      functions[name] = library.func(signature);
    }
    loaded = functions as unknown as LibbpfFunctions;
    return loaded;
  } catch (cause) {
    throw new FlowliftError(
      "NATIVE_LIBRARY_MISSING",
      `Cannot load ${LIBRARY} (Debian package libbpf1): ${describeError(cause)}`,
    );
  }
}

/** Calls libbpf where its warnings are about what we expect. */
export function callQuietly(call: (library: LibbpfFunctions) => number): number {
  const library = getLibbpf();
  const printer = library.libbpf_set_print(null);
  try {
    return call(library);
  } finally {
    library.libbpf_set_print(printer);
  }
}

/** Returns a non-negative result, or throws what libbpf said (it returns -errno). */
export function checkBpf(result: number, action: string): number {
  if (result < 0) throw new BpfError(action, -result);
  return result;
}

/** Returns the pointer, or throws: libbpf returns NULL and leaves the reason in errno. */
export function checkPointer(pointer: Pointer | null, action: string): Pointer {
  if (pointer === null) throw new BpfError(action, koffi.errno());
  return pointer;
}

/** Memory that C may keep addresses of while `use` runs. */
export function withNativeMemory<T>(
  bytes: number,
  use: (memory: Uint8Array, address: Pointer) => T,
): T {
  const memory = koffi.alloc("uint8_t", bytes) as unknown;
  try {
    const view = new Uint8Array(koffi.view(memory, bytes));
    view.fill(0);
    return use(view, koffi.address(memory));
  } finally {
    koffi.free(memory);
  }
}
