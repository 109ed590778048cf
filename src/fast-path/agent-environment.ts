/**
 * What the agent needs of the machine, looked at before anything is loaded.
 *
 * Effect: reads the file system and /proc. Throws ENVIRONMENT_LACKS with what is missing.
 */
import { existsSync, statfsSync } from "node:fs";
import { requireCapabilities } from "../lib/base/capabilities.ts";
import { FlowliftError } from "../lib/base/errors.ts";

/** linux/magic.h BPF_FS_MAGIC. */
const BPF_FS_MAGIC = 0xcafe_4a11;

/** Checks capabilities, the pin directory and the object file, in this order. */
export function requireAgentEnvironment(pinDirectory: string, objectFile: string): void {
  requireCapabilities("The fast-path agent", ["CAP_BPF", "CAP_NET_ADMIN"]);
  if (!existsSync(pinDirectory)) {
    const what = `The pin directory "${pinDirectory}" does not exist`;
    throw new FlowliftError("ENVIRONMENT_LACKS", `${what}; make it below a mounted bpffs`);
  }
  // The kernel's long is signed on some architectures.
  if (statfsSync(pinDirectory).type >>> 0 !== BPF_FS_MAGIC) {
    const what = `The pin directory "${pinDirectory}" is not on a bpffs`;
    throw new FlowliftError(
      "ENVIRONMENT_LACKS",
      `${what}; mount one: mount -t bpf bpf /sys/fs/bpf`,
    );
  }
  if (!existsSync(objectFile)) {
    const how = "build it: sh src/fast-path/bpf/build.sh dist/bpf";
    throw new FlowliftError("ENVIRONMENT_LACKS", `"${objectFile}" is missing; ${how}`);
  }
}
