/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only OR BSD-2-Clause) */
/* From a finished event to the agent: sampling, rate limit, ring. Whatever is left out is counted. */
#ifndef PLUMB_SHIP_BPF_H
#define PLUMB_SHIP_BPF_H

static __always_inline bool sampled_out(void)
{
	if (*(volatile __u32 *)&shared.muted)
		return true;
	if (plan.sample <= 1)
		return false;
	return bpf_get_prandom_u32() % plan.sample != 0;
}

/* At most plan.rate events in each window, over all CPUs. */
static __always_inline bool over_rate(__u64 now)
{
	__u64 window;

	if (!plan.rate)
		return false;
	window = now / plan.rate_window_ns;
	if (*(volatile __u64 *)&shared.rate_window != window) {
		shared.rate_window = window;
		shared.rate_used = 0;
	}
	return __sync_fetch_and_add(&shared.rate_used, 1) >= plan.rate;
}

/*
 * Without a wake-up as a rule: the agent polls while there is traffic.  It is woken when a ring fills faster than it
 * polls (looked at once in 64 events, it costs a helper call), and when it asked for it before it went to sleep.
 */
static __always_inline __u64 wakeup(void *ring, struct counts *c)
{
	if ((c->shipped++ & 63) == 63 && /* not exact, and need not be */ bpf_ringbuf_query(ring, BPF_RB_AVAIL_DATA) > plan.wake_bytes)
		return BPF_RB_FORCE_WAKEUP;
	return BPF_RB_NO_WAKEUP;
}

/*
 * Looked at only after the event is in the ring: the agent asks first and then looks into the rings once more, so one
 * of the two always sees the other.  An empty record carries the wake-up.
 */
static __always_inline void wake_sleeper(void *ring)
{
	void *empty;

	if (!*(volatile __u32 *)&ring_state.want_wakeup)
		return;
	empty = bpf_ringbuf_reserve(ring, 8, 0);
	if (!empty)
		return;
	ring_state.want_wakeup = 0;
	bpf_ringbuf_discard(empty, BPF_RB_FORCE_WAKEUP);
}

static __always_inline void ship(struct event *ev, struct counts *c)
{
	__u32 which = bpf_get_smp_processor_id() & (plan.rings - 1);
	void *ring = bpf_map_lookup_elem(&rings, &which);

	if (!ring || bpf_ringbuf_output(ring, ev, plan.event_bytes, wakeup(ring, c)))
		count(&c->dropped[DROP_RING], 1);
	if (!ring)
		return;
	wake_sleeper(ring);
}

static __always_inline void consider(struct event *ev, struct counts *c, __u64 now)
{
	if (!(plan.flags & PLAN_SHIP))
		return;
	if (plan.flags & PLAN_ERRORS_ONLY && !(ev->flags & EVENT_ERROR))
		return;
	if (sampled_out())
		count(&c->sampled, 1);
	else if (over_rate(now))
		count(&c->dropped[DROP_RATE], 1);
	else
		ship(ev, c);
}

#endif
