/** The table of subcommands. Each lives in its own file and is loaded only when it is called. Pure. */

/** Runs with the arguments after the subcommand's name; returns the exit code. */
export type RunSubcommand = (args: readonly string[]) => Promise<number>;

export interface Subcommand {
  readonly name: string;
  readonly summary: string;
  readonly load: () => Promise<RunSubcommand>;
}

export const SUBCOMMANDS: readonly Subcommand[] = [
  {
    name: "demo",
    summary: "show the main job on real traffic between two tenants",
    load: async () => (await import("./demo.ts")).run,
  },
  {
    name: "test",
    summary: "run lint, types, unit and system tests (--full: everything)",
    load: async () => (await import("./test.ts")).run,
  },
  {
    name: "lab",
    summary: "start, show and stop a topology: up, status, down",
    load: async () => (await import("./lab.ts")).run,
  },
  {
    name: "connect",
    summary: "reach a VM's NETCONF through its management port, from the host",
    load: async () => (await import("./connect.ts")).run,
  },
  {
    name: "cli",
    summary: "an interactive shell on an appliance's configuration, over NETCONF",
    load: async () => (await import("./cli.ts")).run,
  },
  {
    name: "bench",
    summary: "measure: bench NAME [--json]",
    load: async () => (await import("./bench.ts")).run,
  },
  {
    name: "fuzz",
    summary: "hostile input for a protocol: fuzz netconf [--inputs N] [--seed S]",
    load: async () => (await import("./fuzz.ts")).run,
  },
  {
    name: "controller",
    summary: "the controller (--mock: with the memory driver and faults on request)",
    load: async () => (await import("./controller.ts")).run,
  },
  {
    name: "agent",
    summary: "the fast-path agent of one host",
    load: async () => (await import("./agent.ts")).run,
  },
  {
    name: "bridge",
    summary: "the offload bridge of one host",
    load: async () => (await import("./bridge.ts")).run,
  },
  {
    name: "tenant",
    summary: "tenants of a running controller: add, remove, list",
    load: async () => (await import("./tenant.ts")).run,
  },
  {
    name: "vm",
    summary: "virtual machines of a running controller: attach, detach, list",
    load: async () => (await import("./vm.ts")).run,
  },
  {
    name: "deploy",
    summary: "what libvirt, QEMU, OpenStack, Proxmox, KubeVirt and ETSI MANO need to run a VM",
    load: async () => (await import("./deploy.ts")).run,
  },
  {
    name: "image",
    summary: "build a tenant VM's image (build), refresh what it is made from (lock)",
    load: async () => (await import("./image.ts")).run,
  },
  {
    name: "pki",
    summary: "make the controller's authority and the bridges' certificates",
    load: async () => (await import("./pki.ts")).run,
  },
  {
    name: "appliance-manage",
    summary: "the appliance's management process (NETCONF)",
    load: async () => (await import("./appliance-manage.ts")).run,
  },
  {
    name: "appliance-data",
    summary: "the appliance's data process (nft, conntrack, offload port)",
    load: async () => (await import("./appliance-data.ts")).run,
  },
  {
    name: "appliance-helper",
    summary: "the appliance's root helper (a closed list of operations)",
    load: async () => (await import("./appliance-helper.ts")).run,
  },
];

/** Returns the text of `flowlift help`. The launcher itself is the doctor: it must work without Node. */
export function formatUsage(): string {
  const width = Math.max(...SUBCOMMANDS.map((subcommand) => subcommand.name.length));
  const lines = SUBCOMMANDS.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`);
  const doctor = "doctor".padEnd(width);
  lines.push(`  ${doctor}  list what this machine has and lacks, and the line that fixes it`);
  return `usage: ./flowlift COMMAND [ARGUMENT ...]\n\n${lines.join("\n")}\n`;
}
