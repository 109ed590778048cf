/** The codec and libyang, reading the module, agree on what is valid. */
import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import { findProjectRoot } from "../../src/lib/base/project-root.ts";
import { type OperationKind, YangContext } from "../../src/lib/yang/yang-context.ts";
import { defaultYangDirectories } from "../../src/lib/yang/yang-directories.ts";
import { decodeRpc, encodeRpc } from "../../src/offload-protocol/codec-xml.ts";
import {
  encodeNotificationBody,
  encodeReplyBody,
  encodeRequestBody,
} from "../../src/offload-protocol/encode-message.ts";
import { campaignOptions, campaignSize } from "../support/campaign.ts";
import * as arbitrary from "./arbitraries.ts";
import { brokenRequests, completeRequests } from "./broken-requests.ts";

/** Random cases; `flowlift test --full` runs many more. */
const RUNS = campaignSize(500, 20_000);
const FEW_RUNS = campaignSize(100, 20_000);

const yang = YangContext.create({
  searchDirectories: defaultYangDirectories(findProjectRoot()),
  modules: [{ name: "flowlift-offload" }],
});
afterAll(() => yang.destroy());

/** The reason of libyang's refusal, or "valid". */
function judge(text: string, kind: OperationKind): string {
  const parsed = yang.parseOperation(text, kind);
  if (!parsed.ok) return `${parsed.error.path ?? ""} ${parsed.error.message}`;
  parsed.value.free();
  return "valid";
}

function isValidRpc(xml: string): boolean {
  const parsed = yang.parseNetconfRpc(xml);
  if (parsed.ok) parsed.value.free();
  return parsed.ok;
}

test(
  `every encoded request is valid under the module (${FEW_RUNS} cases)`,
  campaignOptions(),
  () => {
    fc.assert(
      fc.property(arbitrary.request, (request) => {
        expect(judge(encodeRequestBody(request), "rpc")).toBe("valid");
      }),
      { numRuns: FEW_RUNS },
    );
  },
);

test(`every encoded reply is valid under the module (${FEW_RUNS} cases)`, campaignOptions(), () => {
  fc.assert(
    fc.property(arbitrary.reply, (reply) => {
      const open = `<${reply.kind} xmlns="urn:flowlift:offload">`;
      expect(judge(`${open}${encodeReplyBody(reply)}</${reply.kind}>`, "reply")).toBe("valid");
    }),
    { numRuns: FEW_RUNS },
  );
});

test(
  `every encoded notification is valid under the module (${FEW_RUNS} cases)`,
  campaignOptions(),
  () => {
    fc.assert(
      fc.property(arbitrary.notification, (notification) => {
        expect(judge(encodeNotificationBody(notification), "notification")).toBe("valid");
      }),
      { numRuns: FEW_RUNS },
    );
  },
);

test("the complete requests are accepted by both", () => {
  for (const request of completeRequests()) {
    const xml = encodeRpc("1", request);
    expect(decodeRpc(Buffer.from(xml)).ok).toBe(true);
    expect(isValidRpc(xml)).toBe(true);
  }
});

const BROKEN = brokenRequests();

test("each leaf broken once is refused by the codec with the right error-tag", () => {
  expect(BROKEN.length).toBeGreaterThan(500);
  const wrong = BROKEN.flatMap(({ name, xml, tag }) => {
    const result = decodeRpc(Buffer.from(xml));
    const found = result.ok ? "accepted" : result.error.error.tag;
    return found === tag ? [] : [`${name}: ${found}, not ${tag}`];
  });
  expect(wrong).toEqual([]);
});

test("each leaf broken once is refused by libyang too", () => {
  // The envelope's own attribute is not in any module.
  const accepted = BROKEN.filter(({ tag }) => tag !== "missing-attribute").flatMap(
    ({ name, xml }) => (isValidRpc(xml) ? [name] : []),
  );
  expect(accepted).toEqual([]);
});

test(
  `the codec and libyang agree about messages with one byte changed (${RUNS} cases)`,
  campaignOptions(),
  () => {
    const damaged = fc
      .tuple(arbitrary.request, fc.nat(), fc.integer({ min: 0x20, max: 0x7e }))
      .map(([request, at, byte]) => {
        const message = Buffer.from(encodeRpc("1", request));
        const body = message.indexOf("<", 10);
        message[body + (at % (message.length - body))] = byte;
        return message.toString("utf8");
      })
      // Bytes that are UTF-8 no more are refused before either looks.
      .filter((text) => !text.includes("\ufffd"));
    fc.assert(
      fc.property(damaged, (xml) => {
        const ours = decodeRpc(Buffer.from(xml));
        if (ours.ok) expect({ xml, valid: isValidRpc(xml) }).toEqual({ xml, valid: true });
      }),
      { numRuns: RUNS },
    );
  },
);
