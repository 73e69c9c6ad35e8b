/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plan is a straight line, so what is known of a register or a read bit at one operation follows from those before it.
 * Each operation that is left out, and each value that can never be bad, saves the probed program some ns per call: the
 * verifier removes branches that are never taken, but it does not compute.
 */
#include "plan_lower.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { READS_A = 1, READS_B = 2, WRITES = 4, MARKS = 8 /* its read bit */, ASKS = 16 /* for its read bit */ };

static const uint8_t effects[] = {
	[OP_REG] = WRITES, [OP_IMM] = WRITES, [OP_LOAD] = READS_A | WRITES | MARKS, [OP_DATA] = WRITES | ASKS,
	[OP_SPECIAL] = WRITES, [OP_BITS] = READS_A | WRITES, [OP_BINARY] = READS_A | READS_B | WRITES,
	[OP_UNARY] = READS_A | WRITES, [OP_STREQ] = WRITES | ASKS, [OP_STORE] = READS_A | MARKS,
	[OP_READ] = READS_A | MARKS, [OP_STRING] = READS_A | MARKS, [OP_REQUIRE] = READS_A, [OP_ERROR] = READS_A,
};

/* What is known before an operation. */
struct known {
	uint32_t written;   /* registers that hold something */
	uint32_t bad;       /* registers that may have no value */
	uint64_t unread;    /* read bits that may be set */
	bool zeroes;        /* a register is read that nothing wrote: it is 0 */
};

static uint8_t effect(const struct plan_op *op)
{
	return op->code < sizeof(effects) ? effects[op->code] : 0;
}

static bool reads(const struct plan_op *op, uint8_t reg)
{
	return (effect(op) & READS_A && op->a == reg) || (effect(op) & READS_B && op->b == reg);
}

static bool writes(const struct plan_op *op, uint8_t reg)
{
	return effect(op) & WRITES && op->dst == reg;
}

static bool has_bit(const struct plan_op *op)
{
	return effect(op) & (MARKS | ASKS) && op->bit < PLAN_READ_BITS;
}

/* Bytes of the event's data that an operation fills. */
static uint32_t fills(const struct plan_op *op)
{
	switch (op->code) {
	case OP_STORE: case OP_KEEP: return 8;
	case OP_READ: return op->size;
	case OP_STRING: return sizeof(struct event_string) + op->size;
	default: return 0;
	}
}

/* True if ops[at]'s register is wanted by a later one. */
static bool wanted(const struct plan_op *ops, uint32_t n, uint32_t at, uint8_t reg)
{
	for (uint32_t i = at + 1; i < n; i++) {
		if (reads(&ops[i], reg))
			return true;
		if (writes(&ops[i], reg))
			return false;
	}
	return false;
}

/* The read bit of ops[at] is marked by ops[only] and no other. unread: those marked before. */
static bool bit_is_of(const struct plan_op *ops, uint32_t at, uint32_t only, uint64_t unread)
{
	if (ops[at].bit >= PLAN_READ_BITS || ops[at].bit != ops[only].bit || unread >> ops[at].bit & 1)
		return false;
	for (uint32_t i = 0; i < at; i++)
		if (i != only && effect(&ops[i]) & MARKS && ops[i].bit == ops[at].bit)
			return false;
	return true;
}

/* `data+0 = r0; r0 = data+0`: the register has it already. */
static bool is_reload(const struct plan_op *ops, uint32_t at, uint64_t unread)
{
	const struct plan_op *load = &ops[at];

	if (load->code != OP_DATA || load->size != 8)
		return false;
	for (uint32_t i = at; i-- > 0;) {
		const struct plan_op *op = &ops[i];

		if (op->code == OP_STORE && op->off == load->off)
			return op->a == load->dst && bit_is_of(ops, at, i, unread);
		if (writes(op, load->dst) || (fills(op) && op->off < load->off + 8 && load->off < op->off + fills(op)))
			return false;
	}
	return false;
}

static uint32_t drop_reloads(struct plan_op *ops, uint32_t n, uint64_t unread)
{
	for (uint32_t i = 0; i < n;) {
		if (is_reload(ops, i, unread))
			memmove(&ops[i], &ops[i + 1], (--n - i) * sizeof(*ops));
		else
			i++;
	}
	return n;
}

static bool has_address(const struct plan_op *op)
{
	return op->code == OP_LOAD || op->code == OP_READ || op->code == OP_STRING;
}

/* An address that a user register holds is taken from there. */
static void forward(struct plan_op *ops, uint32_t at)
{
	for (uint32_t i = at; has_address(&ops[at]) && i-- > 0;) {
		if (!writes(&ops[i], ops[at].a))
			continue;
		if (ops[i].code == OP_REG && ops[i].size == 8) {
			ops[at].a = PLAN_NO_REG;
			ops[at].b = ops[i].b;
		}
		return;
	}
}

static uint32_t forward_all(struct plan_op *ops, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		forward(ops, i);
	for (uint32_t i = 0; i < n;) {
		if (ops[i].code == OP_REG && !wanted(ops, n, i, ops[i].dst))
			memmove(&ops[i], &ops[i + 1], (--n - i) * sizeof(*ops));
		else
			i++;
	}
	return n;
}

/* A user register that is stored as it is; a constant that is the right side of an operator. */
static bool fuse(struct plan_op *ops, uint32_t n, uint32_t at)
{
	struct plan_op *first = &ops[at], *next = &ops[at + 1];

	if (first->code == OP_REG && next->code == OP_STORE && next->a == first->dst) {
		first->code = OP_KEEP;
		first->off = next->off;
		first->dst = wanted(ops, n, at + 1, first->dst) ? first->dst : PLAN_NO_REG;
		first->bit = next->bit = PLAN_NO_BIT;
		return true;
	}
	if (first->code == OP_IMM && next->code == OP_BINARY && next->b == first->dst && next->a != first->dst &&
	    (next->dst == first->dst || !wanted(ops, n, at + 1, first->dst))) {
		*first = (struct plan_op){ .code = OP_BINARY, .sub = next->sub, .dst = next->dst, .a = next->a,
					   .b = PLAN_NO_REG, .imm = first->imm, .bit = PLAN_NO_BIT };
		return true;
	}
	return false;
}

/* What errors are by default: `r0 = $ret; r0 = r0 < 0; error if r0`. */
static bool is_default_error(const struct plan_op *ops, uint32_t n, uint32_t at)
{
	const struct plan_op *ret = &ops[at], *test = &ops[at + 1], *error = &ops[at + 2];

	return at + 2 < n && ret->code == OP_SPECIAL && ret->b == SPECIAL_RET && test->code == OP_BINARY &&
	       test->a == ret->dst && test->b == PLAN_NO_REG && !test->imm && error->code == OP_ERROR && error->a == test->dst &&
	       (test->sub == BIN_EQ || (test->sub == BIN_LT_S && (ret->sign || ret->size == 8))) &&
	       !wanted(ops, n, at + 2, test->dst) && !wanted(ops, n, at + 2, ret->dst);
}

static uint32_t fuse_errors(struct plan_op *ops, uint32_t n)
{
	for (uint32_t i = 0; i + 2 < n; i++) {
		if (!is_default_error(ops, n, i))
			continue;
		ops[i].code = OP_FAILED;
		ops[i].sub = ops[i + 1].sub;
		memmove(&ops[i + 1], &ops[i + 3], (n - i - 3) * sizeof(*ops));
		n -= 2;
	}
	return n;
}

static uint32_t fuse_all(struct plan_op *ops, uint32_t n)
{
	for (uint32_t i = 0; i + 1 < n; i++)
		if (fuse(ops, n, i))
			memmove(&ops[i + 1], &ops[i + 2], (--n - i - 1) * sizeof(*ops));
	return n;
}

static void note_read(struct known *k, uint8_t reg)
{
	k->zeroes |= reg < PLAN_REGS && !(k->written >> reg & 1);
}

static bool may_be_bad(const struct known *k, uint8_t reg)
{
	return reg < PLAN_REGS && k->bad >> reg & 1;
}

static bool divides(const struct plan_op *op)
{
	return op->code == OP_BINARY && op->sub >= BIN_DIV_U && op->sub <= BIN_MOD_S &&
	       (op->b != PLAN_NO_REG || !op->imm);
}

/* Says in op->track which of its registers may be bad, and takes away a read bit that cannot be set. */
static void track(struct plan_op *op, struct known *k)
{
	uint8_t does = effect(op);
	bool a = does & READS_A && may_be_bad(k, op->a), b = does & READS_B && may_be_bad(k, op->b);
	bool bad = a || b || divides(op) || op->code == OP_LOAD;

	if (does & READS_A)
		note_read(k, op->a);
	if (does & READS_B)
		note_read(k, op->b);
	if (op->code == OP_STORE && !a)
		op->bit = PLAN_NO_BIT;
	if (does & ASKS && has_bit(op) && !(k->unread >> op->bit & 1))
		op->bit = PLAN_NO_BIT;
	if (does & ASKS)
		bad = has_bit(op);
	if (does & MARKS && has_bit(op))
		k->unread |= 1ULL << op->bit;
	op->track = (a ? TRACK_A : 0) | (b ? TRACK_B : 0);
	if (op->code == OP_KEEP ? op->dst != PLAN_NO_REG : does & WRITES) {
		op->track |= bad || k->bad >> op->dst & 1 ? TRACK_DST : 0;
		k->bad = (k->bad & ~(1U << op->dst)) | (uint32_t)bad << op->dst;
		k->written |= 1U << op->dst;
	}
}

static uint32_t lower(struct plan_op *ops, uint32_t n, struct known *k)
{
	uint32_t left = n;

	left = drop_reloads(ops, left, k->unread);
	left = forward_all(ops, left);
	left = fuse_all(ops, left);
	left = fuse_errors(ops, left);
	memset(&ops[left], 0, (n - left) * sizeof(*ops));
	k->written = k->bad = 0;
	for (uint32_t i = 0; i < left; i++)
		track(&ops[i], k);
	return left;
}

/* Every byte of the event's data is filled: older kernels do not let a program hand out stack that it did not write. */
static bool fills_all(const struct plan *plan)
{
	uint8_t filled[PLAN_STACK_BYTES] = { 0 };

	for (uint32_t i = 0; i < plan->n_entry; i++) {
		uint32_t end = plan->entry[i].off + ((fills(&plan->entry[i]) + 7) & ~7U);

		for (uint32_t at = plan->entry[i].off; at < end && at < plan->data_bytes; at++)
			filled[at] = 1;
	}
	return !memchr(filled, 0, plan->data_bytes) || !plan->data_bytes;
}

void plan_lower(struct plan *plan)
{
	struct known known = { 0 };

	plan->n_entry = lower(plan->entry, plan->n_entry, &known);
	plan->n_return = lower(plan->ret, plan->n_return, &known);
	plan->flags |= known.zeroes ? PLAN_ZERO_REGS : 0;
	if (!(plan->flags & PLAN_CALL) && plan->event_bytes <= PLAN_STACK_BYTES && fills_all(plan))
		plan->flags |= PLAN_ON_STACK;
}
