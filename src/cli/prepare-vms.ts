/**
 * What a lab of VMs needs before it starts: an image, and whether this machine's processor runs VMs.
 *
 * Effect: builds the image where there is none, and makes one trial boot.
 */
import { ensureImage } from "../image/build-image.ts";
import type { ImageFiles } from "../image/image-files.ts";
import type { LabVmOptions } from "../lab/vm/vm-options.ts";
import { createLog, type Log } from "../lib/base/log.ts";
import { formatAccelerator, probeAccelerator } from "../lib/guest/accelerator.ts";

export interface PreparedVms extends LabVmOptions {
  readonly image: ImageFiles;
}

/** Returns the options for `startLab()`; `announce` gets lines for a person. */
export async function prepareVms(
  announce: (line: string) => void,
  log: Log = createLog("image"),
): Promise<PreparedVms> {
  announce("looking for the image of the virtual machines; it is built when it is missing");
  const image = await ensureImage({ profile: "all", log });
  const choice = await probeAccelerator(image.kernelFile);
  announce(`virtual machines run under ${formatAccelerator(choice)}, image ${image.version}`);
  return { image, choice };
}
