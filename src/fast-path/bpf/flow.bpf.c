/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only OR BSD-2-Clause) */
/*
 * The fast path at a host port's tc ingress: forwards the packets of offloaded flows past the VM.
 *
 * Licence: like the rest of the project Apache-2.0; this object may also be used under "Dual BSD/GPL", which
 * is what it declares to the kernel. Everything doubtful passes on to the VM. Needs CAP_BPF and
 * CAP_NET_ADMIN, not CAP_PERFMON; runs on Linux 6.1 and newer.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <linux/types.h>
#include <bpf/bpf_helpers.h>

#define FLOW_LOAD(context, offset, to, bytes) \
	bpf_skb_load_bytes((struct __sk_buff *)(context), (offset), (to), (bytes))
#define FLOW_EGRESS_MTU(context, ifindex) tc_egress_mtu((struct __sk_buff *)(context), (ifindex))

/* Returns the device's MTU, 0 when it vanished. Whether a frame fits is decided by its segments, for
 * segmented ones too: the helper's own test needs a transport header offset that is not always set. */
static inline __attribute__((always_inline)) __u32 tc_egress_mtu(struct __sk_buff *skb,
								  __u32 ifindex)
{
	__u32 mtu = 0;

	return bpf_check_mtu(skb, ifindex, &mtu, 0, 0) < 0 ? 0 : mtu;
}

#include "flow-core.h"

static __always_inline int tc_rewrite_transport(struct __sk_buff *skb,
						const struct flow_packet *packet,
						const struct flow_action *action)
{
	__u32 offset = ETH_HLEN + packet->l3_header_bytes;
	__u32 check;
	__u64 flags = 0;
	int failed = 0;

	if (packet->key.protocol == IPPROTO_UDP) {
		check = offset + __builtin_offsetof(struct udphdr, check);
		flags = BPF_F_MARK_MANGLED_0;
	} else {
		check = offset + __builtin_offsetof(struct tcphdr, check);
	}
	if (action->flags & FLOW_CHANGES_ADDRESSES)
		failed |= bpf_l4_csum_replace(skb, check, 0, action->address_difference,
					      flags | BPF_F_PSEUDO_HDR);
	if (action->flags & FLOW_CHANGES_PORTS) {
		failed |= bpf_l4_csum_replace(skb, check, 0, action->port_difference, flags);
		failed |= bpf_skb_store_bytes(skb, offset, &action->new_source_port, 4, 0);
	}
	return failed;
}

static __always_inline int tc_rewrite_ipv4(struct __sk_buff *skb, struct flow_scratch *scratch,
					   const struct flow_action *action)
{
	/* The header's own sum stays right, so skb->csum stays too. */
	scratch->ipv4.ttl = scratch->packet.ttl - 1;
	scratch->ipv4.protocol = scratch->packet.key.protocol;
	scratch->ipv4.check =
		flow_ipv4_check(scratch->packet.ipv4_check, action->address_difference);
	__builtin_memcpy(scratch->ipv4.source, action->new_source, 4);
	__builtin_memcpy(scratch->ipv4.destination, action->new_destination, 4);
	return bpf_skb_store_bytes(skb, ETH_HLEN + __builtin_offsetof(struct iphdr, ttl),
				   &scratch->ipv4, sizeof(scratch->ipv4), 0);
}

static __always_inline int tc_rewrite_ipv6(struct __sk_buff *skb, struct flow_scratch *scratch,
					   const struct flow_action *action)
{
	int failed;

	/* No header checksum covers these bytes, so skb->csum has to follow them. */
	scratch->packet.ttl -= 1;
	failed = bpf_skb_store_bytes(skb, ETH_HLEN + __builtin_offsetof(struct ipv6hdr, hop_limit),
				     &scratch->packet.ttl, 1, BPF_F_RECOMPUTE_CSUM);
	if (action->flags & FLOW_CHANGES_ADDRESSES)
		failed |= bpf_skb_store_bytes(skb,
					      ETH_HLEN + __builtin_offsetof(struct ipv6hdr, saddr),
					      action->new_source, 32, BPF_F_RECOMPUTE_CSUM);
	return failed;
}

static __always_inline int tc_rewrite(struct __sk_buff *skb, struct flow_scratch *scratch,
				      const struct flow_action *action)
{
	int failed;

	if (scratch->packet.key.family == FLOW_FAMILY_IPV4)
		failed = tc_rewrite_ipv4(skb, scratch, action);
	else
		failed = tc_rewrite_ipv6(skb, scratch, action);
	failed |= tc_rewrite_transport(skb, &scratch->packet, action);
	/* Destination, then source: the order of the Ethernet header. */
	failed |= bpf_skb_store_bytes(skb, 0, action->new_destination_mac, 12,
				      BPF_F_RECOMPUTE_CSUM);
	return failed;
}

SEC("tc")
int flowlift_flow(struct __sk_buff *skb)
{
	struct flow_scratch *scratch;
	struct flow_action *action;
	__u32 zero = 0;

	if ((void *)(long)skb->data + FLOW_HEADER_BYTES > (void *)(long)skb->data_end)
		bpf_skb_pull_data(skb, skb->len < FLOW_HEADER_BYTES ? skb->len : FLOW_HEADER_BYTES);
	scratch = bpf_map_lookup_elem(&flow_scratches, &zero);
	if (!scratch)
		return TC_ACT_UNSPEC;
	scratch->frame.ifindex = skb->ifindex;
	scratch->frame.frame_bytes = skb->len;
	scratch->frame.gso_bytes = skb->gso_size;
	scratch->frame.gso_segments = skb->gso_segs;
	scratch->frame.has_vlan = skb->vlan_present;
	if (!flow_read(skb, (void *)(long)skb->data, (void *)(long)skb->data_end, scratch))
		return TC_ACT_UNSPEC;
	action = flow_decide(skb, scratch);
	if (!action)
		return TC_ACT_UNSPEC;
	if (tc_rewrite(skb, scratch, action)) {
		__u64 *drops;

		scratch->index = FLOW_DROP_REWRITE_FAILED;
		drops = bpf_map_lookup_elem(&flow_drops, &scratch->index);
		if (drops)
			*drops += 1;
		return TC_ACT_SHOT;
	}
	if (scratch->egress_flags & FLOW_PORT_HAS_PEER)
		return bpf_redirect_peer(scratch->egress_ifindex, 0);
	return bpf_redirect(scratch->egress_ifindex, 0);
}

char _license[] SEC("license") = "Dual BSD/GPL";
