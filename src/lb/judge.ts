/**
 * Says whether a live flow may stay with its real server under a configuration.
 *
 * Pure. A live connection never changes its server; it is cut when its virtual service or its real server is
 * gone or disabled.
 */
import type { ConntrackEntry } from "../lib/conntrack/entry.ts";
import { MARK_SERVICE_LB, MARK_SERVICE_MASK } from "../lib/conntrack/mark-bits.ts";
import { policyTagOf } from "../lib/service/policy-tag.ts";
import type { FlowPlace, ServiceJudgement } from "../lib/service/provider.ts";
import type { LoadBalancerConfig } from "./config.ts";

const SILENT: ServiceJudgement = { verdict: "silent", eligible: true, rules: [], policyTag: 0 };
const FORBIDDEN: ServiceJudgement = { ...SILENT, verdict: "forbidden", eligible: false };

/** Returns the verdict; "silent" for flows that have nothing to do with a virtual service. */
export function judgeLoadBalancer(
  config: LoadBalancerConfig,
  entry: ConntrackEntry,
  _place: FlowPlace,
): ServiceJudgement {
  const { original, reply } = entry;
  const service = config.virtualServices.find(
    (candidate) =>
      candidate.enabled &&
      candidate.vip === original.destinationAddress &&
      candidate.protocol === original.protocol &&
      candidate.port === original.destinationPort,
  );
  if (service === undefined) {
    return (entry.mark & MARK_SERVICE_MASK) === MARK_SERVICE_LB ? FORBIDDEN : SILENT;
  }
  const server = service.realServers.find(
    (candidate) =>
      candidate.enabled &&
      candidate.address === reply.sourceAddress &&
      candidate.port === reply.sourcePort,
  );
  if (server === undefined) return FORBIDDEN;
  return {
    verdict: "allowed",
    eligible: true,
    rules: [{ attachment: "lb", direction: "ingress", name: server.name }],
    policyTag: policyTagOf("lb", JSON.stringify([service.name, server.name])),
  };
}
