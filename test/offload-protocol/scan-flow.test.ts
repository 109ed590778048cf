/** The quick reader of flows against the XML reader: where it reads at all, it reads the same. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeRpc, encodeRpc } from "../../src/offload-protocol/codec-xml.ts";
import { encodeFlow } from "../../src/offload-protocol/encode-flow.ts";
import {
  type Epoch,
  FLOWS_PER_REQUEST_MAX,
  type OffloadRequest,
} from "../../src/offload-protocol/messages.ts";
import { FlowScanner, TEXT_CHARACTERS_MAX } from "../../src/offload-protocol/scan-flow.ts";
import { epoch, flow } from "./arbitraries.ts";

const EPOCH = "00000000000000ab" as Epoch;
const read = (xml: string): unknown => decodeRpc(Buffer.from(xml));
/** The same message in a form that only the XML reader takes. */
const spaced = (xml: string): string => xml.replaceAll("<flow><flow-id>", "<flow> <flow-id>");

test("a request read quickly equals the same request read by the XML reader", () => {
  const flows = fc.uniqueArray(flow, { selector: ({ flowId }) => flowId, minLength: 1 });
  fc.assert(
    fc.property(epoch, flows, (anEpoch, some) => {
      const request = { kind: "request-offload", epoch: anEpoch, flows: some } as const;
      const xml = encodeRpc("1", request);
      const expected = { ok: true, value: { messageId: "1", request } };
      expect(read(xml)).toEqual(expected);
      expect(read(spaced(xml))).toEqual(expected);
      expect(read(xml)).toEqual(expected); // Now with the rules that were learnt.
    }),
    { numRuns: 200 },
  );
});

test("a change of any one character gets the same answer from both", () => {
  const [sample] = fc.sample(flow, { numRuns: 1, seed: 7 });
  if (sample === undefined) throw new Error("a flow is drawn");
  const request: OffloadRequest = { kind: "request-offload", epoch: EPOCH, flows: [sample] };
  const xml = encodeRpc("1", request);
  const start = xml.indexOf("<flow>") + "<flow><flow-id>".length;
  for (let at = start; at < xml.indexOf("</flow>"); at++) {
    for (const character of ["<", "0", "&", " "]) {
      const broken = xml.slice(0, at) + character + xml.slice(at + 1);
      expect(read(broken), broken.slice(at - 20, at + 20)).toEqual(read(spaced(broken)));
    }
  }
});

test("the quick reader takes an encoded flow once its rules are known, and never a torn one", () => {
  const [sample] = fc.sample(flow, { numRuns: 1, seed: 7 });
  if (sample === undefined) throw new Error("a flow is drawn");
  const plain = { ...sample, flowId: 1n, policyEpoch: 2n, version: 3n, rules: [] };
  const text = `<flow>${encodeFlow({ ...plain, directions: "original-only", service: "nat" })}</flow>`;
  const withoutReply = text.replace(/<reply>.*<\/reply>/, "");
  expect(new FlowScanner(withoutReply).scan(0)?.end).toBe(withoutReply.length);
  for (let end = 0; end < withoutReply.length; end++) {
    expect(new FlowScanner(withoutReply.slice(0, end)).scan(0)).toBeUndefined();
  }
});

test.each([-1, 0, 1])(
  "rules of TEXT_CHARACTERS_MAX%i characters are read right again and again",
  (by) => {
    const [sample] = fc.sample(flow, { numRuns: 1, seed: 7 });
    if (sample === undefined) throw new Error("a flow is drawn");
    const rule = { attachment: "eth0", direction: "ingress", name: `n${by + 1}` } as const;
    const request: OffloadRequest = {
      kind: "request-offload",
      epoch: EPOCH,
      flows: [{ ...sample, flowId: 1n, rules: [rule] }],
    };
    const xml = encodeRpc("1", request);
    const rules = /<rule>.*<\/rule>/.exec(xml)?.[0] ?? "";
    const padding = " ".repeat(TEXT_CHARACTERS_MAX + by - rules.length);
    const padded = xml.replace("</rule>", `${padding}</rule>`);
    for (let time = 0; time < 3; time++) {
      expect(read(padded)).toEqual({ ok: true, value: { messageId: "1", request } });
    }
  },
);

test("more flows than a request may have are refused whoever reads them", () => {
  const [sample] = fc.sample(flow, { numRuns: 1, seed: 7 });
  if (sample === undefined) throw new Error("a flow is drawn");
  const list = (count: number): string => {
    const flows = Array.from({ length: count }, (_, id) => {
      return `<flow>${encodeFlow({ ...sample, flowId: BigInt(id), rules: [] })}</flow>`;
    });
    const one = encodeRpc("1", {
      kind: "request-offload",
      epoch: EPOCH,
      flows: [sample],
    });
    return one.replace(/<flow>.*<\/flow>/, flows.join(""));
  };
  const isRead = (xml: string): boolean => decodeRpc(Buffer.from(xml)).ok;
  expect(isRead(list(FLOWS_PER_REQUEST_MAX))).toBe(true);
  expect(isRead(list(FLOWS_PER_REQUEST_MAX + 1))).toBe(false);
});
