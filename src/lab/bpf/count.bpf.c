/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only OR BSD-2-Clause) */
/*
 * An independent witness at an endpoint's own interface: counts what it sends to a VM's vNIC and what it
 * gets from one, in wire packets and layer-3 bytes. Shares nothing with the program that is judged.
 * At a VM's tap it stands on the host's side, where directions are the other way round.
 *
 * Licence: Apache-2.0 like the project; declares "Dual BSD/GPL" to the kernel.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

#define COUNT_MACS_MAX 64
#define EXTENSION_HEADERS_MAX 6

struct tally {
	__u64 packets;
	__u64 bytes;
};

struct mac {
	__u8 octets[6];
	__u8 zero[2];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, COUNT_MACS_MAX);
	__type(key, struct mac);
	__type(value, __u32);
} count_macs SEC(".maps");

/* The vNIC behind a tap. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, struct mac);
	__type(value, __u32);
} count_own SEC(".maps");

/* 0: received from a counted MAC; 1: sent to one. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct tally);
} count_tallies SEC(".maps");

static __always_inline __u32 transport_header_bytes(struct __sk_buff *skb, __u32 offset,
						    __u8 protocol)
{
	__u8 data_offset = 0;

	if (protocol == 17)
		return 8;
	if (protocol != 6 || bpf_skb_load_bytes(skb, offset + 12, &data_offset, 1))
		return 0;
	return (data_offset >> 4) * 4;
}

/* Returns the bytes of IP and transport header that each segment of a large frame carries. */
static __always_inline __u32 repeated_bytes(struct __sk_buff *skb, __u16 type)
{
	__u8 first = 0, protocol = 0, extension[2] = {};
	__u32 offset = ETH_HLEN;

	if (type == ETH_P_IP) {
		if (bpf_skb_load_bytes(skb, offset, &first, 1) ||
		    bpf_skb_load_bytes(skb, offset + 9, &protocol, 1))
			return 0;
		offset += (first & 15) * 4;
		return offset - ETH_HLEN + transport_header_bytes(skb, offset, protocol);
	}
	if (bpf_skb_load_bytes(skb, offset + 6, &protocol, 1))
		return 0;
	offset += 40;
	for (int i = 0; i < EXTENSION_HEADERS_MAX; i++) {
		if (protocol != 0 && protocol != 43 && protocol != 60)
			break;
		if (bpf_skb_load_bytes(skb, offset, extension, 2))
			return 0;
		protocol = extension[0];
		offset += extension[1] * 8 + 8;
	}
	return offset - ETH_HLEN + transport_header_bytes(skb, offset, protocol);
}

static __always_inline int count(struct __sk_buff *skb, __u32 mac_offset, __u32 index)
{
	__u32 bytes = skb->len - ETH_HLEN, packets = 1, repeated;
	struct mac mac = {};
	struct tally *tally;
	__be16 type = 0, length = 0;
	__u32 total = 0;

	if (bpf_skb_load_bytes(skb, mac_offset, mac.octets, 6) ||
	    bpf_skb_load_bytes(skb, 12, &type, 2))
		return TC_ACT_UNSPEC;
	type = bpf_ntohs(type);
	if (type != ETH_P_IP && type != ETH_P_IPV6)
		return TC_ACT_UNSPEC;
	if (!bpf_map_lookup_elem(&count_macs, &mac))
		return TC_ACT_UNSPEC;
	tally = bpf_map_lookup_elem(&count_tallies, &index);
	if (!tally)
		return TC_ACT_UNSPEC;
	if (skb->gso_size) {
		repeated = repeated_bytes(skb, type);
		packets = (bytes - repeated + skb->gso_size - 1) / skb->gso_size;
		if (packets == 0)
			packets = 1;
		bytes += (packets - 1) * repeated;
	} else if (bpf_skb_load_bytes(skb, ETH_HLEN + (type == ETH_P_IP ? 2 : 4), &length, 2) == 0) {
		/* Frames are padded to 60 bytes; the padding is not layer 3. */
		total = bpf_ntohs(length) + (type == ETH_P_IP ? 0 : 40);
		if (total < bytes)
			bytes = total;
	}
	tally->packets += packets;
	tally->bytes += bytes;
	return TC_ACT_UNSPEC;
}

SEC("tc")
int flowlift_count_received(struct __sk_buff *skb)
{
	/* What the bridge floods, and multicast, is not this endpoint's. */
	if (skb->pkt_type != PACKET_HOST)
		return TC_ACT_UNSPEC;
	return count(skb, 6, 0);
}

SEC("tc")
int flowlift_count_sent(struct __sk_buff *skb)
{
	return count(skb, 0, 1);
}

/* Leaves the host through the tap: the VM receives it. */
SEC("tc")
int flowlift_count_tap_egress(struct __sk_buff *skb)
{
	struct mac mac = {};

	/* What the bridge floods, and multicast, is not this VM's. */
	if (bpf_skb_load_bytes(skb, 0, mac.octets, 6) || !bpf_map_lookup_elem(&count_own, &mac))
		return TC_ACT_UNSPEC;
	return count(skb, 6, 0);
}

/* Enters the host through the tap: the VM has sent it. */
SEC("tc")
int flowlift_count_tap_ingress(struct __sk_buff *skb)
{
	return count(skb, 0, 1);
}

char _license[] SEC("license") = "Dual BSD/GPL";
