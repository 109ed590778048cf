import fc from "fast-check";
import { expect, test } from "vitest";
import {
  decodeRpc,
  encodeRpc,
  MESSAGE_ID_CHARACTERS_MAX,
} from "../../src/offload-protocol/codec-xml.ts";
import {
  type Epoch,
  FLOW_IDS_PER_WITHDRAW_MAX,
  FLOWS_PER_REQUEST_MAX,
  MESSAGE_BYTES_MAX,
} from "../../src/offload-protocol/messages.ts";
import * as arbitrary from "./arbitraries.ts";

const EPOCH = "00000000000000ab" as Epoch;
const RENEW = encodeRpc("7", { kind: "renew-lease", epoch: EPOCH });

/** The tag and path of the refusal, or "ok". */
function judge(xml: string): string {
  const result = decodeRpc(Buffer.from(xml));
  if (result.ok) return "ok";
  const { tag, path } = result.error.error;
  return path === undefined ? tag : `${tag} ${path}`;
}

function requestOf(count: number): string {
  const [flow] = fc.sample(arbitrary.flow, { numRuns: 1, seed: 3 });
  const flows = Array.from({ length: Math.min(count, FLOWS_PER_REQUEST_MAX) }, (_, index) => ({
    ...flow!,
    rules: [],
    flowId: BigInt(index),
  }));
  const xml = encodeRpc("1", { kind: "request-offload", epoch: EPOCH, flows });
  if (count <= FLOWS_PER_REQUEST_MAX) return xml;
  const last = xml.slice(xml.lastIndexOf("<flow>"), xml.lastIndexOf("</request-offload>"));
  return xml.replace("</request-offload>", `${last.replace(/<flow-id>\d+/, "<flow-id>99999")}$&`);
}

test("decodeRpc() takes FLOWS_PER_REQUEST_MAX flows and refuses one more", () => {
  expect(judge(requestOf(FLOWS_PER_REQUEST_MAX - 1))).toBe("ok");
  expect(judge(requestOf(FLOWS_PER_REQUEST_MAX))).toBe("ok");
  expect(judge(requestOf(FLOWS_PER_REQUEST_MAX + 1))).toMatch(/^operation-failed .*flow/);
});

test("decodeRpc() refuses two flows with the same id", () => {
  expect(judge(requestOf(2).replace("<flow-id>1<", "<flow-id>0<"))).toBe(
    "bad-element /flowlift-offload:request-offload",
  );
});

test("decodeRpc() takes FLOW_IDS_PER_WITHDRAW_MAX ids and refuses one more", () => {
  const withdraw = (count: number): string => {
    const ids = Array.from({ length: count }, (_, index) => `<flow-id>${index}</flow-id>`);
    return encodeRpc("1", {
      kind: "withdraw-offload",
      epoch: EPOCH,
      selection: { kind: "all" },
    }).replace("<all/>", ids.join(""));
  };
  expect(judge(withdraw(FLOW_IDS_PER_WITHDRAW_MAX - 1))).toBe("ok");
  expect(judge(withdraw(FLOW_IDS_PER_WITHDRAW_MAX))).toBe("ok");
  expect(judge(withdraw(FLOW_IDS_PER_WITHDRAW_MAX + 1))).toMatch(/^operation-failed/);
  expect(judge(withdraw(0))).toBe("data-missing /flowlift-offload:withdraw-offload");
  expect(judge(withdraw(1).replace("</flow-id>", "</flow-id><all/>"))).toMatch(/^bad-element/);
});

test("decodeRpc() takes a message-id of MESSAGE_ID_CHARACTERS_MAX and refuses a longer one", () => {
  for (const [count, expected] of [
    [MESSAGE_ID_CHARACTERS_MAX - 1, "ok"],
    [MESSAGE_ID_CHARACTERS_MAX, "ok"],
    [MESSAGE_ID_CHARACTERS_MAX + 1, "bad-attribute"],
  ] as const) {
    expect(judge(encodeRpc("x".repeat(count), { kind: "renew-lease", epoch: EPOCH }))).toBe(
      expected,
    );
  }
});

test("decodeRpc() takes MESSAGE_BYTES_MAX bytes and refuses one more", () => {
  expect(judge(RENEW.padEnd(MESSAGE_BYTES_MAX - 1))).toBe("ok");
  expect(judge(RENEW.padEnd(MESSAGE_BYTES_MAX))).toBe("ok");
  expect(judge(RENEW.padEnd(MESSAGE_BYTES_MAX + 1))).toBe("too-big");
});

test("decodeRpc() takes a flow-id that a withdrawal names twice as named once", () => {
  const selection = { kind: "flow-ids" as const, flowIds: [5n, 6n, 5n] };
  const xml = encodeRpc("1", { kind: "withdraw-offload", epoch: EPOCH, selection });
  expect(decodeRpc(Buffer.from(xml))).toMatchObject({
    ok: true,
    value: { request: { selection: { kind: "flow-ids", flowIds: [5n, 6n] } } },
  });
});
