/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only OR BSD-2-Clause) */
/*
 * The flow engine's hook-independent half: reads a frame, finds its flow, decides.
 *
 * The including file defines FLOW_LOAD(context, offset, to, bytes), 0 when that many bytes were copied, and
 * FLOW_EGRESS_MTU(context, ifindex), the device's MTU or 0 when there is none.
 * Packet pointers move by constants only, so that the verifier needs no CAP_PERFMON.
 */
#ifndef FLOWLIFT_FLOW_CORE_H
#define FLOWLIFT_FLOW_CORE_H

#include "flow-maps.h"
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>

#define FLOW_FAMILY_IPV4 4
#define FLOW_FAMILY_IPV6 6
#define IPV4_FRAGMENT_BITS 0xbfff /* reserved, more fragments, offset; not "don't fragment" */
#define IPV4_OFFSET_BITS 0x3fff   /* more fragments, offset */
/* Bytes that must be linear before the frame is read: Ethernet, IPv6, TCP without options. */
#define FLOW_HEADER_BYTES (ETH_HLEN + 40 + 20)

/* What the hook knows of a frame besides its bytes. */
struct flow_frame {
	__u32 ifindex;
	__u32 frame_bytes;
	__u32 gso_bytes;
	__u32 gso_segments;
	__u32 has_vlan;
};

struct flow_packet {
	struct flow_key key;
	__u32 slot;
	__u32 l3_bytes;
	__u32 l3_header_bytes;
	__u32 l4_header_bytes;
	/* As on the wire, a segmented frame taken apart. */
	__u32 wire_packets;
	__u32 wire_bytes;
	/* The largest packet that leaves, layer 3. */
	__u32 largest_bytes;
	/* The key is complete. */
	__u8 has_key;
	/* Nothing about the packet itself asks for the VM. */
	__u8 may_go_fast;
	__u8 ttl;
	__sum16 ipv4_check;
};

/* Working memory. Without CAP_PERFMON the verifier puts a speculation barrier after each first write to the
 * stack, and Linux 6.1 refuses a second write to part of a stack slot; memory of a map is free of that. Programs run with bottom halves disabled, so one for each CPU is
 * enough. */
struct flow_scratch {
	struct flow_frame frame;
	struct flow_packet packet;
	struct flow_vnic_key vnic;
	__u32 index;
	__u32 egress_ifindex;
	__u32 egress_flags;
	/* TTL to destination address of the IPv4 header that leaves. */
	struct {
		__u8 ttl;
		__u8 protocol;
		__sum16 check;
		__u8 source[4];
		__u8 destination[4];
	} ipv4;
	struct tcphdr tcp;
	struct udphdr udp;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct flow_scratch);
} flow_scratches SEC(".maps");

static __always_inline void flow_read_tcp(const struct tcphdr *tcp, struct flow_packet *packet)
{
	packet->l4_header_bytes = tcp->doff * 4;
	packet->key.source_port = tcp->source;
	packet->key.destination_port = tcp->dest;
	packet->has_key = 1;
	if (tcp->syn || tcp->fin || tcp->rst || !tcp->ack || tcp->doff < 5)
		packet->may_go_fast = 0;
}

static __always_inline void flow_read_udp(const struct udphdr *udp, const struct flow_frame *frame,
					  struct flow_packet *packet)
{
	packet->l4_header_bytes = sizeof(*udp);
	packet->key.source_port = udp->source;
	packet->key.destination_port = udp->dest;
	packet->has_key = 1;
	/* A zero checksum is legal in IPv4 only (RFC 8200 section 8.1). */
	if (packet->key.family == FLOW_FAMILY_IPV6 && udp->check == 0)
		packet->may_go_fast = 0;
	if (frame->gso_bytes == 0 &&
	    bpf_ntohs(udp->len) != packet->l3_bytes - packet->l3_header_bytes)
		packet->may_go_fast = 0;
}

/* Reads the transport header behind IPv4 options; such packets go to the VM, but they are counted. */
static __always_inline void flow_read_behind_options(void *context, struct flow_scratch *scratch)
{
	struct flow_packet *packet = &scratch->packet;
	__u32 offset = ETH_HLEN + packet->l3_header_bytes;

	packet->may_go_fast = 0;
	if (packet->key.protocol == IPPROTO_TCP) {
		if (FLOW_LOAD(context, offset, &scratch->tcp, sizeof(scratch->tcp)) == 0)
			flow_read_tcp(&scratch->tcp, packet);
	} else if (packet->key.protocol == IPPROTO_UDP) {
		if (FLOW_LOAD(context, offset, &scratch->udp, sizeof(scratch->udp)) == 0)
			flow_read_udp(&scratch->udp, &scratch->frame, packet);
	}
}

static __always_inline void flow_read_ipv4(void *context, void *data, void *data_end,
					   struct flow_scratch *scratch)
{
	const struct flow_frame *frame = &scratch->frame;
	struct flow_packet *packet = &scratch->packet;
	struct iphdr *ip = data + ETH_HLEN;
	void *transport = data + ETH_HLEN + sizeof(*ip);
	__u32 total;

	if ((void *)(ip + 1) > data_end)
		return;
	if (ip->version != 4 || ip->ihl < 5)
		return;
	total = bpf_ntohs(ip->tot_len);
	packet->l3_header_bytes = ip->ihl * 4;
	if (frame->gso_bytes == 0) {
		if (total < packet->l3_header_bytes || total > packet->l3_bytes)
			return;
		/* Padding of short frames is not layer 3. */
		packet->l3_bytes = total;
	}
	packet->key.family = FLOW_FAMILY_IPV4;
	packet->key.protocol = ip->protocol;
	__builtin_memcpy(packet->key.source, &ip->saddr, 4);
	__builtin_memcpy(packet->key.destination, &ip->daddr, 4);
	packet->ttl = ip->ttl;
	packet->ipv4_check = ip->check;
	packet->may_go_fast = ip->ttl > 1;
	if (ip->frag_off & bpf_htons(IPV4_FRAGMENT_BITS))
		packet->may_go_fast = 0;
	if (ip->frag_off & bpf_htons(IPV4_OFFSET_BITS))
		return; /* Only the first of a fragmented packet has ports: none of them is the flow's. */
	if (packet->l3_header_bytes != sizeof(*ip)) {
		flow_read_behind_options(context, scratch);
	} else if (packet->key.protocol == IPPROTO_TCP) {
		struct tcphdr *tcp = transport;
		if ((void *)(tcp + 1) <= data_end)
			flow_read_tcp(tcp, packet);
	} else if (packet->key.protocol == IPPROTO_UDP) {
		struct udphdr *udp = transport;
		if ((void *)(udp + 1) <= data_end)
			flow_read_udp(udp, frame, packet);
	}
}

static __always_inline void flow_read_ipv6(void *data, void *data_end,
					   const struct flow_frame *frame,
					   struct flow_packet *packet)
{
	struct ipv6hdr *ip = data + ETH_HLEN;
	void *transport = data + ETH_HLEN + sizeof(*ip);
	__u32 total;

	if ((void *)(ip + 1) > data_end)
		return;
	if (ip->version != 6)
		return;
	total = bpf_ntohs(ip->payload_len) + sizeof(*ip);
	packet->l3_header_bytes = sizeof(*ip);
	if (frame->gso_bytes == 0) {
		if (total > packet->l3_bytes)
			return;
		packet->l3_bytes = total;
	}
	packet->key.family = FLOW_FAMILY_IPV6;
	packet->key.protocol = ip->nexthdr;
	__builtin_memcpy(packet->key.source, &ip->saddr, 16);
	__builtin_memcpy(packet->key.destination, &ip->daddr, 16);
	packet->ttl = ip->hop_limit;
	packet->may_go_fast = ip->hop_limit > 1;
	if (packet->key.protocol == IPPROTO_TCP) {
		struct tcphdr *tcp = transport;
		if ((void *)(tcp + 1) <= data_end)
			flow_read_tcp(tcp, packet);
	} else if (packet->key.protocol == IPPROTO_UDP) {
		struct udphdr *udp = transport;
		if ((void *)(udp + 1) <= data_end)
			flow_read_udp(udp, frame, packet);
	}
}

/* Takes a segmentation-offload frame apart in thought: each wire packet repeats the headers. */
static __always_inline void flow_count_wire(const struct flow_frame *frame,
					    struct flow_packet *packet)
{
	__u32 headers = packet->l3_header_bytes + packet->l4_header_bytes;
	__u32 segments = frame->gso_segments;

	packet->wire_packets = 1;
	packet->wire_bytes = packet->l3_bytes;
	packet->largest_bytes = packet->l3_bytes;
	if (frame->gso_bytes == 0)
		return;
	/* A frame from a tap says how large its segments are, not how many. */
	if (segments == 0 && packet->l3_bytes > headers)
		segments = (packet->l3_bytes - headers + frame->gso_bytes - 1) / frame->gso_bytes;
	if (segments == 0)
		segments = 1;
	packet->wire_packets = segments;
	packet->wire_bytes = packet->l3_bytes + (segments - 1) * headers;
	packet->largest_bytes = headers + frame->gso_bytes;
	if (packet->largest_bytes > packet->l3_bytes)
		packet->largest_bytes = packet->l3_bytes;
}

static __always_inline int flow_same_key(const struct flow_key *a, const struct flow_key *b)
{
	const __u64 *left = (const __u64 *)a;
	const __u64 *right = (const __u64 *)b;

	return left[0] == right[0] && left[1] == right[1] && left[2] == right[2] &&
	       left[3] == right[3] && left[4] == right[4] && left[5] == right[5];
}

static __always_inline void flow_count_slot(const struct flow_packet *packet, int fast)
{
	struct flow_slot_counters *totals = bpf_map_lookup_elem(&flow_slot_totals, &packet->slot);

	if (!totals)
		return;
	if (fast) {
		totals->fast_packets += packet->wire_packets;
		totals->fast_bytes += packet->wire_bytes;
	} else {
		totals->passed_packets += packet->wire_packets;
		totals->passed_bytes += packet->wire_bytes;
	}
}

/* Finds out whether a frame is for a VM. Returns 0 when it is not ours. */
static __always_inline int flow_is_ours(const struct ethhdr *ethernet, struct flow_scratch *scratch)
{
	struct flow_ingress *ingress;
	__u32 *slot;

	ingress = bpf_map_lookup_elem(&flow_ingresses, &scratch->frame.ifindex);
	if (!ingress || (ingress->flags & FLOW_PORT_IS_VM))
		return 0;
	scratch->vnic.segment = ingress->segment;
	__builtin_memcpy(scratch->vnic.mac, ethernet->h_dest, 6);
	slot = bpf_map_lookup_elem(&flow_vnics, &scratch->vnic);
	if (!slot)
		return 0;
	scratch->packet.slot = *slot;
	return 1;
}

/* Reads the frame. Returns 0 when it is not ours. */
static __always_inline int flow_read(void *context, void *data, void *data_end,
				     struct flow_scratch *scratch)
{
	struct flow_packet *packet = &scratch->packet;
	struct ethhdr *ethernet = data;

	if ((void *)(ethernet + 1) > data_end)
		return 0;
	if (ethernet->h_proto != bpf_htons(ETH_P_IP) && ethernet->h_proto != bpf_htons(ETH_P_IPV6))
		return 0;
	if (!flow_is_ours(ethernet, scratch))
		return 0;
	__builtin_memset(&packet->key, 0, sizeof(packet->key));
	packet->key.segment = scratch->vnic.segment;
	__builtin_memcpy(packet->key.destination_mac, scratch->vnic.mac, 6);
	packet->l3_bytes = scratch->frame.frame_bytes - ETH_HLEN;
	packet->l3_header_bytes = 0;
	packet->l4_header_bytes = 0;
	packet->has_key = 0;
	packet->may_go_fast = 0;
	if (ethernet->h_proto == bpf_htons(ETH_P_IP))
		flow_read_ipv4(context, data, data_end, scratch);
	else
		flow_read_ipv6(data, data_end, &scratch->frame, packet);
	/* A header that reaches beyond the packet has no ports to trust. */
	if (packet->l3_bytes < packet->l3_header_bytes + packet->l4_header_bytes)
		packet->has_key = 0;
	flow_count_wire(&scratch->frame, packet);
	if (scratch->frame.has_vlan)
		packet->has_key = 0;
	return 1;
}

/* Returns why a packet of an active flow may not be forwarded now, or 0. */
static __always_inline int flow_is_held_back(void *context, struct flow_scratch *scratch,
					     const struct flow_action *action, __u64 now)
{
	struct flow_egress *egress;
	struct flow_slot *slot;

	if (!scratch->packet.may_go_fast || scratch->packet.largest_bytes > action->mtu_bytes)
		return 1;
	slot = bpf_map_lookup_elem(&flow_slots, &action->slot);
	if (!slot || slot->generation != action->generation || now >= slot->deadline_ns)
		return 1;
	egress = bpf_map_lookup_elem(&flow_egresses, &action->egress_port);
	if (!egress)
		return 1;
	scratch->egress_ifindex = egress->ifindex;
	scratch->egress_flags = egress->flags;
	if (scratch->egress_ifindex == 0)
		return 1;
	return scratch->packet.largest_bytes > FLOW_EGRESS_MTU(context, scratch->egress_ifindex);
}

/* Decides about a packet that was read, and counts it. Returns what to do with it, NULL: leave it to the VM. */
static __always_inline struct flow_action *flow_decide(void *context, struct flow_scratch *scratch)
{
	struct flow_packet *packet = &scratch->packet;
	struct flow_counters *totals;
	struct flow_action *action;
	__u32 *index, *state, state_now;
	__u64 now;

	if (!packet->has_key)
		goto untracked;
	index = bpf_map_lookup_elem(&flow_keys, &packet->key);
	if (!index)
		goto untracked;
	scratch->index = *index;
	state = bpf_map_lookup_elem(&flow_states, &scratch->index);
	if (!state)
		goto untracked;
	state_now = *(volatile __u32 *)state;
	if (state_now != FLOW_ACTIVE && state_now != FLOW_PAUSED)
		goto untracked;
	action = bpf_map_lookup_elem(&flow_actions, &scratch->index);
	if (!action || !flow_same_key(&action->match, &packet->key))
		goto untracked;
	totals = bpf_map_lookup_elem(&flow_totals, &scratch->index);
	if (!totals)
		goto untracked;
	now = bpf_ktime_get_coarse_ns();
	totals->last_used_ns = now;
	if (state_now != FLOW_ACTIVE || flow_is_held_back(context, scratch, action, now)) {
		totals->passed_packets += packet->wire_packets;
		totals->passed_bytes += packet->wire_bytes;
		goto untracked;
	}
	totals->fast_packets += packet->wire_packets;
	totals->fast_bytes += packet->wire_bytes;
	flow_count_slot(packet, 1);
	return action;
untracked:
	flow_count_slot(packet, 0);
	return 0;
}

/* Returns the header checksum after the TTL went down by one and the addresses changed (RFC 1624). */
static __always_inline __sum16 flow_ipv4_check(__sum16 old, __wsum difference)
{
	__u32 sum = (__u16)~old;

	sum += (__u16)~bpf_htons(0x0100);
	sum += difference & 0xffff;
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (__sum16)~sum;
}

#endif
