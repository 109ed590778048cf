/** Names of the load balancer's counters: made when the ruleset is, and again when state is read. Pure. */
import { digestName, type ObjectName } from "../lib/nft/identifier.ts";

/** Counts connections given to a real server. */
export function serverCounter(service: string, server: string): ObjectName {
  return digestName("server", [service, server]);
}

/** Counts connections that found no enabled real server. */
export function refusedCounter(service: string): ObjectName {
  return digestName("vs-refused", [service]);
}
