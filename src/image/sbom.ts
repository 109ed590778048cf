/**
 * The bill of materials: which packages lie in the image, as SPDX 2.3.
 *
 * Pure. Source: SPDX Specification 2.3, clauses 6, 7 and 11; package URLs (purl-spec, types deb and npm).
 */
import { createHash } from "node:crypto";
import type { ImageLock, LockedPackage } from "./image-lock.ts";

export interface NpmComponent {
  readonly name: string;
  readonly version: string;
  readonly license: string;
}

export interface SbomInputs {
  readonly lock: ImageLock;
  readonly npm: readonly NpmComponent[];
  readonly version: string;
  readonly profile: string;
}

const NOTHING_SAID = "NOASSERTION";

/** Returns the document's text. */
export function formatSbom({ lock, npm, version, profile }: SbomInputs): string {
  const name = `flowlift-${profile}-${version}`;
  const image = spdxPackage("image", name, version, `pkg:generic/flowlift@${version}`, {
    licenseDeclared: "Apache-2.0",
  });
  const parts = [
    ...[lock.kernel, ...lock.packages].map(debianPackage),
    nodePackage(lock),
    ...npm.map(npmPackage),
  ];
  // Names the document for good without saying when it was written: equal images, equal documents.
  const unique = createHash("sha256")
    .update(JSON.stringify([name, parts]))
    .digest("hex");
  const document = {
    spdxVersion: "SPDX-2.3",
    dataLicense: "CC0-1.0",
    SPDXID: "SPDXRef-DOCUMENT",
    name,
    documentNamespace: `urn:flowlift:sbom:${unique}`,
    creationInfo: {
      created: new Date(lock.sourceDateEpoch * 1000).toISOString().replace(".000", ""),
      creators: ["Tool: flowlift-image"],
    },
    packages: [image, ...parts],
    relationships: [
      relation("SPDXRef-DOCUMENT", "DESCRIBES", image.SPDXID),
      ...parts.map((part) => relation(image.SPDXID, "CONTAINS", part.SPDXID)),
    ],
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}

function debianPackage(one: LockedPackage): ReturnType<typeof spdxPackage> {
  const version = encodeURIComponent(one.version);
  const url = `pkg:deb/debian/${one.name}@${version}?arch=${one.architecture}&distro=bookworm`;
  return spdxPackage("deb", one.name, one.version, url, {
    checksums: [{ algorithm: "SHA256", checksumValue: one.sha256 }],
    packageFileName: one.pool,
  });
}

function nodePackage(lock: ImageLock): ReturnType<typeof spdxPackage> {
  const { package: name, version, integrity } = lock.node;
  const sha512 = Buffer.from(integrity.replace("sha512-", ""), "base64").toString("hex");
  return spdxPackage("npm", name, version, `pkg:npm/${name}@${version}`, {
    checksums: [{ algorithm: "SHA512", checksumValue: sha512 }],
  });
}

function npmPackage({ name, version, license }: NpmComponent): ReturnType<typeof spdxPackage> {
  return spdxPackage("npm", name, version, `pkg:npm/${name.replace("@", "%40")}@${version}`, {
    licenseDeclared: license,
  });
}

interface PackageMore {
  readonly licenseDeclared?: string;
  readonly packageFileName?: string;
  readonly checksums?: readonly { readonly algorithm: string; readonly checksumValue: string }[];
}

interface SpdxPackage extends PackageMore {
  readonly SPDXID: string;
  readonly name: string;
  readonly versionInfo: string;
}

function spdxPackage(
  kind: string,
  name: string,
  version: string,
  url: string,
  more: PackageMore,
): SpdxPackage {
  return {
    SPDXID: `SPDXRef-${kind}-${name.replace(/[^A-Za-z0-9.-]/g, "-")}`,
    name,
    versionInfo: version,
    downloadLocation: NOTHING_SAID,
    filesAnalyzed: false,
    licenseConcluded: NOTHING_SAID,
    licenseDeclared: NOTHING_SAID,
    copyrightText: NOTHING_SAID,
    externalRefs: [
      { referenceCategory: "PACKAGE-MANAGER", referenceType: "purl", referenceLocator: url },
    ],
    ...more,
  } as SpdxPackage;
}

function relation(from: string, type: string, to: string): Record<string, string> {
  return { spdxElementId: from, relationshipType: type, relatedSpdxElement: to };
}
