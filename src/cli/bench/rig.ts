/**
 * The benches' lab: tenant red with a real appliance, tenant blue with a bare router in its place.
 *
 * Effect: a lab, NETCONF sessions, traffic. `plain` below always means blue's bare router.
 */

import { cpus } from "node:os";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import type { LabDefinition } from "../../lab/definition.ts";
import type { Lab } from "../../lab/lab.ts";
import { defaultLabFile, readLabFile } from "../../lab/lab-file.ts";
import { PacketSink } from "../../lab/packet-sink.ts";
import { startLab } from "../../lab/start-lab.ts";
import type { LabVmOptions } from "../../lab/vm/vm-options.ts";
import { FlowliftError } from "../../lib/base/errors.ts";
import { findProjectRoot } from "../../lib/base/project-root.ts";
import { type Metrics, readMetrics } from "../demo/metrics.ts";
import { NetconfClient } from "../netconf-client.ts";
import type { GeneratorOptions } from "./generator-options.ts";
import {
  type GeneratorMode,
  type RunningGenerator,
  SENDER_CPU,
  startGenerator,
} from "./run-generator.ts";

export const SERVER_ADDRESS = "192.0.2.100";
/** How long the management process may take to find a data process that came back. */
const DATA_RETURN_MS = 15_000;
const FIRST_PORT = 9100;
/** Writes the frames of the packet rates. */
export const BLAST_CLIENT = "client1";

const ROOT_PRIVILEGES = { uid: 0, gid: 0, capabilities: "all" } as const;

export class BenchRig {
  readonly lab: Lab;
  readonly netconf: NetconfClient;
  #nextPort = FIRST_PORT;

  private constructor(lab: Lab, netconf: NetconfClient) {
    this.lab = lab;
    this.netconf = netconf;
  }

  /** Builds the lab from the running program's own build; `announce` gets lines for a person. */
  static async build(
    announce: (line: string) => void,
    name = "bench",
    vm?: LabVmOptions,
  ): Promise<BenchRig> {
    const distDirectory = findDistDirectory();
    const places = { name, announce, distDirectory };
    const lab = await startLab(benchDefinition(), vm === undefined ? places : { ...places, vm });
    try {
      const target = lab.description.appliances.find(({ tenant }) => tenant === "red")?.netconf;
      if (target === undefined)
        throw new FlowliftError("LAB_FAILED", "Red's appliance has no NETCONF");
      const forward = "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1";
      await lab.run("blue/gw", ["sh", "-c", forward], { privileges: ROOT_PRIVILEGES });
      const rig = new BenchRig(lab, await NetconfClient.connect(target));
      await rig.#separateSenders();
      return rig;
    } catch (error) {
      await lab.stop();
      throw error;
    }
  }

  /**
   * Frames of client1 are taken up by another processor than the one that writes them (RPS), as on a host
   * whose network card interrupts it: what is measured then is the path alone, at its limit.
   */
  async #separateSenders(): Promise<void> {
    if (cpus().length <= SENDER_CPU + 1) return;
    const ports = this.lab.description.hosts.filter(({ name }) => name === BLAST_CLIENT);
    const mask = (1 << (SENDER_CPU + 1)).toString(16);
    const words = ports.map(
      ({ hostPort }) => `echo ${mask} > /sys/class/net/${hostPort}/queues/rx-0/rps_cpus`,
    );
    await this.shell(
      "host",
      `unshare --mount sh -ec 'mount -t sysfs sysfs /sys; ${words.join("; ")}'`,
    );
  }

  start(host: string, mode: GeneratorMode, options: GeneratorOptions): RunningGenerator {
    return startGenerator(this.lab, host, mode, options);
  }

  /** Returns what a host needs to write frames to its gateway by itself. */
  neighbourOf(
    tenant: string,
    name: string,
  ): { readonly sourceAddress: string; readonly sourceMac: string; readonly nextHopMac: string } {
    const { hosts, appliances } = this.lab.description;
    const host = hosts.find((one) => one.tenant === tenant && one.name === name);
    const gateway = appliances
      .find((one) => one.tenant === tenant)
      ?.interfaces.find(({ segment }) => segment === host?.segment);
    if (host === undefined || gateway === undefined) {
      throw new FlowliftError(
        "LAB_FAILED",
        `The lab has no host "${tenant}/${name}" with a gateway`,
      );
    }
    const [sourceAddress = ""] = host.addresses;
    return { sourceAddress, sourceMac: host.mac, nextHopMac: gateway.mac };
  }

  /** Runs shell words as root on a machine. */
  async shell(machine: string, script: string): Promise<string> {
    const outcome = await this.lab.run(machine, ["sh", "-c", script], {
      privileges: ROOT_PRIVILEGES,
    });
    if (outcome.code !== 0) {
      throw new FlowliftError("LAB_FAILED", `"${script}" on ${machine}: ${outcome.stderr.trim()}`);
    }
    return outcome.stdout;
  }

  /** Sets the offload policy of red's appliance; waits for a data process that was just started. */
  async setOffloadPolicy(enabled: boolean, worthinessPackets: number): Promise<void> {
    await this.netconf.edit(
      `<offload-policy xmlns="urn:flowlift:zones"><enabled>${enabled}</enabled>` +
        `<worthiness-packets>${worthinessPackets}</worthiness-packets></offload-policy>`,
    );
    const until = performance.now() + DATA_RETURN_MS;
    for (;;) {
      const reply = await this.netconf.call("<commit/>");
      if (!reply.includes("rpc-error")) return;
      if (performance.now() > until) throw new FlowliftError("LAB_FAILED", `No commit: ${reply}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  readMetrics(): Promise<Metrics> {
    return readMetrics(this.lab);
  }

  /** Returns a port that no measurement has used: conntrack remembers flows of earlier policies. */
  takePort(): number {
    return this.#nextPort++;
  }

  /** Counts and drops datagrams to `port` at a host's interface. */
  attachSink(machine: string, port: number): PacketSink {
    const netnsPath = `/run/netns/${this.lab.netnsOf(machine)}`;
    return PacketSink.attach({ netnsPath, interfaceName: "eth0", port });
  }

  async close(): Promise<void> {
    this.netconf.close();
    await this.lab.stop();
  }
}

/** Returns the folder of this build, from the project's root. */
function findDistDirectory(): string {
  const folder = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
  return relative(findProjectRoot(), folder);
}

function benchDefinition(): LabDefinition {
  const all = readLabFile(defaultLabFile());
  const tenants = all.tenants.map((tenant) =>
    tenant.name === "red"
      ? tenant
      : {
          ...tenant,
          appliances: tenant.appliances.map((appliance) => ({ ...appliance, processes: false })),
        },
  );
  return { ...all, tenants };
}
