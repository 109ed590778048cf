import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { OperationKind, YangContext } from "../../src/lib/yang/yang-context.ts";
import { productContext } from "./yang-fixture.ts";

const OFFLOAD = 'xmlns="urn:flowlift:offload"';
const NETCONF = 'xmlns="urn:ietf:params:xml:ns:netconf:base:1.0"';
const EPOCH = "0123456789abcdef";
const RENEW = `<renew-lease ${OFFLOAD}><epoch>${EPOCH}</epoch></renew-lease>`;

let yang: YangContext;

beforeAll(() => {
  yang = productContext();
});

afterAll(() => {
  yang.destroy();
});

const DIRECTION = `<match><vnic>02:00:00:00:00:01</vnic><protocol>6</protocol>
  <source-address>10.0.0.1</source-address><destination-address>192.0.2.1</destination-address>
  <source-port>1024</source-port><destination-port>80</destination-port></match>
  <egress><vnic>02:00:00:00:00:02</vnic><next-hop>02:00:00:00:00:03</next-hop><mtu>1500</mtu></egress>`;

function flow(id: number, directions = "both", reply = `<reply>${DIRECTION}</reply>`): string {
  return `<flow><flow-id>${id}</flow-id><service>nat</service><policy-tag>7</policy-tag>
    <policy-epoch>3</policy-epoch><directions>${directions}</directions>
    <original>${DIRECTION}</original>${reply}<idle-timeout>30000</idle-timeout></flow>`;
}

const request = (...flows: string[]): string =>
  `<request-offload ${OFFLOAD}><epoch>${EPOCH}</epoch>${flows.join("")}</request-offload>`;

describe("parseOperation() accepts", () => {
  test.each([
    ["an rpc", "rpc", RENEW, { "flowlift-offload:renew-lease": { epoch: EPOCH } }],
    [
      "a reply",
      "reply",
      `<renew-lease ${OFFLOAD}><lease>30000</lease></renew-lease>`,
      { "flowlift-offload:renew-lease": { lease: 30000 } },
    ],
    [
      "a notification",
      "notification",
      `<credit ${OFFLOAD}><flows>7</flows></credit>`,
      { "flowlift-offload:credit": { flows: 7 } },
    ],
  ] as const)("%s", (_, kind, text, expected) => {
    const parsed = yang.parseOperation(text, kind);
    expect(parsed.ok && parsed.value.toJson()).toEqual(expected);
  });

  test("the same rpc in JSON", () => {
    const text = JSON.stringify({ "flowlift-offload:renew-lease": { epoch: EPOCH } });
    const parsed = yang.parseOperation(text, "rpc", "json");
    expect(parsed.ok && parsed.value.print("xml")).toBe(RENEW);
  });

  test("a batch of 1,024 flows and no more", () => {
    const flows = Array.from({ length: 1_025 }, (_, index) => flow(index));
    for (const count of [1_023, 1_024]) {
      const parsed = yang.parseOperation(request(...flows.slice(0, count)), "rpc");
      expect(parsed.ok).toBe(true);
    }
    const tooMany = yang.parseOperation(request(...flows), "rpc");
    expect(tooMany).toMatchObject({ ok: false, error: { appTag: "too-many-elements" } });
  });
});

describe("parseOperation() refuses", () => {
  test.each([
    ["a value that breaks its pattern", "rpc", RENEW.replace(EPOCH, "x"), /"x".*conform/],
    ["a missing leaf", "rpc", `<renew-lease ${OFFLOAD}/>`, /Mandatory node "epoch"/],
    ["an unknown leaf", "rpc", RENEW.replace("</r", "<x/></r"), /"x" not found/],
    ["an unknown rpc", "rpc", `<renew-leas ${OFFLOAD}/>`, /"renew-leas" not found/],
    ["an unknown namespace", "rpc", '<renew-lease xmlns="urn:x"/>', /"urn:x"/],
    ["output as input", "rpc", `<renew-lease ${OFFLOAD}><lease>1</lease></renew-lease>`, /"lease"/],
    ["a broken must", "rpc", request(flow(1, "both", "")), /'reply' is missing/],
    ["the same flow twice", "rpc", request(flow(1), flow(1)), /Duplicate instance/],
    ["an empty batch", "rpc", request(), /Too few "flow"/],
    ["an rpc as notification", "notification", RENEW, /./],
    ["a reply without a mandatory leaf", "reply", `<renew-lease ${OFFLOAD}/>`, /"lease"/],
    ["nothing", "rpc", "", /Missing the operation/],
    ["configuration", "rpc", '<nat xmlns="urn:ietf:params:xml:ns:yang:ietf-nat"/>', /./],
    ["truncated XML", "rpc", RENEW.slice(0, -5), /./],
  ] as [string, OperationKind, string, RegExp][])("%s", (_, kind, text, message) => {
    const parsed = yang.parseOperation(text, kind);
    expect(parsed.ok).toBe(false);
    if (!parsed.ok) expect(parsed.error.message).toMatch(message);
  });
});

describe("parseNetconfRpc()", () => {
  const rpc = (operation: string): string => `<rpc message-id="7" ${NETCONF}>${operation}</rpc>`;

  test("takes the operation out of its envelope", () => {
    const parsed = yang.parseNetconfRpc(rpc(RENEW));
    expect(parsed.ok && parsed.value.print("xml")).toBe(RENEW);
  });

  test("knows NETCONF's own operations and their capabilities", () => {
    const lock = rpc("<lock><target><candidate/></target></lock>");
    expect(yang.parseNetconfRpc(lock).ok).toBe(true);
    expect(yang.parseNetconfRpc(rpc("<lock><target/></lock>")).ok).toBe(false);
  });

  test.each([
    ["no operation", rpc("")],
    ["two operations", rpc(RENEW + RENEW)],
    ["another envelope", RENEW],
    ["an unknown operation", rpc("<reboot/>")],
    ["a broken operation", rpc(`<renew-lease ${OFFLOAD}/>`)],
    ["a document type", `<!DOCTYPE rpc>${rpc(RENEW)}`],
    ["an envelope that is not closed", rpc(RENEW).slice(0, -6)],
  ])("refuses %s", (_, text) => {
    expect(yang.parseNetconfRpc(text)).toMatchObject({
      ok: false,
      error: { kind: "yang-invalid" },
    });
  });
});

test("parseNetconfNotification() takes the event out of its envelope", () => {
  const event = `<credit ${OFFLOAD}><flows>7</flows></credit>`;
  const text = `<notification xmlns="urn:ietf:params:xml:ns:netconf:notification:1.0">
    <eventTime>2026-11-21T00:00:00Z</eventTime>${event}</notification>`;
  const parsed = yang.parseNetconfNotification(text);
  expect(parsed.ok && parsed.value.print("xml")).toBe(event);
  expect(yang.parseNetconfNotification(event).ok).toBe(false);
});

test("an operation's references look into the data that is given", () => {
  const event = `<nat-instance-event xmlns="urn:ietf:params:xml:ns:yang:ietf-nat">
    <id>5</id></nat-instance-event>`;
  const data = yang.emptyTree();
  expect(yang.parseOperation(event, "notification", "xml", data).ok).toBe(false);
  data.newPath("/ietf-nat:nat/instances/instance[id='5']");
  expect(yang.parseOperation(event, "notification", "xml", data).ok).toBe(true);
});

test("memory stays flat over 4,000 operations and as many refusals", () => {
  const good = request(flow(1), flow(2));
  const bad = request(flow(1, "both", ""));
  const run = (): void => {
    for (let round = 0; round < 2_000; round += 1) {
      const parsed = yang.parseOperation(good, "rpc");
      if (parsed.ok) parsed.value.free();
      yang.parseOperation(bad, "rpc");
    }
  };
  run();
  const before = process.memoryUsage().rss;
  run();
  expect(process.memoryUsage().rss - before).toBeLessThan(16 * 1024 * 1024);
});
