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

enum { BIT_NONE = 0xff };

struct machine {
	struct pt_regs *ctx;
	struct event *ev;
	__u64 r[PLAN_REGS];
	__u64 unread;        /* one bit per failed read of this event, carried in ev->unread between entry and return */
	__u32 bad;           /* bit n: r[n] has no value */
	__u32 undecided;     /* a condition or error predicate had no value */
	__u32 error;
};

extern int bpf_copy_from_user_str(void *dst, __u32 size, const void *src, __u64 flags) __weak __ksym;

/* Makes the verifier forget the value of v. */
#define forget(v, ctx) ({ \
	__u64 __unknown = *(volatile __u64 *)&(ctx)->rsp, __v = (v); \
	asm volatile("%0 += %1\n%0 -= %1" : "+r"(__v) : "r"(__unknown)); \
	__v; })

/* 1 if a helper's result is negative. */
static __always_inline __u64 failed(long err)
{
	return (__u64)err >> 63;
}

/* A constant offset per register: the verifier refuses a variable offset into ctx, even a known one. */
#define USER_REG(number, field) \
	case number: asm volatile("%0 = *(u64 *)(%1 + %2)" : "=r"(v) \
		: "r"(ctx), "i"(__builtin_offsetof(struct pt_regs, field))); break

static __always_inline __u64 user_reg(struct pt_regs *ctx, __u8 number)
{
	__u64 v = 0;

	switch (number) {
	USER_REG(GPR_AX, rax);
	USER_REG(GPR_DX, rdx);
	USER_REG(GPR_CX, rcx);
	USER_REG(GPR_BX, rbx);
	USER_REG(GPR_SI, rsi);
	USER_REG(GPR_DI, rdi);
	USER_REG(GPR_BP, rbp);
	USER_REG(GPR_SP, rsp);
	USER_REG(GPR_R8, r8);
	USER_REG(GPR_R9, r9);
	USER_REG(GPR_R10, r10);
	USER_REG(GPR_R11, r11);
	USER_REG(GPR_R12, r12);
	USER_REG(GPR_R13, r13);
	USER_REG(GPR_R14, r14);
	USER_REG(GPR_R15, r15);
	}
	return v;
}

static __always_inline __u64 extend(__u64 v, __u32 bits, __u8 sign)
{
	__u32 shift = (64 - bits) & 63;

	return sign ? (__u64)((__s64)(v << shift) >> shift) : v << shift >> shift;
}

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

	if (n < 0 && plan.flags & PLAN_SLEEPABLE && bpf_ksym_exists(bpf_copy_from_user_str))
		n = bpf_copy_from_user_str(to, size, (void *)from, 0);
	return n;
}

static __always_inline void set(struct machine *m, __u8 dst, __u64 value, __u64 bad)
{
	m->r[dst & (PLAN_REGS - 1)] = value;
	m->bad = (m->bad & ~(1U << dst)) | (__u32)bad << dst;
}

static __always_inline __u64 is_bad(const struct machine *m, __u8 reg)
{
	return m->bad >> reg & 1;
}

static __always_inline __u64 is_unread(const struct machine *m, __u8 bit)
{
	return bit == BIT_NONE ? 0 : m->unread >> (bit & 63) & 1;
}

/* For a text that a plan compares, a NULL pointer is a value: it equals no literal. */
static __always_inline __u64 failed_at(const struct machine *m, const volatile struct plan_op *op, long err, __u64 addr)
{
	__u64 there = !!addr;

	return op->sub & STRING_NULL_IS_A_VALUE ? failed(err) & forget(there, m->ctx) : failed(err);
}

static __always_inline void mark_unread(struct machine *m, __u8 bit, __u64 bad)
{
	if (bit != BIT_NONE)
		m->unread |= bad << (bit & 63);
}

static __always_inline void op_load(struct machine *m, const volatile struct plan_op *op)
{
	__u64 v = 0, bad;
	__u32 size = op->size;

	bad = failed(read_user(&v, size, m->r[op->a & 7] + op->imm)) | is_bad(m, op->a);
	mark_unread(m, op->bit, bad);
	set(m, op->dst, extend(v, size * 8, op->sign), bad);
}

static __always_inline void op_data(struct machine *m, const volatile struct plan_op *op)
{
	void *from = m->ev->data + op->off;
	__u64 v;

	switch (op->size) {
	case 1: v = *(__u8 *)from; break;
	case 2: v = *(__u16 *)from; break;
	case 4: v = *(__u32 *)from; break;
	default: v = *(__u64 *)from; break;
	}
	set(m, op->dst, extend(v, op->size * 8, op->sign), is_unread(m, op->bit));
}

static __always_inline void op_special(struct machine *m, const volatile struct plan_op *op)
{
	__u64 v = 0;

	switch (op->b) {
	case SPECIAL_RET: v = extend(m->ev->ret[0], op->size * 8, op->sign); break;
	case SPECIAL_DURATION: v = m->ev->duration_ns; break;
	case SPECIAL_PID: v = m->ev->pid; break;
	case SPECIAL_TID: v = m->ev->tid; break;
	case SPECIAL_CPU: v = bpf_get_smp_processor_id(); break;
	case SPECIAL_TS: v = m->ev->ts_ns; break;
	}
	set(m, op->dst, v, 0);
}

static __always_inline __u64 absolute(__u64 v)
{
	return (__s64)v < 0 ? -v : v;
}

/* BPF divides unsigned only, before version 4 of its instruction set. The sign follows C: towards zero. */
static __always_inline __u64 divide(__u8 sub, __u64 a, __u64 b)
{
	__u64 ua = absolute(a), ub = absolute(b);

	switch (sub) {
	case BIN_DIV_U: return a / b;
	case BIN_MOD_U: return a % b;
	case BIN_DIV_S: return ((a ^ b) >> 63) ? -(ua / ub) : ua / ub;
	default: return (a >> 63) ? -(ua % ub) : ua % ub;
	}
}

static __always_inline __u64 binary(__u8 sub, __u64 a, __u64 b)
{
	switch (sub) {
	case BIN_ADD: return a + b;
	case BIN_SUB: return a - b;
	case BIN_MUL: return a * b;
	case BIN_AND: return a & b;
	case BIN_OR: return a | b;
	case BIN_XOR: return a ^ b;
	case BIN_SHL: return a << (b & 63);
	case BIN_SHR_U: return a >> (b & 63);
	case BIN_SHR_S: return (__s64)a >> (b & 63);
	case BIN_EQ: return a == b;
	case BIN_NE: return a != b;
	case BIN_LT_U: return a < b;
	case BIN_LT_S: return (__s64)a < (__s64)b;
	case BIN_LE_U: return a <= b;
	case BIN_LE_S: return (__s64)a <= (__s64)b;
	default: return divide(sub, a, b);
	}
}

static __always_inline void op_binary(struct machine *m, const volatile struct plan_op *op)
{
	__u8 sub = op->sub, ra = op->a, rb = op->b;
	__u64 a = m->r[ra & 7], b = m->r[rb & 7], bad = is_bad(m, ra) | is_bad(m, rb);
	__u64 known;

	if (sub == BIN_LAND) { /* known to be false if one side is */
		known = ((__u64)!a & !is_bad(m, ra)) | ((__u64)!b & !is_bad(m, rb));
		known = forget(known, m->ctx);
		set(m, op->dst, known ^ 1, bad & (known ^ 1));
	} else if (sub == BIN_LOR) { /* known to be true if one side is */
		known = ((__u64)!!a & !is_bad(m, ra)) | ((__u64)!!b & !is_bad(m, rb));
		known = forget(known, m->ctx);
		set(m, op->dst, known, bad & (known ^ 1));
	} else {
		if (sub >= BIN_DIV_U && sub <= BIN_MOD_S)
			bad |= forget(!b, m->ctx);
		set(m, op->dst, forget(binary(sub, a, b), m->ctx), bad);
	}
}

static __always_inline void op_unary(struct machine *m, const volatile struct plan_op *op)
{
	__u64 v = m->r[op->a & 7];

	switch (op->sub) {
	case UN_NEG: v = -v; break;
	case UN_NOT: v = ~v; break;
	case UN_LNOT: v = forget(!v, m->ctx); break;
	}
	set(m, op->dst, v, is_bad(m, op->a));
}

static __always_inline void op_streq(struct machine *m, const volatile struct plan_op *op)
{
	__u64 *text = (void *)(m->ev->data + op->off + sizeof(struct event_string)), differ = 0;
	__u8 which = op->b & (PLAN_LITERALS - 1);

	for (int i = 0; i < PLAN_LITERAL_WORDS; i++)
		if (plan.literal_mask[which][i])
			differ |= (text[i] & plan.literal_mask[which][i]) ^ plan.literal[which][i];
	set(m, op->dst, forget(!differ, m->ctx), is_unread(m, op->bit));
}

static __always_inline void op_string(struct machine *m, const volatile struct plan_op *op)
{
	struct event_string *s = (void *)(m->ev->data + op->off);
	__u64 from = m->r[op->a & 7] + op->imm;
	__u32 size = op->size;
	long n = read_string(s->text, size, from);
	__u8 next = 0;

	/* All room used: the NUL may be real, or what the helper put where the text was cut. */
	if (n == size)
		read_user(&next, 1, from + size - 1);
	s->cut = next != 0;
	s->len = n > 0 ? n - 1 : 0;
	if (n < 0) /* equals no literal */
		*(__u64 *)s->text = ~0ULL;
	mark_unread(m, op->bit, failed_at(m, op, n, from) | is_bad(m, op->a));
}

/* Returns 0 to go on, 1 if the call does not match. */
static __always_inline int step(struct machine *m, const volatile struct plan_op *op)
{
	__u64 v;

	switch (op->code) {
	case OP_REG:
		set(m, op->dst, extend(user_reg(m->ctx, op->b), op->size * 8, op->sign), 0);
		break;
	case OP_IMM:
		set(m, op->dst, op->imm, 0);
		break;
	case OP_LOAD:
		op_load(m, op);
		break;
	case OP_DATA:
		op_data(m, op);
		break;
	case OP_SPECIAL:
		op_special(m, op);
		break;
	case OP_BITS:
		set(m, op->dst, extend(m->r[op->a & 7] >> (op->b & 63), op->size, op->sign), is_bad(m, op->a));
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
	case OP_STORE:
		*(__u64 *)(m->ev->data + op->off) = m->r[op->a & 7];
		mark_unread(m, op->bit, is_bad(m, op->a));
		break;
	case OP_READ:
		v = failed(read_user(m->ev->data + op->off, op->size, m->r[op->a & 7] + op->imm));
		mark_unread(m, op->bit, v | is_bad(m, op->a));
		break;
	case OP_STRING:
		op_string(m, op);
		break;
	case OP_REQUIRE:
		v = is_bad(m, op->a);
		m->undecided |= v;
		if (v || !m->r[op->a & 7])
			return 1;
		break;
	case OP_ERROR:
		v = is_bad(m, op->a);
		m->undecided |= v;
		m->error = !v && m->r[op->a & 7];
		m->error = forget(m->error, m->ctx);
		break;
	}
	return 0;
}

/* Both return true if the call matches so far. Functions of their own: a jump in BPF reaches 32,767 instructions. */
static __noinline bool run_entry(struct machine *m)
{
#pragma unroll
	for (__u32 i = 0; i < PLAN_ENTRY_OPS; i++) {
		if (i >= plan.n_entry)
			break;
		if (step(m, &plan.entry[i]))
			return false;
	}
	return true;
}

static __noinline bool run_return(struct machine *m)
{
#pragma unroll
	for (__u32 i = 0; i < PLAN_RETURN_OPS; i++) {
		if (i >= plan.n_return)
			break;
		if (step(m, &plan.ret[i]))
			return false;
	}
	return true;
}

#endif
