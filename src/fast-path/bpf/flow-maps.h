/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only OR BSD-2-Clause) */
/*
 * The fast path's maps and their layout; src/fast-path/bpf/layout.ts encodes the same bytes.
 *
 * The agent writes states and actions as memory (BPF_F_MMAPABLE); keys come and go by system calls, so that
 * what lies behind an index is there before its key is.
 *
 * A key leads to an index only. Everything that changes while packets pass (state, action, counters) lies
 * in arrays: an update of a hash element would replace it and lose increments in flight.
 * Increase FLOW_LAYOUT_VERSION with every change here, so that an agent never adopts maps it misreads.
 */
#ifndef FLOWLIFT_FLOW_MAPS_H
#define FLOWLIFT_FLOW_MAPS_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define FLOW_LAYOUT_VERSION 2

/* Defaults; the agent sets the real sizes before it loads. */
#define FLOW_ENTRIES_DEFAULT 131072
#define FLOW_PORTS_MAX 4096
#define FLOW_VNICS_MAX 8192
#define FLOW_SLOTS_MAX 4096

enum flow_state {
	FLOW_FREE = 0,
	FLOW_ACTIVE = 1,
	/* Goes to the VM and is counted as passed, while an action is rewritten. */
	FLOW_PAUSED = 2,
	/* Goes to the VM and is no longer this flow's packet: its counters are final after a grace period. */
	FLOW_QUIESCING = 3,
};

#define FLOW_CHANGES_ADDRESSES 1u
#define FLOW_CHANGES_PORTS 2u
/* Read by user space only: the direction that an index stands for. */
#define FLOW_IS_REPLY 4u

#define FLOW_PORT_IS_VM 1u
/* The port's peer lives in another network namespace: frames may enter there directly. */
#define FLOW_PORT_HAS_PEER 2u

enum flow_drop {
	FLOW_DROP_REWRITE_FAILED = 0,
	FLOW_DROPS,
};

/* 48 bytes, no holes: it is hashed and compared as bytes. IPv4 fills the first 4 of 16, the rest is 0. */
struct flow_key {
	__u32 segment;
	__u8 destination_mac[6];
	__u8 family;
	__u8 protocol;
	__u8 source[16];
	__u8 destination[16];
	__be16 source_port;
	__be16 destination_port;
};

/* 136 bytes. The match is repeated so that no packet is ever changed by another flow's action, not even
 * when it meets a hash element or an index in the moment of its reuse. */
struct flow_action {
	struct flow_key match;
	__u64 generation;
	__u64 handle;
	__u32 slot;
	__u32 egress_port;
	__u32 mtu_bytes;
	__u32 flags;
	__u8 new_source[16];
	__u8 new_destination[16];
	__be16 new_source_port;
	__be16 new_destination_port;
	__u8 new_destination_mac[6];
	__u8 new_source_mac[6];
	/* One's complement sums of (new - old), in network byte order in the first two bytes. */
	__wsum address_difference;
	__wsum port_difference;
};

struct flow_counters {
	__u64 fast_packets;
	__u64 fast_bytes;
	__u64 passed_packets;
	__u64 passed_bytes;
	/* CLOCK_MONOTONIC. */
	__u64 last_used_ns;
};

struct flow_slot_counters {
	__u64 fast_packets;
	__u64 fast_bytes;
	__u64 passed_packets;
	__u64 passed_bytes;
};

struct flow_slot {
	__u64 generation;
	/* CLOCK_MONOTONIC; a packet at or after it is not forwarded. */
	__u64 deadline_ns;
};

struct flow_ingress {
	__u32 port;
	__u32 segment;
	__u32 flags;
};

struct flow_vnic_key {
	__u32 segment;
	__u8 mac[6];
	__u8 zero[2];
};

struct flow_egress {
	/* 0: the port is gone or down. */
	__u32 ifindex;
	__u32 flags;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, FLOW_PORTS_MAX);
	__type(key, __u32);
	__type(value, struct flow_ingress);
} flow_ingresses SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FLOW_PORTS_MAX);
	__type(key, __u32);
	__type(value, struct flow_egress);
} flow_egresses SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, FLOW_VNICS_MAX);
	__type(key, struct flow_vnic_key);
	__type(value, __u32);
} flow_vnics SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FLOW_SLOTS_MAX);
	__type(key, __u32);
	__type(value, struct flow_slot);
} flow_slots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, FLOW_SLOTS_MAX);
	__type(key, __u32);
	__type(value, struct flow_slot_counters);
} flow_slot_totals SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, FLOW_ENTRIES_DEFAULT);
	__type(key, struct flow_key);
	__type(value, __u32);
} flow_keys SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, FLOW_ENTRIES_DEFAULT);
	__type(key, __u32);
	__type(value, __u32);
} flow_states SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, FLOW_ENTRIES_DEFAULT);
	__type(key, __u32);
	__type(value, struct flow_action);
} flow_actions SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, FLOW_ENTRIES_DEFAULT);
	__type(key, __u32);
	__type(value, struct flow_counters);
} flow_totals SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, FLOW_DROPS);
	__type(key, __u32);
	__type(value, __u64);
} flow_drops SEC(".maps");

/* Element 0 holds FLOW_LAYOUT_VERSION, written by the agent that created the maps. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} flow_layout SEC(".maps");

#endif
