/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Expressions -> operations.  Machine registers are a stack: an expression that starts when `next_reg` is n leaves its
 * result in register n at the most, whatever it needed on the way.
 */
#include "plan_internal.h"

#include <errno.h>
#include <string.h>

static int refuse(struct builder *b, const struct expr *e, int code, const char *what, const char *which)
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

bool type_is_text(struct debuginfo *di, struct type *t)
{
	if ((t->kind != TYPE_POINTER && t->kind != TYPE_ARRAY) || !t->target)
		return false;
	return t->target->kind == TYPE_CHAR;
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

static int take_reg(struct builder *b, uint8_t *reg)
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

/* A bit-field's bits may lie in more bytes than its type has: load what covers them. */
static void widen_for_bits(struct plan_op *op, const struct operand *o)
{
	if (o->bit_size) {
		unsigned bits = o->bit_offset + o->bit_size;

		op->size = bits <= 8 ? 1 : bits <= 16 ? 2 : bits <= 32 ? 4 : 8;
		op->sign = 0;
	}
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
		break;
	case OPERAND_DATA:
		op = op_for(OP_DATA, o);
		op.off = (uint32_t)o->value;
		op.bit = o->bit;
		break;
	default:
		op = op_for(OP_SPECIAL, o);
		op.b = SPECIAL_RET;
		break;
	}
	widen_for_bits(&op, o);
	err = plan_emit(b, op);
	if (err || !o->bit_size)
		return err;
	op = op_for(OP_BITS, o);
	op.b = o->bit_offset;
	op.size = o->bit_size;
	return plan_emit(b, op);
}

int plan_load(struct builder *b, struct operand *o)
{
	int err = 0;

	if (o->kind == OPERAND_REG)
		return 0;
	if (!o->type || !type_is_scalar(o->type))
		return error_set(b->err, EINVAL, o->type && o->type->kind == TYPE_FLOAT ?
				 "'%s' is a floating point value: it can be captured, not computed with" :
				 "'%s' is not a number or pointer", o->type ? o->type->name : "void");
	if (o->kind != OPERAND_MEMORY)
		err = take_reg(b, &o->reg);
	if (!err)
		err = load_from(b, o);
	o->kind = OPERAND_REG;
	o->bit_size = 0;
	return err;
}

/* ---- leaves ---- */

static const struct param *find_param(const struct builder *b, const char *name)
{
	const struct function *fn = b->rq->fn;

	for (uint32_t i = 0; fn && i < fn->n_params; i++)
		if (!strcmp(fn->params[i].name, name))
			return &fn->params[i];
	return NULL;
}

static int emit_reg(struct builder *b, uint8_t dst, uint8_t user_reg, uint32_t size, bool sign)
{
	return plan_emit(b, (struct plan_op){ .code = OP_REG, .dst = dst, .b = user_reg, .size = size, .sign = sign,
					      .bit = LAYOUT_BIT_NONE });
}

/* A struct that was passed in registers is first put together in the event. */
static int param_in_pieces(struct builder *b, const struct param *p, struct operand *out)
{
	int64_t at = plan_reserve(b, 16);
	int err = at < 0 ? (int)at : 0;

	for (unsigned i = 0; !err && i < p->where.pieces; i++) {
		err = emit_reg(b, b->next_reg, p->where.piece[i].reg, 8, false);
		if (!err)
			err = plan_emit(b, (struct plan_op){ .code = OP_STORE, .a = b->next_reg, .size = 8,
					.off = (uint32_t)at + 8 * i, .bit = LAYOUT_BIT_NONE });
	}
	*out = (struct operand){ .kind = OPERAND_DATA, .value = at, .bit = LAYOUT_BIT_NONE, .type = p->type };
	return err;
}

static int param_in_memory(struct builder *b, const struct param *p, struct operand *out)
{
	uint8_t reg = 0;
	int err = take_reg(b, &reg);

	if (!err)
		err = emit_reg(b, reg, p->where.reg, 8, false);
	*out = (struct operand){ .kind = OPERAND_MEMORY, .reg = reg, .value = p->where.offset, .type = p->type };
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
			return param_in_pieces(b, p, out);
		*out = (struct operand){ .kind = OPERAND_REG, .type = p->type, .bit = LAYOUT_BIT_NONE };
		err = take_reg(b, &out->reg);
		return err ? err : emit_reg(b, out->reg, p->where.piece[0].reg, p->type->size,
					    !type_is_unsigned(p->type));
	case LOCATION_MEMORY: case LOCATION_INDIRECT:
		return param_in_memory(b, p, out);
	case LOCATION_CONST:
		*out = (struct operand){ .kind = scalar ? OPERAND_CONST : OPERAND_NONE, .value = p->where.offset,
					 .type = p->type, .reason = "a constant", .bit = LAYOUT_BIT_NONE };
		return 0;
	default:
		*out = (struct operand){ .kind = OPERAND_NONE, .type = p->type, .reason = p->where.reason };
		return 0;
	}
}

/* Stores a scalar in a hidden cell of the event and turns it into an operand that both sides can read. */
static int to_cell(struct builder *b, struct operand *o)
{
	int64_t at;
	uint8_t bit = plan_bit(b);
	int err = plan_load(b, o);

	if (err)
		return err;
	at = plan_reserve(b, 8);
	if (at < 0 || bit == LAYOUT_BIT_NONE)
		return error_set(b->err, E2BIG, "the probe keeps too many values between entry and return");
	err = plan_emit(b, (struct plan_op){ .code = OP_STORE, .a = o->reg, .size = 8, .off = (uint32_t)at, .bit = bit });
	*o = (struct operand){ .kind = OPERAND_DATA, .value = at, .bit = bit, .type = o->type };
	return err;
}

/* Evaluates at entry what the return needs. */
static int hoist(struct builder *b, const struct expr *e, const struct param *p, struct operand *out)
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
	return b->at_return ? hoist(b, NULL, p, out) : param_at_entry(b, p, out);
}

static int eval_name(struct builder *b, const struct expr *e, struct operand *out)
{
	const struct param *p = find_param(b, e->text);
	struct nearest near;

	if (p)
		return plan_eval_param(b, p, out);
	if (!b->rq->fn) {
		refuse(b, e, ENOENT, "'%s' is not known: there is no debug info for this function", e->text);
		return error_hint(b->err, "use $arg0 .. $arg5");
	}
	refuse(b, e, ENOENT, "no parameter '%s'", e->text);
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

	if (!strncmp(e->text, "arg", 3) && e->text[3] >= '0' && e->text[3] <= '5' && !e->text[4])
		return eval_arg(b, e->text[3] - '0', out);
	if (!strcmp(e->text, "ret")) {
		*out = (struct operand){ .kind = OPERAND_RET, .bit = LAYOUT_BIT_NONE,
					 .type = b->rq->fn ? b->rq->fn->ret : &plan_type_raw };
		if (!out->type)
			return refuse(b, e, EINVAL, "the function returns nothing: there is no $%s", e->text);
		if (b->rq->fn && b->rq->fn->ret_where.kind == LOCATION_NONE)
			*out = (struct operand){ .kind = OPERAND_NONE, .type = out->type,
						 .reason = b->rq->fn->ret_where.reason };
		return 0;
	}
	for (unsigned i = 0; i < sizeof(specials) / sizeof(specials[0]); i++) {
		if (strcmp(specials[i].name, e->text))
			continue;
		*out = (struct operand){ .kind = OPERAND_REG, .type = &plan_type_ulong, .bit = LAYOUT_BIT_NONE };
		err = take_reg(b, &out->reg);
		return err ? err : plan_emit(b, (struct plan_op){ .code = OP_SPECIAL, .dst = out->reg, .size = 8,
				.b = specials[i].special, .bit = LAYOUT_BIT_NONE });
	}
	return refuse(b, e, ENOTSUP, "$%s cannot be read by this version", e->text);
}

/* ---- places in memory ---- */

static int no_member(struct builder *b, const struct expr *e, struct type *t)
{
	struct nearest near;

	if (t->kind == TYPE_INCOMPLETE)
		return refuse(b, e, ENOENT, "'%s' is only declared in the debug info, its members are not known", t->name);
	if (t->kind != TYPE_STRUCT && t->kind != TYPE_UNION)
		return refuse(b, e, EINVAL, "'%s' has no members", t->name);
	refuse(b, e, ENOENT, "no member '%s'", e->text);
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
		return refuse(b, e, EINVAL, "'%s' is not a pointer", o->type ? o->type->name : "void");
	target = o->type->target;
	if (o->type == &plan_type_raw)
		target = &plan_type_raw;
	else if (target->kind == TYPE_VOID)
		return refuse(b, e, EINVAL, "'%s' points to nothing known", o->type->name);
	err = plan_load(b, o);
	*o = (struct operand){ .kind = OPERAND_MEMORY, .reg = o->reg, .type = target };
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
	o->value += (int64_t)offset;
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
		refuse(b, e, EINVAL, "'%s' is a pointer", out->type->name);
		return error_hint(b->err, "use -> instead of .");
	}
	if (e->op == EXPR_ARROW) {
		if (out->type && out->type->kind == TYPE_STRUCT)
			return refuse(b, e, EINVAL, "'%s' is not a pointer; use . instead of ->", out->type->name);
		err = follow(b, e, out);
	} else if (out->kind != OPERAND_MEMORY && out->kind != OPERAND_DATA) {
		return refuse(b, e, EINVAL, "'%s' has no members that can be read here", out->type ? out->type->name : "");
	}
	return err ? err : select_member(b, e, out);
}

/* r[base] += index * size */
static int add_scaled(struct builder *b, uint8_t base, struct operand *index, uint64_t size)
{
	uint8_t reg = 0;
	int err = plan_load(b, index);

	if (!err)
		err = take_reg(b, &reg);
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

static int eval_index(struct builder *b, const struct expr *e, struct operand *out)
{
	struct operand index = { 0 };
	uint64_t size;
	int err = plan_eval(b, e->a, out);

	if (err || out->kind == OPERAND_NONE)
		return err;
	if (out->type && out->type->kind == TYPE_ARRAY && (out->kind == OPERAND_MEMORY || out->kind == OPERAND_DATA))
		out->type = out->type->target;
	else if ((err = follow(b, e->a, out)))
		return err;
	type_complete(b->rq->di, out->type);
	size = out->type->size;
	if (!size)
		return refuse(b, e, EINVAL, "the size of '%s' is not known", out->type->name);
	if (e->b->op == EXPR_NUMBER) {
		out->value += e->b->number * (int64_t)size;
		return 0;
	}
	if (out->kind == OPERAND_DATA)
		return refuse(b, e->b, EINVAL, "%s", "a value in registers takes a constant index");
	err = plan_eval(b, e->b, &index);
	if (!err && index.kind == OPERAND_NONE)
		*out = index;
	else if (!err)
		err = add_scaled(b, out->reg, &index, size);
	b->next_reg = out->reg + 1;
	return err;
}

static int eval_deref(struct builder *b, const struct expr *e, struct operand *out)
{
	int err = plan_eval(b, e->a, out);

	if (!err && out->type && out->type->kind == TYPE_ARRAY && out->kind == OPERAND_MEMORY) {
		out->type = out->type->target;
		return 0;
	}
	return err ? err : follow(b, e, out);
}

/* ---- operators ---- */

struct operator { uint8_t is_unsigned, is_signed; bool compares; };

static const struct operator operators[EXPR_OPS] = {
	[EXPR_MUL] = { BIN_MUL, BIN_MUL, false }, [EXPR_DIV] = { BIN_DIV_U, BIN_DIV_S, false },
	[EXPR_MOD] = { BIN_MOD_U, BIN_MOD_S, false }, [EXPR_ADD] = { BIN_ADD, BIN_ADD, false },
	[EXPR_SUB] = { BIN_SUB, BIN_SUB, false }, [EXPR_SHL] = { BIN_SHL, BIN_SHL, false },
	[EXPR_SHR] = { BIN_SHR_U, BIN_SHR_S, false }, [EXPR_BITAND] = { BIN_AND, BIN_AND, false },
	[EXPR_BITXOR] = { BIN_XOR, BIN_XOR, false }, [EXPR_BITOR] = { BIN_OR, BIN_OR, false },
	[EXPR_LT] = { BIN_LT_U, BIN_LT_S, true }, [EXPR_LE] = { BIN_LE_U, BIN_LE_S, true },
	[EXPR_GT] = { BIN_LT_U, BIN_LT_S, true }, [EXPR_GE] = { BIN_LE_U, BIN_LE_S, true },
	[EXPR_EQ] = { BIN_EQ, BIN_EQ, true }, [EXPR_NE] = { BIN_NE, BIN_NE, true },
	[EXPR_AND] = { BIN_LAND, BIN_LAND, true }, [EXPR_OR] = { BIN_LOR, BIN_LOR, true },
};

/* `kind == ORDER_BULK`: a name that is no parameter may be one of the other side's enumerators. */
static bool eval_enumerator(struct builder *b, const struct expr *e, struct type *other, struct operand *out)
{
	if (e->op != EXPR_NAME || !other || other->kind != TYPE_ENUM || find_param(b, e->text))
		return false;
	type_complete(b->rq->di, other);
	for (uint32_t i = 0; i < other->n_enumerators; i++) {
		const char *name = other->enumerators[i].name;
		const char *last = strrchr(name, ':');

		if (strcmp(name, e->text) && (!last || strcmp(last + 1, e->text)))
			continue;
		*out = (struct operand){ .kind = OPERAND_CONST, .value = other->enumerators[i].value,
					 .type = &plan_type_long, .bit = LAYOUT_BIT_NONE };
		return true;
	}
	return false;
}

/* Adds a literal to the plan. -> its number, or an error at its place. */
static int add_literal(struct builder *b, const struct expr *e)
{
	struct plan *plan = &b->out->plan;
	uint8_t mask[PLAN_LITERAL_WORDS * 8] = { 0 };
	int which = b->next_literal;

	if (e->text_len >= PLAN_LITERAL_WORDS * 8)
		return refuse(b, e, E2BIG, "%s", "a compared string may have 63 characters at most");
	if (which >= PLAN_LITERALS)
		return refuse(b, e, E2BIG, "%s", "at most 4 strings can be compared in one probe");
	memset(mask, 0xff, e->text_len + 1);
	memcpy(plan->literal[which], e->text, e->text_len);
	memcpy(plan->literal_mask[which], mask, sizeof(mask));
	b->next_literal++;
	return which;
}

/* Captures a text into a hidden cell and compares it with a literal. */
static int compare_text(struct builder *b, const struct expr *e, struct operand *text, const struct expr *literal,
			struct operand *out)
{
	int which = add_literal(b, literal), err;
	uint32_t room = PLAN_LITERAL_WORDS * 8;
	int64_t at = plan_reserve(b, sizeof(struct event_string) + room), from = 0;
	uint8_t bit = plan_bit(b);

	if (which < 0)
		return which;
	if (at < 0 || bit == LAYOUT_BIT_NONE)
		return refuse(b, e, E2BIG, "%s", "the probe captures too much");
	if (text->type->kind == TYPE_ARRAY && text->kind == OPERAND_MEMORY) {
		from = text->value;
		if (text->type->count && text->type->count + 1 < room)
			room = (uint32_t)text->type->count + 1;
	} else if (text->type->kind == TYPE_ARRAY) {
		return refuse(b, e, ENOTSUP, "%s", "a text in registers cannot be compared");
	} else if ((err = plan_load(b, text))) {
		return err;
	}
	err = plan_emit(b, (struct plan_op){ .code = OP_STRING, .a = text->reg, .imm = from, .size = room,
					     .off = (uint32_t)at, .bit = bit });
	if (!err)
		err = plan_emit(b, (struct plan_op){ .code = OP_STREQ, .dst = text->reg, .b = (uint8_t)which,
						     .off = (uint32_t)at, .bit = bit });
	if (!err && e->op == EXPR_NE)
		err = plan_emit(b, (struct plan_op){ .code = OP_UNARY, .sub = UN_LNOT, .dst = text->reg, .a = text->reg,
						     .bit = LAYOUT_BIT_NONE });
	*out = (struct operand){ .kind = OPERAND_REG, .reg = text->reg, .type = &plan_type_long, .bit = LAYOUT_BIT_NONE };
	b->next_reg = text->reg + 1;
	return err;
}

static int eval_text(struct builder *b, const struct expr *e, struct operand *a, struct operand *z, struct operand *out)
{
	struct operand *literal = a->kind == OPERAND_TEXT ? a : z, *text = literal == a ? z : a;

	if (e->op != EXPR_EQ && e->op != EXPR_NE)
		return refuse(b, e, EINVAL, "%s", "strings can be compared with == and != only");
	if (text->kind == OPERAND_TEXT)
		return refuse(b, e, EINVAL, "%s", "two literals are not worth comparing");
	if (text->kind == OPERAND_NONE) {
		*out = *text;
		return 0;
	}
	if (text->type != &plan_type_raw && !type_is_text(b->rq->di, text->type)) {
		refuse(b, e, EINVAL, "'%s' is not a text", text->type->name);
		return error_hint(b->err, "a string compares with char * and char[]");
	}
	return compare_text(b, e, text, literal->expr, out);
}

/* Both operands in registers, the lower one first. */
static int load_both(struct builder *b, const struct expr *e, struct operand *a, struct operand *z)
{
	int err;

	if (!a->type || !type_is_scalar(a->type) || !z->type || !type_is_scalar(z->type)) {
		const struct operand *bad = a->type && type_is_scalar(a->type) ? z : a;
		const struct expr *where = bad == a ? e->a : e->b;

		return refuse(b, where, EINVAL, bad->type && bad->type->kind == TYPE_FLOAT ?
			      "'%s' is a floating point value: it can be captured, not computed with" :
			      "'%s' is not a number or pointer", bad->type ? bad->type->name : "void");
	}
	err = plan_load(b, a);
	return err ? err : plan_load(b, z);
}

static int eval_binary(struct builder *b, const struct expr *e, struct operand *out)
{
	const struct operator *op = &operators[e->op];
	struct operand a = { 0 }, z = { 0 };
	uint8_t mark = b->next_reg;
	bool is_unsigned, swap = e->op == EXPR_GT || e->op == EXPR_GE;
	struct plan_op code = { .code = OP_BINARY, .dst = mark, .bit = LAYOUT_BIT_NONE };
	int err;

	if (e->a->op == EXPR_NAME && !find_param(b, e->a->text)) { /* the right side knows the enum */
		err = plan_eval(b, e->b, &z);
		if (!err && !eval_enumerator(b, e->a, z.type, &a))
			err = plan_eval(b, e->a, &a);
	} else {
		err = plan_eval(b, e->a, &a);
		/* Keep the left side in its register before the right side is computed. */
		if (!err && a.kind != OPERAND_TEXT && a.kind != OPERAND_NONE && a.type && type_is_scalar(a.type) &&
		    !(a.kind == OPERAND_REG) && e->b->op != EXPR_STRING)
			err = plan_load(b, &a);
		if (!err && !eval_enumerator(b, e->b, a.type, &z))
			err = plan_eval(b, e->b, &z);
	}
	if (err)
		return err;
	if (a.kind == OPERAND_TEXT || z.kind == OPERAND_TEXT)
		return eval_text(b, e, &a, &z, out);
	if (a.kind == OPERAND_NONE || z.kind == OPERAND_NONE) {
		*out = a.kind == OPERAND_NONE ? a : z;
		return 0;
	}
	err = load_both(b, e, &a, &z);
	if (err)
		return err;
	is_unsigned = (type_is_unsigned(a.type) && a.type->size == 8) || (type_is_unsigned(z.type) && z.type->size == 8);
	code.sub = is_unsigned ? op->is_unsigned : op->is_signed;
	code.a = swap ? z.reg : a.reg;
	code.b = swap ? a.reg : z.reg;
	err = plan_emit(b, code);
	*out = (struct operand){ .kind = OPERAND_REG, .reg = mark, .bit = LAYOUT_BIT_NONE,
				 .type = is_unsigned && !op->compares ? &plan_type_ulong : &plan_type_long };
	b->next_reg = mark + 1;
	return err;
}

static int eval_unary(struct builder *b, const struct expr *e, struct operand *out)
{
	static const uint8_t codes[EXPR_OPS] = { [EXPR_NEG] = UN_NEG, [EXPR_NOT] = UN_LNOT, [EXPR_INVERT] = UN_NOT };
	int err = plan_eval(b, e->a, out);

	if (err || out->kind == OPERAND_NONE)
		return err;
	if (out->kind == OPERAND_TEXT || !out->type || !type_is_scalar(out->type))
		return refuse(b, e->a, EINVAL, "%s", "this is not a number");
	if (out->kind == OPERAND_CONST && e->op == EXPR_NEG) {
		out->value = -out->value;
		return 0;
	}
	err = plan_load(b, out);
	if (!err)
		err = plan_emit(b, (struct plan_op){ .code = OP_UNARY, .sub = codes[e->op], .dst = out->reg, .a = out->reg,
						     .bit = LAYOUT_BIT_NONE });
	if (e->op == EXPR_NOT || !type_is_unsigned(out->type))
		out->type = &plan_type_long;
	return err;
}

int plan_eval(struct builder *b, const struct expr *e, struct operand *out)
{
	*out = (struct operand){ .bit = LAYOUT_BIT_NONE };
	if (b->at_return && b->hoist == HOIST_WHOLE && !is_constant(e) && !expr_uses_return(e) &&
	    e->op != EXPR_NAME && e->op != EXPR_SPECIAL)
		return hoist(b, e, NULL, out);
	switch (e->op) {
	case EXPR_NUMBER:
		*out = (struct operand){ .kind = OPERAND_CONST, .value = e->number, .type = &plan_type_long,
					 .bit = LAYOUT_BIT_NONE };
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
		return eval_unary(b, e, out);
	default:
		return eval_binary(b, e, out);
	}
}
