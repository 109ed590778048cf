/**
 * The VM as an OpenStack Heat template, and the properties of its image.
 *
 * Pure. Source: Heat's "HOT specification"; Glance's "Useful image properties".
 * Nova cannot give a server virtio-serial ports of its own choice: `hw_qemu_guest_agent` makes it add the
 * controller, and the compute node's operator plugs the two channels in (docs/deployment.md).
 */

import type { Machine } from "../machine.ts";
import { formatYaml } from "../yaml.ts";

/** Nova's and Glance's names; values are texts there. */
export const IMAGE_PROPERTIES: Readonly<Record<string, string>> = {
  architecture: "x86_64",
  hw_disk_bus: "virtio",
  hw_machine_type: "q35",
  hw_qemu_guest_agent: "yes",
  hw_rng_model: "virtio",
  hw_vif_model: "virtio",
  hw_vif_multiqueue_enabled: "true",
  hw_watchdog_action: "reset",
  os_distro: "debian",
  os_type: "linux",
};

/** Returns the shell command that makes the image. */
export function formatImageCommand(disk: string, name: string): string {
  const format = disk.endsWith(".qcow2") ? "qcow2" : "raw";
  const properties = Object.entries(IMAGE_PROPERTIES).map(
    ([key, value]) => `  --property ${key}=${value} \\\n`,
  );
  return `openstack image create ${name} \\
  --file ${disk} --disk-format ${format} --container-format bare \\
${properties.join("")}  --private
`;
}

/** Returns the template. */
export function formatHeat(machine: Machine): string {
  const ports = Object.fromEntries(
    machine.nics.map(({ mac, network }, index) => [`port_${index}`, formatPort(mac, network)]),
  );
  const template = {
    heat_template_version: "2018-08-31",
    description: `Flowlift ${machine.tenant}/${machine.vm}: two data interfaces, none for management`,
    parameters: {
      image: {
        type: "string",
        default: "flowlift",
        constraints: [{ custom_constraint: "glance.image" }],
      },
      flavor: { type: "string", constraints: [{ custom_constraint: "nova.flavor" }] },
      user_data: { type: "string", default: "", description: "cloud-config, or a NETCONF config" },
    },
    resources: {
      ...ports,
      server: {
        type: "OS::Nova::Server",
        properties: {
          name: machine.label,
          image: { get_param: "image" },
          flavor: { get_param: "flavor" },
          config_drive: true,
          user_data_format: "RAW",
          user_data: { get_param: "user_data" },
          networks: machine.nics.map((_, index) => ({ port: { get_resource: `port_${index}` } })),
        },
      },
    },
    outputs: {
      server: { description: "For the compute node's operator", value: { get_resource: "server" } },
    },
  };
  return formatYaml(template);
}

/** A gateway forwards addresses that are not its own: the port must not filter by source. */
function formatPort(mac: string, network: string): object {
  return {
    type: "OS::Neutron::Port",
    properties: { network, mac_address: mac, port_security_enabled: false },
  };
}
