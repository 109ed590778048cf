/** Frames between controller and agent over a real socket pair. */
import { mkdtempSync, rmSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  AgentLink,
  FRAME_BYTES_MAX,
  FRAME_INSTALL,
  PENDING_CALLS_MAX,
} from "../../src/fast-path/agent-link.ts";

const folder = mkdtempSync(join(tmpdir(), "flowlift-link-"));
const path = join(folder, "link.sock");
const accepted: ((socket: Socket) => void)[] = [];
const server = createServer((socket) => accepted.shift()?.(socket));
beforeAll(() => new Promise<void>((resolve) => server.listen(path, resolve)));
afterAll(() => {
  server.close();
  rmSync(folder, { recursive: true });
});

async function makePair(): Promise<{ near: AgentLink; far: AgentLink; raw: Socket }> {
  const far = new Promise<Socket>((resolve) => accepted.push(resolve));
  const raw = connect(path);
  return { near: new AgentLink(raw), far: new AgentLink(await far), raw };
}

test("bodies of every size arrive whole, in order, whatever the chunks", async () => {
  const { near, far } = await makePair();
  far.onCall = (kind, call, body) => far.answer(call, Buffer.concat([Buffer.of(kind), body]));
  const bodies = [0, 1, 70_000, 3, 300_000].map((bytes) => Buffer.alloc(bytes, bytes & 0xff));
  const answers = await Promise.all(bodies.map((body) => near.call(FRAME_INSTALL, body)));
  // Buffer.equals: element by element would take seconds.
  const sent = bodies.map((body) => Buffer.concat([Buffer.of(FRAME_INSTALL), body]));
  expect(answers.map((answer, index) => sent[index]?.equals(answer))).toEqual(sent.map(() => true));
  near.close();
});

test("a refusal keeps its code, and a call without an answer ends with the connection", async () => {
  const { near, far } = await makePair();
  far.onCall = (_, call) => far.fail(call, "BPF_OPERATION_FAILED", "no");
  await expect(near.call(FRAME_INSTALL, Buffer.alloc(1))).rejects.toMatchObject({
    code: "BPF_OPERATION_FAILED",
    message: "no",
  });
  far.onCall = () => far.close();
  await expect(near.call(FRAME_INSTALL, Buffer.alloc(1))).rejects.toMatchObject({
    code: "LOCAL_RPC_CLOSED",
  });
  await expect(near.call(FRAME_INSTALL, Buffer.alloc(1))).rejects.toMatchObject({
    code: "LOCAL_RPC_CLOSED",
  });
});

test.each([FRAME_BYTES_MAX + 1, 4])(
  "a frame that says it has %i bytes ends the connection",
  async (length) => {
    const { far, raw } = await makePair();
    const closed = new Promise<void>((resolve) => {
      far.onClose = resolve;
    });
    const header = Buffer.alloc(9);
    header.writeUInt32LE(length, 0);
    raw.write(header);
    await closed;
  },
);

test("calls without an answer stay within their bound, and a late answer is nobody's", async () => {
  const { near, far } = await makePair();
  const asked: number[] = [];
  far.onCall = (_, call) => asked.push(call);
  const calls = Array.from({ length: PENDING_CALLS_MAX }, () =>
    near.call(FRAME_INSTALL, Buffer.alloc(0)),
  );
  expect(() => near.call(FRAME_INSTALL, Buffer.alloc(0))).toThrow("within their bound");
  while (asked.length < PENDING_CALLS_MAX) await new Promise((resolve) => setImmediate(resolve));
  far.answer(asked.at(-1) ?? 0, Buffer.of(7));
  expect(await calls.at(-1)).toEqual(Buffer.of(7));
  far.answer(asked.at(-1) ?? 0, Buffer.of(8)); // Twice: nobody waits for it.
  const more = near.call(FRAME_INSTALL, Buffer.alloc(0));
  near.close();
  const ends = await Promise.allSettled([...calls, more]);
  expect(ends.filter(({ status }) => status === "rejected")).toHaveLength(PENDING_CALLS_MAX);
});
