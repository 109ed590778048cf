import { expect, test } from "vitest";
import {
  answerDnsQuery,
  DNS_HEADER_BYTES,
  isDnsAnswer,
  makeDnsQuery,
} from "../../../src/lab/traffic/dns-codec.ts";
import { pickLocalAddress } from "../../../src/lab/traffic/http-client.ts";
import { formatPing, parsePing } from "../../../src/lab/traffic/ping.ts";
import {
  BLOCK_BYTES,
  decodeTransferRequest,
  encodeTransferRequest,
  makeBlock,
} from "../../../src/lab/traffic/transfer-codec.ts";

const REQUEST = { connection: 7, round: 3, uploadBytes: 10, downloadBytes: 2 ** 40 };

test("a transfer request comes back as it was", () => {
  expect(decodeTransferRequest(encodeTransferRequest(REQUEST))).toEqual(REQUEST);
});

test("decodeTransferRequest() refuses other bytes", () => {
  const bytes = encodeTransferRequest(REQUEST);
  bytes[0] = 0;
  expect(decodeTransferRequest(bytes)).toBeUndefined();
  const huge = encodeTransferRequest(REQUEST);
  huge.fill(0xff, 16, 24);
  expect(decodeTransferRequest(huge)).toBeUndefined();
});

test("blocks of other connections, rounds and offsets differ", () => {
  const total = 4 * BLOCK_BYTES;
  const blocks = [
    makeBlock(REQUEST, 0, total),
    makeBlock({ ...REQUEST, connection: 8 }, 0, total),
    makeBlock({ ...REQUEST, round: 4 }, 0, total),
    makeBlock(REQUEST, BLOCK_BYTES, total),
  ];
  expect(new Set(blocks.map((block) => block.toString("hex"))).size).toBe(blocks.length);
});

test.each([
  [BLOCK_BYTES - 1, BLOCK_BYTES - 1],
  [BLOCK_BYTES, BLOCK_BYTES],
  [BLOCK_BYTES + 1, BLOCK_BYTES],
  [5, 5],
])("the first block of %i bytes has %i", (total, bytes) => {
  expect(makeBlock(REQUEST, 0, total).length).toBe(bytes);
});

test("a DNS answer answers its own query only", () => {
  const query = makeDnsQuery(5, "www.example");
  const answer = answerDnsQuery(query);
  expect(answer?.length).toBe(query.length + 16);
  expect(isDnsAnswer(query, answer ?? Buffer.alloc(0))).toBe(true);
  expect(isDnsAnswer(makeDnsQuery(6, "www.example"), answer ?? Buffer.alloc(0))).toBe(false);
});

test("answerDnsQuery() answers neither answers nor scraps", () => {
  const answer = answerDnsQuery(makeDnsQuery(5, "www.example"));
  expect(answerDnsQuery(answer ?? Buffer.alloc(0))).toBeUndefined();
  expect(answerDnsQuery(Buffer.alloc(DNS_HEADER_BYTES))).toBeUndefined();
});

test("parsePing() reads the summary", () => {
  const text =
    "--- 192.0.2.1 ping statistics ---\n50 packets transmitted, 49 received, 2% packet loss";
  expect(parsePing(text)).toEqual({ sent: 50, received: 49 });
  expect(parsePing("ping: unknown host")).toBeUndefined();
  expect(formatPing("192.0.2.1", 3).slice(-1)).toEqual(["192.0.2.1"]);
});

test.each([
  ["203.0.113.0/24", 0, "203.0.113.0"],
  ["203.0.113.0/24", 255, "203.0.113.255"],
  ["203.0.113.0/24", 256, "203.0.113.0"],
  ["fd00::/64", 1, undefined],
  [undefined, 1, undefined],
])("pickLocalAddress(%s, %i) is %s", (prefix, index, address) => {
  expect(pickLocalAddress(prefix, index)).toBe(address);
});
