/**
 * What is written into each namespace: sysctls as a shell script, links and addresses as input of `ip -batch`.
 *
 * Pure. Every word comes from the module's patterns, so nothing needs quoting.
 */
import type { LabPlan, PlannedMachine } from "./plan.ts";
import { listNamespaces } from "./plan.ts";

/** What waits for a VM that has no processor just now; an emulated one may need tenths of a second. */
export const TAP_QUEUE_PACKETS = 8192;

/** Sysctl name (with slashes) and value; an optional one may be missing from the kernel. */
interface Sysctl {
  readonly name: string;
  readonly value: string;
  readonly optional?: boolean;
}

/** Addresses are usable at once, and nobody configures itself. */
const QUIET_IPV6: readonly Sysctl[] = ["all", "default"].flatMap((scope) =>
  [
    ["accept_dad", "0"],
    ["dad_transmits", "0"],
    ["accept_ra", "0"],
    ["autoconf", "0"],
    ["router_solicitations", "0"],
  ].map(([leaf, value]) => ({
    name: `net/ipv6/conf/${scope}/${leaf}`,
    value: value ?? "",
    optional: true,
  })),
);

/** IPv4 settings are inherited from the root namespace, so each is written. */
const PLAIN_IPV4: readonly Sysctl[] = ["all", "default"].flatMap((scope) => [
  { name: `net/ipv4/conf/${scope}/rp_filter`, value: "0" },
  { name: `net/ipv4/conf/${scope}/accept_redirects`, value: "0" },
  { name: `net/ipv4/conf/${scope}/send_redirects`, value: "0" },
]);

const BRIDGE_WITHOUT_FILTER: readonly Sysctl[] = ["ip", "ip6", "arp"].map((family) => ({
  name: `net/bridge/bridge-nf-call-${family}tables`,
  value: "0",
  optional: true,
}));

const HOST_SYSCTLS: readonly Sysctl[] = [
  ...BRIDGE_WITHOUT_FILTER,
  { name: "net/ipv4/ip_forward", value: "0" },
  { name: "net/ipv6/conf/all/disable_ipv6", value: "1", optional: true },
  { name: "net/ipv6/conf/default/disable_ipv6", value: "1", optional: true },
];

/** Everybody may send echo requests; many connections at once are the lab's purpose. */
const MACHINE_SYSCTLS: readonly Sysctl[] = [
  { name: "net/ipv4/ping_group_range", value: "0 2147483647" },
  { name: "net/ipv4/ip_local_port_range", value: "10000 65535" },
  { name: "net/ipv4/tcp_max_syn_backlog", value: "65535" },
  { name: "net/core/somaxconn", value: "65535" },
];

const CLIENT_SYSCTLS: readonly Sysctl[] = [
  { name: "net/ipv4/ip_forward", value: "0" },
  { name: "net/ipv4/ip_unprivileged_port_start", value: "0" },
];

const APPLIANCE_SYSCTLS: readonly Sysctl[] = [
  { name: "net/ipv4/ip_forward", value: "1" },
  { name: "net/ipv6/conf/all/forwarding", value: "1", optional: true },
];

/** Returns the shell script that sets a namespace's sysctls before it has any link. */
export function formatSysctlScript(kind: "host-namespace" | "appliance" | "host"): string {
  const own =
    kind === "host-namespace"
      ? HOST_SYSCTLS
      : kind === "appliance"
        ? [...MACHINE_SYSCTLS, ...APPLIANCE_SYSCTLS]
        : [...MACHINE_SYSCTLS, ...CLIENT_SYSCTLS];
  const sysctls = [...own, ...PLAIN_IPV4, ...QUIET_IPV6];
  return `set -e\n${sysctls.map(formatSysctl).join("\n")}\n`;
}

function formatSysctl({ name, value, optional }: Sysctl): string {
  const write = `echo '${value}' > /proc/sys/${name}`;
  return optional === true ? `if [ -e /proc/sys/${name} ]; then ${write}; fi` : write;
}

/** Returns the batch that makes all namespaces. */
export function formatNamespaceBatch(plan: LabPlan): string {
  return lines(listNamespaces(plan).map((name) => `netns add ${name}`));
}

/** Returns the batch, run in the host namespace, that makes bridges, all veth pairs and the VMs' taps. */
export function formatHostBatch(plan: LabPlan): string {
  const bridges = plan.segments.flatMap(({ bridge, tenant, name }) => [
    `link add ${bridge} type bridge stp_state 0 forward_delay 0 mcast_snooping 0`,
    `link set ${bridge} alias ${tenant}/${name}`,
    `link set ${bridge} up`,
  ]);
  const pairs = plan.machines.flatMap((machine) =>
    machine.interfaces.flatMap(({ name, mac, port }) => [
      port.tapUid === undefined
        ? `link add ${port.interfaceName} type veth peer name ${name} address ${mac} netns ${machine.netns}`
        : `tuntap add dev ${port.interfaceName} mode tap user ${port.tapUid} group ${port.tapUid} vnet_hdr`,
      `link set ${port.interfaceName} alias ${machine.tenant}/${machine.name}/${name}`,
      ...(port.tapUid === undefined
        ? []
        : [`link set ${port.interfaceName} txqueuelen ${TAP_QUEUE_PACKETS}`]),
      `link set ${port.interfaceName} master ${port.bridge}`,
      `link set ${port.interfaceName} up`,
    ]),
  );
  return lines(["link set lo up", ...bridges, ...pairs]);
}

/** Returns the batch, run in the machine's namespace, that gives it addresses and routes. */
export function formatMachineBatch(machine: PlannedMachine): string {
  const interfaces = machine.interfaces.flatMap(({ name, addresses }) => [
    ...addresses.map(
      (address) => `addr add ${address} dev ${name}${address.includes(":") ? " nodad" : ""}`,
    ),
    `link set ${name} up`,
  ]);
  const routes = machine.routes.map(
    ({ destination, nextHop }) => `route add ${destination} via ${nextHop}`,
  );
  const own = machine.localPrefixes.map((prefix) => `route add local ${prefix} dev lo`);
  return lines(["link set lo up", ...interfaces, ...routes, ...own]);
}

function lines(commands: readonly string[]): string {
  return `${commands.join("\n")}\n`;
}
