/**
 * The smallest guest: an init that writes one word to the console and sleeps.
 *
 * Pure. What a kernel needs to reach it is the least that any image on this kernel needs.
 * Source: ELF-64 (System V ABI), x86-64 system calls of Linux.
 */

/** The init's word; one line of the console. */
export const TINY_INIT_WORD = "tiny-init-runs";

const LOAD_ADDRESS = 0x400000;
const HEADERS_BYTES = 64 + 56;

/** Returns the program: write(1, word, length); for (;;) pause(); */
export function encodeTinyInit(): Buffer {
  const text = Buffer.from(`${TINY_INIT_WORD}\n`, "latin1");
  const code = Buffer.from([
    ...[0xb8, 1, 0, 0, 0], // mov eax, write
    ...[0xbf, 1, 0, 0, 0], // mov edi, 1
    ...[0x48, 0x8d, 0x35, 16, 0, 0, 0], // lea rsi, [rip + 16]: the word
    ...[0xba, text.length, 0, 0, 0], // mov edx, length
    ...[0x0f, 0x05], // syscall
    ...[0xb8, 34, 0, 0, 0], // again: mov eax, pause
    ...[0x0f, 0x05], // syscall
    ...[0xeb, 0xf7], // jmp again
  ]);
  return Buffer.concat([encodeElfHeaders(code.length + text.length), code, text]);
}

function encodeElfHeaders(bodyBytes: number): Buffer {
  const headers = Buffer.alloc(HEADERS_BYTES);
  headers.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]); // ELF, 64 bits, little-endian
  headers.writeUInt16LE(2, 16); // executable
  headers.writeUInt16LE(62, 18); // x86-64
  headers.writeUInt32LE(1, 20);
  headers.writeBigUInt64LE(BigInt(LOAD_ADDRESS + HEADERS_BYTES), 24); // entry
  headers.writeBigUInt64LE(64n, 32); // program headers begin here
  headers.writeUInt16LE(64, 52);
  headers.writeUInt16LE(56, 54);
  headers.writeUInt16LE(1, 56); // one of them
  headers.writeUInt32LE(1, 64); // load
  headers.writeUInt32LE(5, 68); // read, execute
  headers.writeBigUInt64LE(BigInt(LOAD_ADDRESS), 80);
  headers.writeBigUInt64LE(BigInt(LOAD_ADDRESS), 88);
  headers.writeBigUInt64LE(BigInt(HEADERS_BYTES + bodyBytes), 96);
  headers.writeBigUInt64LE(BigInt(HEADERS_BYTES + bodyBytes), 104);
  headers.writeBigUInt64LE(0x1000n, 112);
  return headers;
}
