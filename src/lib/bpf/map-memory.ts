/**
 * The elements of an array map as memory of this process: no system call for a read or a write.
 *
 * Effect: mmap(2). The map has BPF_F_MMAPABLE. Source: kernel/bpf/arraymap.c (array_map_mmap).
 */
import koffi from "koffi";
import type { BpfMap } from "./bpf-map.ts";
import { BpfError } from "./libbpf.ts";

const PROT_READ_AND_WRITE = 3;
const MAP_SHARED = 1;
const PAGE_BYTES = 4096;
/** The kernel gives each element a multiple of this. */
const ELEMENT_ALIGNMENT_BYTES = 8;

const libc = koffi.load(null);
const sysMmap = libc.func(
  "void *mmap(void *at, size_t bytes, int protection, int flags, int fd, int64_t offset)",
);
const sysMunmap = libc.func("int munmap(void *at, size_t bytes)");

export interface MapMemory {
  readonly bytes: Buffer;
  /** From one element to the next. */
  readonly strideBytes: number;
  /** The bytes must not be touched afterwards. */
  unmap(): void;
}

/** Maps all elements. Throws BPF_OPERATION_FAILED. */
export function mapMemory(map: BpfMap): MapMemory {
  const strideBytes = alignTo(map.valueBytes, ELEMENT_ALIGNMENT_BYTES);
  const length = alignTo(strideBytes * map.entriesMax, PAGE_BYTES);
  const at = sysMmap(null, length, PROT_READ_AND_WRITE, MAP_SHARED, map.fd, 0) as unknown;
  if (koffi.address(at) === 0xffff_ffff_ffff_ffffn) {
    throw new BpfError(`map BPF map "${map.name}" into memory`, koffi.errno());
  }
  return {
    bytes: Buffer.from(koffi.view(at, strideBytes * map.entriesMax)),
    strideBytes,
    unmap: () => void sysMunmap(at, length),
  };
}

function alignTo(bytes: number, alignment: number): number {
  return Math.ceil(bytes / alignment) * alignment;
}
