/**
 * The commands that give the kernel's links the names, addresses and routes of a plan.
 *
 * Pure: the plan and the links come in, a shell script goes out. Every word in it was checked when the plan was
 * read (names, addresses and numbers only), so nothing needs quoting.
 */
import { INTERFACES_MAX, type NetworkPlan, type PlannedInterface } from "./network-plan.ts";
import type { ProblemList } from "./report.ts";

/** A network card as the kernel named it. */
export interface KernelLink {
  readonly name: string;
  readonly mac: string;
}

export interface NetworkScript {
  readonly lines: readonly string[];
  /** In the order of their numbers in the ct mark. */
  readonly interfaces: readonly string[];
  /** Those on which an address is asked for. */
  readonly dhcp: readonly string[];
}

/** What a script says when a command failed: the marker, the command, the reason. */
export const FAILURE_MARK = "@failed";

/** DHCP and router advertisements on the first card, nothing on the others. */
export function defaultPlan(links: readonly KernelLink[]): NetworkPlan {
  const interfaces = links.slice(0, 1).map(
    ({ name }): PlannedInterface => ({
      name,
      match: { name },
      mtu: undefined,
      addresses: [],
      routes: [],
      dhcp4: true,
      acceptsAdvertisements: true,
      line: 1,
    }),
  );
  return { interfaces, nameservers: [] };
}

/** Returns the script; a card that is not there is told, and the rest goes on. */
export function planNetworkScript(
  document: string,
  plan: NetworkPlan,
  links: readonly KernelLink[],
  problems: ProblemList,
): NetworkScript {
  const found = new Map<PlannedInterface, KernelLink>();
  const taken = new Set<string>();
  for (const item of plan.interfaces) {
    if (item.vlan !== undefined) continue;
    const { mac, name } = item.match;
    const link = links.find((one) => (mac === undefined ? one.name === name : one.mac === mac));
    if (link === undefined || taken.has(link.name)) {
      const wanted = mac === undefined ? `the name ${name ?? ""}` : `MAC ${mac}`;
      const have = links.map((one) => `${one.name} ${one.mac}`).join(", ");
      problems.add(
        document,
        item.line,
        `no network card has ${wanted}; there are: ${have || "none"}`,
      );
      continue;
    }
    found.set(item, link);
    taken.add(link.name);
  }
  const rest = links.filter((link) => !taken.has(link.name));
  const present = plan.interfaces.filter(
    (item) =>
      found.has(item) ||
      plan.interfaces.some((below) => below.name === item.vlan?.link && found.has(below)),
  );
  const others = rest.map((link, index) => ({ link, name: freeName(link.name, present, index) }));
  const lines = [
    ...rename([
      ...[...found].map(([item, link]) => ({ from: link.name, to: item.name })),
      ...others.map(({ link, name }) => ({ from: link.name, to: name })),
    ]),
    ...present.flatMap(setUp),
    ...others.flatMap(({ name }) => [
      `setting net/ipv6/conf/${name}/accept_ra 0`,
      `run ip link set dev ${name} up`,
    ]),
    // Routes last: a gateway may be reached through another interface's network.
    ...present.flatMap(addRoutes),
  ];
  return {
    lines,
    interfaces: [...present, ...others].map(({ name }) => name).slice(0, INTERFACES_MAX),
    dhcp: present.filter(({ dhcp4 }) => dhcp4).map(({ name }) => name),
  };
}

/** A card that is not in the plan keeps its name, unless the plan gives that to another. */
function freeName(name: string, present: readonly PlannedInterface[], index: number): string {
  return present.some((item) => item.name === name) ? `other${index}` : name;
}

/** Two cards may swap their names, so each passes through one that nobody has. */
function rename(pairs: readonly { readonly from: string; readonly to: string }[]): string[] {
  const changed = pairs.filter(({ from, to }) => from !== to);
  return [
    ...changed.flatMap(({ from }, index) => [
      `run ip link set dev ${from} down`,
      `run ip link set dev ${from} name flren${index}`,
    ]),
    ...changed.map(({ to }, index) => `run ip link set dev flren${index} name ${to}`),
  ];
}

function setUp(item: PlannedInterface): string[] {
  const { acceptsAdvertisements, addresses, mtu, name, vlan } = item;
  const lines: string[] = [];
  if (vlan !== undefined) {
    lines.push(`run ip link add link ${vlan.link} name ${name} type vlan id ${vlan.id}`);
  }
  if (mtu !== undefined) lines.push(`run ip link set dev ${name} mtu ${mtu}`);
  // 2: also while the machine forwards (ip-sysctl.rst, accept_ra).
  const accept = acceptsAdvertisements ? 2 : 0;
  lines.push(`setting net/ipv6/conf/${name}/accept_ra ${accept}`);
  lines.push(`run ip link set dev ${name} up`);
  for (const address of addresses) lines.push(`run ip addr add ${address} dev ${name}`);
  return lines;
}

function addRoutes({ name, routes }: PlannedInterface): string[] {
  return routes.map(({ metric, to, via }) => {
    const by = via === undefined ? `dev ${name}` : `via ${via}`;
    const words = metric === undefined ? by : `${by} metric ${metric}`;
    return `run ip ${to.includes(":") ? "-6 " : ""}route add ${to} ${words}`;
  });
}

/** Returns the whole script: a command that fails is told, and the next one runs. */
export function formatNetworkScript(lines: readonly string[]): string {
  return [
    "run() {",
    `  said=$("$@" 2>&1) || echo "${FAILURE_MARK} $* : $said"`,
    "}",
    "setting() {",
    '  [ -e "/proc/sys/$1" ] && echo "$2" >"/proc/sys/$1"',
    "}",
    ...lines,
    "",
  ].join("\n");
}
