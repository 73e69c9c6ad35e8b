/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only OR BSD-2-Clause) */
/*
 * Exact counters.  A uprobe handler may be preempted, so two tasks can be inside this program on one CPU at
 * the same time: a plain ++ on per-CPU memory would lose hits.  The atomic add stays on the CPU's own cache line.
 */
#ifndef PLUMB_STATS_BPF_H
#define PLUMB_STATS_BPF_H

#include "value.bpf.h"

static __always_inline void count(__u64 *counter, __u64 by)
{
	__sync_fetch_and_add(counter, by);
}

static __always_inline void count_max(__u64 *max, __u64 value)
{
	__u64 old = *(volatile __u64 *)max;

	for (int i = 0; i < 4 && value > old; i++)
		old = __sync_val_compare_and_swap(max, old, value);
}

/* Forgotten, see hist_forget. */
static __always_inline __u32 bucket_of(struct pt_regs *ctx, __u64 ns)
{
	return forget(hist_bucket(ns), ctx);
}

static __always_inline __u64 pid_tgid(void)
{
	struct bpf_pidns_info ns = {};
	void *task;

	if (!plan.pidns_ino) {
		task = bpf_get_current_task_btf();
		return kernel_read(u32, task, TASK_TGID) << 32 | kernel_read(u32, task, TASK_PID);
	}
	if (bpf_get_ns_current_pid_tgid(plan.pidns_dev, plan.pidns_ino, &ns, sizeof(ns)))
		return 0;
	return (__u64)ns.tgid << 32 | ns.pid;
}

#include "pattern.bpf.h"

/* Calls that never returned may be another function's of a pattern than the one that finds them. */
static __always_inline void count_unwound(struct task_state *ts, struct counts *c, __u64 by)
{
	if (plan.flags & PLAN_PATTERN) {
		c = by ? pattern_rest(ts->slot) : NULL;
		if (!c)
			return;
	}
	count(&c->unwound, by);
}

/* The process's slot; 0: this process is not a target. Slots beyond the last are shared by the last. */
static __always_inline __u32 slot_find(__u32 tgid)
{
	__u32 *known = bpf_map_lookup_elem(&slots, &tgid), slot;

	if (known)
		return *known;
	if (!(plan.flags & PLAN_OPEN))
		return 0;
	slot = __sync_fetch_and_add(&shared.next_slot, 1);
	if (slot >= plan.slots)
		slot = plan.slots - 1;
	/* Two threads of one process may race here: the first one's slot counts, the other one stays empty. */
	if (bpf_map_update_elem(&slots, &tgid, &slot, BPF_NOEXIST)) {
		known = bpf_map_lookup_elem(&slots, &tgid);
		return known ? *known : plan.slots - 1;
	}
	return slot;
}

/* The same for programs that keep nothing of the thread: the map is asked for a process that was not here lately. */
static __always_inline __u32 slot_of(__u32 tgid)
{
	volatile __u64 *known = &shared.known[tgid & (KNOWN_PROCESSES - 1)];
	__u64 last = *known;
	__u32 slot = (__u32)last;

	if (last >> 32 == tgid)
		return slot;
	slot = slot_find(tgid);
	if (slot)
		*known = (__u64)tgid << 32 | slot;
	return slot;
}

static __always_inline struct counts *counts_at(struct pt_regs *ctx, __u32 slot)
{
	if (plan.flags & PLAN_PATTERN)
		return pattern_counts(ctx, slot);
	return bpf_map_lookup_elem(&counters, &slot);
}

static __always_inline struct counts *counts_of(struct pt_regs *ctx, struct task_state *ts)
{
	__u32 slot = ts->slot;

	if (!slot) {
		slot = slot_find(pid_tgid() >> 32);
		if (!slot)
			return NULL;
		ts->slot = slot;
	}
	if (plan.flags & PLAN_PATTERN)
		return pattern_counts(ctx, slot);
	return bpf_map_lookup_elem(&counters, &slot);
}

static __always_inline void count_duration(struct pt_regs *ctx, struct counts *c, __u64 ns)
{
	__u32 bucket = bucket_of(ctx, ns);

	if (bucket >= HIST_BUCKETS) /* for the verifier */
		return;
	count(&c->hist[bucket], 1);
	count(&c->sum_ns, ns);
	count_max(&c->max_ns, ns);
}

#endif
