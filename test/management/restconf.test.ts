/** RESTCONF's API: finding it, a resource's life, what is refused. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { BODY_BYTES_MAX } from "../../src/management/restconf/restconf-server.ts";
import {
  call,
  closeSite,
  DATA,
  ETH,
  errorOf,
  INTERFACES,
  openSite,
  refuseCommits,
} from "./restconf-site.ts";

beforeAll(openSite);
afterAll(closeSite);

describe("finding the API", () => {
  test("host-meta leads to it, and the root lists its resources", async () => {
    expect((await call("GET", "/.well-known/host-meta")).text).toContain('href="/restconf"');
    expect((await call("GET", "/restconf")).json).toEqual({
      "ietf-restconf:restconf": {
        data: {},
        operations: {},
        "yang-library-version": "2019-01-04",
      },
    });
    const version = await call("GET", "/restconf/yang-library-version");
    expect(version.json).toEqual({ "ietf-restconf:yang-library-version": "2019-01-04" });
    expect((await call("GET", "/elsewhere")).status).toBe(404);
  });

  test("nobody gets in without the right password", async () => {
    const wrong = `Basic ${Buffer.from("admin:wrong").toString("base64")}`;
    const reply = await call("GET", "/restconf", undefined, { authorization: wrong });
    expect(reply.status).toBe(401);
    expect(reply.headers["www-authenticate"]).toContain("Basic");
    expect(errorOf(reply)["error-tag"]).toBe("access-denied");
  });

  test("modules can be fetched", async () => {
    const reply = await call("GET", "/restconf/schema/ietf-interfaces/2014-05-08");
    expect(reply.headers["content-type"]).toContain("application/yang");
    expect(reply.text).toContain("module ietf-interfaces");
    expect((await call("GET", "/restconf/schema/no-such-module")).status).toBe(404);
  });
});

describe("a resource's life", () => {
  test("POST makes it, GET shows it in both encodings, PUT and PATCH change it, DELETE ends it", async () => {
    const made = await call("POST", INTERFACES, ETH("eth0", { description: "one" }));
    expect(made.status).toBe(201);
    expect(made.headers["location"]).toBe(
      "/restconf/data/ietf-interfaces:interfaces/ietf-interfaces:interface=eth0",
    );
    const eth0 = `${INTERFACES}/interface=eth0`;
    expect((await call("GET", `${eth0}?content=config`)).json).toEqual(
      ETH("eth0", { description: "one" }),
    );
    const xml = await call("GET", eth0, undefined, { accept: "application/yang-data+xml" });
    expect(xml.text).toContain("<description>one</description>");
    expect((await call("PATCH", eth0, ETH("eth0", { enabled: false }))).status).toBe(204);
    expect((await call("GET", `${eth0}/enabled`)).json).toEqual({
      "ietf-interfaces:enabled": false,
    });
    expect((await call("PUT", eth0, ETH("eth0"))).status).toBe(204);
    expect((await call("GET", `${eth0}?content=config`)).json).toEqual(ETH("eth0"));
    expect((await call("PUT", `${INTERFACES}/interface=eth1`, ETH("eth1"))).status).toBe(201);
    const put = await call("PUT", `${eth0}/description`, { "ietf-interfaces:description": "two" });
    expect(put.status).toBe(201);
    expect((await call("DELETE", `${eth0}/description`)).status).toBe(204);
    expect((await call("DELETE", `${eth0}/description`)).status).toBe(404);
    expect((await call("DELETE", eth0)).status).toBe(204);
    expect((await call("GET", `${eth0}?content=config`)).status).toBe(404);
  });

  test("XML bodies do the same", async () => {
    const body =
      '<interface xmlns="urn:ietf:params:xml:ns:yang:ietf-interfaces"><name>x/1</name>' +
      '<type xmlns:t="urn:ietf:params:xml:ns:yang:iana-if-type">t:ethernetCsmacd</type></interface>';
    const type = { "content-type": "application/yang-data+xml" };
    const made = await call("POST", INTERFACES, body, type);
    expect(made.status).toBe(201);
    expect(made.headers["location"]).toContain("interface=x%2F1");
    expect((await call("GET", made.headers["location"] ?? "")).json).toEqual(ETH("x/1"));
    expect((await call("DELETE", `${INTERFACES}/interface=x%2F1`)).status).toBe(204);
  });

  test("what is done over RESTCONF is in the history with its user", async () => {
    await call("PUT", `${INTERFACES}/interface=eth1`, ETH("eth1", { description: "seen" }));
    const reply = await call("GET", `${DATA}/flowlift-history:history`);
    expect(reply.text).toContain("admin");
    expect(reply.text).toContain("restconf");
  });
});

describe("what is refused, and how", () => {
  test.each([
    ["a child that is there", "POST", INTERFACES, ETH("eth1"), 409, "data-exists"],
    ["an unknown node", "GET", `${INTERFACES}/nothing`, undefined, 404, "unknown-element"],
    ["a missing module name", "GET", `${DATA}/interfaces`, undefined, 400, "invalid-value"],
    [
      "a wrong number of keys",
      "GET",
      `${INTERFACES}/interface=a,b`,
      undefined,
      400,
      "invalid-value",
    ],
    [
      "a wrong type",
      "PUT",
      `${INTERFACES}/interface=eth1/enabled`,
      { "ietf-interfaces:enabled": "perhaps" },
      400,
      "invalid-value",
    ],
    [
      "other keys than the path's",
      "PUT",
      `${INTERFACES}/interface=eth1`,
      ETH("eth2"),
      400,
      "invalid-value",
    ],
    [
      "a body that is no JSON",
      "PUT",
      `${INTERFACES}/interface=eth1`,
      "{",
      400,
      "malformed-message",
    ],
    ["an unknown parameter", "GET", `${INTERFACES}?colour=red`, undefined, 400, "invalid-value"],
    ["a parameter twice", "GET", `${INTERFACES}?depth=1&depth=2`, undefined, 400, "invalid-value"],
    ["depth 0", "GET", `${INTERFACES}?depth=0`, undefined, 400, "invalid-value"],
    [
      "state as configuration",
      "PUT",
      `${DATA}/ietf-interfaces:interfaces-state`,
      { "ietf-interfaces:interfaces-state": {} },
      405,
      "operation-not-supported",
    ],
    [
      "a whole list",
      "DELETE",
      `${INTERFACES}/interface`,
      undefined,
      405,
      "operation-not-supported",
    ],
    ["the datastore's deletion", "DELETE", DATA, undefined, 405, "operation-not-supported"],
    [
      "PATCH of nothing",
      "PATCH",
      `${INTERFACES}/interface=eth7`,
      ETH("eth7"),
      404,
      "invalid-value",
    ],
    [
      "an unknown operation",
      "POST",
      "/restconf/operations/ietf-system:fly",
      {},
      404,
      "invalid-value",
    ],
  ])("%s", async (_name, method, path, body, status, tag) => {
    const reply = await call(method, path, body);
    expect({ status: reply.status, tag: errorOf(reply)["error-tag"] }).toEqual({ status, tag });
    expect(errorOf(reply)["error-message"]).toBeTruthy();
  });

  test("what the applier refuses changes nothing, and its words come back", async () => {
    refuseCommits("the kernel has no such thing");
    const reply = await call("PUT", `${INTERFACES}/interface=eth9`, ETH("eth9"));
    refuseCommits(undefined);
    expect(reply.status).toBeGreaterThanOrEqual(400);
    expect(errorOf(reply)["error-message"]).toContain("no such thing");
    expect((await call("GET", `${INTERFACES}/interface=eth9?content=config`)).status).toBe(404);
  });

  test("media types that nobody speaks", async () => {
    const accept = await call("GET", INTERFACES, undefined, { accept: "text/html" });
    expect(accept.status).toBe(406);
    const type = await call("POST", INTERFACES, "x", { "content-type": "text/plain" });
    expect(type.status).toBe(415);
  });

  test.each([
    [BODY_BYTES_MAX - 1, 400],
    [BODY_BYTES_MAX, 400],
    [BODY_BYTES_MAX + 1, 413],
  ])("a body of %i bytes: %i", async (bytes, status) => {
    expect((await call("POST", INTERFACES, "[".padEnd(bytes, " "))).status).toBe(status);
  });
});
