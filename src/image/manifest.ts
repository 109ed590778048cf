/** The manifest beside an image: what it is, what it was made from, and its files' digests. Pure. */

export interface ImageManifest {
  readonly version: string;
  readonly profile: string;
  /** Digest of everything that the image is made from. */
  readonly inputs: string;
  readonly files: readonly ManifestFile[];
}

export interface ManifestFile {
  readonly name: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** Returns the file's text. */
export function formatManifest(manifest: ImageManifest): string {
  return `${JSON.stringify({ format: 1, ...manifest }, null, 2)}\n`;
}

/** Returns the manifest; undefined when the text is none, so that the image is built again. */
export function parseManifest(text: string): ImageManifest | undefined {
  try {
    const value = JSON.parse(text) as ImageManifest & { readonly format?: unknown };
    return value.format === 1 && Array.isArray(value.files) ? value : undefined;
  } catch {
    return undefined;
  }
}
