/** Files, keys and tables of the management plane at their bounds. */
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import ssh2 from "ssh2";
import { beforeEach, describe, expect, test } from "vitest";
import { DATASTORE_BYTES_MAX, DatastoreFiles } from "../../src/management/datastore-files.ts";
import { Locks } from "../../src/management/locks.ts";
import { SerialQueue, WAITING_MAX } from "../../src/management/serial-queue.ts";
import {
  SESSION_ID_MAX,
  SESSIONS_MAX,
  type SessionEntry,
  SessionRegistry,
} from "../../src/management/session-registry.ts";
import {
  AUTHORIZED_KEYS_BYTES_MAX,
  findAuthorizedKey,
  loadHostKey,
  parseAuthorizedKeys,
  readAuthorizedKeys,
} from "../../src/management/ssh-keys.ts";
import { CONNECTIONS_MAX } from "../../src/management/ssh-server.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "flowlift-limits-"));
  return () => rmSync(folder, { recursive: true, force: true });
});

const KEY = ssh2.utils.generateKeyPairSync("ed25519").public.trim();

const EMPTY = { sequence: 0, lastId: 0, isRunning: false };

describe("DatastoreFiles", () => {
  test("replaces whole files, each of its own, and leaves no other", async () => {
    const files = new DatastoreFiles(join(folder, "deep", "state"));
    await files.write(["running", "startup"], {
      ...EMPTY,
      bootId: "b",
      configJson: '{"a":1}',
    });
    await files.write(["running"], { ...EMPTY, bootId: "c", configJson: '{"a":2}' });
    expect(await files.read("running")).toMatchObject({
      ok: true,
      value: { bootId: "c", configJson: '{"a":2}' },
    });
    expect(await files.read("startup")).toMatchObject({
      ok: true,
      value: { bootId: "b", configJson: '{"a":1}' },
    });
    const state = join(folder, "deep", "state");
    expect(readdirSync(state).sort()).toEqual(["running.json", "startup.json"]);
    expect(statSync(join(state, "running.json")).mode & 0o777).toBe(0o600);
    await files.delete("startup");
    expect(await files.read("startup")).toEqual({ ok: true, value: undefined });
  });

  test.each([
    [DATASTORE_BYTES_MAX - 1, "JSON"],
    [DATASTORE_BYTES_MAX, "JSON"],
    [DATASTORE_BYTES_MAX + 1, "bytes"],
  ])("of %i bytes is refused for its %s", async (bytes, reason) => {
    // Sparse: the content is no JSON, which is only noticed when the size is accepted.
    const path = join(folder, "running.json");
    writeFileSync(path, "");
    const { truncateSync } = await import("node:fs");
    truncateSync(path, bytes);
    const read = await new DatastoreFiles(folder).read("running");
    expect(read.ok ? "" : read.error.message).toContain(reason);
  });
});

describe("authorized keys", () => {
  test("are lines without options", () => {
    expect(
      parseAuthorizedKeys(
        `# x\n\n${KEY} me\nfrom="1.2.3.4" ${KEY}\nssh-dss AAAA\nssh-ed25519 AAAA\n`,
      ),
    ).toHaveLength(1);
  });

  test.each([-1, 0, 1])("of a file %i bytes beyond the bound", (more) => {
    const file = join(folder, "keys");
    writeFileSync(file, `${KEY}\n`.padEnd(AUTHORIZED_KEYS_BYTES_MAX + more, "#"));
    expect(readAuthorizedKeys(file)).toHaveLength(more > 0 ? 0 : 1);
  });

  test("are found by their bytes", () => {
    const keys = parseAuthorizedKeys(KEY);
    const [key] = keys;
    if (key === undefined) throw new Error("no key");
    expect(findAuthorizedKey(keys, key.getPublicSSH())).toBe(key);
    expect(findAuthorizedKey(keys, Buffer.alloc(51))).toBeUndefined();
    expect(findAuthorizedKey(keys, Buffer.alloc(0))).toBeUndefined();
    expect(readAuthorizedKeys(join(folder, "absent"))).toEqual([]);
  });

  test("a host key is made once, for the owner only", () => {
    const path = join(folder, "state", "key");
    const first = loadHostKey(path);
    expect(loadHostKey(path)).toBe(first);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(ssh2.utils.parseKey(first)).not.toBeInstanceOf(Error);
  });
});

describe("SessionRegistry", () => {
  const entry = (id: number): SessionEntry => ({
    id,
    transport: "t",
    username: "u",
    sourceHost: "h",
    loginTime: new Date(),
    counters: { inRpcs: 0, inBadRpcs: 0, outRpcErrors: 0, outNotifications: 0 },
    terminate: () => {},
  });

  test.each([
    [SESSIONS_MAX - 1, false],
    [SESSIONS_MAX, true],
    [SESSIONS_MAX + 1, true],
  ])("with %i sessions is full: %s", (count, isFull) => {
    const registry = new SessionRegistry(new Date());
    for (let index = 0; index < count; index++) registry.add(entry(registry.takeId()));
    expect(registry.isFull).toBe(isFull);
    expect(new Set(registry.list().map(({ id }) => id)).size).toBe(count);
  });

  test("a login stays possible when every session is taken", () => {
    expect(CONNECTIONS_MAX).toBeGreaterThan(SESSIONS_MAX);
    expect(SESSION_ID_MAX).toBe(2 ** 32 - 1);
  });
});

test.each([WAITING_MAX - 1, WAITING_MAX])(
  "SerialQueue takes %i pieces of work, in order",
  async (count) => {
    const queue = new SerialQueue();
    const order: number[] = [];
    const all = Array.from({ length: count }, (_, index) =>
      queue
        .run(async () => {
          order.push(index);
          if (index === 1) throw new Error("one fails");
        })
        .catch(() => undefined),
    );
    await Promise.all(all);
    expect(order).toEqual(Array.from({ length: count }, (_, index) => index));
  },
);

test("SerialQueue takes no more than WAITING_MAX pieces of work", async () => {
  const queue = new SerialQueue();
  const all = Array.from({ length: WAITING_MAX }, () => queue.run(async () => {}));
  expect(() => queue.run(async () => {})).toThrow("bound");
  await Promise.all(all);
  await queue.run(async () => {});
});

test("Locks name their holder and end with its session", () => {
  const locks = new Locks();
  const now = new Date(0);
  expect(locks.lock("running", 1, now, false)).toBeUndefined();
  expect(locks.lock("running", 1, now, false)).toMatchObject({
    tag: "lock-denied",
    info: [{ text: "1" }],
  });
  expect(locks.lock("candidate", 2, now, true)).toMatchObject({
    tag: "lock-denied",
    info: [{ text: "0" }],
  });
  expect(locks.refuse(["running"], 2)).toMatchObject({ tag: "in-use" });
  expect(locks.refuse(["running"], 1)).toBeUndefined();
  expect(locks.unlock("running", 2)).toMatchObject({ tag: "operation-failed" });
  expect(locks.releaseAll(1)).toEqual(["running"]);
  expect(locks.unlock("running", 1)).toMatchObject({ tag: "operation-failed" });
});
