/**
 * Every kind of artefact that `flowlift deploy` makes.
 *
 * Effect: reads the operator's files (keys, documents, an image); `cloud-init` writes its volume itself.
 */

import { formatKubevirt } from "../../deploy/kubevirt/manifest.ts";
import { formatChannelDocuments, formatDomain } from "../../deploy/libvirt/domain-xml.ts";
import { type Machine, parseMachine } from "../../deploy/machine.ts";
import { formatHeat, formatImageCommand, IMAGE_PROPERTIES } from "../../deploy/openstack/heat.ts";
import {
  formatProxmoxConf,
  formatProxmoxScript,
  VM_ID_MAX,
  VM_ID_MIN,
} from "../../deploy/proxmox/proxmox.ts";
import { formatQemuScript } from "../../deploy/qemu/qemu-script.ts";
import { FlowliftError } from "../../lib/base/errors.ts";
import type { ParsedFlags } from "../arguments.ts";
import { formatCsar } from "./csar.ts";
import { writeSeed } from "./seed.ts";

export interface DeployWords {
  readonly flags: ParsedFlags;
  readonly nics: readonly string[];
}

export interface DeployOutput {
  /** Goes to `--out`, or is printed. Undefined: it was written already. */
  readonly bytes?: string | Uint8Array;
  readonly mode?: number;
  /** For the person. */
  readonly words?: string;
}

export interface Deployment {
  readonly kind: string;
  readonly summary: string;
  /** Whether it has the flags of a machine. */
  readonly describesMachine: boolean;
  readonly flags: readonly { readonly name: string; readonly meaning: string }[];
  readonly switches?: readonly string[];
  readonly format: (words: DeployWords) => DeployOutput;
}

const SCRIPT_MODE = 0o755;
/** Names of networks in OpenStack and Kubernetes. */
const NETWORK_CHARACTERS_MAX = 253;

export const DEPLOYMENTS: readonly Deployment[] = [
  {
    kind: "libvirt",
    summary: "a domain; --channels: the two serial ports alone, for virsh attach-device",
    describesMachine: true,
    flags: [],
    switches: ["channels"],
    format: (words) => {
      const machine = readMachine(words, "disk");
      if (!words.flags.switches.has("channels")) return { bytes: formatDomain(machine) };
      return { bytes: formatChannelDocuments(machine).join("") };
    },
  },
  {
    kind: "qemu",
    summary: "a shell script; @NETWORK is a tap that exists",
    describesMachine: true,
    flags: [{ name: "accelerator", meaning: "kvm (default) or tcg" }],
    format: (words) => {
      const accelerator = words.flags.values["accelerator"] ?? "kvm";
      if (accelerator !== "kvm" && accelerator !== "tcg") {
        throw new FlowliftError("USAGE", `"--accelerator" is kvm or tcg, not "${accelerator}"`);
      }
      const bytes = formatQemuScript(readMachine(words, "disk"), accelerator);
      return { bytes, mode: SCRIPT_MODE };
    },
  },
  {
    kind: "heat",
    summary: "a Heat template; @NETWORK is a Neutron network",
    describesMachine: true,
    flags: [],
    format: (words) => ({ bytes: formatHeat(readMachine(words, "network")) }),
  },
  {
    kind: "openstack-properties",
    summary: "the image's properties: the command that makes it, or --json",
    describesMachine: false,
    flags: [
      { name: "disk", meaning: "the image" },
      { name: "image-name", meaning: "its name in Glance (default flowlift)" },
    ],
    switches: ["json"],
    format: ({ flags }) => {
      if (flags.switches.has("json")) {
        return { bytes: `${JSON.stringify(IMAGE_PROPERTIES, null, 1)}\n` };
      }
      const name = plainWord("image-name", flags.values["image-name"] ?? "flowlift");
      const disk = plainWord("disk", flags.values["disk"] ?? "flowlift.qcow2");
      return { bytes: formatImageCommand(disk, name) };
    },
  },
  {
    kind: "proxmox",
    summary: "qm commands, or --conf: the configuration file; @NETWORK is a bridge such as vmbr1",
    describesMachine: true,
    flags: [
      { name: "id", meaning: `the VM's number, ${VM_ID_MIN} to ${VM_ID_MAX}` },
      { name: "storage", meaning: "where its disks are (default local-lvm)" },
    ],
    switches: ["conf"],
    format: (words) => {
      const { values, switches } = words.flags;
      const id = Number(/^\d{3,9}$/.test(values["id"] ?? "") ? values["id"] : Number.NaN);
      if (!(id >= VM_ID_MIN && id <= VM_ID_MAX)) {
        throw new FlowliftError("USAGE", `"--id" is from ${VM_ID_MIN} to ${VM_ID_MAX}`);
      }
      const storage = plainWord("storage", values["storage"] ?? "local-lvm");
      const machine = readMachine(words, "disk");
      if (switches.has("conf")) return { bytes: formatProxmoxConf(machine, id, storage) };
      return { bytes: formatProxmoxScript(machine, id, storage), mode: SCRIPT_MODE };
    },
  },
  {
    kind: "kubevirt",
    summary: "a manifest; @NETWORK is a NetworkAttachmentDefinition",
    describesMachine: true,
    flags: [
      { name: "namespace", meaning: "default: default" },
      { name: "claim", meaning: "claim that holds the disk (default TENANT-VM-disk)" },
      { name: "sidecar-image", meaning: "default quay.io/kubevirt/sidecar-shim:v1.3.1" },
    ],
    format: (words) => {
      const { values } = words.flags;
      const machine = readMachine(words, "network");
      const names = {
        namespace: plainWord("namespace", values["namespace"] ?? "default"),
        diskClaim: plainWord("claim", values["claim"] ?? `${machine.label}-disk`),
        sidecarImage: values["sidecar-image"] ?? "quay.io/kubevirt/sidecar-shim:v1.3.1",
      };
      return { bytes: formatKubevirt(machine, names) };
    },
  },
  {
    kind: "cloud-init",
    summary: "a volume with first-boot documents, written to --out",
    describesMachine: false,
    flags: [
      { name: "name", meaning: "TENANT/VM" },
      { name: "ssh-keys", meaning: "file with public keys" },
      { name: "day0", meaning: "file with a NETCONF <config> document" },
      { name: "network-config", meaning: "file with cloud-init's network-config" },
      { name: "layout", meaning: "nocloud (default) or config-drive" },
    ],
    format: writeSeed,
  },
  {
    kind: "csar",
    summary: "an ETSI SOL 004 package, written to --out",
    describesMachine: false,
    flags: [
      { name: "image", meaning: "the disk's image" },
      { name: "version", meaning: "of the image" },
      { name: "released", meaning: "time of release, such as 2026-11-21T00:00:00Z" },
      { name: "memory", meaning: "MiB (default 512)" },
      { name: "processors", meaning: "how many (default 1)" },
      { name: "key", meaning: "sign by this private key (PEM)" },
      { name: "certificate", meaning: "of that key (PEM)" },
    ],
    format: formatCsar,
  },
];

/** `disk`: it runs from a file, at interfaces of this host; `network`: the platform has networks. */
function readMachine({ flags, nics }: DeployWords, needs: "disk" | "network"): Machine {
  const { values } = flags;
  const machine = parseMachine({
    name: values["name"],
    nics,
    disk: values["disk"],
    dataDisk: values["data-disk"],
    seed: values["seed"],
    memory: values["memory"],
    processors: values["processors"],
    socketDirectory: values["socket-directory"],
    ...(needs === "network" ? { networkCharactersMax: NETWORK_CHARACTERS_MAX } : {}),
  });
  if (!machine.ok) throw new FlowliftError("USAGE", machine.error.message);
  if (needs === "disk" && machine.value.disk === "") {
    throw new FlowliftError("USAGE", '"--disk FILE" is missing');
  }
  return machine.value;
}

/** Words that stand in scripts and documents without quotes. */
function plainWord(what: string, text: string): string {
  if (/^[A-Za-z0-9/][A-Za-z0-9._/@:-]*$/.test(text)) return text;
  throw new FlowliftError("USAGE", `"--${what}" has characters that are not allowed: "${text}"`);
}
