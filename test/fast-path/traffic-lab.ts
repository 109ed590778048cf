/**
 * A client, a host with two bridges, a VM that routes and translates, a server: each in a namespace.
 *
 *   client c0 ── pc [bridge a] pva ── va  VM  vb ── pvb [bridge b] ps ── s0 server
 *
 * The agent runs in the host's namespace with its own privileges only.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { FastPathDriver } from "../../src/fast-path/driver.ts";
import { connectRemoteDriver } from "../../src/fast-path/remote-driver.ts";
import { EndpointCounter } from "../../src/lab/endpoint-counter.ts";
import { AGENT_UID, FLOWLIFT_GID, formatSetpriv, PRIVILEGES } from "../../src/lab/privileges.ts";
import { findProjectRoot } from "../../src/lib/base/project-root.ts";
import { LAB_DIST_DIRECTORY } from "../support/lab-dist.ts";
import { patience } from "../support/patience.ts";
import {
  CLIENT,
  EXTERNAL,
  GENERATION,
  MAC_CLIENT,
  MAC_SERVER,
  MAC_VM_A,
  MAC_VM_B,
  PORT_CLIENT,
  PORT_SERVER,
  PORT_VM_A,
  PORT_VM_B,
  SEGMENT_A,
  SEGMENT_B,
  SERVER,
  SLOT,
} from "./traffic-flow.ts";

const READY_TIMEOUT_MS: number = patience(10_000);

export type Machine = "c" | "h" | "v" | "s";

export class TrafficLab {
  readonly folder: string = mkdtempSync(join(tmpdir(), "flowlift-traffic-"));
  readonly #prefix = `fpt${randomBytes(3).toString("hex")}`;
  readonly #bpffs: string = join(this.folder, "bpffs");
  readonly socketPath: string = join(this.folder, "run", "agent.sock");
  readonly pinDirectory: string = join(this.#bpffs, "flowlift");
  readonly #children = new Set<ChildProcess>();
  readonly #counters: EndpointCounter[] = [];
  agent: ChildProcess | undefined;

  constructor() {
    try {
      chmodSync(this.folder, 0o755);
      mkdirSync(join(this.folder, "run"));
      chownSync(join(this.folder, "run"), AGENT_UID, FLOWLIFT_GID);
      this.#run("sh", join(findProjectRoot(), "src/fast-path/bpf/build.sh"), this.folder);
      mkdirSync(this.#bpffs);
      this.#run("mount", "-t", "bpf", "-o", "mode=0755", "none", this.#bpffs);
      mkdirSync(this.pinDirectory);
      chownSync(this.pinDirectory, AGENT_UID, FLOWLIFT_GID);
      this.#wire();
    } catch (error) {
      this.destroy();
      throw error;
    }
  }

  netns(machine: Machine): string {
    return `${this.#prefix}-${machine}`;
  }

  netnsPath(machine: Machine): string {
    return `/run/netns/${this.netns(machine)}`;
  }

  /** Runs a program to its end in a machine; returns what it printed. */
  exec(machine: Machine, ...argv: string[]): string {
    return this.#run("ip", "netns", "exec", this.netns(machine), ...argv);
  }

  /** Starts a program in a machine; it ends with the lab. */
  spawn(machine: Machine, ...argv: string[]): ChildProcess {
    const words = ["netns", "exec", this.netns(machine), ...argv];
    return this.#keep(spawn("ip", words, { stdio: ["pipe", "pipe", "inherit"] }));
  }

  /** Runs a program in a machine without blocking this process; returns its output, throws on failure. */
  async finish(machine: Machine, ...argv: string[]): Promise<string> {
    const child = this.spawn(machine, ...argv);
    let output = "";
    child.stdout?.on("data", (chunk: Buffer) => {
      output += chunk.toString();
    });
    const code = await new Promise((resolve) => child.once("close", resolve));
    if (code !== 0) throw new Error(`${argv.join(" ")} ended with ${code}: ${output}`);
    return output;
  }

  /** Starts the agent with its own user and capabilities, and waits until it serves. */
  async startAgent(flowsMax = 1024): Promise<ChildProcess> {
    const settingsFile = join(this.folder, "agent.json");
    const settings = {
      hostName: "host-1",
      socketPath: this.socketPath,
      pinDirectory: this.pinDirectory,
      flowsMax,
      objectFile: join(this.folder, "flow.bpf.o"),
    };
    writeFileSync(settingsFile, JSON.stringify(settings));
    const main = join(findProjectRoot(), LAB_DIST_DIRECTORY, "cli", "main.js");
    const words = formatSetpriv(PRIVILEGES.agent);
    const argv = [...words, process.execPath, main, "agent", "--settings", settingsFile];
    const agent = spawn("nsenter", [`--net=${this.netnsPath("h")}`, "--", ...argv], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    this.agent = this.#keep(agent);
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error("the agent is not ready")), READY_TIMEOUT_MS);
      agent.stdout?.on("data", (chunk: Buffer) => {
        if (!chunk.toString().includes("READY")) return;
        clearTimeout(timer);
        resolve();
      });
      agent.once("exit", (code) => reject(new Error(`the agent ended with ${code}`)));
    });
    return agent;
  }

  async killAgent(signal: NodeJS.Signals): Promise<number | null> {
    const agent = this.agent;
    if (agent === undefined) return null;
    const ended = new Promise<number | null>((resolve) => agent.once("exit", resolve));
    agent.kill(signal);
    return ended;
  }

  /** Connects to the agent and configures ports, vNICs and the VM's lease. */
  async connect(leaseMs = 120_000): Promise<FastPathDriver> {
    const driver = await connectRemoteDriver(this.socketPath);
    await this.configure(driver);
    await driver.setSlot(SLOT, GENERATION, leaseMs);
    return driver;
  }

  configure(driver: FastPathDriver): Promise<void> {
    const port = (portId: number, interfaceName: string, segmentId: number, isVmPort: boolean) => ({
      portId,
      interfaceName,
      segmentId,
      isVmPort,
    });
    return driver.configure({
      ports: [
        port(PORT_CLIENT, "pc", SEGMENT_A, false),
        port(PORT_VM_A, "pva", SEGMENT_A, true),
        port(PORT_VM_B, "pvb", SEGMENT_B, true),
        port(PORT_SERVER, "ps", SEGMENT_B, false),
      ],
      vnics: [
        { segmentId: SEGMENT_A, mac: MAC_VM_A, vmSlot: SLOT },
        { segmentId: SEGMENT_B, mac: MAC_VM_B, vmSlot: SLOT },
      ],
    });
  }

  /** Counts at an endpoint's own interface. */
  countAt(machine: "c" | "s"): EndpointCounter {
    const counter = EndpointCounter.attach({
      netnsPath: this.netnsPath(machine),
      interfaceName: machine === "c" ? "c0" : "s0",
      macs: [MAC_VM_A, MAC_VM_B],
      objectFile: join(this.folder, "count.bpf.o"),
    });
    this.#counters.push(counter);
    return counter;
  }

  /** Packets that the VM's interfaces have received. */
  vmReceived(): number {
    return ["va", "vb"].reduce((sum, name) => {
      const text = this.exec("v", "ip", "-j", "-s", "link", "show", name);
      const [link] = JSON.parse(text) as { stats64: { rx: { packets: number } } }[];
      return sum + (link?.stats64.rx.packets ?? 0);
    }, 0);
  }

  /** Makes the client's port and interface, perhaps anew. */
  wireClient(): void {
    const { c, h } = { c: this.netns("c"), h: this.netns("h") };
    this.#batch([
      `-n ${h} link add pc type veth peer name c0 netns ${c} address ${MAC_CLIENT}`,
      `-n ${h} link set pc master bra up`,
      `-n ${c} addr add ${CLIENT[4]}/24 dev c0`,
      `-n ${c} addr add ${CLIENT[6]}/64 dev c0 nodad`,
      `-n ${c} link set c0 up`,
      `-n ${c} route add default via 10.1.0.1`,
      `-n ${c} -6 route add default via fd00:1::1`,
    ]);
  }

  /** Removes everything; safe to call twice. */
  destroy(): void {
    for (const child of this.#children) child.kill("SIGKILL");
    for (const counter of this.#counters.splice(0)) counter.detach();
    for (const machine of ["c", "h", "v", "s"] as const) {
      this.#try("ip", "netns", "del", this.netns(machine));
    }
    this.#try("umount", this.#bpffs);
    rmSync(this.folder, { recursive: true, force: true });
  }

  #wire(): void {
    for (const machine of ["c", "h", "v", "s"] as const) {
      this.#run("ip", "netns", "add", this.netns(machine));
      const sysctls = [
        "for f in /proc/sys/net/bridge/bridge-nf-call-*; do [ -e $f ] && echo 0 > $f; done",
        "ip link set lo up",
        machine === "v"
          ? "echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding"
          : "true",
      ];
      this.exec(machine, "sh", "-c", sysctls.join("; "));
    }
    const [h, v, s] = [this.netns("h"), this.netns("v"), this.netns("s")];
    this.#batch([
      `-n ${h} link add bra type bridge`,
      `-n ${h} link add brb type bridge`,
      `-n ${h} link set bra up`,
      `-n ${h} link set brb up`,
      `-n ${h} link add pva type veth peer name va netns ${v} address ${MAC_VM_A}`,
      `-n ${h} link add pvb type veth peer name vb netns ${v} address ${MAC_VM_B}`,
      `-n ${h} link add ps type veth peer name s0 netns ${s} address ${MAC_SERVER}`,
      `-n ${h} link set pva master bra up`,
      `-n ${h} link set pvb master brb up`,
      `-n ${h} link set ps master brb up`,
      `-n ${v} addr add 10.1.0.1/24 dev va`,
      `-n ${v} addr add fd00:1::1/64 dev va nodad`,
      `-n ${v} addr add ${EXTERNAL[4]}/24 dev vb`,
      `-n ${v} addr add 2001:db8::1/64 dev vb nodad`,
      `-n ${v} link set va up`,
      `-n ${v} link set vb up`,
      `-n ${s} addr add ${SERVER[4]}/24 dev s0`,
      `-n ${s} addr add ${SERVER[6]}/64 dev s0 nodad`,
      `-n ${s} link set s0 up`,
      `-n ${s} -6 route add fd00:1::/64 via 2001:db8::1`,
    ]);
    this.wireClient();
    const ruleset = `table ip t {
      chain post { type nat hook postrouting priority 100; oifname vb snat to ${EXTERNAL[4]}; }
    }
    table inet f {
      chain forward { type filter hook forward priority 0; policy drop;
        ct state established,related accept
        iifname va ct state new accept
      }
    }`;
    execFileSync("ip", ["netns", "exec", v, "nft", "-f", "-"], { input: ruleset });
    // A flow that leaves the VM's sight needs this; the appliance sets it for each entry.
    this.exec("v", "sysctl", "-qw", "net.netfilter.nf_conntrack_tcp_be_liberal=1");
  }

  #batch(lines: readonly string[]): void {
    for (const line of lines) this.#run("ip", ...line.split(" "));
  }

  #run(file: string, ...args: string[]): string {
    return execFileSync(file, args, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  }

  #try(file: string, ...args: string[]): void {
    try {
      this.#run(file, ...args);
    } catch {
      // Nothing to remove.
    }
  }

  #keep(child: ChildProcess): ChildProcess {
    this.#children.add(child);
    child.once("exit", () => this.#children.delete(child));
    return child;
  }
}
