import fc from "fast-check";
import { expect, test } from "vitest";
import {
  decodeRpc,
  decodeServerMessage,
  encodeErrorReply,
  encodeNotification,
  encodeReply,
  encodeRpc,
} from "../../src/offload-protocol/codec-xml.ts";
import type { Epoch, OffloadRequest } from "../../src/offload-protocol/messages.ts";
import { campaignOptions, campaignSize } from "../support/campaign.ts";
import * as arbitrary from "./arbitraries.ts";

/** Random cases; `flowlift test --full` runs many more. */
const RUNS = campaignSize(200, 10_000);
const RUNS_MORE = campaignSize(300, 10_000);

const EPOCH = "00000000000000ab" as Epoch;
const EVENT_TIME = "2026-11-21T02:00:00Z";
const RENEW = encodeRpc("7", { kind: "renew-lease", epoch: EPOCH });

function bytes(text: string): Buffer {
  return Buffer.from(text);
}

/** The tag and path of the refusal, or "ok". */
function judge(xml: string): string {
  const result = decodeRpc(bytes(xml));
  if (result.ok) return "ok";
  const { tag, path } = result.error.error;
  return path === undefined ? tag : `${tag} ${path}`;
}

test(`decodeRpc() inverts encodeRpc() (${RUNS} cases)`, campaignOptions(), () => {
  fc.assert(
    fc.property(arbitrary.request, fc.string({ maxLength: 20 }), (request, text) => {
      // biome-ignore lint/suspicious/noControlCharactersInRegex: XML forbids them
      const messageId = text.replace(/[\u0000-\u001f]/g, "_");
      const decoded = decodeRpc(bytes(encodeRpc(messageId, request)));
      expect(decoded).toEqual({ ok: true, value: { messageId, request } });
    }),
    { numRuns: RUNS },
  );
});

test(`decodeServerMessage() inverts encodeReply() (${RUNS} cases)`, campaignOptions(), () => {
  fc.assert(
    fc.property(arbitrary.reply, (reply) => {
      const decoded = decodeServerMessage(bytes(encodeReply("12", reply)), () => reply.kind);
      expect(decoded).toEqual({ ok: true, value: { kind: "reply", messageId: "12", reply } });
    }),
    { numRuns: RUNS },
  );
});

test(
  `decodeServerMessage() inverts encodeNotification() (${RUNS} cases)`,
  campaignOptions(),
  () => {
    fc.assert(
      fc.property(arbitrary.notification, (notification) => {
        const xml = encodeNotification(EVENT_TIME, notification);
        expect(decodeServerMessage(bytes(xml), () => undefined)).toEqual({
          ok: true,
          value: { kind: "notification", eventTime: EVENT_TIME, notification },
        });
      }),
      { numRuns: RUNS },
    );
  },
);

test(
  `decoders never throw: random bytes, and messages with one byte changed (${RUNS_MORE} cases)`,
  campaignOptions(),
  () => {
    const damaged = fc
      .tuple(arbitrary.request, fc.nat(), fc.nat(255))
      .map(([request, at, byte]) => {
        const message = bytes(encodeRpc("1", request));
        message[at % message.length] = byte;
        return message;
      });
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array(), damaged), (input) => {
        expect(typeof decodeRpc(input).ok).toBe("boolean");
        expect(typeof decodeServerMessage(input, () => "get-flows").ok).toBe("boolean");
      }),
      { numRuns: RUNS_MORE },
    );
  },
);

test("decodeServerMessage() returns errors with tag, path and info", () => {
  const xml = encodeErrorReply("9", [
    {
      type: "protocol",
      tag: "missing-element",
      message: '"epoch" is missing',
      path: "/flowlift-offload:renew-lease",
      info: [{ name: "bad-element", text: "epoch" }],
    },
  ]);
  expect(decodeServerMessage(bytes(xml), () => undefined)).toEqual({
    ok: true,
    value: {
      kind: "error",
      messageId: "9",
      errors: [
        {
          type: "protocol",
          tag: "missing-element",
          message: '"epoch" is missing',
          path: "/flowlift-offload:renew-lease",
          info: [{ name: "bad-element", text: "epoch" }],
        },
      ],
    },
  });
});

test("decodeServerMessage() refuses a reply whose request it does not know", () => {
  const xml = encodeReply("5", { kind: "renew-lease", leaseMs: 1 });
  expect(decodeServerMessage(bytes(xml), () => undefined).ok).toBe(false);
});

test("decodeRpc() returns the message-id beside the error", () => {
  const result = decodeRpc(bytes(RENEW.replace("<epoch>00000000000000ab</epoch>", "")));
  expect(result).toMatchObject({
    ok: false,
    error: {
      messageId: "7",
      error: {
        tag: "missing-element",
        path: "/flowlift-offload:renew-lease",
        info: [{ name: "bad-element", text: "epoch" }],
      },
    },
  });
});

const SPELLINGS: [string, string][] = [
  [
    "prefixes instead of defaults",
    `<a:rpc xmlns:a="urn:ietf:params:xml:ns:netconf:base:1.0" message-id="7">` +
      `<b:renew-lease xmlns:b="urn:flowlift:offload"><b:epoch>${EPOCH}</b:epoch>` +
      "</b:renew-lease></a:rpc>",
  ],
  ["single quotes", RENEW.replaceAll('"', "'")],
  ["a declaration and comments", `<?xml version="1.0"?>\n<!-- a -->${RENEW}<!-- b -->\n`],
  ["space in tags", RENEW.replaceAll("<epoch>", "<epoch >\t".trim()).replace("</rpc>", "</rpc >")],
  ["space between elements", RENEW.replaceAll("><", ">\n  <")],
  ["character references", RENEW.replace("ab<", "&#97;&#x62;<")],
  ["CDATA and comments in a leaf", RENEW.replace("ab<", "<![CDATA[a]]><!-- x -->b<")],
  ["another attribute on rpc", RENEW.replace("<rpc ", '<rpc x:y="1" xmlns:x="urn:x" ')],
];

test.each(SPELLINGS)("decodeRpc() reads %s", (_, xml) => {
  expect(decodeRpc(bytes(xml))).toEqual({
    ok: true,
    value: { messageId: "7", request: { kind: "renew-lease", epoch: EPOCH } },
  });
});

const LEASE = "/flowlift-offload:renew-lease";
const REFUSED: [string, string, string][] = [
  ["nothing", "", "malformed-message"],
  ["text", "hello", "malformed-message"],
  ["an unclosed element", RENEW.replace("</rpc>", ""), "malformed-message"],
  [
    "crossed elements",
    RENEW.replace("</epoch></renew-lease>", "</renew-lease></epoch>"),
    "malformed-message",
  ],
  ["a second root", `${RENEW}<x/>`, "malformed-message"],
  ["a document type", `<!DOCTYPE x>${RENEW}`, "malformed-message"],
  ["an undeclared entity", RENEW.replace("ab<", "&x;<"), "malformed-message"],
  ["a control character", RENEW.replace("ab<", "\u0001<"), "malformed-message"],
  ["an undeclared prefix", RENEW.replaceAll("epoch", "x:epoch"), "malformed-message"],
  ["a reply", encodeReply("1", { kind: "acknowledge-events" }), "malformed-message"],
  ["no message-id", RENEW.replace(' message-id="7"', ""), "missing-attribute"],
  [
    "no operation",
    '<rpc xmlns="urn:ietf:params:xml:ns:netconf:base:1.0" message-id="1"/>',
    "missing-element",
  ],
  [
    "an unknown operation",
    RENEW.replaceAll("renew-lease", "reboot"),
    "operation-not-supported /flowlift-offload:reboot",
  ],
  [
    "another module's operation",
    RENEW.replace("urn:flowlift:offload", "urn:x"),
    `operation-not-supported ${LEASE}`,
  ],
  ["two operations", RENEW.replace("</rpc>", "<x/></rpc>"), "unknown-element /flowlift-offload:x"],
  [
    "an attribute on the operation",
    RENEW.replace("<renew-lease", '<renew-lease a="1"'),
    `unknown-attribute ${LEASE}`,
  ],
  [
    "an attribute on a leaf",
    RENEW.replace("<epoch", '<epoch a="1"'),
    `unknown-attribute ${LEASE}/epoch`,
  ],
  [
    "a tenant",
    RENEW.replace("<epoch>", "<tenant>red</tenant><epoch>"),
    `unknown-element ${LEASE}/tenant`,
  ],
  ["a VM", RENEW.replace("<epoch>", "<vm>red-1</vm><epoch>"), `unknown-element ${LEASE}/vm`],
  [
    "another namespace's leaf",
    RENEW.replace("<epoch>", '<epoch xmlns="urn:x">'),
    `unknown-namespace ${LEASE}/epoch`,
  ],
  [
    "a leaf twice",
    RENEW.replace("<epoch>", `<epoch>${EPOCH}</epoch><epoch>`),
    `bad-element ${LEASE}/epoch`,
  ],
  ["an element in a leaf", RENEW.replace("ab<", "<x/><"), `bad-element ${LEASE}/epoch`],
  ["text between elements", RENEW.replace("<epoch>", "x<epoch>"), `bad-element ${LEASE}`],
  ["upper case in an epoch", RENEW.replace("ab<", "AB<"), `invalid-value ${LEASE}/epoch`],
];

test.each(REFUSED)("decodeRpc() refuses %s", (_, xml, expected) => {
  expect(judge(xml)).toBe(expected);
});

test("decodeRpc() refuses a message that is not UTF-8", () => {
  expect(decodeRpc(Buffer.from([0x3c, 0xc3, 0x28]))).toMatchObject({
    ok: false,
    error: { error: { tag: "malformed-message" } },
  });
});

test("decodeRpc() names the flow in the path", () => {
  const [flow] = fc.sample(arbitrary.flow, { numRuns: 1, seed: 1 });
  const request = { kind: "request-offload", epoch: EPOCH, flows: [{ ...flow!, flowId: 42n }] };
  const xml = encodeRpc("1", request as OffloadRequest);
  expect(judge(xml.replace(/<protocol>\d+/, "<protocol>256"))).toBe(
    "invalid-value /flowlift-offload:request-offload/flow[flow-id='42']/original/match/protocol",
  );
  expect(judge(xml.replace(/<mtu>\d+<\/mtu>/, ""))).toBe(
    "missing-element /flowlift-offload:request-offload/flow[flow-id='42']/original/egress",
  );
});
