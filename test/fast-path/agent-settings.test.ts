import { expect, test } from "vitest";
import { FLOWS_MAX_LIMIT, parseAgentSettings } from "../../src/fast-path/agent-settings.ts";

const SETTINGS = { hostName: "h", socketPath: "/run/a.sock", pinDirectory: "/bpf/flowlift" };

test("parseAgentSettings() fills in the default table size", () => {
  expect(parseAgentSettings(JSON.stringify(SETTINGS))).toEqual({
    ok: true,
    value: { ...SETTINGS, flowsMax: 65_536 },
  });
});

test.each([
  ["no JSON", "{", "it is not JSON"],
  ["a list", "[]", "it is not a JSON object"],
  ["an unknown member", { ...SETTINGS, flowMax: 1 }, 'there is no setting "flowMax"'],
  ["a missing member", { hostName: "h" }, '"socketPath" must be a text'],
  ["an empty member", { ...SETTINGS, hostName: "" }, '"hostName" must be a text'],
  ["a fraction", { ...SETTINGS, flowsMax: 1.5 }, '"flowsMax" must be a whole number'],
  ["a number as path", { ...SETTINGS, objectFile: 1 }, '"objectFile" must be a text'],
])("parseAgentSettings() refuses %s and says why", (_, settings, message) => {
  const text = typeof settings === "string" ? settings : JSON.stringify(settings);
  const error = { kind: "settings-invalid", message };
  expect(parseAgentSettings(text)).toEqual({ ok: false, error });
});

test("flowsMax holds its bounds: 0 and one more are refused, 1, one less and the bound are not", () => {
  const sizes = [0, 1, FLOWS_MAX_LIMIT - 1, FLOWS_MAX_LIMIT, FLOWS_MAX_LIMIT + 1];
  const outcomes = sizes.map(
    (flowsMax) => parseAgentSettings(JSON.stringify({ ...SETTINGS, flowsMax })).ok,
  );
  expect(outcomes).toEqual([false, true, true, true, false]);
});
