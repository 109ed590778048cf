/**
 * What a tenant VM and its host agree on: names of ports, firmware entries, volumes and files.
 *
 * Pure: constants only. The image, the VM's first boot, the lab and the deployment artefacts all use
 * them, so that no name is written twice.
 */

/** Virtio-serial port that carries offload requests (offload-protocol.md, "Port"). */
export const OFFLOAD_PORT_NAME = "org.flowlift.offload.0";
/** Virtio-serial port that carries the tenant's SSH byte stream. */
export const MANAGE_PORT_NAME = "org.flowlift.manage.0";

/**
 * First-boot documents in QEMU's fw_cfg (docs/specs/fw_cfg.rst of QEMU: names below `opt/` belong to users).
 * Each has the content of the NoCloud file of the same name; `day0` is a NETCONF `<config>` document (XML).
 */
export const FW_CFG_PREFIX = "opt/org.flowlift/";
export const SEED_DOCUMENTS: readonly ["meta-data", "user-data", "network-config", "day0"] = [
  "meta-data",
  "user-data",
  "network-config",
  "day0",
];

/** cloud-init's NoCloud and OpenStack's ConfigDrive volumes, in either case of letters. */
export const NOCLOUD_VOLUME_LABEL = "cidata";
export const CONFIG_DRIVE_VOLUME_LABEL = "config-2";

/** The data partition of the disk, or a disk of its own: datastores, host key, supplied keys. */
export const DATA_VOLUME_LABEL = "flowlift-data";
export const DATA_MOUNT_POINT = "/data";

/** Inside the VM: the bundled program, its native parts and the YANG modules. */
export const GUEST_APP_DIRECTORY = "/usr/lib/flowlift";
/** os-release(5) of the image; VERSION_ID is what the appliance reports. */
export const GUEST_RELEASE_FILE = "/etc/os-release";

/** On a host that is no lab's: sockets of a VM's two ports, in TENANT/NAME/ below it. */
export const HOST_VMS_DIRECTORY = "/run/flowlift/vms";
export const OFFLOAD_SOCKET_NAME = "offload.sock";
export const MANAGE_SOCKET_NAME = "manage.sock";
