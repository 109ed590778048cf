/** What tenants do all day: web, DNS, UDP, ping, over IPv4 and IPv6. Effect: traffic in the lab. */

import type { TrafficMode } from "../../lab/traffic/options.ts";
import { TIMEOUT_DEFAULT_MS } from "../../lab/traffic/options.ts";
import { formatPing, parsePing } from "../../lab/traffic/ping.ts";
import { type RunningTraffic, runTraffic, startTraffic } from "../../lab/traffic/run-traffic.ts";
import {
  type DemoContext,
  type DemoTenant,
  DNS_PORT,
  HTTP_PORT,
  SERVER_V4,
  SERVER_V6,
  TRANSFER_PORT,
  UDP_PORT,
} from "./context.ts";

/** Each family's share of a tenant's web connections. */
export const WEB_CONNECTIONS_PER_FAMILY = 1000;
const WEB_REQUESTS_EACH = 2;
const WEB_PARALLEL = 40;
const UDP_FLOWS = 20;
const UDP_PACKETS_PER_FLOW = 50;
const UDP_RATE_PPS = 4000;
const DNS_QUERIES = 500;
const PINGS = 50;
const PING_INTERVAL_MS = 10;
const REAL_SERVERS = ["real1", "real2", "real3"];

/** Servers of one tenant; they run until the demo ends. */
export class TenantServers {
  readonly #running: readonly RunningTraffic<TrafficMode>[];

  private constructor(running: readonly RunningTraffic<TrafficMode>[]) {
    this.#running = running;
  }

  static async start(context: DemoContext, tenant: DemoTenant): Promise<TenantServers> {
    const at = (host: string): string => `${tenant.name}/${host}`;
    const { lab } = context;
    const running = await Promise.all([
      startTraffic(lab, at("www"), "http-server", { port: HTTP_PORT, name: "www" }),
      startTraffic(lab, at("www"), "transfer-server", { port: TRANSFER_PORT }),
      startTraffic(lab, at("www"), "udp-server", { port: UDP_PORT }),
      startTraffic(lab, at("www"), "dns-server", { port: DNS_PORT }),
      ...REAL_SERVERS.map((name) =>
        startTraffic(lab, at(name), "http-server", { port: HTTP_PORT, name }),
      ),
    ]);
    return new TenantServers(running as unknown as RunningTraffic<TrafficMode>[]);
  }

  async stop(): Promise<void> {
    await Promise.all(this.#running.map((server) => server.stop()));
  }
}

/** Runs every kind of traffic at the same time; what is lost becomes a problem. */
export async function runEverydayTraffic(context: DemoContext, tenant: DemoTenant): Promise<void> {
  await Promise.all([
    browse(context, tenant, "client1", SERVER_V4),
    browse(context, tenant, "client2", SERVER_V6),
    exchangeDatagrams(context, tenant),
    resolveNames(context, tenant),
    ping(context, tenant, SERVER_V4),
    ping(context, tenant, SERVER_V6),
  ]);
}

async function browse(
  context: DemoContext,
  tenant: DemoTenant,
  client: string,
  target: string,
): Promise<void> {
  const result = await runTraffic(context.lab, `${tenant.name}/${client}`, "http-client", {
    target,
    port: HTTP_PORT,
    connections: WEB_CONNECTIONS_PER_FAMILY,
    requestsPerConnection: WEB_REQUESTS_EACH,
    parallel: Math.ceil(WEB_PARALLEL / context.slowness),
    timeoutMs: TIMEOUT_DEFAULT_MS * context.slowness,
  });
  tenant.connections += result.connections;
  tenant.failedConnections += result.failedConnections;
  for (const [error, count] of Object.entries(result.errors)) {
    context.problems.push(`${tenant.name}: ${count} web connections to ${target}: ${error}`);
  }
}

async function exchangeDatagrams(context: DemoContext, tenant: DemoTenant): Promise<void> {
  const result = await runTraffic(context.lab, `${tenant.name}/client1`, "udp-client", {
    target: SERVER_V4,
    port: UDP_PORT,
    flows: UDP_FLOWS,
    packetsPerFlow: UDP_PACKETS_PER_FLOW,
    ratePps: Math.ceil(UDP_RATE_PPS / context.slowness),
    timeoutMs: TIMEOUT_DEFAULT_MS * context.slowness,
  });
  if (result.lost + result.corrupted + result.silentFlows > 0) {
    const { lost, corrupted, silentFlows } = result;
    context.problems.push(
      `${tenant.name}: UDP lost ${lost}, corrupted ${corrupted}, silent flows ${silentFlows}`,
    );
  }
}

async function resolveNames(context: DemoContext, tenant: DemoTenant): Promise<void> {
  const result = await runTraffic(context.lab, `${tenant.name}/client2`, "dns-client", {
    target: SERVER_V4,
    port: DNS_PORT,
    queries: DNS_QUERIES,
    timeoutMs: TIMEOUT_DEFAULT_MS * context.slowness,
  });
  if (result.unanswered + result.wrong > 0) {
    context.problems.push(
      `${tenant.name}: DNS unanswered ${result.unanswered}, wrong ${result.wrong}`,
    );
  }
}

async function ping(context: DemoContext, tenant: DemoTenant, target: string): Promise<void> {
  const words = formatPing(target, PINGS, PING_INTERVAL_MS * context.slowness);
  const outcome = await context.lab.run(`${tenant.name}/client1`, words);
  const result = parsePing(outcome.stdout);
  if (result?.received !== PINGS) {
    context.problems.push(
      `${tenant.name}: ping ${target} got ${result?.received ?? 0} of ${PINGS}`,
    );
  }
}
