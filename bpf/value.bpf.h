/* SPDX-License-Identifier: (Apache-2.0 OR GPL-2.0-only OR BSD-2-Clause) */
/* Values of the plan machine: where they come from, what is computed with them. */
#ifndef PLUMB_VALUE_BPF_H
#define PLUMB_VALUE_BPF_H

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

/* The verifier removes what depends on a value of the plan, but not its computation: whole values are the usual ones. */
static __always_inline __u64 extend(__u64 v, __u32 bits, __u8 sign)
{
	__u32 shift = (64 - bits) & 63;

	return sign ? (__u64)((__s64)(v << shift) >> shift) : v << shift >> shift;
}

static __always_inline __u64 extend_bytes(__u64 v, const struct plan_op *op)
{
	__u32 size = op->size;

	return size == 8 ? v : extend(v, size * 8, op->sign);
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

#endif
