import { expect, test } from "vitest";
import { judgeReport } from "../../src/cli/demo/report.ts";

const tenant = (name: string) => ({
  name,
  connections: 2000,
  failedConnections: 0,
  flowsOffloaded: 1,
  packetsThroughVm: 1,
  packetsThroughFastPath: 1,
  counterErrorPackets: 0,
  counterErrorBytes: 0,
});

const HELD = {
  durationSec: 1,
  tenants: [tenant("red"), tenant("blue")],
  lb: { perRealServer: [500, 1000, 1500], sourceHashP: 0.5 },
  firewall: { blockedAttempts: 1, leaked: 0 },
  isolation: { crossTenantRequests: 9, refused: 9, applied: 0, controlsGranted: 9 },
  revocation: {
    commitToLastPacketMsP50: 1,
    commitToLastPacketMsP99: 2,
    commitToLastPacketMsMax: 2,
    late: 0,
  },
  offload: { timeToActiveMsP50: 1, timeToActiveMsP99: 2 },
};

/** Every number of the claims, with a value that must make the report fail. */
const PLANTED: [string, unknown][] = [
  ["tenants.0.connections", 1999],
  ["tenants.0.failedConnections", 1],
  ["tenants.1.flowsOffloaded", 0],
  ["tenants.0.packetsThroughVm", 0],
  ["tenants.1.packetsThroughFastPath", 0],
  ["tenants.0.counterErrorPackets", 1],
  ["tenants.1.counterErrorBytes", -1],
  ["lb.perRealServer", [500, 1000, 1501]],
  ["lb.perRealServer", [502, 998, 1500]],
  ["lb.sourceHashP", 0.0099],
  ["firewall.blockedAttempts", 0],
  ["firewall.leaked", 1],
  ["isolation.crossTenantRequests", 0],
  ["isolation.refused", 8],
  ["isolation.applied", 1],
  ["isolation.controlsGranted", 8],
  ["revocation.late", 1],
  ["offload.timeToActiveMsP50", -1],
];

function planted(path: string, value: unknown): typeof HELD {
  const copy = structuredClone(HELD) as unknown as Record<string, unknown>;
  const names = path.split(".");
  let place = copy;
  for (const name of names.slice(0, -1)) place = place[name] as Record<string, unknown>;
  place[names.at(-1) ?? ""] = value;
  return copy as unknown as typeof HELD;
}

function listPaths(value: unknown, path = ""): string[] {
  if (typeof value !== "object" || value === null) return [path];
  return Object.entries(value).flatMap(([name, member]) =>
    listPaths(member, path === "" ? name : `${path}.${name}`),
  );
}

test("judgeReport() accepts claims that all hold", () => {
  expect(judgeReport(HELD)).toMatchObject({ ok: true, failedClaims: [] });
});

test.each(PLANTED)("judgeReport() refuses %s = %j", (path, value) => {
  expect(judgeReport(planted(path, value)).ok).toBe(false);
});

test.each(listPaths(HELD))("judgeReport() refuses a null at %s", (path) => {
  const report = judgeReport(planted(path, null));
  expect(report.ok).toBe(false);
  expect(report.failedClaims).toContain(`${path}: not measured`);
});

test("judgeReport() allows one connection more or less for each real server", () => {
  expect(judgeReport(planted("lb.perRealServer", [501, 999, 1500])).ok).toBe(true);
});
