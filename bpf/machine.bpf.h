/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only OR BSD-2-Clause) */
/*
 * The plan machine.  Its loop over the plan is unrolled by the compiler; the plan is frozen, so the verifier sees each
 * operation as a constant, follows only the branches it takes and removes the others.  What is left is about
 * what one would write by hand for that probe.
 *
 * Two rules keep the verifier's work linear.  A failed read must not split its state: failure bits are computed
 * without branches.  And a comparison's 0 or 1 is laundered (`forget`), else each comparison would double the paths.
 */
#ifndef PLUMB_MACHINE_BPF_H
#define PLUMB_MACHINE_BPF_H

#include "value.bpf.h"

enum { ROOM_WORDS = PLAN_STACK_BYTES / 8 };

/* One per program, on its stack. */
struct machine {
	struct pt_regs *ctx;
	struct event *ev;
	__u64 unread;        /* one bit per failed read of this event, carried in ev->unread between entry and return */
	__u32 bad;           /* bit n: r[n] has no value */
	__u32 undecided;     /* a condition or error predicate had no value */
	__u32 error;
	__u64 r[PLAN_REGS];
	__u64 room[ROOM_WORDS]; /* the event itself (PLAN_ON_STACK), or texts on their way to it */
};

/* A value in a paged-out page is worth waiting for where the kernel lets this program sleep. */
static __always_inline long read_user(void *to, __u32 size, __u64 from)
{
	long err = bpf_probe_read_user(to, size, (void *)from);

	if (err && plan.flags & PLAN_SLEEPABLE)
		err = bpf_copy_from_user(to, size, (void *)from);
	return err;
}

/* Returns the length with its NUL, or a negative error. */
static __always_inline long read_string(void *to, __u32 size, __u64 from)
{
	long n = bpf_probe_read_user_str(to, size, (void *)from);

	if (n < 0 && plan.flags & PLAN_FAULT_STRINGS)
		n = kernel_copy_from_user_str(to, size, (void *)from, 0);
	return n;
}

/*
 * A kernel with hardened user copies looks up what object it copies to.  For the stack that is a comparison, for task
 * storage a walk to the slab's page that costs more than the copy: what is small goes by way of the stack.
 */
enum { DETOUR_BYTES = PLAN_STACK_BYTES / 2 };

/* The last word may be filled in part only. */
static __always_inline void clear_last(__u64 *room, __u32 size)
{
	if (size & 7)
		room[(size / 8) & (ROOM_WORDS - 1)] = 0;
}

static __always_inline void copy_words(__u64 *to, const __u64 *from, __u32 size)
{
#pragma unroll
	for (__u32 i = 0; i < DETOUR_BYTES / 8; i++)
		if (i * 8 < size)
			to[i] = from[i];
}

static __always_inline __u64 *reg(struct machine *m, __u8 number)
{
	return &m->r[number]; /* a constant to the verifier, like all that comes from the plan */
}

static __always_inline void set(struct machine *m, const struct plan_op *op, __u64 value, __u64 bad)
{
	__u8 dst = op->dst;

	*reg(m, dst) = value;
	if (op->track & TRACK_DST)
		m->bad = (m->bad & ~(1U << dst)) | (__u32)bad << dst;
}

static __always_inline __u64 bad_a(const struct machine *m, const struct plan_op *op)
{
	return op->track & TRACK_A ? m->bad >> op->a & 1 : 0;
}

static __always_inline __u64 bad_b(const struct machine *m, const struct plan_op *op)
{
	return op->track & TRACK_B ? m->bad >> op->b & 1 : 0;
}

static __always_inline __u64 is_unread(const struct machine *m, __u8 bit)
{
	return bit == PLAN_NO_BIT ? 0 : m->unread >> bit & 1;
}

/* For a text that a plan compares, a NULL pointer is a value: it equals no literal. */
static __always_inline __u64 failed_at(const struct machine *m, const struct plan_op *op, long err, __u64 addr)
{
	__u64 there = !!addr;

	return op->sub & STRING_NULL_IS_A_VALUE ? failed(err) & forget(there, m->ctx) : failed(err);
}

static __always_inline void mark_unread(struct machine *m, __u8 bit, __u64 bad)
{
	if (bit != PLAN_NO_BIT)
		m->unread |= bad << bit;
}

/* An operation's address. */
static __always_inline __u64 address(struct machine *m, const struct plan_op *op)
{
	return (op->a == PLAN_NO_REG ? user_reg(m->ctx, op->b) : *reg(m, op->a)) + op->imm;
}

static __always_inline void *data_at(const struct machine *m, const struct plan_op *op)
{
	return m->ev->data + op->off;
}

static __always_inline void op_load(struct machine *m, const struct plan_op *op)
{
	__u64 v = 0, bad;
	__u32 size = op->size;

	bad = failed(read_user(&v, size, address(m, op))) | bad_a(m, op);
	mark_unread(m, op->bit, bad);
	set(m, op, extend_bytes(v, op), bad);
}

static __always_inline void op_keep(struct machine *m, const struct plan_op *op)
{
	__u64 v = extend_bytes(user_reg(m->ctx, op->b), op);

	*(__u64 *)data_at(m, op) = v;
	if (op->dst != PLAN_NO_REG)
		set(m, op, v, 0);
}

static __always_inline void op_read(struct machine *m, const struct plan_op *op)
{
	__u64 from = address(m, op), bad;
	__u32 size = op->size;
	void *to = data_at(m, op);

	if (plan.flags & PLAN_ON_STACK) {
		clear_last(to, size);
		bad = failed(read_user(to, size, from));
	} else if (size <= DETOUR_BYTES) {
		clear_last(m->room, size);
		bad = failed(read_user(m->room, size, from));
		copy_words(to, m->room, size);
	} else {
		bad = failed(read_user(to, size, from));
	}
	mark_unread(m, op->bit, bad | bad_a(m, op));
}

static __always_inline void op_data(struct machine *m, const struct plan_op *op)
{
	void *from = data_at(m, op);
	__u64 v;

	switch (op->size) {
	case 1: v = *(__u8 *)from; break;
	case 2: v = *(__u16 *)from; break;
	case 4: v = *(__u32 *)from; break;
	default: v = *(__u64 *)from; break;
	}
	set(m, op, extend_bytes(v, op), is_unread(m, op->bit));
}

static __always_inline void op_special(struct machine *m, const struct plan_op *op)
{
	__u64 v = 0;

	switch (op->b) {
	case SPECIAL_RET: v = extend_bytes(m->ev->ret[0], op); break;
	case SPECIAL_DURATION: v = m->ev->duration_ns; break;
	case SPECIAL_PID: v = m->ev->pid; break;
	case SPECIAL_TID: v = m->ev->tid; break;
	case SPECIAL_CPU: v = bpf_get_smp_processor_id(); break;
	case SPECIAL_TS: v = m->ev->ts_ns; break;
	case SPECIAL_FUNCTION: v = (__u32)bpf_get_attach_cookie(m->ctx); break;
	}
	set(m, op, v, 0);
}

static __always_inline void op_binary(struct machine *m, const struct plan_op *op)
{
	__u8 sub = op->sub, rb = op->b;
	__u64 a = *reg(m, op->a), b = rb == PLAN_NO_REG ? (__u64)op->imm : *reg(m, rb);
	__u64 known, no_a = bad_a(m, op), no_b = bad_b(m, op), bad = no_a | no_b;

	if (sub == BIN_LAND) { /* known to be false if one side is */
		known = ((__u64)!a & !no_a) | ((__u64)!b & !no_b);
		known = forget(known, m->ctx);
		set(m, op, known ^ 1, bad & (known ^ 1));
	} else if (sub == BIN_LOR) { /* known to be true if one side is */
		known = ((__u64)!!a & !no_a) | ((__u64)!!b & !no_b);
		known = forget(known, m->ctx);
		set(m, op, known, bad & (known ^ 1));
	} else {
		if (sub >= BIN_DIV_U && sub <= BIN_MOD_S)
			bad |= forget(!b, m->ctx);
		set(m, op, forget(binary(sub, a, b), m->ctx), bad);
	}
}

static __always_inline void op_unary(struct machine *m, const struct plan_op *op)
{
	__u64 v = *reg(m, op->a);

	switch (op->sub) {
	case UN_NEG: v = -v; break;
	case UN_NOT: v = ~v; break;
	case UN_LNOT: v = forget(!v, m->ctx); break;
	}
	set(m, op, v, bad_a(m, op));
}

static __always_inline void op_streq(struct machine *m, const struct plan_op *op)
{
	__u64 *text = data_at(m, op) + sizeof(struct event_string), differ = 0;
	__u8 which = op->b;

	for (int i = 0; i < PLAN_LITERAL_WORDS; i++)
		if (plan.literal_mask[which][i])
			differ |= (text[i] & plan.literal_mask[which][i]) ^ plan.literal[which][i];
	set(m, op, forget(!differ, m->ctx), is_unread(m, op->bit));
}

static __always_inline void op_string(struct machine *m, const struct plan_op *op)
{
	struct event_string *s = data_at(m, op);
	__u64 from = address(m, op);
	__u32 size = op->size;
	long n;

	if (plan.flags & PLAN_ON_STACK) {
		clear_last((__u64 *)s->text, size);
		n = read_string(s->text, size, from);
	} else if (size <= DETOUR_BYTES) {
		clear_last(m->room, size);
		n = read_string(m->room, size, from);
		copy_words((__u64 *)s->text, m->room, size);
	} else {
		n = read_string(s->text, size, from);
	}
	s->len = (n - 1) & ~(n >> 63);
	s->cut = 0;
	/* All room used: the NUL may be real, or what the helper put where the text was cut. */
	if (n == size) {
		__u8 next = 0;

		read_user(&next, 1, from + size - 1);
		s->cut = next != 0;
	}
	if (op->sub & STRING_NULL_IS_A_VALUE && n < 0) /* equals no literal */
		*(__u64 *)s->text = ~0ULL;
	mark_unread(m, op->bit, failed_at(m, op, n, from) | bad_a(m, op));
}

static __always_inline void op_failed(struct machine *m, const struct plan_op *op)
{
	__u64 ret = m->ev->ret[0];

	if (op->sub == BIN_EQ)
		m->error = forget(!extend_bytes(ret, op), m->ctx);
	else
		m->error = ret >> (op->size * 8 - 1) & 1;
}

/* PLAN_PLAIN_CODES. Returns 0 to go on. */
static __always_inline int step_plain(struct machine *m, const struct plan_op *op, __u8 code)
{
	switch (code) {
	case OP_REG:
		set(m, op, extend_bytes(user_reg(m->ctx, op->b), op), 0);
		break;
	case OP_KEEP:
		op_keep(m, op);
		break;
	case OP_LOAD:
		op_load(m, op);
		break;
	case OP_DATA:
		op_data(m, op);
		break;
	case OP_STORE:
		*(__u64 *)data_at(m, op) = *reg(m, op->a);
		mark_unread(m, op->bit, bad_a(m, op));
		break;
	case OP_READ:
		op_read(m, op);
		break;
	case OP_STRING:
		op_string(m, op);
		break;
	case OP_FAILED:
		op_failed(m, op);
		break;
	}
	return 0;
}

/* Returns 0 to go on, 1 if the call does not match. */
static __always_inline int step(struct machine *m, const struct plan_op *op, __u8 code)
{
	__u64 v;

	switch (code) {
	case OP_IMM:
		set(m, op, op->imm, 0);
		break;
	case OP_SPECIAL:
		op_special(m, op);
		break;
	case OP_BITS:
		set(m, op, extend(*reg(m, op->a) >> op->b, op->size, op->sign), bad_a(m, op));
		break;
	case OP_BINARY:
		op_binary(m, op);
		break;
	case OP_UNARY:
		op_unary(m, op);
		break;
	case OP_STREQ:
		op_streq(m, op);
		break;
	case OP_REQUIRE:
		v = bad_a(m, op);
		if (op->track & TRACK_A)
			m->undecided = forget(m->undecided | v, m->ctx);
		if (v || !*reg(m, op->a))
			return 1;
		break;
	case OP_ERROR:
		v = bad_a(m, op);
		if (op->track & TRACK_A)
			m->undecided = forget(m->undecided | v, m->ctx);
		m->error = !v && *reg(m, op->a);
		m->error = forget(m->error, m->ctx);
		break;
	default:
		return step_plain(m, op, code);
	}
	return 0;
}

static __always_inline void begin(struct machine *m)
{
	m->bad = m->undecided = m->error = 0;
	if (!(plan.flags & PLAN_ZERO_REGS))
		return;
	for (int i = 0; i < PLAN_REGS; i++)
		m->r[i] = 0;
}

/*
 * Runs the first `count` operations of `list`, each by `step`. Returns true if the call matches so far.  A function of its own: a jump in BPF
 * reaches 32,767 instructions.  The compiler unrolls 8 rounds at most; the ninth operation runs where the first has, so the verifier
 * keeps the code of both and a branch between them.
 */
#define RUN(name, list, count, step) \
static __noinline bool name(struct machine *m) \
{ \
	const struct plan_op *op = (const struct plan_op *)plan.list; \
	bool matching = true; \
\
	hide(op); /* else the compiler takes the zeros that the plan is before it is loaded */ \
	begin(m); \
	_Pragma("unroll") \
	for (__u32 i = 0; i < (count); i++, op++) { \
		__u8 code = op->code; \
\
		if (code == OP_END) \
			break; \
		if (step(m, op, code)) \
			return false; \
		hide(op); /* and computes &ops[i] anew */ \
	} \
	hide(matching); /* where no step says otherwise, it does not return anything */ \
	return matching; \
}

RUN(run_entry_plain_brief, entry, PLAN_BRIEF_ENTRY_OPS, step_plain)
RUN(run_entry_plain, entry, PLAN_PLAIN_ENTRY_OPS, step_plain)
RUN(run_entry_brief, entry, PLAN_BRIEF_ENTRY_OPS, step)
RUN(run_entry_long, entry, PLAN_ENTRY_OPS, step)
RUN(run_return_plain, ret, PLAN_BRIEF_RETURN_OPS, step_plain)
RUN(run_return_brief, ret, PLAN_BRIEF_RETURN_OPS, step)
RUN(run_return_long, ret, PLAN_RETURN_OPS, step)

/* length: known to the compiler, so that a program has in it what it calls only. */
static __always_inline bool run_entry(struct machine *m, enum plan_length length)
{
	if (length == PLAN_PLAIN_BRIEF)
		return run_entry_plain_brief(m);
	if (length == PLAN_PLAIN)
		return run_entry_plain(m);
	return length == PLAN_BRIEF ? run_entry_brief(m) : run_entry_long(m);
}

static __always_inline bool run_return(struct machine *m, enum plan_length length)
{
	if (length == PLAN_PLAIN_BRIEF || length == PLAN_PLAIN)
		return run_return_plain(m);
	return length == PLAN_LONG ? run_return_long(m) : run_return_brief(m);
}

/*
 * What a run returned, without what the verifier thinks of it: seen on 6.18, a plan for which it took the first result
 * that it met for the only one, and removed the branch for calls that do not match.
 */
static __always_inline bool matches(struct machine *m, bool result)
{
	__u64 laundered = result;

	if (!(plan.flags & PLAN_CONDITION))
		return true;
	laundered = forget(laundered, m->ctx);
	return laundered;
}

#endif
