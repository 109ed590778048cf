import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { formatPackage, MANIFEST_PATH, type PackageWords } from "../../src/deploy/csar/package.ts";
import { crc32, formatZip } from "../../src/deploy/csar/zip.ts";
import { MANAGE_PORT_NAME, OFFLOAD_PORT_NAME } from "../../src/lib/guest/contract.ts";
import { readZip } from "./read-zip.ts";

const WORDS: PackageWords = {
  descriptorId: "06eb2d83-a7f7-5ceb-b5fb-249d48b5cb7e",
  softwareVersion: "0.2.0",
  memoryMib: 512,
  processors: 2,
  releasedAt: "2026-11-21T00:00:00Z",
  imageName: "flowlift.qcow2",
  image: Buffer.alloc(100_000, "image"),
  licence: "licence",
  changeLog: "changes",
};

test("crc32() is that of the check word of ISO 3309", () => {
  expect(crc32(Buffer.from("123456789"))).toBe(0xcbf4_3926);
});

test("formatZip() gives back what was put in, in order", () => {
  const files = [
    { name: "empty", bytes: Buffer.alloc(0) },
    { name: "dir/ä.txt", bytes: Buffer.from("text") },
    { name: "long", bytes: Buffer.alloc(70_000, "ab") },
  ];
  const read = readZip(formatZip(files));
  expect([...read.keys()]).toEqual(files.map(({ name }) => name));
  for (const { name, bytes } of files) expect(read.get(name)).toEqual(bytes);
});

test("formatPackage() gives equal bytes for equal words", () => {
  expect(formatPackage(WORDS).equals(formatPackage(WORDS))).toBe(true);
  expect(formatPackage(WORDS).equals(formatPackage({ ...WORDS, memoryMib: 513 }))).toBe(false);
});

test("the manifest has the digest of every file but itself", () => {
  const files = readZip(formatPackage(WORDS));
  const manifest = files.get(MANIFEST_PATH)?.toString() ?? "";
  const entries = [
    ...manifest.matchAll(/Source: (.+)\nAlgorithm: SHA-256\nHash: ([0-9a-f]{64})\n/g),
  ];
  const digests = new Map(entries.map(([, name = "", digest = ""]) => [name, digest]));
  const others = [...files].filter(([name]) => name !== MANIFEST_PATH);
  expect([...digests.keys()].toSorted()).toEqual(others.map(([name]) => name).toSorted());
  for (const [name, bytes] of others) {
    expect(digests.get(name)).toBe(createHash("sha256").update(bytes).digest("hex"));
  }
});

test("TOSCA.meta comes first and names what is in the package (SOL 004, clause 4.1.2)", () => {
  const files = readZip(formatPackage(WORDS));
  expect([...files.keys()][0]).toBe("TOSCA-Metadata/TOSCA.meta");
  const meta = parse(files.get("TOSCA-Metadata/TOSCA.meta")?.toString() ?? "") as Record<
    string,
    unknown
  >;
  for (const key of ["Entry-Definitions", "ETSI-Entry-Manifest", "ETSI-Entry-Change-Log"]) {
    expect(files.has(String(meta[key]))).toBe(true);
  }
  expect(meta["CSAR-Version"]).toBe(1.1);
});

test("a signature and its certificate are in the package; the digests cover the certificate", () => {
  const seen: string[] = [];
  const signer = {
    certificate: "CERT\n",
    sign: (manifest: string): string => {
      seen.push(manifest);
      return "-----BEGIN CMS-----\nx\n-----END CMS-----\n";
    },
  };
  const files = readZip(formatPackage(WORDS, signer));
  const manifest = files.get(MANIFEST_PATH)?.toString() ?? "";
  expect(manifest.startsWith(seen[0] ?? "?")).toBe(true);
  expect(manifest).toMatch(/-----END CMS-----\n$/);
  expect(manifest).toContain("Source: flowlift.cert\n");
  expect(files.get("TOSCA-Metadata/TOSCA.meta")?.toString()).toContain("ETSI-Entry-Certificate");
});

interface Vnfd {
  readonly imports: string[];
  readonly node_types: Record<string, { derived_from: string }>;
  readonly topology_template: {
    readonly substitution_mappings: { node_type: string; requirements: Record<string, string[]> };
    readonly node_templates: Record<string, { type: string; properties: Record<string, unknown> }>;
    readonly policies: Record<string, { type: string }>[];
  };
}

/** Written from the tables of SOL 001, clause 6; there is no validator of it on Debian. */
test("the descriptor has the shape of SOL 001 and declares the two virtio-serial ports", () => {
  const text = readZip(formatPackage(WORDS)).get("Definitions/flowlift_vnfd.yaml")?.toString();
  const vnfd = parse(text ?? "") as Vnfd & Record<string, unknown>;
  expect(vnfd["tosca_definitions_version"]).toBe("tosca_simple_yaml_1_3");
  expect(vnfd.imports).toContain("etsi_nfv_sol001_vnfd_types.yaml");
  const {
    node_templates: nodes,
    substitution_mappings: mappings,
    policies,
  } = vnfd.topology_template;
  expect(vnfd.node_types[mappings.node_type]?.derived_from).toBe("tosca.nodes.nfv.VNF");
  const compute = nodes["appliance"];
  expect(vnfd.node_types[compute?.type ?? ""]?.derived_from).toBe("tosca.nodes.nfv.Vdu.Compute");
  expect(compute?.properties["virtio_serial_ports"]).toEqual([OFFLOAD_PORT_NAME, MANAGE_PORT_NAME]);
  const image = compute?.properties["sw_image_data"] as Record<string, unknown>;
  expect(image["checksum"]).toEqual({
    algorithm: "sha-256",
    hash: createHash("sha256").update(WORDS.image).digest("hex"),
  });
  for (const [node = ""] of Object.values(mappings.requirements)) {
    expect(nodes[node]?.type).toBe("tosca.nodes.nfv.VduCp");
  }
  const kinds = policies.flatMap((policy) => Object.values(policy).map(({ type }) => type));
  expect(kinds).toContain("tosca.policies.nfv.InstantiationLevels");
  expect(kinds).toContain("tosca.policies.nfv.VduInstantiationLevels");
});
