/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only OR BSD-2-Clause) */
/*
 * Pairing a return with its entry.  Each thread has a stack of open calls per probe, keyed by the stack pointer at
 * entry: x86-64's `ret` leaves it 8 bytes higher, so a return finds its own call by value, whatever happened to
 * the calls above it.  Calls that were left by longjmp or an exception, or for which the kernel made no
 * return probe (it keeps at most 64 per thread over all probes), are found dead when an older call returns
 * or a new one starts at or above their stack pointer, and are counted as unwound.
 *
 * A tail call starts at the stack pointer of the call that it ends.  Both return with one `ret`, and the kernel reports
 * a return for each, the innermost first: such a call is opened beside the other.
 *
 * Stacks that a program switches itself (ucontext, coroutines) break the order, not the pairing: a call whose frame
 * was dropped by mistake finds no entry with its stack pointer and is counted as stray.
 */
#ifndef PLUMB_CALL_BPF_H
#define PLUMB_CALL_BPF_H

/* An open call of this thread. */
static __always_inline struct deep_key deep_key(__u32 depth)
{
	return (struct deep_key){ .tid = (__u32)bpf_get_current_pid_tgid(), .depth = depth };
}

static __always_inline struct event *deep_frame(struct task_state *ts, __u32 depth, bool create)
{
	struct deep_key key = deep_key(depth);
	struct event *ev = bpf_map_lookup_elem(&deep, &key);

	if (ev || !create)
		return ev;
	bpf_map_update_elem(&deep, &key, ts->frames, BPF_ANY);
	return bpf_map_lookup_elem(&deep, &key);
}

/* The event of the open call number `depth` (0 = outermost). */
static __always_inline struct event *frame_at(struct task_state *ts, __u32 depth, bool create)
{

	/* The plan's constants bound the offset, so that the verifier accepts it. */
	if (depth < plan.frames) {
		__u32 offset = depth * plan.event_bytes;

		if (offset > (plan.frames - 1) * plan.event_bytes)
			return NULL;
		return (void *)(ts->frames + offset);
	}
	return plan.frames >= FRAMES_MAX ? NULL : deep_frame(ts, depth, create);
}

/*
 * True if the return address at sp is the kernel's trampoline: what starts here was jumped to from a call that is open.
 * The trampoline is a breakpoint, or from 6.11 on `push rax; push rcx; push r11; mov rax, 335`; its page comes into the
 * page table with the first return only.  An ordinary return address is behind a call that has just been executed, so
 * what lies there can always be read.
 */
static __noinline bool is_tail_call(__u64 sp)
{
	const __u64 pushes = 0x4fc0c74853415150ULL;
	__u64 address = 0, code = 0;

	if (bpf_probe_read_user(&address, sizeof(address), (void *)sp))
		return false;
	if (bpf_probe_read_user(&code, sizeof(code), (void *)address))
		return true;
	return (code & 0xff) == 0xcc || code == pushes;
}

/* The call number `depth` is over: what it had in the hash map goes, else threads that end would fill it. */
static __always_inline void frame_end(__u32 depth)
{
	struct deep_key key;

	if (plan.frames >= FRAMES_MAX || depth < plan.frames)
		return;
	key = deep_key(depth);
	bpf_map_delete_elem(&deep, &key);
}

/*
 * How many of the first `depth` open calls started at `from` or above: the others are dead.  No call is opened above an older one,
 * so they are in order.  Not static: the verifier looks at such a function once and not at each call.
 */
__noinline __u32 calls_from(struct task_state *ts, __u32 depth, __u64 from)
{
	__u64 n = 0;

	if (!ts)
		return 0;
#pragma nounroll
	for (__u32 half = FRAMES_MAX; half; half /= 2) {
		if (n + half <= depth && ts->sp[(n + half - 1) & (FRAMES_MAX - 1)] >= from)
			n += half;
		forget_by(n, from);
	}
	return n;
}

/* The number of the new open call, or -1 if there are too many. */
static __always_inline int call_open(struct task_state *ts, __u64 sp, struct counts *c)
{
	__u32 depth = ts->depth, live = depth;

	if (depth && ts->sp[(depth - 1) & (FRAMES_MAX - 1)] <= sp) {
		live = calls_from(ts, depth, is_tail_call(sp) ? sp : sp + 1);
		count_unwound(ts, c, depth - live);
	}
	if (live >= FRAMES_MAX) {
		ts->depth = live;
		count(&c->too_deep, 1);
		return -1;
	}
	ts->sp[live & (FRAMES_MAX - 1)] = sp;
	ts->depth = live + 1;
	return live;
}

/* Finds the innermost call that started at sp. Returns its number, or -1. */
static __always_inline int find_open(struct task_state *ts, __u32 depth, __u64 sp)
{
	__u32 n = calls_from(ts, depth, sp);

	return n && ts->sp[(n - 1) & (FRAMES_MAX - 1)] == sp ? (int)n - 1 : -1;
}

static __always_inline int call_close(struct task_state *ts, __u64 sp, struct counts *c)
{
	__u32 depth = ts->depth;
	int found;

	if (depth && ts->sp[(depth - 1) & (FRAMES_MAX - 1)] == sp) {
		ts->depth = depth - 1;
		return depth - 1;
	}
	found = find_open(ts, depth, sp);
	if (found < 0) {
		/* One that began inside of an open call was seen then, and counted as too deep. */
		if (!depth || ts->sp[(depth - 1) & (FRAMES_MAX - 1)] < sp)
			count(&c->stray, shared.live);
		return -1;
	}
	count_unwound(ts, c, depth - found - 1);
	ts->depth = found;
	return found;
}

#endif
