import { expect, test } from "vitest";
import { encodeReply } from "../../src/offload-protocol/codec-xml.ts";
import { MESSAGE_BYTES_MAX } from "../../src/offload-protocol/messages.ts";
import { EPOCH, natFlow, World } from "./world.ts";

test("a page of get-flows never exceeds a message, however long its rules are", () => {
  const world = new World();
  const long = "&".repeat(63);
  const rules = Array.from({ length: 8 }, (_, index) => ({
    attachment: `${index}${long}`,
    direction: "ingress" as const,
    name: `${long}&`,
  }));
  const flows = Array.from({ length: 700 }, (_, index) => ({
    ...natFlow(BigInt(index + 1)),
    rules,
  }));
  expect(world.request(flows).every(({ outcome }) => outcome === "granted-pending")).toBe(true);
  const seen: bigint[] = [];
  for (let more = true; more; ) {
    const flowId = seen.at(-1);
    const after = flowId === undefined ? {} : { after: { epoch: EPOCH, flowId } };
    const { reply } = world.send({ kind: "get-flows", limit: 1024, ...after });
    if (reply?.kind !== "get-flows") throw new Error("get-flows is answered at once");
    expect(Buffer.byteLength(encodeReply("1", reply))).toBeLessThanOrEqual(MESSAGE_BYTES_MAX);
    expect(reply.flows.length).toBeGreaterThan(0);
    seen.push(...reply.flows.map(({ flow }) => flow.flowId));
    more = reply.more;
  }
  expect(seen).toEqual(flows.map(({ flowId }) => flowId));
});
