/**
 * What the demo claims, and the one function that decides whether every claim held.
 *
 * Pure. A number that was not measured is null, and null is a failed claim.
 */

export interface TenantReport {
  readonly name: string;
  readonly connections: number | null;
  readonly failedConnections: number | null;
  readonly flowsOffloaded: number | null;
  /** Wire packets, as the host's ports saw them. */
  readonly packetsThroughVm: number | null;
  readonly packetsThroughFastPath: number | null;
  /** Difference between the endpoints' own counters and the path's, after drops counted by reason. */
  readonly counterErrorPackets: number | null;
  readonly counterErrorBytes: number | null;
  /** Packets that the appliance dropped; absent where it is a VM, which nobody looks into. */
  readonly dropsByReason?: Readonly<Record<string, number>>;
}

export interface DemoReport {
  readonly ok: boolean;
  readonly durationSec: number | null;
  readonly tenants: readonly TenantReport[];
  readonly lb: {
    /** Connections each real server got, in the order of the weights. */
    readonly perRealServer: readonly number[] | null;
    readonly sourceHashP: number | null;
  };
  readonly firewall: { readonly blockedAttempts: number | null; readonly leaked: number | null };
  readonly isolation: {
    readonly crossTenantRequests: number | null;
    readonly refused: number | null;
    readonly applied: number | null;
    readonly controlsGranted: number | null;
  };
  readonly revocation: {
    readonly commitToLastPacketMsP50: number | null;
    readonly commitToLastPacketMsP99: number | null;
    readonly commitToLastPacketMsMax: number | null;
    readonly late: number | null;
  };
  readonly offload: {
    readonly timeToActiveMsP50: number | null;
    readonly timeToActiveMsP99: number | null;
  };
  /** Absent where appliances were network namespaces. */
  readonly virtualMachines?:
    | {
        readonly accelerator: "kvm" | "tcg";
        /** Why not KVM, or how it was tried. */
        readonly reason: string;
        readonly imageVersion: string;
      }
    | undefined;
  /** Every claim that did not hold, in words. */
  readonly failedClaims: readonly string[];
}

export const CONNECTIONS_PER_TENANT_MIN = 2000;
export const VIP_CONNECTIONS = 3000;
export const VIP_WEIGHTS: readonly number[] = [1, 2, 3];
export const SOURCE_HASH_P_MIN = 0.01;
/** A weighted round robin may be one connection off where a cycle was cut. */
export const VIP_COUNT_TOLERANCE = 1;
export const REVOKED_FLOWS = 20;

type Claims = Omit<DemoReport, "ok" | "failedClaims">;

/** Returns the report with its verdict. */
export function judgeReport(claims: Claims): DemoReport {
  const failedClaims = [
    ...listMissing(claims, ""),
    ...claims.tenants.flatMap(judgeTenant),
    ...judgeServices(claims),
    ...judgeOffload(claims),
  ];
  if (claims.tenants.length !== 2) failedClaims.push(`tenants: ${claims.tenants.length}, not 2`);
  return { ...claims, ok: failedClaims.length === 0, failedClaims };
}

function listMissing(value: unknown, path: string): string[] {
  if (value === null || value === undefined || Number.isNaN(value))
    return [`${path}: not measured`];
  if (typeof value !== "object") return [];
  return Object.entries(value).flatMap(([name, member]) =>
    listMissing(member, path === "" ? name : `${path}.${name}`),
  );
}

function judgeTenant(tenant: TenantReport): string[] {
  const failed: string[] = [];
  const claim = (held: boolean, text: string): void => {
    if (!held) failed.push(`tenant ${tenant.name}: ${text}`);
  };
  claim(
    (tenant.connections ?? 0) >= CONNECTIONS_PER_TENANT_MIN,
    `connections ${tenant.connections}`,
  );
  claim(tenant.failedConnections === 0, `failed connections ${tenant.failedConnections}`);
  claim((tenant.flowsOffloaded ?? 0) > 0, "no flow was offloaded");
  claim((tenant.packetsThroughFastPath ?? 0) > 0, "no packet took the fast path");
  claim((tenant.packetsThroughVm ?? 0) > 0, "no packet took the VM");
  claim(tenant.counterErrorPackets === 0, `counter error ${tenant.counterErrorPackets} packets`);
  claim(tenant.counterErrorBytes === 0, `counter error ${tenant.counterErrorBytes} bytes`);
  return failed;
}

function judgeServices(claims: Claims): string[] {
  const failed: string[] = [];
  const counts = claims.lb.perRealServer ?? [];
  const weightTotal = VIP_WEIGHTS.reduce((sum, weight) => sum + weight, 0);
  const exact = VIP_WEIGHTS.every((weight, index) => {
    const expected = (VIP_CONNECTIONS * weight) / weightTotal;
    return Math.abs((counts[index] ?? 0) - expected) <= VIP_COUNT_TOLERANCE;
  });
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (!exact || counts.length !== VIP_WEIGHTS.length || total !== VIP_CONNECTIONS) {
    failed.push(`lb: real servers got ${counts.join(", ")} of ${VIP_CONNECTIONS}`);
  }
  if (!((claims.lb.sourceHashP ?? 0) >= SOURCE_HASH_P_MIN)) {
    failed.push(`lb: source hash p ${claims.lb.sourceHashP}`);
  }
  if (!((claims.firewall.blockedAttempts ?? 0) > 0)) failed.push("firewall: nothing was attempted");
  if (claims.firewall.leaked !== 0) failed.push(`firewall: ${claims.firewall.leaked} leaked`);
  const { crossTenantRequests, refused, applied, controlsGranted } = claims.isolation;
  if (!((crossTenantRequests ?? 0) > 0)) failed.push("isolation: nothing was attempted");
  if (refused !== crossTenantRequests)
    failed.push(`isolation: ${refused} of ${crossTenantRequests} refused`);
  if (applied !== 0) failed.push(`isolation: ${applied} applied`);
  if (controlsGranted !== crossTenantRequests) {
    failed.push(
      `isolation: ${controlsGranted} of ${crossTenantRequests} positive controls granted`,
    );
  }
  return failed;
}

function judgeOffload(claims: Claims): string[] {
  const failed: string[] = [];
  if (claims.revocation.late !== 0) failed.push(`revocation: ${claims.revocation.late} late`);
  const { timeToActiveMsP50, timeToActiveMsP99 } = claims.offload;
  if (!((timeToActiveMsP50 ?? -1) >= 0)) failed.push("offload: no time to active");
  if ((timeToActiveMsP99 ?? 0) < (timeToActiveMsP50 ?? 0)) failed.push("offload: p99 below p50");
  return failed;
}
