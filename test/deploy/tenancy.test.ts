import { expect, test } from "vitest";
import { parseControllerView } from "../../src/deploy/tenancy/controller-view.ts";
import {
  formatAddTenant,
  formatAttach,
  formatDetach,
  formatRemoveTenant,
} from "../../src/deploy/tenancy/edits.ts";
import { findPort } from "../../src/deploy/tenancy/find-port.ts";
import { isName, NAME_CHARACTERS_MAX, parseVmName } from "../../src/deploy/tenancy/names.ts";
import {
  FILE_BYTES_MAX,
  PORTS_MAX,
  parseTenantFile,
  type TenantFile,
} from "../../src/deploy/tenancy/tenant-file.ts";
import {
  INTERFACE_NAME_MAX,
  parseVnic,
  parseVnics,
  VNICS_PER_VM_MAX,
} from "../../src/deploy/tenancy/vnic-words.ts";
import type { MacAddress } from "../../src/lib/inet/address.ts";
import { NUD_PERMANENT } from "../../src/lib/netlink/route-messages.ts";
import { parseXml } from "../../src/lib/xml/tree.ts";

const FILE = `
name: green
segment:
  - { name: inside, prefix: [10.0.0.0/24] }
  - { name: outside, transit: true }
external-pool:
  - { name: nat, segment: outside, prefix: 203.0.113.8/32 }
port:
  - { host: host-1, interface: tap7, segment: inside }
`;

function fileOf(text: string): TenantFile {
  const file = parseTenantFile(text);
  if (!file.ok) throw new Error(file.error.message);
  return file.value;
}

function problemOf(text: string): string {
  const file = parseTenantFile(text);
  return file.ok ? "ok" : file.error.message;
}

test("parseTenantFile() reads YAML and JSON alike", () => {
  const { name, tenant, ports } = fileOf(FILE);
  expect([name, ports]).toEqual([
    "green",
    [{ host: "host-1", port: { interface: "tap7", segment: "inside" } }],
  ]);
  expect(fileOf(JSON.stringify({ ...tenant, port: [] })).tenant).toEqual(tenant);
});

test.each([
  ["no map", "- a", /no map/],
  ["no name", "segment: []", /"name"/],
  ["an unknown member", "name: a\nsegments: []", /no member "segments"/],
  ["a member that would be markup", "name: a\nsegment: [{name: b, 'x><y': 1}]", /no member of a/],
  ["a port without host", "name: a\nport: [{interface: p, segment: s}]", /"host"/],
  ["a port without interface", "name: a\nport: [{host: h, segment: s}]", /no interface/],
  ["a name twice", "name: a\nname: b", /unique/],
  ["a name that is none", "name: ../etc", /"name"/],
])("parseTenantFile() refuses %s", (_, text, message) => {
  expect(problemOf(text)).toMatch(message);
});

test("parseTenantFile() takes FILE_BYTES_MAX bytes and PORTS_MAX ports, and no more", () => {
  const padded = (bytes: number): string => `name: a\n#${"x".repeat(bytes - 9)}`;
  expect(problemOf(padded(FILE_BYTES_MAX - 1))).toBe("ok");
  expect(problemOf(padded(FILE_BYTES_MAX))).toBe("ok");
  expect(problemOf(padded(FILE_BYTES_MAX + 1))).toMatch(/bytes/);
  const ports = (count: number): string => {
    const port = Array.from({ length: count }, (_, index) => ({
      host: "h",
      interface: `p${index}`,
      segment: "s",
    }));
    return JSON.stringify({ name: "a", port });
  };
  expect(problemOf(ports(PORTS_MAX))).toBe("ok");
  expect(problemOf(ports(PORTS_MAX + 1))).toMatch(/ports/);
});

test("parseVnic() reads MAC=SEGMENT[@INTERFACE]", () => {
  const vnic = parseVnic("52:54:00:AA:bb:01=inside@tap7");
  expect(vnic.ok && vnic.value).toEqual({
    mac: "52:54:00:aa:bb:01",
    segment: "inside",
    interfaceName: "tap7",
  });
  const place = (characters: number): boolean =>
    parseVnic(`52:54:00:aa:bb:01=inside@${"p".repeat(characters)}`).ok;
  expect([place(INTERFACE_NAME_MAX), place(INTERFACE_NAME_MAX + 1), place(0)]).toEqual([
    true,
    false,
    false,
  ]);
});

test("parseVnics() takes 1 to VNICS_PER_VM_MAX, each MAC address once", () => {
  const list = (count: number): string[] =>
    Array.from({ length: count }, (_, index) => {
      return `52:54:00:00:00:${index.toString(16).padStart(2, "0")}=s`;
    });
  expect([0, 1, VNICS_PER_VM_MAX, VNICS_PER_VM_MAX + 1].map((n) => parseVnics(list(n)).ok)).toEqual(
    [false, true, true, false],
  );
  expect(parseVnics([...list(2), ...list(1)]).ok).toBe(false);
});

test("names have 1 to NAME_CHARACTERS_MAX characters; a VM's has two parts", () => {
  expect(
    ["a", "a".repeat(NAME_CHARACTERS_MAX), "a".repeat(NAME_CHARACTERS_MAX + 1), ""].map(isName),
  ).toEqual([true, true, false, false]);
  expect(
    ["red/gw", "red", "red/gw/x", "/gw", "red/.."].map((text) => parseVmName(text).ok),
  ).toEqual([true, false, false, false, false]);
});

const VM = {
  tenant: "green",
  vm: "gw",
  host: "host-1",
  socketPath: "/run/a&b.sock",
  mode: "connect" as const,
  vnics: [{ mac: "52:54:00:00:00:01", segment: "inside", interfaceName: "tap7" }],
  flowsMax: 5,
};

test("edits are well-formed, create what is new, and escape what was given", () => {
  const added = formatAddTenant(fileOf(FILE), "create");
  const attached = formatAttach(VM, new Set());
  for (const xml of [added, attached, formatDetach(VM, "host-1", ["tap7"])]) {
    expect(parseXml(xml).ok).toBe(true);
  }
  expect(attached).toContain("<socket>/run/a&amp;b.sock</socket>");
  expect(attached.match(/nc:operation="create"/g)).toHaveLength(2);
  expect(formatAttach(VM, new Set(["tap7"])).match(/nc:operation="create"/g)).toHaveLength(1);
  expect(added).not.toMatch(/merge|replace/);
});

const REPLY = `<rpc-reply xmlns="urn:ietf:params:xml:ns:netconf:base:1.0"><data>
  <controller xmlns="urn:flowlift:controller">
    <host><name>host-1</name><port><interface>tap7</interface><tenant>green</tenant><segment>inside</segment></port>
      <port><interface>tap8</interface><tenant>red</tenant><segment>inside</segment></port></host>
    <tenant><name>green</name><segment><name>inside</name><prefix>10.0.0.0/24</prefix></segment>
      <virtual-machine><name>gw</name><host>host-1</host><offload-port><socket>/run/x</socket></offload-port>
        <vnic><mac>52:54:00:00:00:01</mac><segment>inside</segment><port>tap7</port></vnic>
        <state><connected>true</connected><active-flows>7</active-flows></state></virtual-machine></tenant>
  </controller></data></rpc-reply>`;

test("a view of the controller is what it answered; a tenant's removal takes its own ports alone", () => {
  const view = parseControllerView(REPLY);
  if (!view.ok) throw new Error(view.error.message);
  const [tenant] = view.value.tenants;
  if (tenant === undefined) throw new Error("no tenant");
  expect(tenant.vms[0]).toMatchObject({ name: "gw", isConnected: true, activeFlows: 7 });
  const removal = formatRemoveTenant(tenant, view.value);
  expect(removal).toContain("tap7");
  expect(removal).not.toContain("tap8");
  expect(parseControllerView("<rpc-reply/>").ok).toBe(false);
});

const MAC = "52:54:00:00:00:01" as MacAddress;
const link = (index: number, name: string, mac: string, master?: number): never =>
  ({
    index,
    name,
    mac,
    mtuBytes: 1500,
    up: true,
    ...(master === undefined ? {} : { master }),
  }) as never;
const seen = (linkIndex: number, state = 0): never =>
  ({ family: "bridge", linkIndex, state, flags: 0, mac: MAC, master: 9 }) as never;

test.each([
  ["libvirt's tap", [link(1, "vnet0", "fe:54:00:00:00:01", 9)], [], "vnet0"],
  [
    "the only port behind which it was seen",
    [link(1, "p1", "02:00:00:00:00:01", 9)],
    [seen(1)],
    "p1",
  ],
  [
    "a tap before a port that saw it",
    [link(1, "vnet0", "fe:54:00:00:00:01", 9), link(2, "p", "02:00:00:00:00:01", 9)],
    [seen(2)],
    "vnet0",
  ],
  [
    "nothing for a link without a bridge",
    [link(1, "vnet0", "fe:54:00:00:00:01")],
    [],
    "port-unknown",
  ],
  [
    "nothing for a bridge's own address",
    [link(1, "p1", "02:00:00:00:00:01", 9)],
    [seen(1, NUD_PERMANENT)],
    "port-unknown",
  ],
  [
    "no choice between two",
    [link(1, "p1", "02:00:00:00:00:01", 9), link(2, "p2", "02:00:00:00:00:02", 9)],
    [seen(1), seen(2)],
    "port-ambiguous",
  ],
])("findPort() finds %s", (_, links, neighbours, expected) => {
  const port = findPort(MAC, links, neighbours);
  expect(port.ok ? port.value : port.error.kind).toBe(expected);
});
