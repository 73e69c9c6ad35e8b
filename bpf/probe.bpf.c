// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * The program behind every probe.  One source; each probe is its own load of the same object with its own frozen
 * plan (event.h), see machine.bpf.h for why that is as fast as code generated for the probe.
 *
 * Three kinds of programs, each in five lengths (enum plan_length), of which a probe loads one or two:
 *   plumb_session  entry and return through one session link (kernel >= 6.13)
 *   plumb_entry    entry, for probes without a return and for older kernels
 *   plumb_return   return, for older kernels
 *
 * A call's event is built in the thread's own task storage (a per-CPU buffer would be overwritten when this task is
 * preempted inside the handler), from where the return ships it, in one piece, if the call matches.
 */
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <stdbool.h>
#include <stddef.h>
#include <bpf/bpf_helpers.h>

#include "forget.bpf.h"
#include "plumb/event.h"
#include "kernel.bpf.h"

#ifndef NULL
#define NULL ((void *)0)
#endif

#include "maps.bpf.h"
#include "stats.bpf.h"
#include "machine.bpf.h"
#include "call.bpf.h"
#include "ship.bpf.h"
#include "values.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* A call that does not match, kept open only because the kernel will report its return anyway. */
enum { EVENT_IGNORED = 1 << 30 };

/*
 * The agent looked at the process's rights when it attached, but an execve can add some, and the breakpoints in libraries
 * are there before the new program's first instruction.
 */
static __always_inline bool is_owners(void)
{
	void *cred;
	__u32 uid, gid;

	if (!(plan.flags & PLAN_OWNER))
		return true;
	cred = (void *)kernel_read(u64, bpf_get_current_task_btf(), TASK_CRED);
	uid = plan.uid;
	gid = kernel_read(u32, cred, CRED_GID);
	return kernel_read(u32, cred, CRED_UID) == uid && kernel_read(u32, cred, CRED_EUID) == uid &&
	       kernel_read(u32, cred, CRED_SUID) == uid && kernel_read(u32, cred, CRED_EGID) == gid &&
	       kernel_read(u32, cred, CRED_SGID) == gid;
}

static __always_inline void event_begin(struct event *ev, __u64 ids)
{
	ev->probe = plan.probe;
	ev->flags = 0;
	ev->pid = ids >> 32;
	ev->tid = (__u32)ids;
	ev->duration_ns = 0;
	ev->ts_ns = bpf_ktime_get_ns();
}

static __always_inline bool is_live(void)
{
	return *(volatile __u32 *)&shared.live && is_owners();
}

/* A thread without storage cannot be attributed: its hits are counted in slot 0. */
static __always_inline void count_nomem(void)
{
	__u32 none = 0;
	struct counts *c = plan.flags & PLAN_PATTERN ? pattern_rest(none) : bpf_map_lookup_elem(&counters, &none);

	if (c) {
		count(&c->calls, 1);
		count(&c->dropped[DROP_NOMEM], 1);
	}
}

/* An entry that is an event by itself. */
static __always_inline void take_entry(struct machine *m, struct event *ev, __u64 ids, struct counts *c,
					  enum plan_length length)
{
	count(&c->calls, 1);
	m->ev = ev;
	m->unread = 0;
	event_begin(ev, ids);
	ev->ret[0] = ev->ret[1] = 0;
	if (!matches(m, run_entry(m, length))) {
		if (m->undecided)
			count(&c->undecided, 1);
		return;
	}
	ev->unread = m->unread;
	if (plan.flags & PLAN_CONDITION)
		count(&c->matched, 1);
	consider(ev, c, ev->ts_ns);
}

/* Nothing of the thread is kept, so nothing is looked up. */
static __always_inline void on_small_entry(struct machine *m, enum plan_length length)
{
	__u64 ids = pid_tgid();
	__u32 slot = slot_of(ids >> 32);
	struct counts *c;

	c = slot ? counts_at(m->ctx, slot) : NULL;
	if (c)
		take_entry(m, (void *)m->room, ids, c, length);
}

static __always_inline int open_call(struct machine *m, struct task_state *ts, struct counts *c, enum plan_length length)
{
	int depth;

	count(&c->calls, 1);
	depth = call_open(ts, m->ctx->rsp, c);
	if (depth < 0)
		return 1;
	m->ev = frame_at(ts, depth, true);
	if (!m->ev) {
		ts->depth = depth;
		count(&c->too_deep, 1);
		return 1;
	}
	m->unread = 0;
	event_begin(m->ev, pid_tgid());
	if (matches(m, run_entry(m, length))) {
		m->ev->unread = m->unread;
		return 0;
	}
	if (m->undecided)
		count(&c->undecided, 1);
	m->ev->flags = EVENT_IGNORED;
	if (plan.flags & PLAN_SESSION) {
		ts->depth = depth;
		frame_end(depth);
	}
	return 1;
}

/* Returns 1 if the call's return need not be traced (sessions act on it). */
static __always_inline int on_entry(struct machine *m, enum plan_length length)
{
	struct task_state *ts;
	struct counts *c;

	if (!is_live() || pattern_is_stale(m->ctx))
		return 1;
	if (plan.flags & PLAN_ON_STACK) {
		on_small_entry(m, length);
		return 1;
	}
	ts = bpf_task_storage_get(&tasks, bpf_get_current_task_btf(), 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (!ts) {
		count_nomem();
		return 1;
	}
	c = counts_of(m->ctx, ts);
	if (!c)
		return 1;
	if (plan.flags & PLAN_CALL)
		return open_call(m, ts, c, length);
	take_entry(m, (void *)ts->frames, pid_tgid(), c, length);
	return 1;
}

/* A paired return: what the plan asks of it. */
static __always_inline void finish(struct machine *m, struct task_state *ts, struct event *ev, struct counts *c, __u64 now,
				   enum plan_length length)
{
	bool matched;

	m->ev = ev;
	m->unread = ev->unread;
	ev->duration_ns = now - ev->ts_ns;
	ev->ret[0] = m->ctx->rax;
	ev->ret[1] = m->ctx->rdx;
	if (plan.flags & (PLAN_CONDITION | PLAN_PATTERN))
		count(&c->returns, 1);
	matched = matches(m, run_return(m, length));
	if (m->undecided)
		count(&c->undecided, 1);
	if (!matched)
		return;
	if (plan.flags & PLAN_CONDITION)
		count(&c->matched, 1);
	if (plan.flags & PLAN_PATTERN)
		pattern_duration(m->ctx, ts->slot, c, ev->duration_ns);
	else
		count_duration(m->ctx, c, ev->duration_ns);
	ev->unread = m->unread;
	ev->flags = EVENT_RETURN | (m->error ? EVENT_ERROR : 0);
	if (m->error)
		count(&c->errors, 1);
	if (m->error && plan.flags & PLAN_ERROR_VALUES)
		count_error_value(ts->slot, m->ctx->rax);
	consider(ev, c, now);
}

static __always_inline int on_return(struct machine *m, enum plan_length length)
{
	struct task_state *ts = bpf_task_storage_get(&tasks, bpf_get_current_task_btf(), 0, 0);
	__u64 now = bpf_ktime_get_ns();
	struct event *ev;
	struct counts *c;
	int depth;

	/* No entry was seen in this thread: the call began before the probe, in a process without counters yet. */
	if (!ts)
		return 0;
	c = counts_of(m->ctx, ts);
	if (!c)
		return 0;
	depth = call_close(ts, m->ctx->rsp - 8, c);
	if (depth < 0)
		return 0;
	ev = frame_at(ts, depth, false);
	if (!ev) {
		count(&c->unwound, 1);
		return 0;
	}
	if (!(ev->flags & EVENT_IGNORED))
		finish(m, ts, ev, c, now, length);
	frame_end(depth);
	return 0;
}

#define PROGRAMS(suffix, length) \
SEC("plumb") int plumb_entry##suffix(struct pt_regs *ctx) \
{ \
	struct machine m; \
\
	m.ctx = ctx; \
	on_entry(&m, length); \
	return 0; \
} \
\
SEC("plumb") int plumb_return##suffix(struct pt_regs *ctx) \
{ \
	struct machine m; \
\
	m.ctx = ctx; \
	return on_return(&m, length); \
} \
\
SEC("plumb") int plumb_session##suffix(struct pt_regs *ctx) \
{ \
	struct machine m; \
\
	m.ctx = ctx; \
	return kernel_session_is_return() ? on_return(&m, length) : on_entry(&m, length); \
}

PROGRAMS(_plain_brief, PLAN_PLAIN_BRIEF)
PROGRAMS(_plain, PLAN_PLAIN)
PROGRAMS(_brief, PLAN_BRIEF)
PROGRAMS(_middle, PLAN_MIDDLE)
PROGRAMS(, PLAN_LONG)
