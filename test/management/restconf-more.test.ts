/** RESTCONF's conditions, query parameters, patches, events and operations. */
import { request as httpsRequest } from "node:https";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { call, closeSite, DATA, ETH, INTERFACES, openSite, port } from "./restconf-site.ts";

beforeAll(async () => {
  await openSite();
  await call("PUT", `${INTERFACES}/interface=eth1`, ETH("eth1", { description: "one" }));
});
afterAll(closeSite);

describe("conditions", () => {
  test("an entity-tag guards a change against others' changes", async () => {
    const read = await call("GET", `${INTERFACES}?content=config`);
    const tag = read.headers["etag"] ?? "";
    const eth1 = `${INTERFACES}/interface=eth1`;
    const change = (description: string, match: string) =>
      call("PATCH", eth1, ETH("eth1", { description }), { "if-match": match });
    const first = await change("mine", tag);
    expect(first.status).toBe(204);
    expect(first.headers["etag"]).not.toBe(tag);
    expect((await change("late", tag)).status).toBe(412);
    expect((await call("GET", `${eth1}/description`)).text).toContain("mine");
  });

  test("a reader who has it gets nothing again", async () => {
    const path = `${INTERFACES}?content=config`;
    const tag = (await call("GET", path)).headers["etag"] ?? "";
    const again = await call("GET", path, undefined, { "if-none-match": tag });
    expect([again.status, again.text]).toEqual([304, ""]);
    expect((await call("GET", path, undefined, { "if-none-match": '"0"' })).status).toBe(200);
  });
});

describe("query parameters", () => {
  test("content, depth and fields cut what is shown", async () => {
    const all = await call(
      "GET",
      `${DATA}?content=nonconfig&fields=ietf-interfaces:interfaces-state`,
    );
    expect(all.text).toContain("oper-status");
    expect(all.text).not.toContain('"ietf-interfaces:interfaces":');
    const fields = await call("GET", `${INTERFACES}/interface=eth1?fields=name;enabled`);
    expect(fields.json).toEqual({ "ietf-interfaces:interface": [{ name: "eth1" }] });
    const depth = await call("GET", `${INTERFACES}?depth=1&content=config`);
    expect(depth.json).toEqual({ "ietf-interfaces:interfaces": {} });
    const defaults = await call("GET", `${INTERFACES}/interface=eth1?with-defaults=report-all`);
    expect(defaults.text).toContain('"enabled":true');
    const list = await call("GET", `${INTERFACES}/interface?content=config&fields=name`);
    expect(list.json).toEqual({ "ietf-interfaces:interface": [{ name: "eth1" }] });
  });

  test("insert and point place entries that users order", async () => {
    const servers = `${DATA}/ietf-system:system/dns-resolver`;
    const server = (name: string) => ({
      "ietf-system:server": [{ name, "udp-and-tcp": { address: "192.0.2.1" } }],
    });
    await call("PUT", servers, { "ietf-system:dns-resolver": {} });
    for (const name of ["b", "d"])
      expect((await call("POST", servers, server(name))).status).toBe(201);
    const at = (name: string) =>
      encodeURIComponent(`/ietf-system:system/dns-resolver/server=${name}`);
    expect((await call("POST", `${servers}?insert=first`, server("a"))).status).toBe(201);
    expect(
      (await call("POST", `${servers}?insert=before&point=${at("d")}`, server("c"))).status,
    ).toBe(201);
    const order = await call("GET", `${servers}?content=config&fields=server/name`);
    expect([...order.text.matchAll(/"name":"(\w)"/g)].map((match) => match[1]).join("")).toBe(
      "abcd",
    );
    expect((await call("POST", `${servers}?insert=before`, server("e"))).status).toBe(400);
  });
});

describe("YANG Patch", () => {
  const patch = (edit: readonly object[]) =>
    call(
      "PATCH",
      INTERFACES,
      { "ietf-yang-patch:yang-patch": { "patch-id": "p1", edit } },
      {
        "content-type": "application/yang-patch+json",
      },
    );

  test("several edits are one transaction", async () => {
    const reply = await patch([
      { "edit-id": "1", operation: "create", target: "/interface=p1", value: ETH("p1") },
      {
        "edit-id": "2",
        operation: "merge",
        target: "/interface=eth1",
        value: ETH("eth1", { description: "patched" }),
      },
      { "edit-id": "3", operation: "remove", target: "/interface=none" },
    ]);
    expect(reply.json).toEqual({
      "ietf-yang-patch:yang-patch-status": { "patch-id": "p1", ok: [null] },
    });
    expect((await call("GET", `${INTERFACES}/interface=eth1/description`)).text).toContain(
      "patched",
    );
  });

  test("one that fails is named, and none has happened", async () => {
    const reply = await patch([
      { "edit-id": "good", operation: "create", target: "/interface=p2", value: ETH("p2") },
      { "edit-id": "bad", operation: "create", target: "/interface=p1", value: ETH("p1") },
    ]);
    expect(reply.status).toBe(409);
    expect(reply.json).toMatchObject({
      "ietf-yang-patch:yang-patch-status": {
        "edit-status": {
          edit: [{ "edit-id": "bad", errors: { error: [{ "error-tag": "data-exists" }] } }],
        },
      },
    });
    expect((await call("GET", `${INTERFACES}/interface=p2`)).status).toBe(404);
  });
});

describe("event streams", () => {
  test("a commit through any protocol is an event; kept ones come again", async () => {
    const authorization = `Basic ${Buffer.from("admin:right").toString("base64")}`;
    const listen = (query: string, headers: Record<string, string> = {}) =>
      new Promise<string>((resolve, reject) => {
        const sent = httpsRequest(
          {
            host: "127.0.0.1",
            port,
            path: `/restconf/streams/NETCONF${query}`,
            rejectUnauthorized: false,
            headers: { authorization, accept: "text/event-stream", ...headers },
          },
          (response) => {
            expect(response.headers["content-type"]).toBe("text/event-stream");
            let text = "";
            response.on("data", (part: Buffer) => {
              text += part.toString();
              if (!text.includes("netconf-config-change")) return;
              sent.destroy();
              resolve(text);
            });
            started();
          },
        );
        sent.on("error", reject);
        sent.end();
      });
    let started = (): void => {};
    const begun = new Promise<void>((resolve) => {
      started = resolve;
    });
    const heard = listen("");
    await begun;
    const before = new Date(Date.now() - 1).toISOString();
    await call("PATCH", `${INTERFACES}/interface=eth1`, ETH("eth1", { description: "event" }));
    const text = await heard;
    expect(text).toMatch(/^id: \d+\ndata: <notification/m);
    expect(text).toContain("<username>admin</username>");
    expect(await listen(`?start-time=${before}`)).toContain("netconf-config-change");
    expect(await listen("", { "last-event-id": "0" })).toContain("id: 1\n");
    expect(
      (await call("GET", "/restconf/streams/NETCONF?stop-time=2026-01-01T00:00:00Z")).status,
    ).toBe(400);
    expect((await call("GET", "/restconf/streams/OTHER")).status).toBe(404);
  });
});

test("operations are listed and called", async () => {
  const list = await call("GET", "/restconf/operations");
  expect(list.text).toContain("flowlift-history:rollback");
  const before = (await call("GET", `${INTERFACES}/interface=eth1/description`)).text;
  await call("PATCH", `${INTERFACES}/interface=eth1`, ETH("eth1", { description: "undo me" }));
  const done = await call("POST", "/restconf/operations/flowlift-history:rollback", {
    "flowlift-history:input": { steps: 1 },
  });
  expect([done.status, done.text].join(" ")).toMatch(/^20[04]/);
  expect((await call("GET", `${INTERFACES}/interface=eth1/description`)).text).toBe(before);
});
