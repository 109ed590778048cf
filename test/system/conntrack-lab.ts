/** Three namespaces: a client, a router that tracks and masquerades, a server; and processes in them. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { createInterface, type Interface } from "node:readline";
import { LAB_DIST_DIRECTORY } from "../support/lab-dist.ts";

const FOLDER = import.meta.dirname;

export class ConntrackLab {
  readonly #prefix = `ctk${randomBytes(3).toString("hex")}`;
  readonly #children: ChildProcess[] = [];

  name(role: "client" | "router" | "server"): string {
    return `${this.#prefix}-${role}`;
  }

  up(ruleset: string): void {
    const [client, router, server] = [
      this.name("client"),
      this.name("router"),
      this.name("server"),
    ];
    for (const name of [client, router, server]) {
      ip("netns", "add", name);
      ip("-n", name, "link", "set", "lo", "up");
    }
    this.#wire(client, "up0", router, "in0", "10.9.1");
    this.#wire(router, "out0", server, "up0", "10.9.2");
    ip("-n", client, "route", "add", "default", "via", "10.9.1.1");
    const settings = [
      "net.ipv4.ip_forward=1",
      "net.netfilter.nf_conntrack_events=1",
      "net.netfilter.nf_conntrack_acct=1",
    ];
    // The rules first: where connection tracking is a module, they load it, and its settings appear.
    execFileSync("ip", ["netns", "exec", router, "nft", "-f", "-"], { input: ruleset });
    execFileSync("ip", ["netns", "exec", router, "sysctl", "-qw", ...settings]);
  }

  /** Neighbours are fixed: a burst of datagrams to an unresolved one would be dropped. */
  #wire(left: string, leftName: string, right: string, rightName: string, net: string): void {
    const leftMac = macOf(left, leftName);
    const rightMac = macOf(right, rightName);
    const peer = ["peer", "name", rightName, "address", rightMac, "netns", right];
    ip("link", "add", leftName, "address", leftMac, "netns", left, "type", "veth", ...peer);
    for (const [netns, name, host] of [
      [left, leftName, left === this.name("router") ? 1 : 2],
      [right, rightName, right === this.name("router") ? 1 : 2],
    ] as const) {
      ip("-n", netns, "addr", "add", `${net}.${host}/24`, "dev", name);
      ip("-n", netns, "link", "set", name, "up");
      const neighbour = [`${net}.${3 - host}`, "lladdr", netns === left ? rightMac : leftMac];
      ip("-n", netns, "neigh", "add", ...neighbour, "dev", name, "nud", "permanent");
    }
  }

  down(): void {
    for (const child of this.#children) child.kill("SIGKILL");
    for (const role of ["client", "router", "server"] as const) {
      try {
        ip("netns", "del", this.name(role));
      } catch {
        // It was never made.
      }
    }
  }

  /** Starts one of this folder's scripts in a namespace. */
  start(role: "client" | "router" | "server", script: string, ...args: string[]): LabProcess {
    const command = [process.execPath, join(FOLDER, script), ...args];
    const child = spawn("ip", ["netns", "exec", this.name(role), ...command], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    this.#children.push(child);
    return new LabProcess(child);
  }

  probe(receiveBytes: number): LabProcess {
    return this.start("router", "conntrack-probe.mjs", LAB_DIST_DIRECTORY, String(receiveBytes));
  }
}

export class LabProcess {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(child: ChildProcess) {
    this.#child = child;
    if (child.stdout === null) throw new Error("the process has no output");
    const reader: Interface = createInterface({ input: child.stdout });
    this.#lines = reader[Symbol.asyncIterator]();
  }

  async line(): Promise<string> {
    const next = await this.#lines.next();
    if (next.done === true) throw new Error("the process ended");
    return next.value;
  }

  /** Writes a line and returns the JSON line that answers. */
  async ask<T>(command: string): Promise<T> {
    this.#child.stdin?.write(`${command}\n`);
    return JSON.parse(await this.line()) as T;
  }

  endInput(): void {
    this.#child.stdin?.end();
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }

  /** Tells it to stop and waits until it has. */
  async stop(): Promise<number | null> {
    const ended = new Promise<number | null>((resolve) => this.#child.once("exit", resolve));
    this.#child.stdin?.end("stop\n");
    return await ended;
  }
}

function macOf(netns: string, name: string): string {
  const sum = [...`${netns} ${name}`].reduce(
    (hash, each) => (hash * 31 + each.charCodeAt(0)) >>> 0,
    7,
  );
  return `02:00:${(sum.toString(16).padStart(8, "0").match(/../g) ?? []).join(":")}`;
}

function ip(...args: string[]): void {
  execFileSync("ip", args, { stdio: ["ignore", "ignore", "pipe"] });
}
