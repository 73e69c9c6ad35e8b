/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PLUMB_PLAN_INTERNAL_H
#define PLUMB_PLAN_INTERNAL_H

#include "plan.h"

enum operand_kind {
	OPERAND_CONST,      /* `value` */
	OPERAND_TEXT,       /* a string literal: expr */
	OPERAND_REG,        /* the value is in machine register reg */
	OPERAND_MEMORY,     /* the value is in the target at r[reg] + value */
	OPERAND_DATA,       /* the value is in the event's data at value, valid unless read bit `bit` is set */
	OPERAND_RET,        /* the value is the call's return value, in registers */
	OPERAND_NONE,       /* cannot be read: reason */
};

struct operand {
	enum operand_kind kind;
	uint8_t reg;
	uint8_t bit;
	uint8_t bit_offset, bit_size;
	int64_t value;
	struct type *type;
	const struct expr *expr;
	const char *reason;
};

/* What is not asked about $ret or $duration, but needed at return, is computed at entry: whole, or only parameters. */
enum hoist { HOIST_WHOLE, HOIST_PARAMS };

/* Borrows all; lives for one plan_build. */
struct builder {
	const struct plan_request *rq;
	struct resolved *out;
	struct error *err;
	struct capture_limits limits;
	bool at_return;
	enum hoist hoist;
	uint8_t next_reg;
	uint8_t next_bit;
	uint8_t next_literal;
	uint32_t data;          /* bytes of the event used so far */
	uint32_t keep_regs;
};

extern struct type plan_type_long, plan_type_ulong, plan_type_raw;

/* Appends an operation to the list of the current side. */
int plan_emit(struct builder *b, struct plan_op op);
uint32_t plan_ops_left(const struct builder *b);
/* Reserves bytes in the event (8-aligned). -> offset or -ENOSPC. */
int64_t plan_reserve(struct builder *b, uint32_t bytes);
/* -> a read bit, or BIT_NONE when there is none left */
uint8_t plan_bit(struct builder *b);
uint32_t plan_bits_left(const struct builder *b);

/* plan_expr.c */
int plan_eval(struct builder *b, const struct expr *e, struct operand *out);
int plan_eval_param(struct builder *b, const struct param *p, struct operand *out);
/* Brings a scalar into machine register `o->reg` (allocates one if needed); then o->kind is OPERAND_REG. */
int plan_load(struct builder *b, struct operand *o);
bool expr_uses_return(const struct expr *e);
bool type_is_scalar(const struct type *t);
bool type_is_unsigned(const struct type *t);
bool type_is_text(struct debuginfo *di, struct type *t);

/* plan_capture.c */
int plan_capture(struct builder *b, const char *label, uint8_t role, struct operand *o);

#endif
