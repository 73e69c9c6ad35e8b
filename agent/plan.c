/* SPDX-License-Identifier: Apache-2.0 */
#include "plan_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct type plan_type_int = { .kind = TYPE_SIGNED, .name = "int", .size = 4, .complete = true, .is_signed = true };
struct type plan_type_uint = { .kind = TYPE_UNSIGNED, .name = "unsigned int", .size = 4, .complete = true };
struct type plan_type_long = { .kind = TYPE_SIGNED, .name = "long", .size = 8, .complete = true, .is_signed = true };
struct type plan_type_ulong = { .kind = TYPE_UNSIGNED, .name = "unsigned long", .size = 8, .complete = true };
static struct type type_void = { .kind = TYPE_VOID, .name = "void", .complete = true };
/* A register without a type: shown in hex, usable as a number or as an address. */
struct type plan_type_raw = { .kind = TYPE_POINTER, .name = "", .size = 8, .target = &type_void, .complete = true };

uint32_t plan_ops_left(const struct builder *b)
{
	return b->at_return ? PLAN_RETURN_OPS - b->out->plan.n_return : PLAN_ENTRY_OPS - b->out->plan.n_entry;
}

int plan_emit(struct builder *b, struct plan_op op)
{
	struct plan *plan = &b->out->plan;

	if (!plan_ops_left(b))
		return error_set(b->err, E2BIG, "the probe needs more than %d operations at %s; capture fewer values",
				 b->at_return ? PLAN_RETURN_OPS : PLAN_ENTRY_OPS, b->at_return ? "return" : "entry");
	if (op.code == OP_REG && !b->at_return)
		b->keep_regs |= 1U << op.b;
	if (b->at_return)
		plan->ret[plan->n_return++] = op;
	else
		plan->entry[plan->n_entry++] = op;
	return 0;
}

int64_t plan_reserve(struct builder *b, uint32_t bytes)
{
	uint32_t at = b->data;

	if (bytes > PLAN_DATA_MAX - b->data)
		return -ENOSPC;
	b->data = (at + bytes + 7) & ~7U;
	return at;
}

uint32_t plan_bits_left(const struct builder *b)
{
	return PLAN_READ_BITS - b->next_bit;
}

uint8_t plan_bit(struct builder *b)
{
	return b->next_bit < PLAN_READ_BITS ? b->next_bit++ : LAYOUT_BIT_NONE;
}

/* Emits `expr` as a truth value and ends with OP_REQUIRE or OP_ERROR. */
static int emit_test(struct builder *b, const struct expr *e, enum plan_code code)
{
	struct operand o = { 0 };
	int err;

	b->next_reg = 0;
	b->hoist = HOIST_WHOLE;
	err = plan_eval(b, e, &o);
	if (!err && o.kind == OPERAND_TEXT)
		return plan_refuse(b, e, EINVAL, "%s", "a string is not a condition");
	if (!err && o.kind == OPERAND_NONE)
		return plan_refuse(b, e, EINVAL, "the condition cannot be decided: %s", o.reason);
	if (!err)
		err = plan_load(b, &o);
	if (!err)
		err = plan_emit(b, (struct plan_op){ .code = code, .a = o.reg, .bit = LAYOUT_BIT_NONE });
	return plan_error_at(b, e, err);
}

static struct type *return_type(const struct builder *b)
{
	return b->rq->fn ? b->rq->fn->ret : &plan_type_raw;
}

/* Calls fail, by default, with NULL for a pointer and a negative number for a signed integer. */
static int emit_default_error(struct builder *b)
{
	struct type *t = return_type(b);
	struct plan_op get = { .code = OP_SPECIAL, .b = SPECIAL_RET, .size = 8, .bit = LAYOUT_BIT_NONE };
	struct plan_op zero = { .code = OP_IMM, .dst = 1, .bit = LAYOUT_BIT_NONE };
	struct plan_op test = { .code = OP_BINARY, .a = 0, .b = 1, .bit = LAYOUT_BIT_NONE };
	struct plan_op set = { .code = OP_ERROR, .bit = LAYOUT_BIT_NONE };
	int err;

	if (!t || b->rq->no_default_error || !b->rq->fn || b->rq->fn->ret_where.kind != LOCATION_REGISTERS)
		return 0;
	if (t->kind == TYPE_POINTER)
		test.sub = BIN_EQ;
	else if (t->kind == TYPE_SIGNED)
		test.sub = BIN_LT_S;
	else
		return 0;
	get.size = t->size >= 1 && t->size <= 8 ? t->size : 8;
	get.sign = t->kind == TYPE_SIGNED;
	b->out->has_error = true;
	err = plan_emit(b, get);
	if (!err)
		err = plan_emit(b, zero);
	if (!err)
		err = plan_emit(b, test);
	return err ? err : plan_emit(b, set);
}

static int emit_error(struct builder *b)
{
	int err;

	b->at_return = true;
	if (b->rq->error) {
		b->out->has_error = true;
		err = emit_test(b, b->rq->error, OP_ERROR);
		if (err && b->rq->blame_error)
			*b->rq->blame_error = true;
	} else {
		err = emit_default_error(b);
	}
	if (err)
		return err;
	if (b->rq->errors_only && !b->out->has_error)
		return error_set(b->err, EINVAL, "%s has no default for what an error is", !b->rq->fn ?
				 "a function without debug info" : return_type(b) ? "this return type" : "a void function"),
		       error_hint(b->err, "say it with --error EXPR, e.g. --error '$ret != 0'");
	return 0;
}

static int emit_condition(struct builder *b)
{
	const struct expr *cond = b->rq->spec->condition;

	if (!cond)
		return 0;
	b->out->has_condition = true;
	b->at_return = expr_uses_return(cond);
	if (b->rq->line && b->at_return)
		return plan_refuse(b, cond, EINVAL, "%s", "$ret and $duration belong to a call; a source line has none");
	return emit_test(b, cond, OP_REQUIRE);
}

enum { PARAM_OPS = 4 };   /* a parameter's operations at most: a struct in two registers */

static int capture_params(struct builder *b)
{
	for (uint32_t i = 0; i < b->rq->fn->n_params; i++) {
		const struct param *p = &b->rq->fn->params[i];
		struct operand o = { 0 };
		int err;

		b->next_reg = 0;
		if (plan_ops_left(b) >= PARAM_OPS)
			err = plan_eval_param(b, p, &o);
		else
			o = (struct operand){ .kind = OPERAND_NONE, .type = p->type, .reason = "one value too many" }, err = 0;
		if (!err)
			err = plan_capture(b, *p->name ? p->name : "-", ROLE_ENTRY, &o);
		if (err)
			return err;
	}
	return 0;
}

/* Without debug info: the six registers that integer arguments come in. */
static int capture_registers(struct builder *b)
{
	static const uint8_t regs[] = { GPR_DI, GPR_SI, GPR_DX, GPR_CX, GPR_R8, GPR_R9 };
	static const char *const names[] = { "$arg0", "$arg1", "$arg2", "$arg3", "$arg4", "$arg5" };

	for (unsigned i = 0; i < sizeof(regs); i++) {
		struct operand o = { .kind = OPERAND_REG, .type = &plan_type_raw, .bit = LAYOUT_BIT_NONE };
		int err = plan_emit(b, (struct plan_op){ .code = OP_REG, .b = regs[i], .size = 8, .bit = LAYOUT_BIT_NONE });

		b->next_reg = 1;
		if (!err)
			err = plan_capture(b, names[i], ROLE_ENTRY, &o);
		if (err)
			return err;
	}
	return 0;
}

static int capture_one(struct builder *b, const struct capture *c, uint8_t role)
{
	struct operand o = { 0 };
	int err;

	if (b->rq->line && expr_uses_return(c->expr))
		return plan_refuse(b, c->expr, EINVAL, "'%s' belongs to a call; a source line has none", c->label);
	if (role == ROLE_ENTRY && expr_uses_return(c->expr)) {
		plan_refuse(b, c->expr, EINVAL, "'%s' is known at return only", c->label);
		return error_hint(b->err, "capture it after '->'");
	}
	b->next_reg = 0;
	b->hoist = HOIST_PARAMS;
	err = plan_eval(b, c->expr, &o);
	if (!err && o.kind == OPERAND_TEXT)
		return plan_refuse(b, c->expr, EINVAL, "%s", "a literal is not worth a capture");
	if (!err)
		err = plan_capture(b, c->label, role, &o);
	return plan_error_at(b, c->expr, err);
}

static int capture_list(struct builder *b, const struct capture *list, size_t n, uint8_t role)
{
	int err = 0;

	for (size_t i = 0; !err && i < n; i++)
		err = capture_one(b, &list[i], role);
	return err;
}

/* The first field of each record of a pattern. */
static int capture_function(struct builder *b)
{
	struct operand o = { .kind = OPERAND_REG, .type = &plan_type_uint, .bit = LAYOUT_BIT_NONE };
	int err;

	b->next_reg = 0;
	err = plan_take_reg(b, &o.reg);
	if (!err)
		err = plan_emit(b, (struct plan_op){ .code = OP_SPECIAL, .dst = o.reg, .size = 8, .b = SPECIAL_FUNCTION,
						     .bit = LAYOUT_BIT_NONE });
	return err ? err : plan_capture(b, PLAN_FUNCTION_FIELD, ROLE_ENTRY, &o);
}

static int capture_entry(struct builder *b)
{
	const struct spec *s = b->rq->spec;

	b->at_return = false;
	if (!b->ship)
		return 0;
	if (b->rq->pattern) {
		int err = capture_function(b);

		return err ? err : capture_list(b, s->entry, s->n_entry, ROLE_ENTRY);
	}
	if (s->has_entry)
		return capture_list(b, s->entry, s->n_entry, ROLE_ENTRY);
	return b->rq->fn ? capture_params(b) : capture_registers(b);
}

static int capture_return(struct builder *b)
{
	const struct spec *s = b->rq->spec;
	struct operand o = { .kind = OPERAND_RET, .type = return_type(b), .bit = LAYOUT_BIT_NONE };

	b->at_return = true;
	if (!b->ship || !(b->out->plan.flags & PLAN_CALL))
		return 0;
	if (s->has_return)
		return capture_list(b, s->ret, s->n_return, ROLE_RETURN);
	b->next_reg = 0;
	/* By default the functions of a pattern show what can be shown of all of them. */
	if (b->rq->pattern && b->rq->fn && b->rq->fn->ret_where.kind != LOCATION_REGISTERS)
		return 0;
	return o.type ? plan_capture(b, "$ret", ROLE_RETURN, &o) : 0;
}

bool plan_wants_call(const struct plan_request *rq)
{
	const struct spec *s = rq->spec;

	if (rq->entry_only)
		return false;
	return rq->force_call || !s->has_entry || s->has_return || rq->errors_only || rq->error ||
	       (s->condition && expr_uses_return(s->condition));
}

static uint32_t limit(uint32_t wanted, uint32_t usual, uint32_t max)
{
	return !wanted ? usual : wanted < max ? wanted : max;
}

/* Values that can be told apart in a register. */
static void count_error_values(struct builder *b)
{
	const struct function *fn = b->rq->fn;
	struct plan *plan = &b->out->plan;

	if (!b->out->has_error || b->rq->pattern || !fn || !fn->ret || fn->ret_where.kind != LOCATION_REGISTERS || !type_is_scalar(fn->ret))
		return;
	plan->flags |= PLAN_ERROR_VALUES;
	plan->ret_bytes = (uint16_t)fn->ret->size;
	plan->ret_signed = !type_is_unsigned(fn->ret);
	b->out->may_be_errno = fn->ret->kind == TYPE_SIGNED && fn->ret->size >= 4;
}

static void decide_what_is_shipped(struct builder *b)
{
	bool shown = b->rq->show_errors && b->out->has_error && !b->rq->pattern;

	b->ship = b->rq->ship || shown;
	b->out->plan.flags |= (b->ship ? PLAN_SHIP : 0) | (b->rq->errors_only || (shown && !b->rq->ship) ? PLAN_ERRORS_ONLY : 0);
}

/* What only calls have. */
static int check_line(const struct plan_request *rq, struct error *err)
{
	if (rq->spec->has_return) {
		error_set(err, EINVAL, "a source line returns nothing");
		error_at(err, rq->spec->name_col, rq->spec->name_len);
		return error_hint(err, "leave out '->' and what follows it");
	}
	if (!rq->errors_only)
		return 0;
	error_set(err, EINVAL, "a source line cannot fail: --errors is for functions");
	return error_at(err, rq->spec->name_col, rq->spec->name_len);
}

int plan_build(const struct plan_request *rq, struct resolved *out, uint32_t *keep_regs, struct error *err)
{
	struct builder b = { .rq = rq, .out = out, .err = err };
	int rc = rq->line ? check_line(rq, err) : 0;

	if (rc)
		return rc;
	b.limits = (struct capture_limits){ .depth = limit(rq->limits.depth, 1, 4), .bytes = limit(rq->limits.bytes, 256, 4096),
					    .string = limit(rq->limits.string, 64, 4096) };
	out->plan.flags = rq->pattern ? PLAN_PATTERN : 0;
	if (plan_wants_call(rq))
		out->plan.flags |= PLAN_CALL;
	out->has_duration = !!(out->plan.flags & PLAN_CALL);
	out->returns_void = rq->fn && !rq->fn->ret;
	/* The condition first: a call that fails it at entry costs no captures. */
	rc = emit_condition(&b);
	if (!rc && out->has_duration)
		rc = emit_error(&b);
	if (!rc)
		count_error_values(&b);
	if (!rc)
		decide_what_is_shipped(&b);
	if (!rc)
		rc = capture_entry(&b);
	if (!rc)
		rc = capture_return(&b);
	/* What pointers lead to comes last: it takes the room that nothing else wants. */
	if (!rc)
		rc = plan_describe(&b);
	free(b.captured);
	if (rc)
		return rc;
	out->plan.data_bytes = b.data;
	out->plan.event_bytes = sizeof(struct event) + out->plan.data_bytes;
	*keep_regs = b.keep_regs;
	return 0;
}
