/* SPDX-License-Identifier: Apache-2.0 */
/* The symbolic evaluation of DWARF expressions: no memory is read, what has another form is named and not guessed. */
#include <string.h>

#include "debuginfo_eval.h"
#include "plumb/event.h"

static void push(struct eval *e, enum eval_base base, unsigned reg, int64_t offset)
{
	if (e->depth == EVAL_STACK_MAX) {
		e->reason = "computed by a long expression";
		return;
	}
	e->stack[e->depth++] = (struct eval_value){ base, reg, offset, 0, 64 };
}

static void push_base(struct eval *e, const struct frame_base *base, int64_t offset)
{
	if (base->known)
		push(e, BASE_REG, base->reg, (int64_t)((uint64_t)base->offset + (uint64_t)offset));
	else
		push(e, BASE_FRAME, 0, offset);
}

static void push_frame(struct eval *e, const struct eval_context *c, int64_t offset)
{
	if (c->at)
		push_base(e, &c->at->base, offset);
	else if (c->frame_known)
		push(e, BASE_REG, GPR_SP, (int64_t)((uint64_t)c->frame_offset + (uint64_t)offset));
	else
		push(e, BASE_FRAME, 0, offset);
}

static void op_reg(struct eval *e, unsigned reg)
{
	push(e, BASE_REG, reg, 0);
	e->is_register = true;
}

static struct eval_value *top(struct eval *e)
{
	if (e->depth == 0 && !e->reason)
		e->reason = "described by a damaged expression";
	return e->depth ? &e->stack[e->depth - 1] : NULL;
}

static void op_add(struct eval *e, int64_t n)
{
	struct eval_value *s = top(e);

	if (!s)
		return;
	if ((s->derefs || s->bits < 64) && n != 0)
		e->reason = "computed by an expression";
	else
		s->offset = (int64_t)((uint64_t)s->offset + (uint64_t)n);
}

static void op_binary(struct eval *e, int sign)
{
	struct eval_value *s = top(e);
	int64_t n;

	if (!s || e->depth < 2 || s->base != BASE_CONST || s->derefs) {
		e->reason = "computed by an expression";
		return;
	}
	n = s->offset;
	e->depth--;
	op_add(e, sign < 0 ? (int64_t)(0 - (uint64_t)n) : n);
}

static void narrow(struct eval_value *s, unsigned bits)
{
	if (bits < s->bits)
		s->bits = bits;
}

/* clang cuts a narrow argument out of its register: "rdi & 0xff, converted". The low bits stay as they are. */
static void op_and(struct eval *e)
{
	struct eval_value *s = top(e);
	uint64_t mask;

	if (!s || e->depth < 2 || s->base != BASE_CONST || s->derefs) {
		e->reason = "computed by an expression";
		return;
	}
	mask = (uint64_t)s->offset;
	e->depth--;
	s = top(e);
	if (s->derefs || s->offset || (mask & (mask + 1)))
		e->reason = "computed by an expression";
	else
		narrow(s, mask + 1 ? (unsigned)__builtin_ctzll(mask + 1) : 64);
}

static void op_convert(struct eval *e, const struct eval_context *c, const Dwarf_Op *op)
{
	struct eval_value *s = top(e);
	Dwarf_Die type;
	uint64_t size, encoding;

	if (!s || op->number == 0)            /* 0: back to an address-sized integer */
		return;
	if (dwarf_getlocation_die(c->attr, op, &type) != 0 || !die_udata(&type, DW_AT_byte_size, &size) || size == 0 ||
	    !die_udata(&type, DW_AT_encoding, &encoding) || encoding == DW_ATE_float || s->derefs || s->offset)
		e->reason = "computed by an expression";
	else
		narrow(s, size < 8 ? (unsigned)size * 8 : 64);
}

/* The value that the register had at the entry, which is where we are. */
static void op_entry_value(struct eval *e, const struct eval_context *c, const Dwarf_Op *op)
{
	Dwarf_Attribute nested;
	Dwarf_Op *expr;
	size_t len;

	if (c->at) {
		e->reason = "optimised out (known at the function's entry only)";
		return;
	}
	if (dwarf_getlocation_attr(c->attr, op, &nested) != 0 || dwarf_getlocation(&nested, &expr, &len) != 0 ||
	    len != 1) {
		e->reason = "computed by an expression";
		return;
	}
	if (expr[0].atom >= DW_OP_reg0 && expr[0].atom <= DW_OP_reg31)
		push(e, BASE_REG, expr[0].atom - DW_OP_reg0, 0);
	else if (expr[0].atom == DW_OP_regx && expr[0].number <= 1024)
		push(e, BASE_REG, (unsigned)expr[0].number, 0);
	else
		e->reason = "computed by an expression";
}

static void op_implicit_value(struct eval *e, const struct eval_context *c, const Dwarf_Op *op)
{
	Dwarf_Block block;
	uint64_t value = 0;

	if (dwarf_getlocation_implicit_value(c->attr, op, &block) != 0 || block.length > 8) {
		e->reason = "a constant of more than 8 bytes";
		return;
	}
	memcpy(&value, block.data, block.length);
	push(e, BASE_CONST, 0, (int64_t)value);
	e->is_value = true;
}

static bool eval_const(struct eval *e, const Dwarf_Op *op)
{
	switch (op->atom) {
	case DW_OP_lit0 ... DW_OP_lit31:
		push(e, BASE_CONST, 0, op->atom - DW_OP_lit0);
		return true;
	case DW_OP_const1u: case DW_OP_const1s: case DW_OP_const2u: case DW_OP_const2s:
	case DW_OP_const4u: case DW_OP_const4s: case DW_OP_const8u: case DW_OP_const8s:
	case DW_OP_constu: case DW_OP_consts:
		push(e, BASE_CONST, 0, (int64_t)op->number);
		return true;
	default:
		return false;
	}
}

/* rsp in an expression for the whole body is what it will be after the prologue. */
static void op_breg(struct eval *e, const struct eval_context *c, unsigned reg, int64_t offset)
{
	push(e, c->whole && reg == GPR_SP && !c->at ? BASE_FRAME : BASE_REG, reg, offset);
}

static bool eval_register(struct eval *e, const struct eval_context *c, const Dwarf_Op *op)
{
	switch (op->atom) {
	case DW_OP_reg0 ... DW_OP_reg31:
		op_reg(e, op->atom - DW_OP_reg0);
		return true;
	case DW_OP_regx:
		op_reg(e, op->number <= 1024 ? (unsigned)op->number : 1024);
		return true;
	case DW_OP_breg0 ... DW_OP_breg31:
		op_breg(e, c, op->atom - DW_OP_breg0, (int64_t)op->number);
		return true;
	case DW_OP_bregx:
		op_breg(e, c, op->number <= 1024 ? (unsigned)op->number : 1024, (int64_t)op->number2);
		return true;
	default:
		return false;
	}
}

static bool eval_arithmetic(struct eval *e, const struct eval_context *c, const Dwarf_Op *op)
{
	switch (op->atom) {
	case DW_OP_nop:
		return true;
	case DW_OP_plus_uconst:
		op_add(e, (int64_t)op->number);
		return true;
	case DW_OP_plus:
		op_binary(e, 1);
		return true;
	case DW_OP_minus:
		op_binary(e, -1);
		return true;
	case DW_OP_and:
		op_and(e);
		return true;
	case DW_OP_convert:
	case DW_OP_GNU_convert:
		op_convert(e, c, op);
		return true;
	default:
		return false;
	}
}

static void op_deref(struct eval *e)
{
	struct eval_value *s = top(e);

	if (s && s->bits < 64)
		e->reason = "computed by an expression";
	else if (s)
		s->derefs++;
}

static void eval_op(struct eval *e, const struct eval_context *c, const Dwarf_Op *op)
{
	if (eval_const(e, op) || eval_register(e, c, op) || eval_arithmetic(e, c, op))
		return;
	switch (op->atom) {
	case DW_OP_entry_value:
	case DW_OP_GNU_entry_value:
		op_entry_value(e, c, op);
		return;
	case DW_OP_fbreg:
		push_frame(e, c, (int64_t)op->number);
		return;
	case DW_OP_call_frame_cfa:
		push_base(e, c->at ? &c->at->cfa : &(struct frame_base){ true, GPR_SP, 8 }, 0);
		return;
	case DW_OP_addr:
	case DW_OP_addrx:
		e->reason = "a static variable, not one of the frame";
		return;
	case DW_OP_deref:
		op_deref(e);
		return;
	case DW_OP_stack_value:
		e->is_value = true;
		return;
	case DW_OP_implicit_value:
		op_implicit_value(e, c, op);
		return;
	case DW_OP_GNU_parameter_ref:
		e->reason = "optimised out (only the caller knows it)";
		return;
	case DW_OP_implicit_pointer:
	case DW_OP_GNU_implicit_pointer:
		e->reason = "optimised out (implicit pointer)";
		return;
	default:
		e->reason = "computed by an expression";
	}
}

void evaluate(struct eval *e, const struct eval_context *c, const Dwarf_Op *expr, size_t len)
{
	struct eval_value *last;

	*e = (struct eval){ 0 };
	if (len > EVAL_OPS_MAX)
		e->reason = "computed by a long expression";
	for (size_t i = 0; i < len && !e->reason; i++) {
		/* These end an expression. */
		if ((e->is_register || e->is_value) && expr[i].atom != DW_OP_nop)
			e->reason = "computed by an expression";
		else
			eval_op(e, c, &expr[i]);
	}
	if (!e->reason && e->depth == 0)
		e->reason = "optimised out";
	/* What lies below the return address is the function's own, whatever an entry of a list says. */
	last = e->depth ? &e->stack[e->depth - 1] : NULL;
	if (!c->at && !e->reason && last->base == BASE_REG && last->reg == GPR_SP && !e->is_register && last->offset < 8)
		last->base = BASE_FRAME;
}
