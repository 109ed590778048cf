/**
 * The VNF package: metadata, descriptor, image, change log, licence, and a manifest with a digest of each file.
 *
 * Pure, but for a signer that may be given. Source: ETSI GS NFV-SOL 004, clause 4 (CSAR with TOSCA-Metadata, manifest of
 * name-value pairs, digests per file, signature as CMS at the manifest's end).
 */
import { createHash } from "node:crypto";
import { formatVnfd, type VnfdWords } from "./vnfd.ts";
import { formatZip, type ZipFile } from "./zip.ts";

const DESCRIPTOR_PATH = "Definitions/flowlift_vnfd.yaml";
export const MANIFEST_PATH = "flowlift.mf";
const CERTIFICATE_PATH = "flowlift.cert";

export interface PackageWords extends Omit<VnfdWords, "image"> {
  /** RFC 3339; part of the manifest, so it is given. */
  readonly releasedAt: string;
  readonly imageName: string;
  readonly image: Uint8Array;
  readonly licence: string;
  readonly changeLog: string;
}

/** Signs the manifest. */
export interface ManifestSigner {
  /** The certificate in PEM. */
  readonly certificate: string;
  /** Returns a CMS signature in PEM. */
  readonly sign: (manifest: string) => string;
}

/** Returns the archive. The same words give the same bytes, but for a signature. */
export function formatPackage(words: PackageWords, signer?: ManifestSigner): Buffer {
  const imagePath = `Files/images/${words.imageName}`;
  const image = {
    path: imagePath,
    format: words.imageName.endsWith(".qcow2") ? ("qcow2" as const) : ("raw" as const),
    bytes: words.image.length,
    digest: digestOf(words.image),
  };
  const files: ZipFile[] = [
    textFile("TOSCA-Metadata/TOSCA.meta", formatMeta(signer !== undefined)),
    textFile(DESCRIPTOR_PATH, formatVnfd({ ...words, image })),
    textFile("ChangeLog.txt", words.changeLog),
    textFile("Licenses/LICENSE.txt", words.licence),
    { name: imagePath, bytes: words.image },
  ];
  const certificate = signer === undefined ? [] : [textFile(CERTIFICATE_PATH, signer.certificate)];
  const manifest = formatManifest(words, [...files, ...certificate]);
  const signed = signer === undefined ? manifest : `${manifest}${signer.sign(manifest).trim()}\n`;
  const [meta, ...rest] = files;
  const first = meta === undefined ? [] : [meta]; // TOSCA.meta is the first of an archive.
  return formatZip([...first, textFile(MANIFEST_PATH, signed), ...certificate, ...rest]);
}

function formatMeta(isSigned: boolean): string {
  const lines = [
    "TOSCA-Meta-File-Version: 1.0",
    "CSAR-Version: 1.1",
    "Created-By: Flowlift",
    `Entry-Definitions: ${DESCRIPTOR_PATH}`,
    `ETSI-Entry-Manifest: ${MANIFEST_PATH}`,
    "ETSI-Entry-Change-Log: ChangeLog.txt",
    "ETSI-Entry-Licenses: Licenses",
    ...(isSigned ? [`ETSI-Entry-Certificate: ${CERTIFICATE_PATH}`] : []),
  ];
  return `${lines.join("\n")}\n`;
}

function formatManifest(words: PackageWords, files: readonly ZipFile[]): string {
  const head = [
    "metadata:",
    "  vnf_product_name: Flowlift",
    "  vnf_provider_id: Flowlift",
    `  vnf_package_version: ${words.softwareVersion}`,
    `  vnf_release_date_time: ${words.releasedAt}`,
    `  vnfd_id: ${words.descriptorId}`,
    "  vnfm_info: etsivnfm:v2.3.1",
    "  compatible_specification_versions: 2.7.1,3.3.1",
    "",
  ];
  const entries = files.flatMap(({ name, bytes }) => [
    `Source: ${name}`,
    "Algorithm: SHA-256",
    `Hash: ${digestOf(bytes)}`,
    "",
  ]);
  return `${[...head, ...entries].join("\n")}`;
}

function textFile(name: string, text: string): ZipFile {
  return { name, bytes: Buffer.from(text, "utf8") };
}

function digestOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
