/** The load balancer's shares and the firewall's silence. Effect: traffic in the lab. */

import { TIMEOUT_DEFAULT_MS } from "../../lab/traffic/options.ts";
import { formatPing, parsePing } from "../../lab/traffic/ping.ts";
import { runTraffic, startTraffic } from "../../lab/traffic/run-traffic.ts";
import { chiSquaredP } from "../../lib/base/statistics.ts";
import { type DemoContext, type DemoTenant, VIP } from "./context.ts";
import { VIP_CONNECTIONS } from "./report.ts";

const VIP_PORT = 80;
const VIP_BY_SOURCE_PORT = 8081;
const VIP_PARALLEL = 40;
const SERVERS = ["real1", "real2", "real3"];
/** The outsider owns all addresses of this prefix (examples/lab-all.yaml). */
const SOURCE_PREFIX = "203.0.113.0/24";
const SOURCES = 256;

/** Returns how many of the VIP's connections each real server got. */
export async function measureShares(context: DemoContext, tenant: DemoTenant): Promise<number[]> {
  const result = await runTraffic(context.lab, `${tenant.name}/outsider`, "http-client", {
    target: VIP,
    port: VIP_PORT,
    connections: VIP_CONNECTIONS,
    parallel: VIP_PARALLEL,
    timeoutMs: TIMEOUT_DEFAULT_MS * context.slowness,
  });
  tenant.connections += result.connections;
  tenant.failedConnections += result.failedConnections;
  for (const [error, count] of Object.entries(result.errors)) {
    context.problems.push(`${tenant.name}: ${count} connections to the VIP: ${error}`);
  }
  return SERVERS.map((name) => result.servers[name] ?? 0);
}

/**
 * Returns how likely the source hash's split over many sources is, were each server as likely.
 *
 * Each source connects once; asked again, every source must find its server again.
 */
export async function measureSourceHash(context: DemoContext, tenant: DemoTenant): Promise<number> {
  const connectAll = async (): Promise<number[]> => {
    const result = await runTraffic(context.lab, `${tenant.name}/outsider`, "http-client", {
      target: VIP,
      port: VIP_BY_SOURCE_PORT,
      connections: SOURCES,
      parallel: VIP_PARALLEL,
      localPrefix: SOURCE_PREFIX,
      timeoutMs: TIMEOUT_DEFAULT_MS * context.slowness,
    });
    tenant.connections += result.connections;
    tenant.failedConnections += result.failedConnections;
    const sources = Object.keys(result.seenAs).length;
    if (sources !== SOURCES) {
      context.problems.push(`${tenant.name}: the servers saw ${sources} of ${SOURCES} sources`);
    }
    return SERVERS.map((name) => result.servers[name] ?? 0);
  };
  const shares = await connectAll();
  const again = await connectAll();
  if (shares.join() !== again.join()) {
    context.problems.push(`${tenant.name}: sources changed their server: ${shares} then ${again}`);
  }
  return chiSquaredP(shares, [1, 1, 1]);
}

const KNOCK_PORT = 8080;
const KNOCKS = 40;
const KNOCK_TIMEOUT_MS = 400;
const TARGETS = ["10.0.0.10", "fd00:0:0:1::10"];

export interface KnockResult {
  readonly blockedAttempts: number;
  readonly leaked: number;
}

/** The outsider knocks at an inside host on every way it has; nothing may arrive. */
export async function knockFromOutside(
  context: DemoContext,
  tenant: DemoTenant,
): Promise<KnockResult> {
  const { lab } = context;
  const inside = `${tenant.name}/client1`;
  const outsider = `${tenant.name}/outsider`;
  const http = await startTraffic(lab, inside, "http-server", { port: KNOCK_PORT });
  const udp = await startTraffic(lab, inside, "udp-server", { port: KNOCK_PORT });
  let attempts = 0;
  let leaked = 0;
  for (const target of TARGETS) {
    const tcp = runTraffic(lab, outsider, "http-client", {
      ...{ target, port: KNOCK_PORT, connections: KNOCKS, parallel: KNOCKS },
      timeoutMs: KNOCK_TIMEOUT_MS,
    });
    const datagrams = runTraffic(lab, outsider, "udp-client", {
      ...{ target, port: KNOCK_PORT, flows: KNOCKS, packetsPerFlow: 1 },
      timeoutMs: KNOCK_TIMEOUT_MS,
    });
    const echo = lab.run(outsider, formatPing(target, 5, 50));
    const [{ failedConnections }, { received }, ping] = await Promise.all([tcp, datagrams, echo]);
    const echoes = parsePing(ping.stdout)?.received ?? 0;
    attempts += 2 * KNOCKS + 5;
    leaked += KNOCKS - failedConnections + received + echoes;
  }
  const [{ connections }, arrived] = await Promise.all([http.stop(), udp.stop()]);
  return { blockedAttempts: attempts, leaked: leaked + connections + arrived.received };
}
