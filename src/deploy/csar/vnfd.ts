/**
 * The VNF's descriptor: one VM with two data connection points and two virtio-serial ports.
 *
 * Pure. Source: ETSI GS NFV-SOL 001, clause 6 (types of etsi_nfv_sol001_vnfd_types). SOL 001 has no type for a
 * serial port: they are declared as a type of ours, derived from the compute type, whose property no
 * orchestrator has to understand, and named once more in the requirements for the host.
 */

import { MANAGE_PORT_NAME, OFFLOAD_PORT_NAME } from "../../lib/guest/contract.ts";
import { formatYaml } from "../yaml.ts";

/** Types of ETSI that the orchestrator brings. */
export const SOL001_IMPORTS: readonly string[] = [
  "etsi_nfv_sol001_common_types.yaml",
  "etsi_nfv_sol001_vnfd_types.yaml",
];
const NODE_TYPE = "flowlift.nodes.Appliance";
const COMPUTE_TYPE = "flowlift.nodes.Appliance.Compute";
const FLAVOUR_ID = "default";
const LEVEL_ID = "default";

export interface VnfdWords {
  /** UUID of this descriptor. */
  readonly descriptorId: string;
  readonly softwareVersion: string;
  readonly memoryMib: number;
  readonly processors: number;
  readonly image: {
    /** Path inside the package. */
    readonly path: string;
    readonly format: "qcow2" | "raw";
    readonly bytes: number;
    /** SHA-256 in hex. */
    readonly digest: string;
  };
}

/** Returns the descriptor. */
export function formatVnfd(words: VnfdWords): string {
  const descriptor = {
    tosca_definitions_version: "tosca_simple_yaml_1_3",
    description: "Flowlift: NAT gateway, load balancer and firewall of one tenant, with offload",
    metadata: { template_name: "flowlift", template_version: words.softwareVersion },
    imports: SOL001_IMPORTS,
    node_types: { [NODE_TYPE]: formatNodeType(words), [COMPUTE_TYPE]: COMPUTE_NODE_TYPE },
    topology_template: {
      substitution_mappings: {
        node_type: NODE_TYPE,
        properties: { flavour_id: FLAVOUR_ID },
        requirements: {
          virtual_link_inside: ["inside", "virtual_link"],
          virtual_link_outside: ["outside", "virtual_link"],
        },
      },
      node_templates: {
        vnf: {
          type: NODE_TYPE,
          properties: { flavour_id: FLAVOUR_ID, flavour_description: "One virtual machine" },
        },
        appliance: formatCompute(words),
        inside: formatConnectionPoint(0),
        outside: formatConnectionPoint(1),
      },
      policies: formatPolicies(),
    },
  };
  return formatYaml(descriptor);
}

const PORTS_SCHEMA = {
  type: "list",
  description: "Names of virtio-serial ports that the hypervisor gives the virtual machine",
  entry_schema: { type: "string" },
  required: true,
};

const COMPUTE_NODE_TYPE = {
  derived_from: "tosca.nodes.nfv.Vdu.Compute",
  description: "A virtual machine with virtio-serial ports",
  properties: { virtio_serial_ports: PORTS_SCHEMA },
};

function formatNodeType(words: VnfdWords): object {
  const fixed = (value: string): object => ({
    type: "string",
    constraints: [{ valid_values: [value] }],
    default: value,
  });
  return {
    derived_from: "tosca.nodes.nfv.VNF",
    properties: {
      descriptor_id: fixed(words.descriptorId),
      descriptor_version: fixed(words.softwareVersion),
      provider: fixed("Flowlift"),
      product_name: fixed("Flowlift"),
      software_version: fixed(words.softwareVersion),
      vnfm_info: {
        type: "list",
        entry_schema: { type: "string" },
        default: ["etsivnfm:v2.3.1"],
      },
      flavour_id: { type: "string", default: FLAVOUR_ID },
      flavour_description: { type: "string", default: "One virtual machine" },
    },
    requirements: ["inside", "outside"].map((name) => ({
      [`virtual_link_${name}`]: {
        capability: "tosca.capabilities.nfv.VirtualLinkable",
        relationship: "tosca.relationships.nfv.VirtualLinksTo",
        occurrences: [0, 1],
      },
    })),
  };
}

function formatCompute({ image, memoryMib, processors, softwareVersion }: VnfdWords): object {
  const ports = [OFFLOAD_PORT_NAME, MANAGE_PORT_NAME];
  return {
    type: COMPUTE_TYPE,
    properties: {
      name: "appliance",
      description: "The appliance; it has no interface for management",
      vdu_profile: { min_number_of_instances: 1, max_number_of_instances: 1 },
      virtio_serial_ports: ports,
      sw_image_data: {
        name: "flowlift",
        version: softwareVersion,
        checksum: { algorithm: "sha-256", hash: image.digest },
        container_format: "bare",
        disk_format: image.format,
        min_disk: `${Math.max(1, Math.ceil(image.bytes / 1_000_000_000))} GB`,
        min_ram: `${memoryMib} MiB`,
        size: `${image.bytes} B`,
      },
    },
    capabilities: {
      virtual_compute: {
        properties: {
          virtual_memory: { virtual_mem_size: `${memoryMib} MiB` },
          virtual_cpu: { num_virtual_cpu: processors, cpu_architecture: "x86_64" },
          requested_additional_capabilities: {
            virtio_serial: {
              requested_additional_capability_name: "virtio-serial-ports",
              support_mandatory: false,
              target_performance_parameters: { names: ports.join(" ") },
            },
          },
        },
      },
    },
    artifacts: {
      sw_image: { type: "tosca.artifacts.nfv.SwImage", file: `../${image.path}` },
    },
  };
}

function formatConnectionPoint(order: number): object {
  return {
    type: "tosca.nodes.nfv.VduCp",
    properties: {
      layer_protocols: ["ipv4", "ipv6"],
      order,
      vnic_type: "normal",
      trunk_mode: false,
      protocol: [{ associated_layer_protocol: "ipv4" }, { associated_layer_protocol: "ipv6" }],
    },
    requirements: [{ virtual_binding: "appliance" }],
  };
}

function formatPolicies(): readonly object[] {
  return [
    {
      instantiation_levels: {
        type: "tosca.policies.nfv.InstantiationLevels",
        properties: {
          levels: { [LEVEL_ID]: { description: "One virtual machine" } },
          default_level: LEVEL_ID,
        },
      },
    },
    {
      appliance_instantiation_levels: {
        type: "tosca.policies.nfv.VduInstantiationLevels",
        properties: { levels: { [LEVEL_ID]: { number_of_instances: 1 } } },
        targets: ["appliance"],
      },
    },
  ];
}
