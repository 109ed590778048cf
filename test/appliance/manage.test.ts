import { afterEach, describe, expect, test } from "vitest";
import { makeHelperOperations } from "../../src/appliance/helper.ts";
import { HOSTNAME_BYTES_MAX, isHostname } from "../../src/appliance/hostname.ts";
import { readAutoSave } from "../../src/appliance/manage-applier.ts";
import {
  checkApplianceSettings,
  INHERITED_SOCKETS_MAX,
  listListenPoints,
} from "../../src/appliance/manage-settings.ts";
import { SILENT_LOG } from "../../src/lib/base/log.ts";

describe("isHostname()", () => {
  const label = "a".repeat(63);
  test.each([
    ["a", true],
    ["red-1.example", true],
    ["9", true],
    [label, true],
    [`${label}a`, false],
    [`${"a".repeat(31)}.${"b".repeat(HOSTNAME_BYTES_MAX - 33)}`, true],
    [`${"a".repeat(31)}.${"b".repeat(HOSTNAME_BYTES_MAX - 32)}`, true],
    [`${"a".repeat(31)}.${"b".repeat(HOSTNAME_BYTES_MAX - 31)}`, false],
    ["", false],
    ["-a", false],
    ["a-", false],
    ["a..b", false],
    ["a b", false],
    ["a\n", false],
    ["ä", false],
    [7, false],
  ])("judges %j", (name, expected) => {
    expect(isHostname(name)).toBe(expected);
  });
});

test("the helper's list of operations is closed, and refuses before it writes", () => {
  const written: string[] = [];
  const file = { read: () => "before\n", write: (name: string) => written.push(name) };
  const operations = makeHelperOperations(file, SILENT_LOG);
  expect(Object.keys(operations)).toEqual(["set-hostname"]);
  expect(() => operations["set-hostname"]?.({ hostname: "a/b" })).toThrow('"a/b" is no host name');
  expect(operations["set-hostname"]?.({ hostname: "red" })).toEqual({ previous: "before" });
  expect(written).toEqual(["red"]);
});

test.each([
  [{}, true],
  [{ "flowlift-system:appliance": {} }, true],
  [{ "flowlift-system:appliance": { "auto-save": true } }, true],
  [{ "flowlift-system:appliance": { "auto-save": false } }, false],
])("readAutoSave() of %j is %s", (config, expected) => {
  expect(readAutoSave(config)).toBe(expected);
});

describe("settings", () => {
  const good = {
    name: "red",
    runDirectory: "/run",
    stateDirectory: "/state",
    bootId: "b",
    interfaces: ["eth0"],
    netconf: { listen: [{ address: "::1", port: 830 }], authorizedKeysFile: "/k", users: ["u"] },
  };
  const settings = checkApplianceSettings(good, "f");

  test.each([
    ["name", { ...good, name: "" }],
    ["bootId", { ...good, bootId: 7 }],
    ["interfaces", { ...good, interfaces: "eth0" }],
    ["netconf", { ...good, netconf: [] }],
    ["netconf.users", { ...good, netconf: { ...good.netconf, users: [1] } }],
    [
      "netconf.listen",
      { ...good, netconf: { ...good.netconf, listen: [{ address: "::1", port: -1 }] } },
    ],
    ["netconf.listen", { ...good, netconf: { ...good.netconf, listen: [{ port: 1 }] } }],
    ["dayZeroConfigFile", { ...good, dayZeroConfigFile: 1 }],
  ])('are refused by the name of "%s"', (name, value) => {
    expect(() => checkApplianceSettings(value, "f")).toThrow(`"${name}"`);
  });

  afterEach(() => {
    process.env["LISTEN_FDS"] = "";
  });

  test.each([
    [undefined, 1],
    ["0", 1],
    ["2", 3],
    [String(INHERITED_SOCKETS_MAX - 1), INHERITED_SOCKETS_MAX],
    [String(INHERITED_SOCKETS_MAX), INHERITED_SOCKETS_MAX + 1],
  ])("with LISTEN_FDS=%s listen at %i places", (text, count) => {
    process.env["LISTEN_FDS"] = text ?? "";
    const points = listListenPoints(settings);
    expect(points).toHaveLength(count);
    if (count > 1) expect(points[1]).toEqual({ kind: "inherited", fd: 3 });
  });

  test.each([String(INHERITED_SOCKETS_MAX + 1), "x", "-1", "1e1"])(
    "with LISTEN_FDS=%s are refused",
    (text) => {
      process.env["LISTEN_FDS"] = text;
      expect(() => listListenPoints(settings)).toThrow("LISTEN_FDS");
    },
  );
});
