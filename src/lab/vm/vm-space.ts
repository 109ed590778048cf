/**
 * What VMs need in the lab's mount namespace: their image, and devices that QEMU's users may open.
 *
 * Pure: lines of a shell script. The machine's own /dev stays as it is: its modes may forbid what we need.
 */
import { dirname } from "node:path";
import type { GuestImage } from "../../lib/guest/guest-image.ts";
import type { LabLayout } from "../layout.ts";
import { quoteWord } from "../mount-space.ts";
import { MACHINES_GID } from "../privileges.ts";
import { IMAGE_MOUNTS } from "./machine-spec.ts";
import type { LabVmOptions } from "./vm-options.ts";

/** Device numbers of Linux (Documentation/admin-guide/devices.txt). */
const DEVICES = {
  tun: { path: "/dev/net/tun", numbers: "10 200" },
  kvm: { path: "/dev/kvm", numbers: "10 232" },
} as const;

/** Returns the lines; they run as root, before anything else enters the namespace. */
export function formatVmSpaceLines(layout: LabLayout, options: LabVmOptions): string[] {
  const names =
    options.choice.accelerator === "kvm" ? (["tun", "kvm"] as const) : (["tun"] as const);
  const directory = layout.deviceDirectory;
  return [
    ...listMounts(options.image).flatMap(({ name, file }) => {
      const place = quoteWord(`${layout.imageDirectory}/${name}`);
      return [
        `: > ${place}`,
        `mount -n --bind ${quoteWord(file)} ${place}`,
        `mount -n -o remount,bind,ro ${place}`,
      ];
    }),
    `mount -n -t tmpfs -o mode=755,size=64k flowlift ${quoteWord(directory)}`,
    ...names.flatMap((name) => {
      const own = quoteWord(`${directory}/${name}`);
      const { path, numbers } = DEVICES[name];
      return [
        `mknod -m 0660 ${own} c ${numbers}`,
        `chgrp ${MACHINES_GID} ${own}`,
        `mkdir -p ${dirname(path)}`,
        `[ -e ${path} ] || mknod -m 0600 ${path} c ${numbers}`,
        `mount -n --bind ${own} ${path}`,
      ];
    }),
  ];
}

/** Returns the image's files by the name that they get in the lab. */
export function listMounts(image: GuestImage): { readonly name: string; readonly file: string }[] {
  return [
    { name: IMAGE_MOUNTS.kernel, file: image.kernelFile },
    { name: IMAGE_MOUNTS.initrd, file: image.initrdFile },
    ...(image.rootFile === undefined ? [] : [{ name: IMAGE_MOUNTS.root, file: image.rootFile }]),
  ];
}
