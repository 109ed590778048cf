/** Where the builder's inputs lie. Effect: looks for the project's folder. */
import { join } from "node:path";
import { findProjectRoot } from "../lib/base/project-root.ts";

export interface ImagePaths {
  readonly root: string;
  /** Sources of the program, which the bundle is made from. */
  readonly sources: string;
  readonly yang: string;
  readonly rootfs: string;
  readonly lockFile: string;
  readonly packageList: string;
  readonly moduleList: string;
  readonly initScript: string;
  readonly cache: string;
  readonly output: string;
}

/** Returns the places below the project's folder. */
export function findImagePaths(root: string = findProjectRoot()): ImagePaths {
  const image = join(root, "src", "image");
  return {
    root,
    sources: join(root, "src"),
    yang: join(root, "yang"),
    rootfs: join(image, "rootfs"),
    lockFile: join(image, "image.lock.json"),
    packageList: join(image, "packages.tsv"),
    moduleList: join(image, "kernel-modules.tsv"),
    initScript: join(image, "initrd-init.sh"),
    cache: join(root, ".flowlift", "image-cache"),
    output: join(root, ".flowlift", "image"),
  };
}
