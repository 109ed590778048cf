import { createHash } from "node:crypto";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ByteStream } from "../../../src/lab/traffic/byte-stream.ts";

let near: Socket;
let far: Socket;
beforeEach(async () => {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  near = connect((server.address() as { port: number }).port, "127.0.0.1");
  [far] = (await once(server, "connection")) as [Socket];
  server.close();
});
afterEach(() => {
  near.destroy();
  far.destroy();
});

test("reads of exact amounts do not depend on how the bytes were cut", async () => {
  const stream = new ByteStream(near);
  for (const part of ["a", "bc", "defg", "h"]) far.write(part);
  expect((await stream.readExactly(3)).toString()).toBe("abc");
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect((await stream.readExactly(4)).toString()).toBe("defg");
  expect((await stream.readExactly(0)).length).toBe(0);
  expect(await stream.readDigest(1)).toEqual(createHash("sha256").update("h").digest());
});

test("a payload arrives with the digest of what was written", async () => {
  const request = { connection: 1, round: 0, uploadBytes: 1_000_001, downloadBytes: 0 };
  const [written, read] = await Promise.all([
    new ByteStream(far).writePayload(request, request.uploadBytes),
    new ByteStream(near).readDigest(request.uploadBytes),
  ]);
  expect(read).toEqual(written);
});

test("a read rejects when the connection ends before, and forever after", async () => {
  const stream = new ByteStream(near);
  far.end("abc");
  await expect(stream.readExactly(4)).rejects.toThrow("the connection ended");
  await expect(stream.readExactly(1)).rejects.toThrow("the connection ended");
  expect(() => stream.write(Buffer.alloc(1))).toThrow("the connection ended");
});
