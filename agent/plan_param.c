/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parameters and return values -> operands, and what the return needs of the entry: kept in the event between the two,
 * in cells that no field of the layout shows.
 */
#include "plan_internal.h"

#include <errno.h>

static int emit_reg(struct builder *b, uint8_t dst, uint8_t user_reg, uint32_t size, bool sign)
{
	return plan_emit(b, (struct plan_op){ .code = OP_REG, .dst = dst, .b = user_reg, .size = size, .sign = sign,
					      .bit = LAYOUT_BIT_NONE });
}

static int no_room(struct builder *b)
{
	return error_set(b->err, E2BIG, "the probe captures too much: an event holds at most %d bytes", PLAN_DATA_MAX);
}

/* A struct in registers is first put together in the event. A later piece overwrites what an earlier one has above its size. */
static int put_together(struct builder *b, const struct location *where, struct type *type, struct operand *out)
{
	int64_t at = plan_reserve(b, 16);
	uint32_t off = (uint32_t)at;
	uint8_t reg = 0;
	int err = at < 0 ? no_room(b) : plan_take_reg(b, &reg);

	for (unsigned i = 0; !err && i < where->pieces; i++) {
		err = emit_reg(b, reg, where->piece[i].reg, 8, false);
		if (!err)
			err = plan_emit(b, (struct plan_op){ .code = OP_STORE, .a = reg, .size = 8, .off = off,
							     .bit = LAYOUT_BIT_NONE });
		off += where->piece[i].size < 8 ? where->piece[i].size : 8;
	}
	*out = (struct operand){ .kind = OPERAND_DATA, .value = at, .end = at + 16, .bit = LAYOUT_BIT_NONE, .type = type };
	if (!err)
		b->next_reg--;
	return err;
}

/* A large struct that is returned lies where rax points. */
static int return_in_memory(struct builder *b, struct operand *o)
{
	uint8_t reg = 0;
	int err = plan_take_reg(b, &reg);

	*o = (struct operand){ .kind = OPERAND_MEMORY, .reg = reg, .type = o->type, .bit = LAYOUT_BIT_NONE };
	return err ? err : plan_emit(b, (struct plan_op){ .code = OP_SPECIAL, .dst = reg, .b = SPECIAL_RET, .size = 8,
							  .bit = LAYOUT_BIT_NONE });
}

int plan_return_place(struct builder *b, struct operand *o)
{
	static const struct location pair = { .kind = LOCATION_REGISTERS, .pieces = 2,
					      .piece = { { GPR_AX, 8 }, { GPR_DX, 8 } } };

	if (b->rq->fn && b->rq->fn->ret_where.kind == LOCATION_MEMORY)
		return return_in_memory(b, o);
	return put_together(b, &pair, o->type, o);
}

static int param_in_memory(struct builder *b, const struct param *p, struct operand *out)
{
	uint8_t reg = 0;
	int err = plan_take_reg(b, &reg);

	if (!err)
		err = emit_reg(b, reg, p->where.reg, 8, false);
	*out = (struct operand){ .kind = OPERAND_MEMORY, .reg = reg, .value = p->where.offset, .type = p->type,
				 .bit = LAYOUT_BIT_NONE };
	if (!err && p->where.kind == LOCATION_INDIRECT) {
		err = plan_emit(b, (struct plan_op){ .code = OP_LOAD, .dst = reg, .a = reg, .size = 8,
						     .imm = p->where.offset, .bit = LAYOUT_BIT_NONE });
		out->value = 0;
	}
	return err;
}

static int param_at_entry(struct builder *b, const struct param *p, struct operand *out)
{
	bool scalar = type_is_scalar(p->type);
	int err;

	switch (p->where.kind) {
	case LOCATION_REGISTERS:
		if (!scalar || p->where.pieces != 1)
			return put_together(b, &p->where, p->type, out);
		*out = (struct operand){ .kind = OPERAND_REG, .type = p->type, .bit = LAYOUT_BIT_NONE };
		err = plan_take_reg(b, &out->reg);
		return err ? err : emit_reg(b, out->reg, p->where.piece[0].reg, p->type->size,
					    !type_is_unsigned(p->type));
	case LOCATION_MEMORY: case LOCATION_INDIRECT:
		return param_in_memory(b, p, out);
	case LOCATION_CONST:
		*out = (struct operand){ .kind = scalar ? OPERAND_CONST : OPERAND_NONE, .value = p->where.offset,
					 .type = p->type, .reason = "a constant", .bit = LAYOUT_BIT_NONE };
		return 0;
	default:
		*out = (struct operand){ .kind = OPERAND_NONE, .type = p->type, .reason = p->where.reason,
					 .bit = LAYOUT_BIT_NONE };
		return 0;
	}
}

/* Keeps a value in a hidden cell of the event and turns it into an operand that both sides can read. */
static int to_cell(struct builder *b, struct operand *o)
{
	bool scalar = o->kind != OPERAND_MEMORY || !o->type || type_is_scalar(o->type);
	struct plan_op op = { .code = OP_STORE, .size = 8, .bit = plan_bit(b) };
	int64_t at;
	int err = 0;

	if (scalar) {
		err = plan_load(b, o);
	} else { /* a struct or array on the stack */
		op.code = OP_READ;
		op.size = o->type->size < b->limits.bytes ? (uint32_t)o->type->size : b->limits.bytes;
		op.imm = o->value;
		if (!op.size)
			err = error_set(b->err, EINVAL, "the size of '%s' is not known", o->type->name);
	}
	if (err)
		return err;
	at = plan_reserve(b, op.size);
	if (at < 0 || op.bit == LAYOUT_BIT_NONE)
		return error_set(b->err, E2BIG, "the probe keeps too many values between entry and return");
	op.a = o->reg;
	op.off = (uint32_t)at;
	*o = (struct operand){ .kind = OPERAND_DATA, .value = at, .end = at + op.size, .bit = op.bit, .type = o->type };
	return plan_emit(b, op);
}

/* Evaluates at entry what the return needs. */
int plan_hoist(struct builder *b, const struct expr *e, const struct param *p, struct operand *out)
{
	uint8_t saved = b->next_reg;
	int err;

	b->at_return = false;
	b->next_reg = 0;
	err = p ? param_at_entry(b, p, out) : plan_eval(b, e, out);
	if (!err && out->kind != OPERAND_NONE && out->kind != OPERAND_CONST && out->kind != OPERAND_DATA)
		err = to_cell(b, out);
	b->at_return = true;
	b->next_reg = saved;
	return err;
}

int plan_eval_param(struct builder *b, const struct param *p, struct operand *out)
{
	return b->at_return ? plan_hoist(b, NULL, p, out) : param_at_entry(b, p, out);
}
