/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PLUMB_PLAN_INTERNAL_H
#define PLUMB_PLAN_INTERNAL_H

#include "plan.h"

enum operand_kind {
	OPERAND_CONST,      /* `value` */
	OPERAND_TEXT,       /* a string literal: expr */
	OPERAND_REG,        /* the value is in machine register reg */
	OPERAND_MEMORY,     /* the value is in the target at r[reg] + value */
	OPERAND_DATA,       /* the value is in the event's data from value to `end`, valid unless read bit `bit` is set */
	OPERAND_RET,        /* the value is the call's return value, in registers */
	OPERAND_NONE,       /* cannot be read: reason */
};

struct operand {
	enum operand_kind kind;
	uint8_t reg;
	uint8_t bit;
	uint8_t bit_offset, bit_size;
	int64_t value;
	int64_t end;
	struct type *type;
	const struct expr *expr;
	const char *reason;
};

/* Where a value lies in the event and what may still be done with it. */
struct view {
	uint8_t base;         /* enum layout_base */
	uint8_t bit;
	uint8_t depth;        /* pointers to structs that may still be followed */
	bool in_array;        /* elements share their nodes: nothing can be followed */
	uint32_t off;
	uint32_t room;        /* bytes from off that were captured */
	int level;
};

/* A captured value whose node in the layout is still to be made; label and reason are borrowed. */
struct captured {
	const char *label;
	uint8_t role;
	struct type *type;
	const char *unreadable;  /* NULL, or why there is no value */
	uint8_t bit_offset, bit_size;
	struct view view;
};

/* What is not asked about $ret or $duration, but needed at return, is computed at entry: whole, or only parameters. */
enum hoist { HOIST_WHOLE, HOIST_PARAMS };

/* Borrows all but `captured`; lives for one plan_build. */
struct builder {
	const struct plan_request *rq;
	struct resolved *out;
	struct error *err;
	struct capture_limits limits;
	bool ship;
	bool at_return;
	enum hoist hoist;
	uint8_t next_reg;
	uint8_t next_bit;
	uint8_t next_literal;
	uint32_t data;          /* bytes of the event used so far */
	uint32_t keep_regs;
	struct captured *captured;
	size_t n_captured, cap_captured;
	struct { const struct type *type; uint32_t first, n; } enums[16]; /* whose names the layout has already */
	uint32_t n_enums;
};

extern struct type plan_type_int, plan_type_uint, plan_type_long, plan_type_ulong, plan_type_raw;

/* Appends an operation to the list of the current side. */
int plan_emit(struct builder *b, struct plan_op op);
uint32_t plan_ops_left(const struct builder *b);
/* Reserves bytes in the event (8-aligned). -> offset or -ENOSPC. */
int64_t plan_reserve(struct builder *b, uint32_t bytes);
/* -> a read bit, or LAYOUT_BIT_NONE when there is none left */
uint8_t plan_bit(struct builder *b);
uint32_t plan_bits_left(const struct builder *b);

/* plan_expr.c */
int plan_eval(struct builder *b, const struct expr *e, struct operand *out);
/* Brings a scalar into machine register `o->reg` (allocates one if needed); then o->kind is OPERAND_REG. */
int plan_load(struct builder *b, struct operand *o);
/* The type that a value is computed with: a bit-field narrower than an int becomes one. */
struct type *plan_promoted(const struct operand *o);
/* A machine register of its own. */
int plan_take_reg(struct builder *b, uint8_t *reg);
const struct param *plan_find_param(const struct builder *b, const char *name);
/* Fills err at the place of e; `what` may have one %s for `which`. */
int plan_refuse(struct builder *b, const struct expr *e, int code, const char *what, const char *which);
/* Gives an error that has no position yet the one of e. Returns rc. */
int plan_error_at(struct builder *b, const struct expr *e, int rc);
bool type_is_scalar(const struct type *t);
bool type_is_unsigned(const struct type *t);
bool type_is_text(const struct type *t);

/* plan_param.c */
int plan_eval_param(struct builder *b, const struct param *p, struct operand *out);
/* Evaluates at entry what the return needs: the expression, or if there is a p, the parameter. */
int plan_hoist(struct builder *b, const struct expr *e, const struct param *p, struct operand *out);
/* A struct that the call returns: in memory, or put together in the event. */
int plan_return_place(struct builder *b, struct operand *o);

/* plan_operator.c */
int plan_eval_unary(struct builder *b, const struct expr *e, struct operand *out);
int plan_eval_binary(struct builder *b, const struct expr *e, struct operand *out);
struct operand plan_constant(int64_t value);

/* plan_capture.c: a value into the event, then, when all have their place, what their pointers lead to and the layout. */
int plan_capture(struct builder *b, const char *label, uint8_t role, struct operand *o);
int plan_describe(struct builder *b);

#endif
