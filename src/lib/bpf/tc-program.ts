/**
 * Programs at an interface's tc clsact hook, and a dry run of a program on one packet.
 *
 * Effect: tc netlink and bpf(2) in the calling thread's network namespace.
 * Source: libbpf 1.1 libbpf.h (bpf_tc_hook, bpf_tc_opts), bpf.h (bpf_test_run_opts), linux/bpf.h (__sk_buff).
 */
import {
  BpfError,
  callQuietly,
  checkBpf,
  EEXIST,
  EINVAL,
  ENODEV,
  ENOENT,
  getLibbpf,
  withNativeMemory,
} from "./libbpf.ts";

export type TcPoint = "ingress" | "egress";

/** A filter's place: whoever attaches to the same place replaces what is there. */
export interface TcPlace {
  readonly ifindex: number;
  readonly point: TcPoint;
  readonly handle: number;
  readonly priority: number;
}

const HOOK_BYTES = 24;
const OPTIONS_BYTES = 32;
const BPF_TC_INGRESS = 1;
const BPF_TC_EGRESS = 2;
const BPF_TC_F_REPLACE = 1;

/** Attaches, replacing in one step what was in this place; makes the clsact qdisc where it is missing. */
export function attachTc(place: TcPlace, programFd: number): void {
  const hook = encodeHook(place);
  const created = callQuietly((library) => library.bpf_tc_hook_create(hook));
  const action = `attach a BPF program to interface ${place.ifindex}`;
  if (created < 0 && created !== -EEXIST) throw new BpfError(action, -created);
  const options = encodeOptions(place);
  options.writeInt32LE(programFd, 8);
  options.writeUInt32LE(BPF_TC_F_REPLACE, 12);
  checkBpf(getLibbpf().bpf_tc_attach(hook, options), action);
}

/** Returns whether a program was there to be removed; a vanished interface has none. */
export function detachTc(place: TcPlace): boolean {
  const result = callQuietly((library) =>
    library.bpf_tc_detach(encodeHook(place), encodeOptions(place)),
  );
  if (isAbsent(result)) return false;
  checkBpf(result, `detach a BPF program from interface ${place.ifindex}`);
  return true;
}

/** Returns the kernel's id of the program in this place, or undefined. */
export function queryTc(place: TcPlace): number | undefined {
  const options = encodeOptions(place);
  const result = callQuietly((library) => library.bpf_tc_query(encodeHook(place), options));
  if (isAbsent(result)) return undefined;
  checkBpf(result, `look for a BPF program at interface ${place.ifindex}`);
  return options.readUInt32LE(16);
}

function isAbsent(result: number): boolean {
  return result === -ENOENT || result === -ENODEV || result === -EINVAL;
}

function encodeHook(place: TcPlace): Buffer {
  const hook = Buffer.alloc(HOOK_BYTES);
  hook.writeBigUInt64LE(BigInt(HOOK_BYTES), 0);
  hook.writeInt32LE(place.ifindex, 8);
  hook.writeUInt32LE(place.point === "ingress" ? BPF_TC_INGRESS : BPF_TC_EGRESS, 12);
  return hook;
}

function encodeOptions(place: TcPlace): Buffer {
  const options = Buffer.alloc(OPTIONS_BYTES);
  options.writeBigUInt64LE(BigInt(OPTIONS_BYTES), 0);
  options.writeUInt32LE(place.handle, 20);
  options.writeUInt32LE(place.priority, 24);
  return options;
}

/** What a program is told of a packet besides its bytes. */
export interface TestFrame {
  readonly bytes: Uint8Array;
  readonly ifindex: number;
  readonly gsoSegments?: number;
  readonly gsoBytes?: number;
  readonly repeatCount?: number;
}

export interface TestRun {
  readonly verdict: number;
  readonly bytes: Uint8Array;
  /** Nanoseconds of one run. */
  readonly durationNs: number;
}

const TEST_OPTIONS_BYTES = 80;
const SK_BUFF_BYTES = 192;
const SK_BUFF_IFINDEX_OFFSET = 40;
const SK_BUFF_GSO_SEGS_OFFSET = 164;
const SK_BUFF_GSO_SIZE_OFFSET = 176;
const ROOM_BYTES = 256;

/** Runs a tc program once (or `repeatCount` times) on a frame that goes nowhere (BPF_PROG_TEST_RUN). */
export function runTcProgram(programFd: number, frame: TestFrame): TestRun {
  const inBytes = frame.bytes.length;
  const outBytes = inBytes + ROOM_BYTES;
  const contextAt = inBytes + outBytes;
  return withNativeMemory(contextAt + SK_BUFF_BYTES, (memory, address) => {
    memory.set(frame.bytes, 0);
    const context = new DataView(memory.buffer, contextAt, SK_BUFF_BYTES);
    context.setUint32(SK_BUFF_IFINDEX_OFFSET, frame.ifindex, true);
    context.setUint32(SK_BUFF_GSO_SEGS_OFFSET, frame.gsoSegments ?? 0, true);
    context.setUint32(SK_BUFF_GSO_SIZE_OFFSET, frame.gsoBytes ?? 0, true);
    const options = Buffer.alloc(TEST_OPTIONS_BYTES);
    options.writeBigUInt64LE(BigInt(TEST_OPTIONS_BYTES), 0);
    options.writeBigUInt64LE(address, 8);
    options.writeBigUInt64LE(address + BigInt(inBytes), 16);
    options.writeUInt32LE(inBytes, 24);
    options.writeUInt32LE(outBytes, 28);
    options.writeBigUInt64LE(address + BigInt(contextAt), 32);
    options.writeUInt32LE(SK_BUFF_BYTES, 48);
    options.writeInt32LE(frame.repeatCount ?? 1, 60);
    checkBpf(getLibbpf().bpf_prog_test_run_opts(programFd, options), "run a BPF program");
    const length = options.readUInt32LE(28);
    return {
      verdict: options.readInt32LE(56),
      bytes: memory.slice(inBytes, inBytes + length),
      durationNs: options.readUInt32LE(64),
    };
  });
}
