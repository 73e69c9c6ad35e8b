/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only OR BSD-2-Clause) */
/* What one loaded probe consists of, besides its code. The loader sizes the maps from the plan. */
#ifndef PLUMB_MAPS_BPF_H
#define PLUMB_MAPS_BPF_H

/* The frozen plan: the verifier knows each byte of it and removes all code that it does not need. */
const volatile struct plan plan = {};

struct probe_shared shared = {};

struct ring {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
};

/* One ring for a few CPUs, shared by all probes of the agent: no CPU waits for another one's lock. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(values, struct ring);
} rings SEC(".maps");

/* The same map for all probes of the agent, as data: read without a look-up. */
struct ring_shared ring_state SEC(".data.wake") = {};

/* Created by the loader: its value is struct task_state with as many frames as the plan wants. */
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct task_state);
} tasks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(struct deep_key));
	__uint(value_size, sizeof(struct event));
} deep SEC(".maps");

/* tgid -> process slot. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} slots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct counts);
} counters SEC(".maps");

/* The next three are for PLAN_PATTERN, see pattern.bpf.h; the loader makes either these or `counters`. */

/* slot * plan.functions + function -> its row; 0: it has not been called. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} row_of SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct function_counts);
} rows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct function_hist);
} row_hists SEC(".maps");

#endif
