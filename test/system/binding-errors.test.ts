/** A real controller answers each broken message with the right rpc-error, and carries out nothing. */
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { findProjectRoot } from "../../src/lib/base/project-root.ts";
import { connectSerial, VmClient } from "../controller/vm-client.ts";
import { brokenRequests } from "../offload-protocol/broken-requests.ts";
import { MockController } from "../offload-protocol/mock-controller.ts";

const CONFIG = join(findProjectRoot(), "examples/controller/two-tenants.json");
const BROKEN = brokenRequests();
const mock = new MockController();
let vm: VmClient;

beforeAll(async () => {
  const sockets = await mock.start(CONFIG);
  vm = new VmClient(await connectSerial(sockets["red/gateway"] ?? ""));
  await vm.until(() => vm.isOpen && vm.credit !== undefined);
});
afterAll(async () => {
  vm.close();
  await mock.dispose();
});

/** Sends the text and returns the error-tag that comes back. */
async function tagOf(xml: string): Promise<string> {
  const messageId = / message-id="([^"]*)"/.exec(xml)?.[1] ?? "";
  const result = await vm.callText(messageId, "renew-lease", xml);
  return result.kind === "error" ? (result.errors[0]?.tag ?? "no error") : "accepted";
}

test("each leaf of each message, broken once, is answered by the right error-tag", async () => {
  expect(BROKEN.length).toBeGreaterThan(500);
  const wrong: string[] = [];
  for (const { name, xml, tag } of BROKEN) {
    const found = await tagOf(xml);
    if (found !== tag) wrong.push(`${name}: ${found}, not ${tag}`);
  }
  expect(wrong).toEqual([]);
  expect(await vm.call({ kind: "get-flows", limit: 1024 })).toMatchObject({ flows: [] });
}, 60_000);

test("an error names the leaf: message-id, path and reason", async () => {
  const broken = BROKEN.find(({ name }) => name.includes('original/match/protocol = "256"'));
  const id = / message-id="([^"]*)"/.exec(broken?.xml ?? "")?.[1] ?? "";
  const result = await vm.callText(id, "request-offload", broken?.xml ?? "");
  expect(result).toMatchObject({
    kind: "error",
    messageId: id,
    errors: [{ type: "application", path: expect.stringMatching(/flow\[.*'1'\].*protocol$/) }],
  });
});
