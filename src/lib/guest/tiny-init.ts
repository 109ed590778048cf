/**
 * The smallest guest: an init that writes one word to the console and sleeps, in a RAM disk of its own.
 *
 * Pure. What a kernel needs to reach it is the least that any image on this kernel needs.
 * Source: ELF-64 (System V ABI), x86-64 system calls of Linux, Documentation/driver-api/early-userspace
 * (newc archives).
 */

/** The init's word; one line of the console. */
export const TINY_INIT_WORD = "tiny-init-runs";

const LOAD_ADDRESS = 0x400000;
const HEADERS_BYTES = 64 + 56;
const MODE_EXECUTABLE = 0o100755;
const NEWC_MAGIC = "070701";
const TRAILER = "TRAILER!!!";

/** Returns the RAM disk. */
export function encodeTinyInitrd(): Buffer {
  return Buffer.concat([
    encodeNewcFile("init", MODE_EXECUTABLE, encodeTinyInit(`${TINY_INIT_WORD}\n`)),
    encodeNewcFile(TRAILER, 0, Buffer.alloc(0)),
  ]);
}

/** write(1, word, length); for (;;) pause(); */
function encodeTinyInit(word: string): Buffer {
  const text = Buffer.from(word, "latin1");
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

/** Header, name and content, each padded to four bytes. */
function encodeNewcFile(name: string, mode: number, content: Buffer): Buffer {
  const fields = [1, mode, 0, 0, 1, 0, content.length, 0, 0, 0, 0, name.length + 1, 0];
  const header = `${NEWC_MAGIC}${fields.map((field) => field.toString(16).padStart(8, "0")).join("")}`;
  return Buffer.concat([
    padToFour(Buffer.from(`${header}${name}\0`, "latin1")),
    padToFour(content),
  ]);
}

function padToFour(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4)]);
}
