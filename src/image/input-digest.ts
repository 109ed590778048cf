/**
 * Digests of what an image is made from: equal digests mean that nothing has to be built again.
 *
 * Effect: reads the project's files.
 */
import { createHash, type Hash } from "node:crypto";
import { lstatSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Bundle, readKoffi } from "./bundle.ts";
import type { ImagePaths } from "./image-paths.ts";
import type { ImageProfile } from "./profile.ts";
import { listTree } from "./stage.ts";

const DIGITS = 16;

/** Files of the builder that the base set depends on. */
export const BASE_BUILDER: readonly string[] = [
  "base-layer.ts",
  "base-set.ts",
  "boot-loader.ts",
  "cpio.ts",
  "data-volume.ts",
  "elf.ts",
  "image-files.ts",
  "initrd.ts",
  "kernel-modules.ts",
  "package-list.ts",
  "squashfs.ts",
  "stage.ts",
];

/** Files of the builder that the rest of an image depends on. */
export const IMAGE_BUILDER: readonly string[] = [
  "app-layer.ts",
  "build-image.ts",
  "bundle.ts",
  "disk.ts",
  "gpt.ts",
  "grub-embed.ts",
  "manifest.ts",
  "sbom.ts",
];

/** Inputs of the base set: the lock, the lists, and the builder itself. */
export function digestBase(paths: ImagePaths): string {
  const hash = createHash("sha256");
  for (const file of [paths.lockFile, paths.packageList, paths.moduleList, paths.initScript]) {
    addFile(hash, file);
  }
  addBuilder(hash, paths, BASE_BUILDER);
  addFile(hash, join(paths.sources, "lib", "guest", "contract.ts"));
  return hash.digest("hex").slice(0, DIGITS);
}

/** Inputs of the whole image. */
export function digestImage(
  paths: ImagePaths,
  base: string,
  bundle: Bundle,
  profile: ImageProfile,
): string {
  const hash = createHash("sha256");
  hash.update(`${base}\n${profile}\n`);
  addBuilder(hash, paths, IMAGE_BUILDER);
  addTree(hash, paths.rootfs);
  addTree(hash, paths.yang);
  addFile(hash, join(paths.root, "package.json"));
  const files = [...bundle.files, ...readKoffi(join(paths.root, "node_modules"))];
  for (const { name, data } of files) addData(hash, name, data);
  return hash.digest("hex").slice(0, DIGITS);
}

function addBuilder(hash: Hash, paths: ImagePaths, names: readonly string[]): void {
  for (const name of names) addFile(hash, join(paths.sources, "image", name));
}

function addTree(hash: Hash, folder: string): void {
  for (const path of listTree(folder)) {
    const { mode } = lstatSync(join(folder, path));
    hash.update(`${path} ${(mode & 0o111) !== 0}\n`);
    addFile(hash, join(folder, path));
  }
}

function addFile(hash: Hash, file: string): void {
  addData(hash, "", readFileSync(file));
}

function addData(hash: Hash, name: string, data: Buffer): void {
  hash.update(`${name} ${data.length}\n`);
  hash.update(data);
}
