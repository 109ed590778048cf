/** What every phase of the demo works with. Effect: none of its own. */

import type { Lab } from "../../lab/lab.ts";
import { FlowliftError } from "../../lib/base/errors.ts";
import { NetconfClient } from "../netconf-client.ts";
import { Ledger } from "./ledger.ts";
import { readMetrics } from "./metrics.ts";

export const SERVER_V4 = "192.0.2.100";
export const SERVER_V6 = "2001:db8:0:1::100";
export const VIP = "198.51.100.80";
export const HTTP_PORT = 80;
export const TRANSFER_PORT = 9000;
export const UDP_PORT = 9053;
export const DNS_PORT = 53;
/** The name of each tenant's appliance in the demo's lab. */
export const APPLIANCE = "gw";

/** What translation costs a VM's processor. */
export const EMULATION_SLOWNESS = 8;

/** One tenant while the demo runs. */
export interface DemoTenant {
  readonly name: string;
  /** As bridge and controller call its appliance. */
  readonly vm: string;
  readonly netconf: NetconfClient;
  readonly ledger: Ledger;
  connections: number;
  failedConnections: number;
}

export interface DemoContext {
  readonly lab: Lab;
  readonly tenants: readonly DemoTenant[];
  /** Claims outside the report's numbers that did not hold. */
  readonly problems: string[];
  /** How many times longer an appliance may take: 1, or EMULATION_SLOWNESS where its VM is emulated. */
  readonly slowness: number;
  /** Tells a person what happens now. */
  announce(line: string): void;
}

/** Opens a NETCONF session and a ledger for a tenant. */
export async function openTenant(lab: Lab, name: string): Promise<DemoTenant> {
  const appliance = lab.description.appliances.find(
    (one) => one.tenant === name && one.name === APPLIANCE,
  );
  if (appliance?.netconf === undefined) {
    throw new FlowliftError("LAB_FAILED", `Tenant "${name}" has no appliance with NETCONF`);
  }
  const netconf = await NetconfClient.connect(appliance.netconf);
  const ledger = await Ledger.attach(lab, name, APPLIANCE);
  await ledger.open();
  return { name, vm: appliance.vm, netconf, ledger, connections: 0, failedConnections: 0 };
}

/** Runs the same for every tenant at the same time. */
export async function forEachTenant<T>(
  context: DemoContext,
  work: (tenant: DemoTenant) => Promise<T>,
): Promise<T[]> {
  return await Promise.all(context.tenants.map(work));
}

/** How many of the tenant's flows are on the fast path now. */
export async function countActiveFlows(context: DemoContext, tenant: DemoTenant): Promise<number> {
  const metrics = await readMetrics(context.lab);
  for (const [key, value] of metrics) {
    const isMine = key.includes(`vm="${tenant.vm}"`) && key.includes('state="active"');
    if (key.startsWith("flowlift_flows{") && isMine) return value;
  }
  return 0;
}

/** Waits until `held` says yes. Returns false when `timeoutMs` is over. */
export async function waitUntil(held: () => Promise<boolean>, timeoutMs: number): Promise<boolean> {
  const until = performance.now() + timeoutMs;
  while (performance.now() < until) {
    if (await held()) return true;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return await held();
}
