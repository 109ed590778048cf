/** Every bound of RESTCONF, just below, at and above it. */
import { request as httpsRequest } from "node:https";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Clock } from "../../src/lib/base/clock.ts";
import {
  BasicAuthentication,
  MEMORY_MAX,
  MEMORY_MS,
} from "../../src/management/restconf/basic-auth.ts";
import { checkConditions } from "../../src/management/restconf/conditions.ts";
import {
  DEPTH_MAX,
  FIELDS_BYTES_MAX,
  parseReadQuery,
} from "../../src/management/restconf/query.ts";
import { PATH_STEPS_MAX, parseResourcePath } from "../../src/management/restconf/resource-path.ts";
import { STREAMS_MAX } from "../../src/management/restconf/resources.ts";
import { PATCH_EDITS_MAX } from "../../src/management/restconf/yang-patch.ts";
import { call, closeSite, INTERFACES, openSite, port } from "./restconf-site.ts";

beforeAll(openSite);
afterAll(closeSite);

test.each([
  [PATH_STEPS_MAX - 1, "module"],
  [PATH_STEPS_MAX, "module"],
  [PATH_STEPS_MAX + 1, "steps"],
])("a path of %i steps is refused for its %s", (count, reason) => {
  const result = parseResourcePath({ roots: new Map() }, "x/".repeat(count));
  expect(result.ok ? "" : result.error.message).toContain(reason);
});

test.each([
  [FIELDS_BYTES_MAX - 1, true],
  [FIELDS_BYTES_MAX, true],
  [FIELDS_BYTES_MAX + 1, false],
])("a fields expression of %i bytes: %s", (bytes, isRead) => {
  expect(parseReadQuery(`fields=${"a".repeat(bytes)}`).ok).toBe(isRead);
});

test.each([
  [DEPTH_MAX - 1, true],
  [DEPTH_MAX, true],
  [DEPTH_MAX + 1, false],
])("depth %i: %s", (depth, isRead) => {
  expect(parseReadQuery(`depth=${depth}`).ok).toBe(isRead);
});

test.each(["a(", "a)", "a;;b", "/a", "a/", "(a)", "a b", ""])("fields=%j is refused", (fields) => {
  expect(parseReadQuery(`fields=${encodeURIComponent(fields)}`).ok).toBe(false);
});

test.each([
  [PATCH_EDITS_MAX - 1, 200],
  [PATCH_EDITS_MAX, 200],
  [PATCH_EDITS_MAX + 1, 413],
])(
  "a patch of %i edits: %i",
  async (count, status) => {
    const edit = Array.from({ length: count }, (_, index) => ({
      ...{ "edit-id": `${index}`, operation: "remove", target: "/interface=none" },
    }));
    const body = { "ietf-yang-patch:yang-patch": { "patch-id": "many", edit } };
    const type = { "content-type": "application/yang-patch+json" };
    expect((await call("PATCH", INTERFACES, body, type)).status).toBe(status);
  },
  30_000,
);

test("one stream more than there may be is refused", async () => {
  const authorization = `Basic ${Buffer.from("admin:right").toString("base64")}`;
  const open = (): Promise<{ status: number; close: () => void }> =>
    new Promise((resolve, reject) => {
      const path = "/restconf/streams/NETCONF";
      const options = { host: "127.0.0.1", port, path, rejectUnauthorized: false };
      const sent = httpsRequest({ ...options, headers: { authorization } }, (response) => {
        resolve({ status: response.statusCode ?? 0, close: () => sent.destroy() });
      });
      sent.on("error", reject);
      sent.end();
    });
  const streams = await Promise.all(Array.from({ length: STREAMS_MAX }, open));
  expect(streams.map(({ status }) => status)).toEqual(Array(STREAMS_MAX).fill(200));
  expect((await open()).status).toBe(503);
  for (const stream of streams) stream.close();
});

describe("the memory of right passwords", () => {
  function makeSite() {
    let nowMs = 0;
    let asked = 0;
    const clock = { nowMs: () => nowMs } as Clock;
    const authentication = new BasicAuthentication(
      {
        methods: () => ["password"],
        findKey: () => undefined,
        checkPassword: async (_user, password) => {
          asked++;
          return password === "right";
        },
        report: () => {},
      },
      clock,
    );
    const check = (user: string, password: string) =>
      authentication.check(
        `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`,
        "192.0.2.1",
      );
    return { check, count: () => asked, wait: (ms: number) => (nowMs += ms) };
  }

  test.each([
    [MEMORY_MS - 1, 1],
    [MEMORY_MS, 2],
    [MEMORY_MS + 1, 2],
  ])("after %i ms the authenticator was asked %i times", async (ms, times) => {
    const { check, count, wait } = makeSite();
    expect(await check("rita", "right")).toBe("rita");
    wait(ms);
    expect(await check("rita", "right")).toBe("rita");
    expect(count()).toBe(times);
  });

  test.each([
    [MEMORY_MAX - 1, 0],
    [MEMORY_MAX, 0],
    [MEMORY_MAX + 1, 1],
  ])("with %i users the first is asked about %i times again", async (users, times) => {
    const { check, count } = makeSite();
    for (let index = 0; index < users; index++) await check(`user${index}`, "right");
    const before = count();
    await check("user0", "right");
    expect(count() - before).toBe(times);
  });

  test("a wrong password is never remembered, and nothing else is a name", async () => {
    const { check, count } = makeSite();
    expect(await check("rita", "wrong")).toBeUndefined();
    expect(await check("rita", "wrong")).toBeUndefined();
    expect(count()).toBe(2);
    expect(await check("", "right")).toBeUndefined();
  });
});

describe("conditions, without a server", () => {
  const version = { id: 7, at: new Date("2026-11-21T10:00:00.400Z") };
  const at = (time: string) => new Date(time).toUTCString();
  test.each([
    ["If-Match of it", { ifMatch: '"6", "7"' }, false, undefined],
    ["If-Match of another", { ifMatch: '"6"' }, false, 412],
    ["If-Match of anything", { ifMatch: "*" }, false, undefined],
    ["If-None-Match of it, writing", { ifNoneMatch: 'W/"7"' }, false, 412],
    ["If-None-Match of it, reading", { ifNoneMatch: '"7"' }, true, 304],
    [
      "unmodified since that second",
      { ifUnmodifiedSince: at("2026-11-21T10:00:00Z") },
      false,
      undefined,
    ],
    ["unmodified since before", { ifUnmodifiedSince: at("2026-11-21T09:59:59Z") }, false, 412],
    ["modified since before", { ifModifiedSince: at("2026-11-21T09:59:59Z") }, true, undefined],
    ["modified since then", { ifModifiedSince: at("2026-11-21T10:00:00Z") }, true, 304],
    ["a date that is none", { ifModifiedSince: "yesterday" }, true, undefined],
  ])("%s", (_name, conditions, isRead, status) => {
    expect(checkConditions(conditions, version, isRead)?.status).toBe(status);
  });
});
