/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only OR BSD-2-Clause) */
/*
 * One program on many functions (PLAN_PATTERN).  Its breakpoints differ in their attach cookie, the function's number, and
 * share the plan and the stack of open calls.
 *
 * Rows of counters are handed out when a function is called first: an atomic add and an exchange, once per function
 * and process, and from then on two array look-ups per hit.  No allocation, which could fail in here.  The first plan.slots
 * rows are the slots' own: they take what belongs to no function, and all further functions when the rows are used up.
 */
#ifndef PLUMB_PATTERN_BPF_H
#define PLUMB_PATTERN_BPF_H

/* The row of the process as a whole. */
static __always_inline struct counts *pattern_rest(__u32 slot)
{
	return bpf_map_lookup_elem(&rows, &slot);
}

/*
 * When functions are taken out of a pattern, a new link without them is made before the old one goes: for a moment both
 * report each call, and one of them counts.
 */
static __always_inline bool pattern_is_stale(struct pt_regs *ctx)
{
	return plan.flags & PLAN_PATTERN && bpf_get_attach_cookie(ctx) >> 32 != *(volatile __u32 *)&shared.generation;
}

/* 0: there is none left. */
static __noinline __u32 row_claim(__u32 *place)
{
	__u32 fresh, old;

	/* Without this look the counter would come round one day. */
	if (!place || *(volatile __u32 *)&shared.next_row >= plan.rows)
		return 0;
	fresh = __sync_fetch_and_add(&shared.next_row, 1);
	if (fresh >= plan.rows)
		return 0;
	/* Two threads may race here: the first one's row counts, the other one stays empty. */
	old = __sync_val_compare_and_swap(place, 0, fresh);
	return old ? old : fresh;
}

static __always_inline __u32 pattern_row(struct pt_regs *ctx, __u32 slot)
{
	__u32 key = slot * plan.functions + (__u32)bpf_get_attach_cookie(ctx), row;
	__u32 *place = bpf_map_lookup_elem(&row_of, &key);

	if (!place)
		return slot;
	row = *(volatile __u32 *)place;
	if (!row)
		row = row_claim(place);
	return row ? row : slot;
}

/* What is returned ends before `hist`. */
static __always_inline struct counts *pattern_counts(struct pt_regs *ctx, __u32 slot)
{
	__u32 row = pattern_row(ctx, slot);

	return bpf_map_lookup_elem(&rows, &row);
}

/* Where events are shipped, they carry the durations: there are no histograms. */
static __always_inline void pattern_duration(struct pt_regs *ctx, __u32 slot, struct counts *c, __u64 ns)
{
	__u32 bucket = bucket_of(ctx, ns) >> PATTERN_HIST_SHIFT, row;
	struct function_hist *h;

	count(&c->sum_ns, ns);
	count_max(&c->max_ns, ns);
	if (plan.flags & PLAN_SHIP)
		return;
	row = pattern_row(ctx, slot);
	h = bpf_map_lookup_elem(&row_hists, &row);
	hide(bucket);
	if (h && bucket < PATTERN_BUCKETS)
		count(&h->bucket[bucket], 1);
}

#endif
