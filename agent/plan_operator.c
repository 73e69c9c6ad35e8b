/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operators -> operations, with C's rules where they matter for what a user sees.
 *
 * The machine computes in 64 bits.  Signed types narrower than that need nothing: their overflow is undefined in C, here it
 * gives the right number.  `unsigned int` must wrap (`head - tail` of a ring that has gone round), and a signed operand that
 * meets it must become one (`flags == -1`): those results and operands are cut to 32 bits.  Smaller unsigned types are
 * promoted to int.  A literal has the type int if it fits.  Pointers move by what they point to.
 */
#include "plan_internal.h"

#include <errno.h>
#include <string.h>

struct operand plan_constant(int64_t value)
{
	return (struct operand){ .kind = OPERAND_CONST, .value = value, .bit = LAYOUT_BIT_NONE,
				 .type = value == (int32_t)value ? &plan_type_int : &plan_type_long };
}

struct operator {
	uint8_t is_unsigned, is_signed;
	bool compares;   /* the result is 0 or 1 */
	bool wraps;      /* the result may have more than the 32 bits of its operands */
};

static const struct operator operators[EXPR_OPS] = {
	[EXPR_MUL] = { BIN_MUL, BIN_MUL, false, true }, [EXPR_DIV] = { BIN_DIV_U, BIN_DIV_S, false, false },
	[EXPR_MOD] = { BIN_MOD_U, BIN_MOD_S, false, false }, [EXPR_ADD] = { BIN_ADD, BIN_ADD, false, true },
	[EXPR_SUB] = { BIN_SUB, BIN_SUB, false, true }, [EXPR_SHL] = { BIN_SHL, BIN_SHL, false, true },
	[EXPR_SHR] = { BIN_SHR_U, BIN_SHR_S, false, false }, [EXPR_BITAND] = { BIN_AND, BIN_AND, false, false },
	[EXPR_BITXOR] = { BIN_XOR, BIN_XOR, false, false }, [EXPR_BITOR] = { BIN_OR, BIN_OR, false, false },
	[EXPR_LT] = { BIN_LT_U, BIN_LT_S, true, false }, [EXPR_LE] = { BIN_LE_U, BIN_LE_S, true, false },
	[EXPR_GT] = { BIN_LT_U, BIN_LT_S, true, false }, [EXPR_GE] = { BIN_LE_U, BIN_LE_S, true, false },
	[EXPR_EQ] = { BIN_EQ, BIN_EQ, true, false }, [EXPR_NE] = { BIN_NE, BIN_NE, true, false },
	[EXPR_AND] = { BIN_LAND, BIN_LAND, true, false }, [EXPR_OR] = { BIN_LOR, BIN_LOR, true, false },
};

/* ---- enumerators and texts ---- */

/* `kind == ORDER_BULK`: a name that is no parameter may be one of the other side's enumerators. */
static bool eval_enumerator(struct builder *b, const struct expr *e, struct type *other, struct operand *out)
{
	if (e->op != EXPR_NAME || !other || other->kind != TYPE_ENUM || plan_find_param(b, e->text))
		return false;
	type_complete(b->rq->di, other);
	for (uint32_t i = 0; i < other->n_enumerators; i++) {
		const char *name = other->enumerators[i].name;
		const char *last = strrchr(name, ':');

		if (strcmp(name, e->text) && (!last || strcmp(last + 1, e->text)))
			continue;
		*out = plan_constant(other->enumerators[i].value);
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
		return plan_refuse(b, e, E2BIG, "%s", "a compared string may have 63 characters at most");
	if (memchr(e->text, '\0', e->text_len))
		return plan_refuse(b, e, EINVAL, "%s", "a compared string ends at its first NUL");
	if (which >= PLAN_LITERALS)
		return plan_refuse(b, e, E2BIG, "%s", "at most 4 strings can be compared in one probe");
	memset(mask, 0xff, e->text_len + 1);
	memcpy(plan->literal[which], e->text, e->text_len);
	memcpy(plan->literal_mask[which], mask, sizeof(mask));
	b->next_literal++;
	return which;
}

/* One more than the longest literal and its NUL, so that a longer text does not look like it. */
enum { TEXT_ROOM = PLAN_LITERAL_WORDS * 8 + 1 };

/* Where a text starts: OP_STRING without its place in the event. */
static int text_source(struct builder *b, const struct expr *e, struct operand *text, struct plan_op *op)
{
	int err = 0;

	*op = (struct plan_op){ .code = OP_STRING, .size = TEXT_ROOM };
	if (text->type->kind == TYPE_ARRAY && text->kind == OPERAND_MEMORY) {
		op->imm = text->value;
		if (text->type->count && text->type->count + 1 < TEXT_ROOM)
			op->size = (uint32_t)text->type->count + 1;
	} else if (text->type->kind == TYPE_ARRAY) {
		return plan_refuse(b, e, ENOTSUP, "%s", "a text in registers cannot be compared");
	} else {
		err = plan_load(b, text);
		op->sub = STRING_NULL_IS_A_VALUE;
	}
	op->a = text->reg;
	return err;
}

/* Captures a text into a hidden cell and compares it with a literal. */
static int compare_text(struct builder *b, const struct expr *e, struct operand *text, const struct expr *literal,
			struct operand *out)
{
	int which = add_literal(b, literal), err;
	struct plan_op op;
	int64_t at;

	if (which < 0)
		return which;
	err = text_source(b, e, text, &op);
	if (err)
		return err;
	at = plan_reserve(b, sizeof(struct event_string) + TEXT_ROOM);
	op.off = (uint32_t)at;
	op.bit = plan_bit(b);
	if (at < 0 || op.bit == LAYOUT_BIT_NONE)
		return plan_refuse(b, e, E2BIG, "%s", "the probe captures too much");
	err = plan_emit(b, op);
	if (!err)
		err = plan_emit(b, (struct plan_op){ .code = OP_STREQ, .dst = text->reg, .b = (uint8_t)which, .off = op.off,
						     .bit = op.bit });
	if (!err && e->op == EXPR_NE)
		err = plan_emit(b, (struct plan_op){ .code = OP_UNARY, .sub = UN_LNOT, .dst = text->reg, .a = text->reg,
						     .bit = LAYOUT_BIT_NONE });
	*out = (struct operand){ .kind = OPERAND_REG, .reg = text->reg, .type = &plan_type_int, .bit = LAYOUT_BIT_NONE };
	b->next_reg = text->reg + 1;
	return err;
}

static int eval_text(struct builder *b, const struct expr *e, struct operand *a, struct operand *z, struct operand *out)
{
	struct operand *literal = a->kind == OPERAND_TEXT ? a : z, *text = literal == a ? z : a;

	if (e->op != EXPR_EQ && e->op != EXPR_NE)
		return plan_refuse(b, e, EINVAL, "%s", "strings can be compared with == and != only");
	if (text->kind == OPERAND_TEXT)
		return plan_refuse(b, e, EINVAL, "%s", "two literals are not worth comparing");
	if (text->kind == OPERAND_NONE) {
		*out = *text;
		return 0;
	}
	if (!text->type)
		return plan_refuse(b, e, EINVAL, "%s", "this is not a text");
	if (text->type != &plan_type_raw && !type_is_text(text->type)) {
		plan_refuse(b, e, EINVAL, "'%s' is not a text", text->type->name);
		return error_hint(b->err, "a string compares with char * and char[]");
	}
	return compare_text(b, e, text, literal->expr, out);
}

/* ---- numbers ---- */

static struct type *common_type(const struct operand *left, const struct operand *right)
{
	const struct type *a = plan_promoted(left), *b = plan_promoted(right);
	bool wide_a = a->size > 4, wide_b = b->size > 4;

	if (wide_a || wide_b)
		return (wide_a && type_is_unsigned(a)) || (wide_b && type_is_unsigned(b)) ? &plan_type_ulong : &plan_type_long;
	if ((a->size == 4 && type_is_unsigned(a)) || (b->size == 4 && type_is_unsigned(b)))
		return &plan_type_uint;
	return &plan_type_long;
}

static int cut_to_32(struct builder *b, uint8_t reg)
{
	return plan_emit(b, (struct plan_op){ .code = OP_BITS, .dst = reg, .a = reg, .size = 32, .bit = LAYOUT_BIT_NONE });
}

/* Brings an operand into a register, as a value of the common type. */
static int load_as(struct builder *b, struct operand *o, const struct type *common)
{
	bool cut = common == &plan_type_uint && !type_is_unsigned(plan_promoted(o));
	int err;

	if (cut && o->kind == OPERAND_CONST) {
		o->value = (uint32_t)o->value;
		cut = false;
	}
	err = plan_load(b, o);
	return err || !cut ? err : cut_to_32(b, o->reg);
}

static int check_scalars(struct builder *b, const struct expr *e, const struct operand *a, const struct operand *z)
{
	const struct operand *bad = a->type && type_is_scalar(a->type) ? z : a;

	if (bad->type && type_is_scalar(bad->type))
		return 0;
	return plan_refuse(b, bad == a ? e->a : e->b, EINVAL, bad->type && bad->type->kind == TYPE_FLOAT ?
			   "'%s' is a floating point value: it can be captured, not computed with" :
			   "'%s' is not a number or pointer", bad->type ? bad->type->name : "void");
}

static bool is_pointer(const struct operand *o)
{
	return o->type->kind == TYPE_POINTER && o->type->target;
}

/* The bytes by which `pointer + 1` moves; 0: not known. Registers without a type and void * count bytes. */
static uint64_t step_of(struct builder *b, const struct operand *pointer)
{
	struct type *target = pointer->type->target;

	type_complete(b->rq->di, target);
	if (target->kind == TYPE_VOID || target->kind == TYPE_FUNCTION)
		return 1;
	return target->size;
}

/* o = o * size or o / size; both take the next register for the size. */
static int scale(struct builder *b, struct operand *o, enum plan_binary how, uint64_t size)
{
	uint8_t reg = 0;
	int err;

	if (size == 1)
		return plan_load(b, o);
	if (o->kind == OPERAND_CONST && how == BIN_MUL) {
		*o = plan_constant((int64_t)((uint64_t)o->value * size));
		return plan_load(b, o);
	}
	err = plan_load(b, o);
	if (!err)
		err = plan_take_reg(b, &reg);
	if (!err)
		err = plan_emit(b, (struct plan_op){ .code = OP_IMM, .dst = reg, .imm = (int64_t)size, .bit = LAYOUT_BIT_NONE });
	if (!err)
		err = plan_emit(b, (struct plan_op){ .code = OP_BINARY, .sub = how, .dst = o->reg, .a = o->reg, .b = reg,
						     .bit = LAYOUT_BIT_NONE });
	if (!err)
		b->next_reg--;
	return err;
}

/* p + n, n + p, p - n, p - q */
static int eval_pointers(struct builder *b, const struct expr *e, struct operand *a, struct operand *z, uint8_t mark,
			 struct operand *out)
{
	struct operand *pointer = is_pointer(a) ? a : z, *other = pointer == a ? z : a;
	uint64_t size = step_of(b, pointer);
	bool difference = is_pointer(other);
	int err;

	if (!size)
		return plan_refuse(b, e, EINVAL, "the size of what '%s' points to is not known", pointer->type->name);
	*out = (struct operand){ .kind = OPERAND_REG, .reg = mark, .bit = LAYOUT_BIT_NONE,
				 .type = difference ? &plan_type_long : pointer->type };
	err = plan_load(b, pointer);
	if (!err)
		err = difference ? plan_load(b, other) : scale(b, other, BIN_MUL, size);
	if (!err)
		err = plan_emit(b, (struct plan_op){ .code = OP_BINARY, .sub = e->op == EXPR_ADD ? BIN_ADD : BIN_SUB, .dst = mark,
						     .a = a->reg, .b = z->reg, .bit = LAYOUT_BIT_NONE });
	b->next_reg = mark + 1;
	return err || !difference ? err : scale(b, out, BIN_DIV_S, size);
}

static bool moves_pointer(const struct expr *e, const struct operand *a, const struct operand *z)
{
	if (e->op == EXPR_ADD)
		return is_pointer(a) != is_pointer(z);
	return e->op == EXPR_SUB && is_pointer(a);
}

static int eval_numbers(struct builder *b, const struct expr *e, struct operand *a, struct operand *z, uint8_t mark,
			struct operand *out)
{
	const struct operator *op = &operators[e->op];
	bool shift = e->op == EXPR_SHL || e->op == EXPR_SHR, logical = e->op == EXPR_AND || e->op == EXPR_OR;
	bool swap = e->op == EXPR_GT || e->op == EXPR_GE;
	struct type *common = shift ? common_type(a, a) : logical ? &plan_type_long : common_type(a, z);
	struct plan_op code = { .code = OP_BINARY, .dst = mark, .bit = LAYOUT_BIT_NONE };
	int err = load_as(b, a, common);

	if (!err)
		err = shift ? plan_load(b, z) : load_as(b, z, common);
	if (err)
		return err;
	code.sub = type_is_unsigned(common) ? op->is_unsigned : op->is_signed;
	code.a = swap ? z->reg : a->reg;
	code.b = swap ? a->reg : z->reg;
	err = plan_emit(b, code);
	if (!err && common == &plan_type_uint && op->wraps)
		err = cut_to_32(b, mark);
	*out = (struct operand){ .kind = OPERAND_REG, .reg = mark, .bit = LAYOUT_BIT_NONE,
				 .type = op->compares ? &plan_type_int : common };
	b->next_reg = mark + 1;
	return err;
}

/* Evaluates both sides. Only one that needs registers to be found is brought into one before the other is looked at. */
static int eval_sides(struct builder *b, const struct expr *e, struct operand *a, struct operand *z)
{
	struct type *own; /* as it is declared: a bit-field is an int once it is loaded */
	int err;

	if (e->a->op == EXPR_NAME && !plan_find_param(b, e->a->text)) { /* the right side knows the enum */
		err = plan_eval(b, e->b, z);
		own = z->type;
		if (!err && z->kind == OPERAND_MEMORY && z->type && type_is_scalar(z->type))
			err = plan_load(b, z);
		if (!err && !eval_enumerator(b, e->a, own, a))
			err = plan_eval(b, e->a, a);
		return err;
	}
	err = plan_eval(b, e->a, a);
	own = a->type;
	if (!err && a->kind == OPERAND_MEMORY && a->type && type_is_scalar(a->type) && e->b->op != EXPR_STRING)
		err = plan_load(b, a);
	if (!err && !eval_enumerator(b, e->b, own, z))
		err = plan_eval(b, e->b, z);
	return err;
}

int plan_eval_binary(struct builder *b, const struct expr *e, struct operand *out)
{
	struct operand a = { 0 }, z = { 0 };
	uint8_t mark = b->next_reg;
	int err = eval_sides(b, e, &a, &z);

	if (err)
		return err;
	if (a.kind == OPERAND_TEXT || z.kind == OPERAND_TEXT)
		return eval_text(b, e, &a, &z, out);
	if (a.kind == OPERAND_NONE || z.kind == OPERAND_NONE) {
		*out = a.kind == OPERAND_NONE ? a : z;
		return 0;
	}
	err = check_scalars(b, e, &a, &z);
	if (err)
		return err;
	if (moves_pointer(e, &a, &z))
		return eval_pointers(b, e, &a, &z, mark, out);
	return eval_numbers(b, e, &a, &z, mark, out);
}

static int64_t fold(enum expr_op op, int64_t v)
{
	return op == EXPR_NEG ? (int64_t)(0 - (uint64_t)v) : op == EXPR_INVERT ? ~v : !v;
}

int plan_eval_unary(struct builder *b, const struct expr *e, struct operand *out)
{
	static const uint8_t codes[EXPR_OPS] = { [EXPR_NEG] = UN_NEG, [EXPR_NOT] = UN_LNOT, [EXPR_INVERT] = UN_NOT };
	struct type *common;
	int err = plan_eval(b, e->a, out);

	if (err || out->kind == OPERAND_NONE)
		return err;
	if (out->kind == OPERAND_TEXT || !out->type || !type_is_scalar(out->type))
		return plan_refuse(b, e->a, EINVAL, "%s", "this is not a number");
	if (out->kind == OPERAND_CONST) {
		*out = plan_constant(fold(e->op, out->value));
		return 0;
	}
	common = e->op == EXPR_NOT ? &plan_type_int : common_type(out, out);
	err = plan_load(b, out);
	if (!err)
		err = plan_emit(b, (struct plan_op){ .code = OP_UNARY, .sub = codes[e->op], .dst = out->reg, .a = out->reg,
						     .bit = LAYOUT_BIT_NONE });
	if (!err && common == &plan_type_uint)
		err = cut_to_32(b, out->reg);
	out->type = common;
	return err;
}
