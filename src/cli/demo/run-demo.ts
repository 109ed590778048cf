/**
 * The demo: the main job on real traffic, claim by claim.
 *
 * Effect: a lab of its own, its traffic and its commits; all of it is gone afterwards.
 */

import type { Lab } from "../../lab/lab.ts";
import { defaultLabFile, readLabFile } from "../../lab/lab-file.ts";
import { startLab } from "../../lab/start-lab.ts";
import type { LabVmOptions } from "../../lab/vm/vm-options.ts";
import { FlowliftError } from "../../lib/base/errors.ts";
import { percentileOf } from "../../lib/base/statistics.ts";
import {
  type DemoContext,
  type DemoTenant,
  EMULATION_SLOWNESS,
  forEachTenant,
  openTenant,
} from "./context.ts";
import type { Balance } from "./counter-law.ts";
import { runEverydayTraffic, TenantServers } from "./everyday-traffic.ts";
import { holdConnections, transferBulk } from "./held-connections.ts";
import { runIsolation } from "./isolation.ts";
import { addProbes } from "./isolation-lab.ts";
import { readMetrics } from "./metrics.ts";
import { type DemoReport, judgeReport, type TenantReport } from "./report.ts";
import { type Revocation, revokeFlows } from "./revocation.ts";
import type { Screen } from "./screen.ts";
import {
  type KnockResult,
  knockFromOutside,
  measureShares,
  measureSourceHash,
} from "./services.ts";
import { readTimeToActive } from "./time-to-active.ts";

const TENANTS = ["red", "blue"];
const LAB_NAME = "demo";

export interface DemoOptions {
  /** Default: demo. */
  readonly name?: string;
  readonly runDirectory?: string;
  readonly distDirectory?: string;
  /** Appliances are VMs. Default: network namespaces. */
  readonly vm?: LabVmOptions;
  /** How many times longer things may take on a host that is itself emulated. Default: 1. */
  readonly slowness?: number;
  /** Ends the demo early; everything is cleaned up first. */
  readonly signal: AbortSignal;
}

/** Runs every phase and returns the judged report. Throws LAB_FAILED when it was ended early. */
export async function runDemo(screen: Screen, options: DemoOptions): Promise<DemoReport> {
  const started = performance.now();
  screen.step("building two tenants with equal addresses, each with its own appliance");
  const definition = addProbes(readLabFile(defaultLabFile()));
  const { signal, ...places } = options;
  if (options.vm !== undefined) screen.step("booting both appliances as virtual machines");
  const lab = await startLab(definition, {
    name: LAB_NAME,
    ...places,
    signal,
    announce: (line) => screen.step(line),
  });
  try {
    return await Promise.race([runClaims(lab, screen, started, options), rejectWhenEnded(signal)]);
  } finally {
    await screen.stopFollowing();
    await lab.stop();
  }
}

/** A person who presses Ctrl-C gets the machine back as it was. */
function rejectWhenEnded(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const end = (): void => reject(new FlowliftError("LAB_FAILED", "The demo was ended early"));
    if (signal.aborted) end();
    else signal.addEventListener("abort", end, { once: true });
  });
}

async function runClaims(
  lab: Lab,
  screen: Screen,
  started: number,
  { vm, slowness: ofHost = 1 }: DemoOptions,
): Promise<DemoReport> {
  const tenants = await Promise.all(TENANTS.map((name) => openTenant(lab, name)));
  const problems: string[] = [];
  const slowness = ofHost * (vm?.choice.accelerator === "tcg" ? EMULATION_SLOWNESS : 1);
  const announce = (line: string): void => screen.step(line);
  const context: DemoContext = { lab, tenants, problems, slowness, announce };
  screen.follow(tenants);
  const isolation = await runIsolation(lab, context.announce);
  const servers = await forEachTenant(context, (tenant) => TenantServers.start(context, tenant));
  screen.step("everyday traffic: web, DNS, UDP and ping, over IPv4 and IPv6, in both tenants");
  await forEachTenant(context, (tenant) => runEverydayTraffic(context, tenant));
  screen.step("200 connections a tenant, held through offload, withdrawal and offload again");
  await forEachTenant(context, (tenant) => holdConnections(context, tenant));
  screen.step("one gigabyte a tenant over one connection, compared by SHA-256");
  await forEachTenant(context, (tenant) => transferBulk(context, tenant));
  screen.step("3,000 connections to the VIP with weights 1:2:3, then 256 sources by source hash");
  const shares = await forEachTenant(context, (tenant) => measureShares(context, tenant));
  const hashes = await forEachTenant(context, (tenant) => measureSourceHash(context, tenant));
  screen.step("knocking from outside at hosts inside");
  const knocks = await forEachTenant(context, (tenant) => knockFromOutside(context, tenant));
  screen.step("a commit forbids twenty running flows, half of them on the fast path");
  const revocations: Revocation[] = [];
  for (const tenant of tenants) revocations.push(await revokeFlows(context, tenant));
  await Promise.all(servers.map((one) => one.stop()));
  screen.step("counting: what endpoints sent and got against what the path took and gave");
  const balances = await Promise.all(tenants.map(({ ledger }) => ledger.balance()));
  const report = judgeReport({
    durationSec: (performance.now() - started) / 1000,
    tenants: await reportTenants(context, balances),
    lb: { perRealServer: pickShares(context, shares), sourceHashP: Math.min(...hashes) },
    firewall: sumKnocks(knocks),
    isolation: {
      crossTenantRequests: isolation.crossTenantRequests,
      refused: isolation.refused,
      applied: isolation.applied,
      controlsGranted: isolation.controlsGranted,
    },
    revocation: reportRevocation(revocations),
    offload: await readTimeToActive(context),
    ...(vm === undefined ? {} : { virtualMachines: describeVms(vm) }),
  });
  for (const { netconf, ledger } of tenants) {
    netconf.close();
    await ledger.detach();
  }
  const failedClaims = [...report.failedClaims, ...problems];
  return { ...report, ok: failedClaims.length === 0, failedClaims };
}

function describeVms({ choice, image }: LabVmOptions): DemoReport["virtualMachines"] {
  return { ...choice, imageVersion: image.version };
}

async function reportTenants(
  context: DemoContext,
  balances: readonly Balance[],
): Promise<TenantReport[]> {
  const metrics = await readMetrics(context.lab);
  return context.tenants.map((tenant, index) => {
    const balance = balances[index];
    return {
      name: tenant.name,
      connections: tenant.connections,
      failedConnections: tenant.failedConnections,
      flowsOffloaded: countActivated(metrics, tenant),
      packetsThroughVm: balance?.throughVm.packets ?? null,
      packetsThroughFastPath: balance?.throughFastPath.packets ?? null,
      counterErrorPackets: balance?.errorPackets ?? null,
      counterErrorBytes: balance?.errorBytes ?? null,
      ...(balance?.drops === undefined ? {} : { dropsByReason: balance.drops }),
    };
  });
}

function countActivated(metrics: ReadonlyMap<string, number>, tenant: DemoTenant): number {
  let count = 0;
  for (const [key, value] of metrics) {
    const isActivation =
      key.startsWith("flowlift_flow_events_total{") && key.includes('"activated"');
    if (isActivation && key.includes(`tenant="${tenant.name}"`)) count += value;
  }
  return count;
}

/** Reports the first tenant's shares; another tenant's that differ by more than rounding are a problem. */
function pickShares(context: DemoContext, shares: readonly number[][]): number[] | null {
  const [first, ...others] = shares;
  for (const other of others) {
    const apart = other.some((count, index) => Math.abs(count - (first?.[index] ?? 0)) > 2);
    if (apart) context.problems.push(`lb: real servers of another tenant got ${other.join(", ")}`);
  }
  return first ?? null;
}

function sumKnocks(knocks: readonly KnockResult[]): KnockResult {
  return {
    blockedAttempts: knocks.reduce((sum, knock) => sum + knock.blockedAttempts, 0),
    leaked: knocks.reduce((sum, knock) => sum + knock.leaked, 0),
  };
}

function reportRevocation(revocations: readonly Revocation[]): DemoReport["revocation"] {
  const times = revocations.flatMap(({ lastPacketMs }) => lastPacketMs);
  return {
    commitToLastPacketMsP50: percentileOf(times, 0.5) ?? null,
    commitToLastPacketMsP99: percentileOf(times, 0.99) ?? null,
    commitToLastPacketMsMax: percentileOf(times, 1) ?? null,
    late: revocations.reduce((sum, { late }) => sum + late, 0),
  };
}
