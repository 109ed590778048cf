/** `flowlift deploy csar`. Effect: reads image, licence and change log; signs if a key is given. */
import { statSync } from "node:fs";
import { basename, join } from "node:path";
import { formatPackage } from "../../deploy/csar/package.ts";
import { createSigner } from "../../deploy/csar/sign.ts";
import { ARCHIVE_BYTES_MAX } from "../../deploy/csar/zip.ts";
import { MEMORY_MIB_DEFAULT, nameUuid, readMachineNumber } from "../../deploy/machine.ts";
import { FlowliftError } from "../../lib/base/errors.ts";
import { findProjectRoot } from "../../lib/base/project-root.ts";
import {
  VM_MEMORY_MIB_MAX,
  VM_MEMORY_MIB_MIN,
  VM_PROCESSORS_MAX,
} from "../../lib/guest/vm-spec.ts";
import type { DeployOutput, DeployWords } from "./deployments.ts";
import { readBytes, readText } from "./read-file.ts";

const TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(Z|[+-]\d{2}:\d{2})$/;

/** Returns the package. */
export function formatCsar({ flags }: DeployWords): DeployOutput {
  const { values } = flags;
  const { out, image, version, released } = values;
  if (out === undefined || image === undefined || version === undefined || released === undefined) {
    throw new FlowliftError("USAGE", '"--image", "--version", "--released" and "--out" are needed');
  }
  if (!/^[0-9A-Za-z][0-9A-Za-z.+~-]{0,63}$/.test(version)) {
    throw new FlowliftError("USAGE", `"--version" cannot be "${version}"`);
  }
  if (!TIME.test(released) || Number.isNaN(Date.parse(released))) {
    throw new FlowliftError("USAGE", `"--released" is no time such as 2026-11-21T00:00:00Z`);
  }
  const memory = [VM_MEMORY_MIB_MIN, VM_MEMORY_MIB_MAX] as const;
  const words = {
    descriptorId: nameUuid(`vnfd:${version}`),
    softwareVersion: version,
    memoryMib: orUsage("memory", values["memory"], MEMORY_MIB_DEFAULT, memory),
    processors: orUsage("processors", values["processors"], 1, [1, VM_PROCESSORS_MAX]),
    releasedAt: released,
    imageName: readImageName(image),
    image: readBytes(image),
    licence: readText(join(findProjectRoot(), "LICENSE")),
    changeLog: readText(join(findProjectRoot(), "CHANGELOG.md")),
  };
  return { bytes: formatPackage(words, readSigner(values)) };
}

function readImageName(path: string): string {
  const name = basename(path);
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(name)) {
    throw new FlowliftError("USAGE", `"${name}" has characters that a package does not take`);
  }
  // Its change log, licence and descriptor need some room too.
  const most = ARCHIVE_BYTES_MAX - 16 * 1024 * 1024;
  if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) > most) {
    throw new FlowliftError("USAGE", `"${path}" has more than ${most} bytes`);
  }
  return name;
}

function readSigner(
  values: Readonly<Record<string, string>>,
): ReturnType<typeof createSigner> | undefined {
  const { key, certificate } = values;
  if (key === undefined && certificate === undefined) return undefined;
  if (key !== undefined && certificate !== undefined) return createSigner(key, certificate);
  throw new FlowliftError("USAGE", '"--key" and "--certificate" go together');
}

function orUsage(
  what: string,
  text: string | undefined,
  otherwise: number,
  range: readonly [number, number],
): number {
  const value = readMachineNumber(what, text, otherwise, range);
  if (value.ok) return value.value;
  throw new FlowliftError("USAGE", value.error.message);
}
