/**
 * The protocol of the transfer programs: payloads both ways, each checked by its SHA-256.
 *
 *     request   0..3 "FLT1"  4..7 connection  8..11 round  12..15 zero  16..23 upload  24..31 download
 *               then `upload` bytes
 *     answer    32 bytes SHA-256 of the upload, `download` bytes, 32 bytes SHA-256 of the download
 *
 * Numbers are big-endian. A connection carries any number of rounds. Payload blocks start with
 * connection, round and offset, so that bytes of another connection never pass for the right ones.
 *
 * Pure.
 */
import { assert } from "../../lib/base/assert.ts";

export const REQUEST_BYTES = 32;
export const DIGEST_BYTES = 32;
export const BLOCK_BYTES: number = 64 * 1024;
const MAGIC = 0x464c5431;

export interface TransferRequest {
  readonly connection: number;
  readonly round: number;
  readonly uploadBytes: number;
  readonly downloadBytes: number;
}

export function encodeTransferRequest(request: TransferRequest): Buffer {
  const buffer = Buffer.alloc(REQUEST_BYTES);
  buffer.writeUInt32BE(MAGIC, 0);
  buffer.writeUInt32BE(request.connection, 4);
  buffer.writeUInt32BE(request.round, 8);
  buffer.writeBigUInt64BE(BigInt(request.uploadBytes), 16);
  buffer.writeBigUInt64BE(BigInt(request.downloadBytes), 24);
  return buffer;
}

/** Returns the request, or undefined when the bytes are none. */
export function decodeTransferRequest(buffer: Buffer): TransferRequest | undefined {
  assert(buffer.length === REQUEST_BYTES, "a request is decoded once it is whole");
  if (buffer.readUInt32BE(0) !== MAGIC) return undefined;
  const uploadBytes = Number(buffer.readBigUInt64BE(16));
  const downloadBytes = Number(buffer.readBigUInt64BE(24));
  if (!Number.isSafeInteger(uploadBytes) || !Number.isSafeInteger(downloadBytes)) return undefined;
  return {
    connection: buffer.readUInt32BE(4),
    round: buffer.readUInt32BE(8),
    uploadBytes,
    downloadBytes,
  };
}

/** Bytes without a pattern that hardware or a bug could produce by chance (xorshift32). */
const NOISE: Buffer = makeNoise(BLOCK_BYTES);

function makeNoise(bytes: number): Buffer {
  const noise = Buffer.alloc(bytes);
  let state = 0x9e3779b9;
  for (let offset = 0; offset < bytes; offset += 4) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    noise.writeInt32LE(state | 0, offset);
  }
  return noise;
}

/** Returns the payload's block at `offset`; the last one is shorter. */
export function makeBlock(request: TransferRequest, offset: number, totalBytes: number): Buffer {
  const block = Buffer.from(NOISE.subarray(0, Math.min(BLOCK_BYTES, totalBytes - offset)));
  if (block.length < 16) return block;
  block.writeUInt32BE(request.connection, 0);
  block.writeUInt32BE(request.round, 4);
  block.writeBigUInt64BE(BigInt(offset), 8);
  return block;
}
