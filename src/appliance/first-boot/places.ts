/** Where first boot finds and leaves things in the VM; tests give other places. Pure. */
import { DATA_MOUNT_POINT } from "../../lib/guest/contract.ts";

export interface GuestPlaces {
  readonly seedDirectory: string;
  readonly dataDirectory: string;
  readonly runDirectory: string;
  /** Sockets of the three processes. */
  readonly socketsDirectory: string;
  readonly linksDirectory: string;
  readonly portsDirectory: string;
  readonly bootIdFile: string;
  readonly hostnameFile: string;
  readonly notesFile: string;
  readonly resolverFile: string;
  readonly timeSourcesFile: string;
  readonly releaseFile: string;
  readonly consoles: readonly string[];
  /** Words before an interface's name that ask for an address there, and keep asking. */
  readonly dhcpWords: string;
  /** Group of the appliance's processes. */
  readonly gid: number;
}

const RUN = "/run/flowlift";

export const GUEST_PLACES: GuestPlaces = {
  seedDirectory: `${RUN}/seed`,
  dataDirectory: DATA_MOUNT_POINT,
  runDirectory: RUN,
  socketsDirectory: `${RUN}/sockets`,
  linksDirectory: "/sys/class/net",
  portsDirectory: "/dev/virtio-ports",
  bootIdFile: "/proc/sys/kernel/random/boot_id",
  hostnameFile: "/proc/sys/kernel/hostname",
  notesFile: `${RUN}/notes`,
  resolverFile: "/etc/resolv.conf",
  timeSourcesFile: `${RUN}/chrony/first-boot.sources`,
  releaseFile: "/etc/os-release",
  consoles: ["/dev/ttyS0", "/dev/tty0"],
  dhcpWords: "setsid /usr/lib/flowlift-guest/supervise-dhcp",
  gid: 64_000,
};
