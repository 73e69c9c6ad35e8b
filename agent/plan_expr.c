/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Expressions -> operations.  Machine registers are a stack: an expression that starts when `next_reg` is n leaves its
 * result in register n at the most, whatever it needed on the way.
 */
#include "plan_internal.h"

#include <errno.h>
#include <string.h>

int plan_error_at(struct builder *b, const struct expr *e, int rc)
{
	if (rc && b->err && !b->err->col)
		error_at(b->err, e->col, e->len);
	return rc;
}

int plan_refuse(struct builder *b, const struct expr *e, int code, const char *what, const char *which)
{
	error_set(b->err, code, what, which);
	return error_at(b->err, e->col, e->len);
}

bool type_is_scalar(const struct type *t)
{
	switch (t->kind) {
	case TYPE_SIGNED: case TYPE_UNSIGNED: case TYPE_CHAR: case TYPE_BOOL: case TYPE_ENUM: case TYPE_POINTER:
		return t->size >= 1 && t->size <= 8;
	default:
		return false;
	}
}

bool type_is_unsigned(const struct type *t)
{
	switch (t->kind) {
	case TYPE_SIGNED:
		return false;
	case TYPE_CHAR: case TYPE_ENUM:
		return !t->is_signed;
	default:
		return true;
	}
}

bool type_is_text(const struct type *t)
{
	if ((t->kind != TYPE_POINTER && t->kind != TYPE_ARRAY) || !t->target)
		return false;
	return t->target->kind == TYPE_CHAR && t->target->size == 1;
}

bool expr_uses_return(const struct expr *e)
{
	if (!e)
		return false;
	if (e->op == EXPR_SPECIAL)
		return !strcmp(e->text, "ret") || !strcmp(e->text, "duration");
	return expr_uses_return(e->a) || expr_uses_return(e->b);
}

static bool is_constant(const struct expr *e)
{
	return e->op == EXPR_NUMBER || e->op == EXPR_STRING || (e->op == EXPR_NEG && is_constant(e->a));
}

int plan_take_reg(struct builder *b, uint8_t *reg)
{
	if (b->next_reg >= PLAN_REGS)
		return error_set(b->err, E2BIG, "the expression is nested too deeply");
	*reg = b->next_reg++;
	return 0;
}

static struct plan_op op_for(enum plan_code code, const struct operand *o)
{
	return (struct plan_op){ .code = code, .dst = o->reg, .a = o->reg, .bit = LAYOUT_BIT_NONE,
				 .size = o->type->size ? o->type->size : 8, .sign = !type_is_unsigned(o->type) };
}

struct type *plan_promoted(const struct operand *o)
{
	return o->bit_size && o->bit_size < 32 ? &plan_type_int : o->type;
}

/* Bytes that hold the value; a bit-field's bits may lie in more or fewer than its type has. */
static uint64_t bytes_of(const struct operand *o)
{
	return o->bit_size ? (o->bit_offset + o->bit_size + 7U) / 8 : o->type->size;
}

/* Debug info may say that a member lies anywhere: what was captured is all there is. */
static bool in_data(const struct operand *o)
{
	return o->value >= 0 && o->value <= o->end && bytes_of(o) <= (uint64_t)(o->end - o->value);
}

/* OP_DATA reads 1, 2, 4 or 8 bytes, and cells are multiples of 8: bits are taken out of their whole word. */
static struct plan_op data_op(struct operand *o)
{
	struct plan_op op = op_for(OP_DATA, o);

	op.off = (uint32_t)o->value;
	op.bit = o->bit;
	if (o->bit_size) {
		o->bit_offset += (op.off & 7) * 8;
		op.off &= ~7U;
		op.size = 8;
	}
	return op;
}

static int emit_bits(struct builder *b, const struct operand *o)
{
	struct plan_op op = op_for(OP_BITS, o);

	op.b = o->bit_offset;
	op.size = o->bit_size;
	return plan_emit(b, op);
}

static int load_from(struct builder *b, struct operand *o)
{
	struct plan_op op;
	int err;

	switch (o->kind) {
	case OPERAND_CONST:
		op = op_for(OP_IMM, o);
		op.imm = o->value;
		break;
	case OPERAND_MEMORY:
		op = op_for(OP_LOAD, o);
		op.imm = o->value;
		op.size = (uint32_t)bytes_of(o);
		break;
	case OPERAND_DATA:
		op = data_op(o);
		break;
	default:
		op = op_for(OP_SPECIAL, o);
		op.b = SPECIAL_RET;
		break;
	}
	if (o->bit_size)
		op.sign = 0;
	if (o->bit_offset + o->bit_size > 64)
		return error_set(b->err, ENOTSUP, "a bit-field that lies in two words cannot be computed with");
	err = plan_emit(b, op);
	return err || !o->bit_size ? err : emit_bits(b, o);
}

int plan_load(struct builder *b, struct operand *o)
{
	int err = 0;

	if (o->kind == OPERAND_REG)
		return 0;
	if (o->type && o->type->kind == TYPE_ENUM) /* only its enumerators tell if it is signed */
		type_complete(b->rq->di, o->type);
	if (!o->type || !type_is_scalar(o->type))
		return error_set(b->err, EINVAL, o->type && o->type->kind == TYPE_FLOAT ?
				 "'%s' is a floating point value: it can be captured, not computed with" :
				 "'%s' is not a number or pointer", o->type ? o->type->name : "void");
	if (o->kind == OPERAND_DATA && !in_data(o))
		return error_set(b->err, ERANGE, "the value lies outside of what is kept of its struct or array");
	if (o->kind != OPERAND_MEMORY)
		err = plan_take_reg(b, &o->reg);
	if (!err)
		err = load_from(b, o);
	o->type = plan_promoted(o);
	o->kind = OPERAND_REG;
	o->bit_size = 0;
	return err;
}

/* ---- leaves ---- */

const struct param *plan_find_param(const struct builder *b, const char *name)
{
	const struct function *fn = b->rq->fn;

	for (uint32_t i = 0; fn && i < fn->n_params; i++)
		if (!strcmp(fn->params[i].name, name))
			return &fn->params[i];
	return NULL;
}

static int eval_name(struct builder *b, const struct expr *e, struct operand *out)
{
	const struct param *p = plan_find_param(b, e->text);
	struct nearest near;

	if (p)
		return plan_eval_param(b, p, out);
	if (!b->rq->fn) {
		plan_refuse(b, e, ENOENT, "'%s' is not known: there is no debug info for this function", e->text);
		return error_hint(b->err, "use $arg0 .. $arg5");
	}
	plan_refuse(b, e, ENOENT, b->rq->line ? "no variable '%s' in scope here" : "no parameter '%s'", e->text);
	nearest_init(&near, e->text);
	for (uint32_t i = 0; i < b->rq->fn->n_params; i++)
		nearest_offer(&near, b->rq->fn->params[i].name);
	return nearest_hint(&near, b->err);
}

static int eval_arg(struct builder *b, unsigned n, struct operand *out)
{
	static const uint8_t regs[] = { GPR_DI, GPR_SI, GPR_DX, GPR_CX, GPR_R8, GPR_R9 };
	struct param p = { .name = "", .type = &plan_type_raw,
			   .where = { .kind = LOCATION_REGISTERS, .pieces = 1, .piece = { { regs[n], 8 } } } };

	return plan_eval_param(b, &p, out);
}

static const struct { const char *name; uint8_t special; } specials[] = {
	{ "duration", SPECIAL_DURATION }, { "pid", SPECIAL_PID }, { "tid", SPECIAL_TID },
	{ "cpu", SPECIAL_CPU }, { "ts", SPECIAL_TS },
};

static int eval_special(struct builder *b, const struct expr *e, struct operand *out)
{
	int err;

	if (!strncmp(e->text, "arg", 3) && e->text[3] >= '0' && e->text[3] <= '5' && !e->text[4] && b->rq->line)
		return plan_refuse(b, e, EINVAL, "$%s is known at a function's entry only", e->text);
	if (!strncmp(e->text, "arg", 3) && e->text[3] >= '0' && e->text[3] <= '5' && !e->text[4])
		return eval_arg(b, e->text[3] - '0', out);
	if (!strcmp(e->text, "ret")) {
		*out = (struct operand){ .kind = OPERAND_RET, .bit = LAYOUT_BIT_NONE,
					 .type = b->rq->fn ? b->rq->fn->ret : &plan_type_raw };
		if (!out->type)
			return plan_refuse(b, e, EINVAL, "the function returns nothing: there is no $%s", e->text);
		if (b->rq->fn && b->rq->fn->ret_where.kind == LOCATION_MEMORY)
			return plan_return_place(b, out);
		if (b->rq->fn && b->rq->fn->ret_where.kind == LOCATION_NONE)
			*out = (struct operand){ .kind = OPERAND_NONE, .type = out->type,
						 .reason = b->rq->fn->ret_where.reason };
		return 0;
	}
	for (unsigned i = 0; i < sizeof(specials) / sizeof(specials[0]); i++) {
		if (strcmp(specials[i].name, e->text))
			continue;
		*out = (struct operand){ .kind = OPERAND_REG, .type = &plan_type_ulong, .bit = LAYOUT_BIT_NONE };
		err = plan_take_reg(b, &out->reg);
		return err ? err : plan_emit(b, (struct plan_op){ .code = OP_SPECIAL, .dst = out->reg, .size = 8,
				.b = specials[i].special, .bit = LAYOUT_BIT_NONE });
	}
	return plan_refuse(b, e, ENOTSUP, "$%s cannot be read by this version", e->text);
}

/* ---- places in memory ---- */

static int no_member(struct builder *b, const struct expr *e, struct type *t)
{
	struct nearest near;

	if (!t)
		return plan_refuse(b, e, EINVAL, "%s", "a value of unknown type has no members");
	if (t->kind == TYPE_INCOMPLETE)
		return plan_refuse(b, e, ENOENT, "'%s' is only declared in the debug info, its members are not known", t->name);
	if (t->kind != TYPE_STRUCT && t->kind != TYPE_UNION)
		return plan_refuse(b, e, EINVAL, "'%s' has no members", t->name);
	plan_refuse(b, e, ENOENT, "no member '%s'", e->text);
	nearest_init(&near, e->text);
	for (uint32_t i = 0; i < t->n_members; i++)
		nearest_offer(&near, t->members[i].name);
	return nearest_hint(&near, b->err);
}

/* Turns a pointer value into the place it points to. */
static int follow(struct builder *b, const struct expr *e, struct operand *o)
{
	struct type *target;
	int err;

	if (o->kind == OPERAND_NONE)
		return 0;
	if (!o->type || o->type->kind != TYPE_POINTER || !o->type->target)
		return plan_refuse(b, e, EINVAL, "'%s' is not a pointer", o->type ? o->type->name : "void");
	target = o->type->target;
	if (o->type == &plan_type_raw)
		target = &plan_type_raw;
	else if (target->kind == TYPE_VOID)
		return plan_refuse(b, e, EINVAL, "'%s' points to nothing known", o->type->name);
	err = plan_load(b, o);
	*o = (struct operand){ .kind = OPERAND_MEMORY, .reg = o->reg, .type = target, .bit = LAYOUT_BIT_NONE };
	return err;
}

static int select_member(struct builder *b, const struct expr *e, struct operand *o)
{
	const struct member *m;
	uint64_t offset = 0;

	type_complete(b->rq->di, o->type);
	m = type_member(b->rq->di, o->type, e->text, &offset);
	if (!m)
		return no_member(b, e, o->type);
	o->value = (int64_t)((uint64_t)o->value + offset);
	o->type = m->type;
	o->bit_offset = m->bit_offset;
	o->bit_size = m->bit_size;
	return 0;
}

static int eval_member(struct builder *b, const struct expr *e, struct operand *out)
{
	int err = plan_eval(b, e->a, out);

	if (err || out->kind == OPERAND_NONE)
		return err;
	if (out->type && out->type->kind == TYPE_POINTER && e->op == EXPR_MEMBER) {
		plan_refuse(b, e, EINVAL, "'%s' is a pointer", out->type->name);
		return error_hint(b->err, "use -> instead of .");
	}
	if (e->op == EXPR_ARROW) {
		if (out->type && out->type->kind == TYPE_STRUCT)
			return plan_refuse(b, e, EINVAL, "'%s' is not a pointer; use . instead of ->", out->type->name);
		err = follow(b, e, out);
	} else if (out->kind == OPERAND_RET && out->type && (out->type->kind == TYPE_STRUCT || out->type->kind == TYPE_UNION)) {
		err = plan_return_place(b, out);
	} else if (out->kind != OPERAND_MEMORY && out->kind != OPERAND_DATA) {
		return plan_refuse(b, e, EINVAL, "'%s' has no members that can be read here", out->type ? out->type->name : "");
	}
	return err ? err : select_member(b, e, out);
}

/* r[base] += index * size */
static int add_scaled(struct builder *b, uint8_t base, struct operand *index, uint64_t size)
{
	uint8_t reg = 0;
	int err = plan_load(b, index);

	if (!err)
		err = plan_take_reg(b, &reg);
	if (!err)
		err = plan_emit(b, (struct plan_op){ .code = OP_IMM, .dst = reg, .imm = (int64_t)size, .bit = LAYOUT_BIT_NONE });
	if (!err)
		err = plan_emit(b, (struct plan_op){ .code = OP_BINARY, .sub = BIN_MUL, .dst = reg, .a = reg,
						     .b = index->reg, .bit = LAYOUT_BIT_NONE });
	if (!err)
		err = plan_emit(b, (struct plan_op){ .code = OP_BINARY, .sub = BIN_ADD, .dst = base, .a = base, .b = reg,
						     .bit = LAYOUT_BIT_NONE });
	return err;
}

static bool is_array_place(const struct operand *o)
{
	return (o->kind == OPERAND_MEMORY || o->kind == OPERAND_DATA) && o->type && o->type->kind == TYPE_ARRAY &&
	       o->type->target;
}

static int eval_index(struct builder *b, const struct expr *e, struct operand *out)
{
	struct operand index = { 0 };
	uint64_t size;
	int err = plan_eval(b, e->a, out);

	if (err || out->kind == OPERAND_NONE)
		return err;
	if (is_array_place(out))
		out->type = out->type->target;
	else if ((err = follow(b, e->a, out)))
		return err;
	type_complete(b->rq->di, out->type);
	size = out->type->size;
	if (!size)
		return plan_refuse(b, e, EINVAL, "the size of '%s' is not known", out->type->name);
	if (e->b->op == EXPR_NUMBER) {
		out->value = (int64_t)((uint64_t)out->value + (uint64_t)e->b->number * size);
		return 0;
	}
	if (out->kind == OPERAND_DATA)
		return plan_refuse(b, e->b, EINVAL, "%s", "a value in registers takes a constant index");
	err = plan_eval(b, e->b, &index);
	if (!err && index.kind == OPERAND_NONE) {
		*out = index;
		return 0;
	}
	if (!err)
		err = plan_error_at(b, e->b, add_scaled(b, out->reg, &index, size));
	b->next_reg = out->reg + 1;
	return err;
}

static int eval_deref(struct builder *b, const struct expr *e, struct operand *out)
{
	int err = plan_eval(b, e->a, out);

	if (!err && is_array_place(out)) {
		out->type = out->type->target;
		return 0;
	}
	return err ? err : follow(b, e, out);
}

int plan_eval(struct builder *b, const struct expr *e, struct operand *out)
{
	*out = (struct operand){ .bit = LAYOUT_BIT_NONE };
	if (b->at_return && b->hoist == HOIST_WHOLE && !is_constant(e) && !expr_uses_return(e) &&
	    e->op != EXPR_NAME && e->op != EXPR_SPECIAL)
		return plan_hoist(b, e, NULL, out);
	switch (e->op) {
	case EXPR_NUMBER:
		*out = plan_constant(e->number);
		return 0;
	case EXPR_STRING:
		*out = (struct operand){ .kind = OPERAND_TEXT, .expr = e };
		return 0;
	case EXPR_NAME:
		return eval_name(b, e, out);
	case EXPR_SPECIAL:
		return eval_special(b, e, out);
	case EXPR_MEMBER: case EXPR_ARROW:
		return eval_member(b, e, out);
	case EXPR_INDEX:
		return eval_index(b, e, out);
	case EXPR_DEREF:
		return eval_deref(b, e, out);
	case EXPR_NEG: case EXPR_NOT: case EXPR_INVERT:
		return plan_eval_unary(b, e, out);
	default:
		return plan_eval_binary(b, e, out);
	}
}
