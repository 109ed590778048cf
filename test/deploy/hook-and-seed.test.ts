import { expect, test } from "vitest";
import { formatDomain } from "../../src/deploy/libvirt/domain-xml.ts";
import {
  DOMAIN_BYTES_MAX,
  type HookAction,
  planHook,
} from "../../src/deploy/libvirt/hook-event.ts";
import { parseMachine } from "../../src/deploy/machine.ts";
import {
  DOCUMENT_BYTES_MAX,
  KEYS_MAX,
  planSeed,
  type SeedLayout,
  type SeedWords,
} from "../../src/deploy/seed/documents.ts";

const made = parseMachine({
  name: "red/gw",
  nics: ["52:54:00:11:22:33=inside@br0", "52:54:00:11:22:34=outside@br1"],
  disk: "/srv/flowlift.qcow2",
});
if (!made.ok) throw new Error(made.error.message);
/** As libvirt hands it over when the guest runs: each interface has its tap. */
const RUNNING: string = ["vnet0", "vnet1"].reduce(
  (xml, tap) =>
    xml.replace('<model type="virtio"/>\n', `<target dev="${tap}"/>\n<model type='virtio'/>\n`),
  formatDomain(made.value),
);

function plan(operation: string, sub: string, domain: string = RUNNING): HookAction | string {
  const action = planHook(operation, sub, domain);
  return action.ok ? action.value : action.error.message;
}

test.each(["started", "reconnect"])(
  "planHook() attaches at %s, with the taps of the domain",
  (operation) => {
    expect(plan(operation, "begin")).toEqual({
      kind: "attach",
      name: { tenant: "red", vm: "gw" },
      socketPath: "/run/flowlift/vms/red/gw/offload.sock",
      vnics: [
        { mac: "52:54:00:11:22:33", segment: "inside", interfaceName: "vnet0" },
        { mac: "52:54:00:11:22:34", segment: "outside", interfaceName: "vnet1" },
      ],
    });
  },
);

test.each(["stopped", "release"])("planHook() detaches at %s", (operation) => {
  expect(plan(operation, "end")).toEqual({ kind: "detach", name: { tenant: "red", vm: "gw" } });
});

test.each([
  ["prepare", "begin"],
  ["start", "begin"],
  ["migrate", "begin"],
  ["restore", "begin"],
  ["attach", "begin"],
])("planHook() leaves %s %s alone", (operation, sub) => {
  expect(plan(operation, sub)).toEqual({ kind: "nothing" });
});

test("planHook() leaves guests alone that are not ours", () => {
  const other = "<domain><metadata><vm xmlns='urn:x' tenant='red' name='gw'/></metadata></domain>";
  expect(plan("started", "begin", other)).toEqual({ kind: "nothing" });
  expect(plan("started", "begin", "<domain/>")).toEqual({ kind: "nothing" });
});

test.each([
  ["no XML", "<domain", /cannot be used/],
  ["a document type", '<!DOCTYPE d [<!ENTITY a "b">]><domain/>', /cannot be used/],
  ["a name with a slash", RUNNING.replace('tenant="red"', 'tenant="../x"'), /tenant/],
  ["no channel", RUNNING.replaceAll("org.flowlift.offload.0", "other"), /channel/],
  ["no tap", formatDomain(made.value), /target device/],
])("planHook() refuses a domain with %s", (_, domain, message) => {
  expect(plan("started", "begin", domain)).toMatch(message);
});

test("planHook() reads DOMAIN_BYTES_MAX bytes and no more", () => {
  const padded = (bytes: number): string =>
    `${RUNNING}${" ".repeat(bytes - Buffer.byteLength(RUNNING))}`;
  expect(plan("started", "begin", padded(DOMAIN_BYTES_MAX))).toMatchObject({ kind: "attach" });
  expect(plan("started", "begin", padded(DOMAIN_BYTES_MAX + 1))).toMatch(/too large/);
});

const KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIODhbTxncdcqpfmFukyAWiJpp";
const WORDS: SeedWords = {
  hostname: "red-gw",
  uuid: "06eb2d83-a7f7-5ceb-b5fb-249d48b5cb7e",
  publicKeys: `# mine\n${KEY} me@here\n\n`,
  dayZero: "<config xmlns='urn:ietf:params:xml:ns:netconf:base:1.0'/>",
  networkConfig: "version: 2\n",
};

function seed(
  layout: SeedLayout,
  changes: Partial<SeedWords> = {},
): Record<string, string> | string {
  const volume = planSeed({ ...WORDS, ...changes }, layout);
  return volume.ok ? Object.fromEntries(volume.value.files) : volume.error.message;
}

test("planSeed() lays out NoCloud: four documents, no password", () => {
  const files = seed("nocloud") as Record<string, string>;
  expect(Object.keys(files)).toEqual(["meta-data", "user-data", "network-config", "day0"]);
  expect(files["user-data"]).toMatch(/^#cloud-config\nssh_authorized_keys:\n {2}- ssh-ed25519 /);
  expect(Object.values(files).join("")).not.toMatch(/password|passwd/i);
});

test("planSeed() lays out ConfigDrive: day 0 is the user data, the keys are in the meta data", () => {
  const files = seed("config-drive") as Record<string, string>;
  expect(files["openstack/latest/user_data"]).toBe(WORDS.dayZero);
  const metaData = JSON.parse(files["openstack/latest/meta_data.json"] ?? "");
  expect(metaData).toMatchObject({ hostname: "red-gw", public_keys: { key0: `${KEY} me@here` } });
});

test.each([
  ["no key", { publicKeys: "# none\n" }, /nobody could log in/],
  ["a private key", { publicKeys: "-----BEGIN OPENSSH PRIVATE KEY-----" }, /no public key/],
  ["a key with options", { publicKeys: `command="sh" ${KEY}` }, /no public key/],
  ["a day 0 that is no XML", { dayZero: "{}" }, /no XML/],
  ["a day 0 of another root", { dayZero: "<rpc/>" }, /<config>/],
])("planSeed() refuses %s", (_, changes, message) => {
  expect(seed("nocloud", changes)).toMatch(message);
});

test("planSeed() takes KEYS_MAX keys and DOCUMENT_BYTES_MAX bytes, and no more", () => {
  const keys = (count: number): Partial<SeedWords> => ({ publicKeys: `${KEY}\n`.repeat(count) });
  expect(typeof seed("nocloud", keys(KEYS_MAX))).toBe("object");
  expect(seed("nocloud", keys(KEYS_MAX + 1))).toMatch(/more than/);
  const network = (bytes: number): Partial<SeedWords> => ({ networkConfig: "#".repeat(bytes) });
  expect(typeof seed("nocloud", network(DOCUMENT_BYTES_MAX))).toBe("object");
  expect(seed("nocloud", network(DOCUMENT_BYTES_MAX + 1))).toMatch(/bytes/);
});
