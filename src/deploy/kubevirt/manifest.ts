/**
 * The VM for KubeVirt: a VirtualMachine, and the hook that gives it its two serial ports.
 *
 * Pure. Source: KubeVirt's user guide, "Hook Sidecar Container" and "VirtualMachine".
 * KubeVirt's own API has no virtio-serial ports: a hook sidecar (feature gate `Sidecar`) adds them to the domain's
 * XML. The sockets lie in a volume that the node's bridge shares (a hostPath volume with a claim).
 */

import type { Machine } from "../machine.ts";
import { formatYaml } from "../yaml.ts";

const HOOK_SCRIPT = "flowlift-ports.sh";
/** Where the claim is mounted in the pod that runs QEMU. */
export const SHARED_DIRECTORY = "/var/run/flowlift-ports";

export interface KubevirtNames {
  readonly namespace: string;
  /** Claim that holds the disk: it outlives the pod, as the configuration on it must. */
  readonly diskClaim: string;
  /** KubeVirt's sidecar shim, of the cluster's own version. */
  readonly sidecarImage: string;
}

/** Returns the documents, separated as YAML does. */
export function formatKubevirt(machine: Machine, names: KubevirtNames): string {
  const documents = [
    formatVolume(machine),
    formatClaim(machine, names),
    formatHook(machine, names),
    formatVm(machine, names),
  ];
  return documents.map(formatYaml).join("---\n");
}

function hostDirectoryOf({ ports: [offload] }: Machine): string {
  return offload.socketPath.slice(0, offload.socketPath.lastIndexOf("/"));
}

/** The node's directory in which the bridge looks for the socket. */
function formatVolume(machine: Machine): object {
  return {
    apiVersion: "v1",
    kind: "PersistentVolume",
    metadata: { name: `${machine.label}-ports` },
    spec: {
      capacity: { storage: "1Mi" },
      accessModes: ["ReadWriteOnce"],
      storageClassName: "",
      hostPath: { path: hostDirectoryOf(machine), type: "DirectoryOrCreate" },
    },
  };
}

function formatClaim(machine: Machine, { namespace }: KubevirtNames): object {
  return {
    apiVersion: "v1",
    kind: "PersistentVolumeClaim",
    metadata: { name: `${machine.label}-ports`, namespace },
    spec: {
      accessModes: ["ReadWriteOnce"],
      storageClassName: "",
      volumeName: `${machine.label}-ports`,
      resources: { requests: { storage: "1Mi" } },
    },
  };
}

function formatHook(machine: Machine, { namespace }: KubevirtNames): object {
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: `${machine.label}-hook`, namespace },
    data: { [HOOK_SCRIPT]: formatHookScript(machine) },
  };
}

/** The shim runs it with `--vmi JSON --domain XML`, and takes the domain from its output. */
export function formatHookScript(machine: Machine): string {
  const channels = machine.ports.map(({ name, socketPath }) => {
    const path = `${SHARED_DIRECTORY}/${socketPath.slice(socketPath.lastIndexOf("/") + 1)}`;
    return `<channel type="unix"><source mode="bind" path="${path}"/><target type="virtio" name="${name}"/></channel>`;
  });
  return `#!/bin/sh
# Adds the two serial ports to the domain.
set -eu
domain=
while [ $# -gt 0 ]; do
  case $1 in
    --domain) domain=$2; shift 2 ;;
    *) shift ;;
  esac
done
ports='${channels.join("")}'
printf '%s%s</devices>%s' "\${domain%%</devices>*}" "$ports" "\${domain#*</devices>}"
`;
}

function formatVm(machine: Machine, names: KubevirtNames): object {
  const sidecar = [
    {
      image: names.sidecarImage,
      args: ["--version", "v1alpha2"],
      configMap: {
        name: `${machine.label}-hook`,
        key: HOOK_SCRIPT,
        hookPath: "/usr/bin/onDefineDomain",
      },
      pvc: {
        name: `${machine.label}-ports`,
        volumePath: "/ports",
        sharedComputePath: SHARED_DIRECTORY,
      },
    },
  ];
  const label = { "flowlift/vm": machine.label };
  return {
    apiVersion: "kubevirt.io/v1",
    kind: "VirtualMachine",
    metadata: { name: machine.label, namespace: names.namespace, labels: label },
    spec: {
      runStrategy: "Always",
      template: {
        metadata: {
          labels: label,
          annotations: { "hooks.kubevirt.io/hookSidecars": JSON.stringify(sidecar) },
        },
        spec: formatInstance(machine, names),
      },
    },
  };
}

function formatInstance(machine: Machine, names: KubevirtNames): object {
  return {
    domain: {
      machine: { type: "q35" },
      cpu: { cores: machine.processors },
      memory: { guest: `${machine.memoryMib}Mi` },
      devices: {
        autoattachPodInterface: false,
        autoattachGraphicsDevice: false,
        rng: {},
        watchdog: { name: "watchdog", i6300esb: { action: "reset" } },
        disks: [
          { name: "disk", bootOrder: 1, disk: { bus: "virtio" }, serial: "flowlift-disk" },
          { name: "seed", disk: { bus: "virtio", readonly: true } },
        ],
        interfaces: machine.nics.map(({ mac }, index) => ({
          name: `net${index}`,
          macAddress: mac,
          model: "virtio",
          bridge: {},
        })),
      },
    },
    networks: machine.nics.map(({ network }, index) => ({
      name: `net${index}`,
      multus: { networkName: network },
    })),
    volumes: [
      { name: "disk", persistentVolumeClaim: { claimName: names.diskClaim } },
      { name: "seed", cloudInitNoCloud: { secretRef: { name: `${machine.label}-seed` } } },
    ],
  };
}
