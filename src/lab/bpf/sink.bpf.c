/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only OR BSD-2-Clause) */
/*
 * The end of a packet rate measurement: counts UDP datagrams over IPv4 to one port, and drops them before
 * they cost the receiver anything.
 *
 * Licence: Apache-2.0 like the project; declares "Dual BSD/GPL" to the kernel.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

#define PROTOCOL_OFFSET (ETH_HLEN + 9)
#define PORT_OFFSET (ETH_HLEN + 20 + 2)
#define PROTOCOL_UDP 17

/* 0: the port, in host order. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} sink_port SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} sink_packets SEC(".maps");

SEC("tc")
int flowlift_sink(struct __sk_buff *skb)
{
	__u32 index = 0, *port = bpf_map_lookup_elem(&sink_port, &index);
	__u64 *packets = bpf_map_lookup_elem(&sink_packets, &index);
	__be16 type = 0, destination = 0;
	__u8 protocol = 0;

	if (!port || !packets)
		return TC_ACT_UNSPEC;
	if (bpf_skb_load_bytes(skb, 12, &type, 2) || type != bpf_htons(ETH_P_IP))
		return TC_ACT_UNSPEC;
	if (bpf_skb_load_bytes(skb, PROTOCOL_OFFSET, &protocol, 1) || protocol != PROTOCOL_UDP)
		return TC_ACT_UNSPEC;
	if (bpf_skb_load_bytes(skb, PORT_OFFSET, &destination, 2))
		return TC_ACT_UNSPEC;
	if (bpf_ntohs(destination) != *port)
		return TC_ACT_UNSPEC;
	*packets += 1;
	return TC_ACT_SHOT;
}

char _license[] SEC("license") = "Dual BSD/GPL";
