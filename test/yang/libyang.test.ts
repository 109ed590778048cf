import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Result } from "../../src/lib/base/result.ts";
import type { DataTree } from "../../src/lib/yang/data-tree.ts";
import { BINDINGS, loadLibYang, openLibrary } from "../../src/lib/yang/libyang.ts";
import type { YangContext } from "../../src/lib/yang/yang-context.ts";
import type { YangProblem } from "../../src/lib/yang/yang-problem.ts";
import { campaignOptions, campaignSize } from "../support/campaign.ts";
import { productContext } from "./yang-fixture.ts";

/** Random cases; `flowlift test --full` runs many more. */
const RUNS = campaignSize(1000, 50_000);

let yang: YangContext;

beforeAll(() => {
  yang = productContext();
});

afterAll(() => {
  yang.destroy();
});

test("openLibrary() says which package brings a library that is missing", () => {
  const missing = BINDINGS.map((binding) => ({ ...binding, soname: "libyang.so.999" }));
  expect(() => openLibrary(missing)).toThrow(
    expect.objectContaining({
      code: "NATIVE_LIBRARY_MISSING",
      message: expect.stringMatching(/libyang\.so\.999.*apt-get install libyang2$/) as string,
    }) as Error,
  );
});

test("openLibrary() takes the next library when the first is missing", () => {
  const [known] = BINDINGS;
  if (known === undefined) throw new Error("no binding");
  const library = openLibrary([{ ...known, soname: "libyang.so.999" }, known]);
  expect(library.soname).toBe("libyang.so.2");
  expect(loadLibYang()).toBe(loadLibYang());
});

const RPC = `<rpc message-id="1" xmlns="urn:ietf:params:xml:ns:netconf:base:1.0"><edit-config>
  <target><candidate/></target><config><nat xmlns="urn:ietf:params:xml:ns:yang:ietf-nat">
  <instances><instance><id>1</id></instance></instances></nat></config></edit-config></rpc>`;
const WITHDRAW = `<withdraw-offload xmlns="urn:flowlift:offload">
  <epoch>0123456789abcdef</epoch><flow-id>1</flow-id><flow-id>2</flow-id></withdraw-offload>`;
const NAT = JSON.stringify({
  "ietf-nat:nat": { instances: { instance: [{ id: 1, "@id": {}, policy: [{ id: 1 }] }] } },
});

const READERS: readonly ((bytes: Uint8Array) => Result<DataTree, YangProblem>)[] = [
  (bytes) => yang.parseNetconfRpc(bytes),
  (bytes) => yang.parseNetconfNotification(bytes),
  (bytes) => yang.parseOperation(bytes, "rpc"),
  (bytes) => yang.parseOperation(bytes, "reply"),
  (bytes) => yang.parseOperation(bytes, "notification", "json"),
  (bytes) => yang.parseConfig(bytes, "xml"),
  (bytes) => yang.parseConfig(bytes, "xml", { strict: false, validate: false }),
  (bytes) => yang.parseConfig(bytes, "json"),
];

/** A cut, doubled or changed piece of a good message. */
const damaged = fc
  .record({
    text: fc.constantFrom(RPC, WITHDRAW, NAT),
    at: fc.nat(400),
    length: fc.nat(40),
    insert: fc.oneof(
      fc.uint8Array({ maxLength: 8 }),
      fc
        .constantFrom("<", "</", "/>", "<![CDATA[", "<!--", "<?x?>", "&#0;", "&a;", "{", "]", '"')
        .map((token) => Buffer.from(token)),
    ),
  })
  .map(({ text, at, length, insert }) => {
    const bytes = Buffer.from(text);
    return Buffer.concat([bytes.subarray(0, at), insert, bytes.subarray(at + length)]);
  });

test(
  `damaged messages get an answer from every reader, and good ones still pass afterwards (${RUNS} cases)`,
  campaignOptions(),
  () => {
    fc.assert(
      fc.property(damaged, (bytes) => {
        for (const read of READERS) {
          const parsed = read(bytes);
          if (!parsed.ok) {
            expect(parsed.error.message).not.toBe("");
            continue;
          }
          parsed.value.print("json");
          parsed.value.free();
        }
      }),
      { numRuns: RUNS },
    );
    expect(yang.parseNetconfRpc(RPC).ok).toBe(true);
    expect(yang.parseOperation(WITHDRAW, "rpc").ok).toBe(true);
  },
);
