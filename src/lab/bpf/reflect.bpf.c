/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only OR BSD-2-Clause) */
/*
 * Both ends of a measurement of new flows, without a socket: at the server every UDP datagram over IPv4 to one
 * of the ports goes back to where it came from; at the client the answers are counted and end.
 *
 * Licence: Apache-2.0 like the project; declares "Dual BSD/GPL" to the kernel.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

#define MAC_BYTES 6
#define TYPE_OFFSET 12
#define IP_OFFSET ETH_HLEN
#define FRAGMENT_OFFSET (IP_OFFSET + 6)
#define PROTOCOL_OFFSET (IP_OFFSET + 9)
#define ADDRESS_OFFSET (IP_OFFSET + 12)
#define PORT_OFFSET (IP_OFFSET + 20)
#define HEADER_BYTES (PORT_OFFSET + 4)
#define PROTOCOL_UDP 17
#define VERSION_AND_LENGTH 0x45

/* 0: the first port, 1: the last one, in host order. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u32);
} reflect_ports SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} reflect_packets SEC(".maps");

/* Ethernet, IPv4 without options, and both ports. */
static __always_inline int load_headers(struct __sk_buff *skb, __u8 *bytes)
{
	if (bpf_skb_load_bytes(skb, 0, bytes, HEADER_BYTES))
		return 0;
	if (bytes[TYPE_OFFSET] != 0x08 || bytes[TYPE_OFFSET + 1] != 0x00)
		return 0;
	/* More fragments, or a part of a datagram that is not its first. */
	if ((bytes[FRAGMENT_OFFSET] & 0x3f) || bytes[FRAGMENT_OFFSET + 1])
		return 0;
	return bytes[IP_OFFSET] == VERSION_AND_LENGTH && bytes[PROTOCOL_OFFSET] == PROTOCOL_UDP;
}

static __always_inline int is_ours(const __u8 *port)
{
	__u32 zero = 0, one = 1, value = (port[0] << 8) | port[1];
	__u32 *first = bpf_map_lookup_elem(&reflect_ports, &zero);
	__u32 *last = bpf_map_lookup_elem(&reflect_ports, &one);

	return first && last && value >= *first && value <= *last;
}

static __always_inline void count(void)
{
	__u32 zero = 0;
	__u64 *packets = bpf_map_lookup_elem(&reflect_packets, &zero);

	if (packets)
		*packets += 1;
}

static __always_inline void swap(__u8 *left, __u8 *right, int bytes)
{
	for (int index = 0; index < bytes; index++) {
		__u8 kept = left[index];

		left[index] = right[index];
		right[index] = kept;
	}
}

/* Sums do not change when both ends change places. */
SEC("tc")
int flowlift_reflect(struct __sk_buff *skb)
{
	__u8 bytes[HEADER_BYTES];

	if (!load_headers(skb, bytes) || !is_ours(bytes + PORT_OFFSET + 2))
		return TC_ACT_UNSPEC;
	swap(bytes, bytes + MAC_BYTES, MAC_BYTES);
	swap(bytes + ADDRESS_OFFSET, bytes + ADDRESS_OFFSET + 4, 4);
	swap(bytes + PORT_OFFSET, bytes + PORT_OFFSET + 2, 2);
	if (bpf_skb_store_bytes(skb, 0, bytes, HEADER_BYTES, BPF_F_INVALIDATE_HASH))
		return TC_ACT_SHOT;
	count();
	return bpf_redirect(skb->ifindex, 0);
}

SEC("tc")
int flowlift_absorb(struct __sk_buff *skb)
{
	__u8 bytes[HEADER_BYTES];

	if (!load_headers(skb, bytes) || !is_ours(bytes + PORT_OFFSET))
		return TC_ACT_UNSPEC;
	count();
	return TC_ACT_SHOT;
}

char _license[] SEC("license") = "Dual BSD/GPL";
