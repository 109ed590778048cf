/** Turns kernel counters into the load balancer's operational data. Pure. */
import type { CounterValue } from "../lib/nft/transaction.ts";
import type { ConfigData } from "../lib/service/provider.ts";
import type { LoadBalancerConfig } from "./config.ts";
import { refusedCounter, serverCounter } from "./counters.ts";

/** Returns RFC 7951 data: keys and `config false` leaves only. */
export function readLoadBalancerState(
  config: LoadBalancerConfig,
  counters: ReadonlyMap<string, CounterValue>,
): ConfigData {
  if (config.virtualServices.length === 0) return {};
  const packets = (name: string): bigint => counters.get(name)?.packets ?? 0n;
  const services = config.virtualServices.map((service) => {
    const servers = service.realServers.map((server) => ({
      name: server.name,
      connections: packets(serverCounter(service.name, server.name)),
    }));
    const sum = servers.reduce((total, server) => total + server.connections, 0n);
    return {
      name: service.name,
      "real-server": servers.map(({ name, connections }) => ({
        name,
        statistics: { connections: `${connections}` },
      })),
      statistics: {
        connections: `${sum}`,
        "refused-connections": `${packets(refusedCounter(service.name))}`,
      },
    };
  });
  return { "flowlift-load-balancer:load-balancer": { "virtual-service": services } };
}
