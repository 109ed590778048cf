/** What a person sees while the demo runs. Effect: writes to a stream. */
import type { DemoTenant } from "./context.ts";
import type { DemoReport } from "./report.ts";

const REFRESH_MS = 500;

const PICTURE = `
   tenant red                      host                           tenant blue
 ┌────────────┐   ┌───────────────────────────────────────┐   ┌────────────┐
 │ clients    ├───┤ br1   fast path (BPF)             br3 ├───┤ clients    │
 │ 10.0.0.0/24│   │  ├──────────────┐      ┌───────────┤  │   │ 10.0.0.0/24│
 └────────────┘   │  │ appliance    │      │ appliance │  │   └────────────┘
                  │  │ NAT·LB·FW    │      │ NAT·LB·FW │  │
 ┌────────────┐   │  ├──────────────┘      └───────────┤  │   ┌────────────┐
 │ servers    ├───┤ br2   bridge ── controller        br4 ├───┤ servers    │
 └────────────┘   └───────────────────────────────────────┘   └────────────┘
 The two tenants use the same addresses. The first packets of a connection go through the tenant's
 appliance; then the host forwards the connection by itself, and the appliance no longer sees it.
`;

export interface Screen {
  /** Tells what happens now. */
  step(line: string): void;
  /** Shows the live table until it is told to stop. */
  follow(tenants: readonly DemoTenant[]): void;
  stopFollowing(): Promise<void>;
  summary(report: DemoReport): void;
}

/** A screen for people; on a terminal the table is redrawn in place, elsewhere it is printed at each step. */
export class PersonScreen implements Screen {
  readonly #out: NodeJS.WriteStream;
  readonly #started: number = performance.now();
  #tenants: readonly DemoTenant[] = [];
  #timer: NodeJS.Timeout | undefined;
  #drawing: Promise<void> = Promise.resolve();
  #drawnLines = 0;

  constructor(out: NodeJS.WriteStream) {
    this.#out = out;
    out.write(PICTURE);
  }

  step(line: string): void {
    const seconds = ((performance.now() - this.#started) / 1000).toFixed(1).padStart(5);
    this.#erase();
    this.#out.write(`[${seconds} s] ${line}\n`);
    if (!this.#out.isTTY) this.#draw();
  }

  follow(tenants: readonly DemoTenant[]): void {
    this.#tenants = tenants;
    if (this.#out.isTTY) this.#timer = setInterval(() => this.#draw(), REFRESH_MS);
  }

  async stopFollowing(): Promise<void> {
    clearInterval(this.#timer);
    await this.#drawing;
    this.#tenants = [];
  }

  #draw(): void {
    const tenants = this.#tenants;
    if (tenants.length === 0) return;
    this.#drawing = this.#drawing.then(async () => {
      const rows = await Promise.all(
        tenants.map(async ({ name, ledger }) => {
          const { fast, passed } = await ledger.peek();
          const share = (100 * fast.packets) / Math.max(1, fast.packets + passed.packets);
          return formatRow(name, passed.packets, fast.packets, share);
        }),
      );
      this.#erase();
      const head = "          tenant   packets through the VM   through the fast path   share\n";
      this.#out.write(head + rows.join(""));
      this.#drawnLines = this.#out.isTTY ? rows.length + 1 : 0;
    });
    this.#drawing = this.#drawing.catch(() => {}); // The table is decoration; the claims are not.
  }

  #erase(): void {
    if (this.#drawnLines > 0) this.#out.write(`\u001b[${this.#drawnLines}A\u001b[J`);
    this.#drawnLines = 0;
  }

  summary(report: DemoReport): void {
    this.#erase();
    this.#out.write(formatSummary(report));
  }
}

function formatRow(name: string, vm: number, fast: number, share: number): string {
  const cell = (value: number, width: number): string => value.toLocaleString("en").padStart(width);
  return `          ${name.padEnd(6)} ${cell(vm, 24)} ${cell(fast, 23)} ${share.toFixed(1).padStart(6)} %\n`;
}

/** Returns the closing lines: each claim with its number. */
export function formatSummary(report: DemoReport): string {
  const ms = (value: number | null): string => (value === null ? "?" : `${value.toFixed(1)} ms`);
  const lines = report.tenants.map(
    (tenant) =>
      `tenant ${tenant.name}: ${tenant.connections} connections, ${tenant.failedConnections} failed; ` +
      `${tenant.flowsOffloaded} flows offloaded; ${tenant.packetsThroughVm} packets through the VM, ` +
      `${tenant.packetsThroughFastPath} through the fast path; counters are off by ` +
      `${tenant.counterErrorPackets} packets, ${tenant.counterErrorBytes} bytes`,
  );
  const { lb, firewall, isolation, revocation, offload } = report;
  lines.push(
    `load balancer: ${lb.perRealServer?.join(" : ")} of 3000 connections at weights 1:2:3; ` +
      `source hash p = ${lb.sourceHashP?.toFixed(3)}`,
    `firewall: ${firewall.blockedAttempts} attempts from outside, ${firewall.leaked} got through`,
    `isolation: ${isolation.crossTenantRequests} hostile requests, ${isolation.refused} refused, ` +
      `${isolation.applied} applied; ${isolation.controlsGranted} of the same granted to their owner`,
    `revocation: last packet of a forbidden flow after ${ms(revocation.commitToLastPacketMsP50)} (median), ` +
      `${ms(revocation.commitToLastPacketMsMax)} at most; ${revocation.late} late`,
    `offload: active after ${ms(offload.timeToActiveMsP50)} (median), ${ms(offload.timeToActiveMsP99)} (p99)`,
  );
  const vms = report.virtualMachines;
  if (vms !== undefined) {
    const by = vms.accelerator === "kvm" ? "KVM" : "emulation";
    lines.push(`virtual machines: image ${vms.imageVersion} under ${by} (${vms.reason})`);
  }
  const verdict = report.ok
    ? "Every claim held."
    : `These claims did not hold:\n${report.failedClaims.map((claim) => `  ${claim}`).join("\n")}`;
  return `\n${lines.join("\n")}\n\n${verdict} (${report.durationSec?.toFixed(1)} s)\n`;
}

/** A screen for programs: steps go to standard error. */
export class QuietScreen implements Screen {
  step(line: string): void {
    process.stderr.write(`${line}\n`);
  }
  follow(): void {}
  async stopFollowing(): Promise<void> {}
  summary(): void {}
}
