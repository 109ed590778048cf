/**
 * What becomes of the packets inside an appliance's namespace: its own, and those dropped, by reason.
 *
 * Effect: a table of its own in that namespace's nftables, which counts what ends and what begins at the
 * appliance itself; reads the appliance's counters of drops and the kernel's. Needs CAP_NET_ADMIN, CAP_SYS_ADMIN.
 * Limit: packets of the appliance itself count when they are unicast, as its neighbours count them. A large
 * frame that the ruleset drops counts as one packet, and so shows as a difference.
 * Source: Documentation/networking/snmp_counter.rst; nf_conntrack_standalone.c (ct_cpu_seq_show).
 */
import { existsSync, readFileSync } from "node:fs";
import { FlowliftError } from "../lib/base/errors.ts";
import { inNetworkNamespace } from "../lib/bpf/network-namespace.ts";
import { type Nft, openNft } from "../lib/nft/libnftables.ts";

export interface PacketSum {
  readonly packets: number;
  readonly bytes: number;
}

export interface VmAccountReading {
  /** Ends at the appliance itself. */
  readonly delivered: PacketSum;
  /** Begins at the appliance itself. */
  readonly originated: PacketSum;
  /** Dropped by its ruleset. */
  readonly ruleset: Readonly<Record<string, PacketSum>>;
  /** Dropped by the kernel, which counts no bytes. */
  readonly kernel: Readonly<Record<string, number>>;
}

const TABLE = "flowlift-account";
const APPLIANCE_TABLE = "flowlift";
const DROP_PREFIX = "drop-";
const MULTICAST = "ip daddr 224.0.0.0/4";
/** Before the appliance's own chains see what arrives, behind them for what leaves. */
const RULESET = `
table inet ${TABLE}
delete table inet ${TABLE}
table inet ${TABLE} {
  counter delivered { }
  counter originated { }
  chain delivered {
    type filter hook input priority -400;
    iifname != "lo" meta pkttype host counter name "delivered"
  }
  chain originated {
    type filter hook output priority 400;
    oifname "lo" accept
    ${MULTICAST} accept
    ip6 daddr ff00::/8 accept
    counter name "originated"
  }
}`;

/** Counters of drops of received and forwarded packets; [protocol, counter]. */
const SNMP: readonly (readonly [string, string])[] = [
  ["Ip", "InHdrErrors"],
  ["Ip", "InAddrErrors"],
  ["Ip", "InDiscards"],
  ["Ip", "OutDiscards"],
  ["Ip", "FragFails"],
  ["IpExt", "InNoRoutes"],
  ["IpExt", "InTruncatedPkts"],
];
const SNMP6: readonly string[] = [
  "Ip6InHdrErrors",
  "Ip6InTooBigErrors",
  "Ip6InNoRoutes",
  "Ip6InAddrErrors",
  "Ip6InDiscards",
  "Ip6OutDiscards",
  "Ip6InTruncatedPkts",
];
/** A full table, a clash of translated ports: no room for the connection. */
const CONNTRACK: readonly string[] = ["drop", "chaintoolong"];

export class VmAccount {
  readonly #netnsPath: string;
  readonly #nft: Nft;

  private constructor(netnsPath: string, nft: Nft) {
    this.#netnsPath = netnsPath;
    this.#nft = nft;
  }

  /** Counts from when it resolves. Throws LAB_FAILED. */
  static async attach(netnsPath: string): Promise<VmAccount> {
    const account = new VmAccount(netnsPath, inNetworkNamespace(netnsPath, openNft));
    await account.#run(RULESET);
    return account;
  }

  async read(): Promise<VmAccountReading> {
    const listed = JSON.parse(await this.#run("list counters")) as {
      readonly nftables?: readonly { readonly counter?: NamedCounter }[];
    };
    const counters = (listed.nftables ?? []).flatMap(({ counter }) => counter ?? []);
    const find = (table: string, name: string): PacketSum => {
      const found = counters.find((one) => one.table === table && one.name === name);
      return { packets: found?.packets ?? 0, bytes: found?.bytes ?? 0 };
    };
    const drops = counters.filter(
      ({ table, name }) => table === APPLIANCE_TABLE && name.startsWith(DROP_PREFIX),
    );
    return {
      delivered: find(TABLE, "delivered"),
      originated: find(TABLE, "originated"),
      ruleset: Object.fromEntries(
        drops.map(({ name, packets, bytes }) => [
          name.slice(DROP_PREFIX.length),
          { packets, bytes },
        ]),
      ),
      kernel: inNetworkNamespace(this.#netnsPath, readKernelDrops),
    };
  }

  /** A namespace that is gone took its table with it. */
  async detach(): Promise<void> {
    if (existsSync(this.#netnsPath)) await this.#run(`delete table inet ${TABLE}`);
    await this.#nft.close();
  }

  async #run(command: string): Promise<string> {
    const outcome = await this.#nft.run(command);
    if (outcome.accepted) return outcome.output;
    throw new FlowliftError(
      "LAB_FAILED",
      `Cannot count in "${this.#netnsPath}": ${outcome.errorText}`,
    );
  }
}

interface NamedCounter {
  readonly table: string;
  readonly name: string;
  readonly packets: number;
  readonly bytes: number;
}

/** Of the calling thread's namespace. */
function readKernelDrops(): Record<string, number> {
  const read = (name: string): string => readFileSync(`/proc/thread-self/net/${name}`, "utf8");
  return {
    ...parseSnmp(read("snmp") + read("netstat")),
    ...parseSnmp6(read("snmp6")),
    ...parseConntrack(read("stat/nf_conntrack")),
  };
}

/** Two lines for each protocol: names, then values. Exported for its test. */
export function parseSnmp(text: string): Record<string, number> {
  const lines = text.split("\n").map((line) => line.split(" "));
  const drops: Record<string, number> = {};
  for (const [protocol, counter] of SNMP) {
    const [names, values] = lines.filter(([title]) => title === `${protocol}:`);
    const at = names?.indexOf(counter) ?? -1;
    if (at > 0) drops[`${protocol}${counter}`] = Number(values?.[at] ?? 0);
  }
  return drops;
}

/** One line for each counter. Exported for its test. */
export function parseSnmp6(text: string): Record<string, number> {
  const lines = new Map(
    text.split("\n").map((line) => line.trim().split(/\s+/) as [string, string]),
  );
  return Object.fromEntries(SNMP6.map((name) => [name, Number(lines.get(name) ?? 0)]));
}

/** One line for each processor, in hex. Exported for its test. */
export function parseConntrack(text: string): Record<string, number> {
  const [names = [], ...processors] = text
    .trim()
    .split("\n")
    .map((line) => line.trim().split(/\s+/));
  return Object.fromEntries(
    CONNTRACK.map((name) => {
      const at = names.indexOf(name);
      const counts = processors.map((values) => Number.parseInt(values[at] ?? "0", 16));
      return [`conntrack-${name}`, at < 0 ? 0 : counts.reduce((sum, count) => sum + count, 0)];
    }),
  );
}
