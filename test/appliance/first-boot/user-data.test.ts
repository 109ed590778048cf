import { describe, expect, test } from "vitest";
import { DOCUMENT_BYTES_MAX } from "../../../src/appliance/first-boot/document.ts";
import { PROBLEMS_MAX, ProblemList } from "../../../src/appliance/first-boot/report.ts";
import { isPublicKey, KEYS_MAX } from "../../../src/appliance/first-boot/user-data.ts";
import { KEY, readDocuments } from "./seed-directory.ts";

test("user-data and meta-data give name, users, keys, time servers and the day-0 document", () => {
  const { problems, seed } = readDocuments({
    "meta-data": `instance-id: i-7\nlocal-hostname: other\npublic-keys: ["${KEY}2"]\n`,
    "user-data": `#cloud-config
hostname: edge
ssh_authorized_keys: ["${KEY}"]
users: [default, {name: ops, ssh_authorized_keys: ["${KEY}3"]}]
ntp: {servers: [192.0.2.1, time.example.org]}
flowlift:
  day0: |
    <config/>
`,
  });
  expect(problems).toEqual([]);
  expect(seed).toMatchObject({
    instanceId: "i-7",
    hostname: "edge",
    users: ["ops"],
    keys: [`${KEY}2`, KEY, `${KEY}3`],
    ntpServers: ["192.0.2.1", "time.example.org"],
    dayZero: { document: "user-data", text: "<config/>\n" },
  });
});

test("ConfigDrive's meta_data.json gives the same", () => {
  const meta = {
    uuid: "u-1",
    hostname: "edge.example",
    public_keys: { mine: `${KEY}\n` },
    devices: [],
  };
  const { problems, seed } = readDocuments({ "meta_data.json": JSON.stringify(meta) });
  expect(problems).toEqual([]);
  expect(seed).toMatchObject({ instanceId: "u-1", hostname: "edge.example", keys: [KEY] });
});

test("a bare <config> is the day-0 document", () => {
  const { seed } = readDocuments({ "user-data": "\n<config xmlns='x'/>" });
  expect(seed.dayZero?.text.trim()).toBe("<config xmlns='x'/>");
});

test("a document day0 comes before user-data's, and that is told", () => {
  const { problems, seed } = readDocuments({ day0: "<config/>", "user-data": "<other/>" });
  expect(seed.dayZero).toEqual({ document: "day0", text: "<config/>" });
  expect(problems).toEqual([
    "user-data: its day-0 configuration is left out: there is a document day0 too",
  ]);
});

test.each([
  [
    "a script",
    "#!/bin/sh\nreboot",
    /line 1: it starts with "#!\/bin\/sh"; .*scripts are never run/,
  ],
  ["a mail of several parts", "MIME-Version: 1.0", /must be "#cloud-config"/],
  [
    "an unknown key",
    "#cloud-config\nruncmd: [reboot]",
    /line 2: runcmd: "runcmd" is not supported/,
  ],
  ["a password", "#cloud-config\nusers: [{name: a, passwd: x}]", /passwords are not taken/],
  [
    "a key with options",
    `#cloud-config\nssh_authorized_keys: ['command="x" ${KEY}']`,
    /no public key/,
  ],
  ["a name that is none", "#cloud-config\nhostname: a_b", /"a_b" is no host name/],
  ["a list that is none", "#cloud-config\nssh_authorized_keys: {a: {b: c}}", /no public key/],
])("%s is told, and the rest holds", (_name, text, reason) => {
  const { problems } = readDocuments({ "user-data": text });
  expect(problems.join("\n")).toMatch(reason);
});

test.each([
  [DOCUMENT_BYTES_MAX - 1, 0],
  [DOCUMENT_BYTES_MAX, 0],
  [DOCUMENT_BYTES_MAX + 1, 1],
])("a document of %i bytes makes %i problems", (bytes, count) => {
  const text = "#cloud-config\n#".padEnd(bytes, "x");
  expect(readDocuments({ "user-data": text }).problems).toHaveLength(count);
});

test.each([
  [KEYS_MAX - 1, KEYS_MAX - 1, 0],
  [KEYS_MAX, KEYS_MAX, 0],
  [KEYS_MAX + 1, KEYS_MAX, 1],
])("of %i keys %i are taken", (given, taken, problemCount) => {
  const keys = Array.from({ length: given }, (_, index) => `"${KEY}${index}"`).join(",");
  const { problems, seed } = readDocuments({
    "user-data": `#cloud-config\nssh_authorized_keys: [${keys}]`,
  });
  expect(seed.keys).toHaveLength(taken);
  expect(problems).toHaveLength(problemCount);
});

test.each([
  [PROBLEMS_MAX - 1, PROBLEMS_MAX - 1],
  [PROBLEMS_MAX, PROBLEMS_MAX],
  [PROBLEMS_MAX + 1, PROBLEMS_MAX + 1],
  [PROBLEMS_MAX + 9, PROBLEMS_MAX + 1],
])("of %i problems %i lines are told", (count, lines) => {
  const list = new ProblemList();
  for (let index = 0; index < count; index++) list.add("d", 1, "m");
  expect(list.list()).toHaveLength(lines);
});

describe("isPublicKey()", () => {
  test.each([
    [KEY, true],
    ["ssh-ed25519 AAAA", true],
    ["ssh-dss AAAA", false],
    [`${KEY}\nssh-ed25519 BBBB`, false],
    [`from="10.0.0.1" ${KEY}`, false],
    ["ssh-ed25519", false],
  ])("%j: %s", (line, expected) => expect(isPublicKey(line)).toBe(expected));
});
