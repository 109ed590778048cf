/**
 * Idle timeouts as the kernel's settings.
 *
 * Pure. Source: RFC 4787 §4.3, RFC 5382 §5, RFC 5508 §3.2, RFC 7857 §2; Documentation/networking/
 * nf_conntrack-sysctl.rst. Limit: the kernel has one value for a namespace, so the longest of all policies
 * counts.
 */
import { type NatConfig, type NatTimers, TIMERS_DEFAULT } from "./config.ts";

/** Names below /proc/sys/net/netfilter. */
export type TimeoutSettings = Readonly<Record<string, number>>;

/** Returns the settings; without a NAT those of RFC 8512's defaults. */
export function planTimeouts(config: NatConfig): TimeoutSettings {
  const policies = config.instances.flatMap((instance) => instance.policies);
  const longest = (timer: keyof NatTimers): number =>
    policies.length === 0
      ? TIMERS_DEFAULT[timer]
      : Math.max(...policies.map((policy) => policy.timers[timer]));
  return {
    nf_conntrack_udp_timeout: longest("udpSec"),
    nf_conntrack_udp_timeout_stream: longest("udpSec"),
    nf_conntrack_icmp_timeout: longest("icmpSec"),
    nf_conntrack_tcp_timeout_established: longest("tcpIdleSec"),
    nf_conntrack_tcp_timeout_syn_sent: longest("tcpOpeningSec"),
    nf_conntrack_tcp_timeout_syn_recv: longest("tcpOpeningSec"),
    nf_conntrack_tcp_timeout_fin_wait: longest("tcpClosingSec"),
    nf_conntrack_tcp_timeout_close_wait: longest("tcpClosingSec"),
    nf_conntrack_tcp_timeout_last_ack: longest("tcpClosingSec"),
    nf_conntrack_tcp_timeout_time_wait: longest("holdDownSec"),
  };
}
