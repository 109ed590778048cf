/**
 * Where YANG modules lie on this machine.
 *
 * Effect: looks at the file system. The order decides which copy of a module is read.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";

/** Directories of Debian's packages, in the order in which they are searched, after ours. */
export const PACKAGED_YANG_DIRECTORIES: readonly {
  readonly directory: string;
  readonly debianPackage: string;
}[] = [
  // libyang's own come first: they hold yang-library 2019, which it must not find in the 2016 form.
  { directory: "/usr/share/yang/modules/libyang", debianPackage: "libyang2" },
  { directory: "/usr/share/yuma/modules/ietf", debianPackage: "libyuma-base" },
];

/** Returns our modules' directory and those of the Debian packages that exist. */
export function defaultYangDirectories(projectRoot: string): string[] {
  const ours = join(projectRoot, "yang");
  const packaged = PACKAGED_YANG_DIRECTORIES.map(({ directory }) => directory);
  return [ours, ...packaged.filter((directory) => existsSync(directory))];
}

/** Returns what to install when modules are missing. */
export function installAdvice(): string {
  const packages = PACKAGED_YANG_DIRECTORIES.filter(({ directory }) => !existsSync(directory));
  if (packages.length === 0) return "";
  const names = packages.map(({ debianPackage }) => debianPackage).join(" ");
  return `. Install what is missing: apt-get install --no-install-recommends ${names}`;
}
