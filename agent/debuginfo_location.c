/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a parameter is at the function's first instruction, before it runs.
 *
 * DWARF describes a variable for the whole body, in three ways that differ at the entry:
 *
 *   - a location list: the entry that holds the entry pc.  gcc's lists come with "views": several source-level moments
 *     at one address.  For `int f(int x) { x++; ...` there is [pc, pc) view 0..2 = rdi, then [pc, ...) view 2 = rdi + 1.
 *     No instruction lies between the two; the argument is what the first says, so an empty range at the entry pc
 *     counts when the list has views.
 *   - one expression with an argument register or a place in the caller's frame: as it stands.
 *   - one expression with the function's own stack slot, or a register that the caller owns: that is where the
 *     prologue will put it.  At the entry it is not there yet; the caller decides from the ABI (PLACE_HOME).
 *
 * An expression is evaluated symbolically, to "register + constant, dereferenced n times"; what does not have that
 * form is named and not guessed.
 */
#include <stdio.h>
#include <string.h>

#include "debuginfo_internal.h"
#include "plumb/event.h"

enum {
	OPS_MAX = 256, ENTRIES_MAX = 4096, STACK_MAX = 8,
	DW_REG_XMM0 = 17, DW_REG_XMM15 = 32, DW_REG_ST0 = 33, DW_REG_MM7 = 48,
};

void location_none(struct location *loc, const char *reason)
{
	*loc = (struct location){ .kind = LOCATION_NONE };
	snprintf(loc->reason, sizeof(loc->reason), "%s", reason);
}

/* The value in one or two registers, 8 bytes in the first if there is a second; reg1 < 0: one. */
void location_registers(struct location *loc, uint64_t size, int reg0, int reg1)
{
	*loc = (struct location){ .kind = LOCATION_REGISTERS, .pieces = reg1 < 0 ? 1 : 2 };
	loc->piece[0].reg = (uint8_t)reg0;
	loc->piece[0].size = size && size < 8 ? (uint8_t)size : 8;
	if (reg1 < 0)
		return;
	loc->piece[1].reg = (uint8_t)reg1;
	loc->piece[1].size = size > 8 && size < 16 ? (uint8_t)(size - 8) : 8;
}

/* ---- a symbolic value ---- */

enum base { BASE_CONST, BASE_REG, BASE_FRAME /* the frame base, its register not loaded yet */ };

struct sym { enum base base; unsigned reg; int64_t offset; unsigned derefs; };

struct eval {
	struct sym stack[STACK_MAX];
	unsigned depth;
	bool is_register, is_value;   /* DW_OP_regN; DW_OP_stack_value */
	const char *reason;           /* why it cannot be read */
};

struct context {
	Dwarf_Attribute *attr;
	const struct unit *u;
	bool whole;                   /* one expression for the whole body, not an entry of a list */
	bool frame_known;             /* the frame base is, or will be, the entry's sp + frame_offset */
	int64_t frame_offset;
};

static void push(struct eval *e, enum base base, unsigned reg, int64_t offset)
{
	if (e->depth == STACK_MAX) {
		e->reason = "computed by a long expression";
		return;
	}
	e->stack[e->depth++] = (struct sym){ base, reg, offset, 0 };
}

static void push_frame(struct eval *e, const struct context *c, int64_t offset)
{
	if (c->frame_known)
		push(e, BASE_REG, GPR_SP, (int64_t)((uint64_t)c->frame_offset + (uint64_t)offset));
	else
		push(e, BASE_FRAME, 0, offset);
	/* What lies below the return address is the function's own. */
	if (c->frame_known && e->depth && e->stack[e->depth - 1].offset < 8)
		e->stack[e->depth - 1].base = BASE_FRAME;
}

static void op_reg(struct eval *e, unsigned reg)
{
	push(e, BASE_REG, reg, 0);
	e->is_register = true;
}

static struct sym *top(struct eval *e)
{
	if (e->depth == 0 && !e->reason)
		e->reason = "described by a damaged expression";
	return e->depth ? &e->stack[e->depth - 1] : NULL;
}

static void op_add(struct eval *e, int64_t n)
{
	struct sym *s = top(e);

	if (!s)
		return;
	if (s->derefs && n != 0)
		e->reason = "computed by an expression";
	else
		s->offset = (int64_t)((uint64_t)s->offset + (uint64_t)n);
}

static void op_binary(struct eval *e, int sign)
{
	struct sym *s = top(e);
	int64_t n;

	if (!s || e->depth < 2 || s->base != BASE_CONST || s->derefs) {
		e->reason = "computed by an expression";
		return;
	}
	n = s->offset;
	e->depth--;
	op_add(e, sign < 0 ? (int64_t)(0 - (uint64_t)n) : n);
}

/* The value that the register had at the entry, which is where we are. */
static void op_entry_value(struct eval *e, const struct context *c, const Dwarf_Op *op)
{
	Dwarf_Attribute nested;
	Dwarf_Op *expr;
	size_t len;

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

static void op_implicit_value(struct eval *e, const struct context *c, const Dwarf_Op *op)
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

static bool is_entry_value(uint8_t atom)
{
	return atom == DW_OP_entry_value || atom == DW_OP_GNU_entry_value;
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
static void op_breg(struct eval *e, const struct context *c, unsigned reg, int64_t offset)
{
	push(e, c->whole && reg == GPR_SP ? BASE_FRAME : BASE_REG, reg, offset);
}

static bool eval_register(struct eval *e, const struct context *c, const Dwarf_Op *op)
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

static void eval_op(struct eval *e, const struct context *c, const Dwarf_Op *op)
{
	struct sym *s;

	if (eval_const(e, op) || eval_register(e, c, op))
		return;
	if (is_entry_value(op->atom)) {
		op_entry_value(e, c, op);
		return;
	}
	switch (op->atom) {
	case DW_OP_nop:
		return;
	case DW_OP_fbreg:
		push_frame(e, c, (int64_t)op->number);
		return;
	case DW_OP_call_frame_cfa:
		push(e, BASE_REG, GPR_SP, 8);
		return;
	case DW_OP_plus_uconst:
		op_add(e, (int64_t)op->number);
		return;
	case DW_OP_plus:
		op_binary(e, 1);
		return;
	case DW_OP_minus:
		op_binary(e, -1);
		return;
	case DW_OP_deref:
		if ((s = top(e)))
			s->derefs++;
		return;
	case DW_OP_stack_value:
		e->is_value = true;
		return;
	case DW_OP_implicit_value:
		op_implicit_value(e, c, op);
		return;
	case DW_OP_implicit_pointer:
	case DW_OP_GNU_implicit_pointer:
		e->reason = "optimised out (implicit pointer)";
		return;
	default:
		e->reason = "computed by an expression";
	}
}

static void evaluate(struct eval *e, const struct context *c, const Dwarf_Op *expr, size_t len)
{
	*e = (struct eval){ 0 };
	if (len > OPS_MAX)
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
	/* The CFA with something subtracted is the function's own frame. */
	if (!e->reason && c->whole && e->stack[e->depth - 1].base == BASE_REG && !e->is_register &&
	    e->stack[e->depth - 1].reg == GPR_SP && e->stack[e->depth - 1].offset < 8)
		e->stack[e->depth - 1].base = BASE_FRAME;
}

/* ---- a symbolic value -> a place ---- */

static const char *unreadable_register(unsigned reg)
{
	if (reg < GPR_COUNT)
		return NULL;
	if (reg >= DW_REG_XMM0 && reg <= DW_REG_XMM15)
		return "in an SSE register";
	if (reg >= DW_REG_ST0 && reg <= DW_REG_MM7)
		return "in an x87 or MMX register";
	return "in a register that cannot be read";
}

/* Registers that a C function finds as its caller left them: no argument is in one at the entry. Go has other rules. */
static bool is_callers(unsigned reg, const struct unit *u)
{
	const uint32_t callers = 1u << GPR_BX | 1u << GPR_BP | 1u << GPR_SP | 1u << GPR_R12 | 1u << GPR_R13 |
				 1u << GPR_R14 | 1u << GPR_R15;

	return u->lang != LANG_GO && reg < 32 && (callers >> reg & 1);
}

static void found(struct place *p, enum location_kind kind, unsigned reg, int64_t offset)
{
	p->kind = PLACE_FOUND;
	p->loc = (struct location){ .kind = kind, .reg = (uint8_t)reg, .offset = offset };
}

static void found_none(struct place *p, const char *reason)
{
	p->kind = PLACE_FOUND;
	location_none(&p->loc, reason);
}

static void place_value(const struct context *c, const struct sym *s, uint64_t size, struct place *p)
{
	if (is_callers(s->reg, c->u)) {
		if (c->whole)
			p->kind = PLACE_HOME;
		else
			found_none(p, "in a register that is not loaded yet");
	} else if (size > 8) {
		found_none(p, "only partly in a register");
	} else {
		p->kind = PLACE_FOUND;
		location_registers(&p->loc, size, (int)s->reg, -1);
	}
}

static void place_memory(const struct context *c, const struct sym *s, struct place *p)
{
	/* Relative to a register that the prologue sets. */
	bool callers = s->base == BASE_REG && s->reg != GPR_SP && is_callers(s->reg, c->u);

	if (s->derefs > 1)
		found_none(p, "computed by an expression");
	else if (callers && !c->whole)
		found_none(p, "behind a register that is not loaded yet");
	else if (callers || s->base == BASE_FRAME)
		p->kind = s->derefs ? PLACE_HOME_REFERENCE : PLACE_HOME;
	else
		found(p, s->derefs ? LOCATION_INDIRECT : LOCATION_MEMORY, s->reg, s->offset);
}

static void place_of(const struct context *c, const struct eval *e, uint64_t size, struct place *p)
{
	const struct sym *s = &e->stack[e->depth ? e->depth - 1 : 0];
	const char *reason = e->reason;

	if (!reason && s->base == BASE_REG)
		reason = unreadable_register(s->reg);
	if (!reason && e->is_value && s->base == BASE_CONST && s->derefs == 0) {
		found(p, LOCATION_CONST, 0, s->offset);
		return;
	}
	if (!reason && (s->base == BASE_CONST ||
			(e->is_value && (s->base != BASE_REG || s->offset || s->derefs))))
		reason = "computed by an expression";
	if (reason)
		found_none(p, reason);
	else if (e->is_register || e->is_value)
		place_value(c, s, size, p);
	else
		place_memory(c, s, p);
}

/* ---- pieces ---- */

static size_t piece_end(const Dwarf_Op *expr, size_t len, size_t from)
{
	while (from < len && expr[from].atom != DW_OP_piece && expr[from].atom != DW_OP_bit_piece)
		from++;
	return from;
}

static const char *add_piece(const struct context *c, const Dwarf_Op *expr, size_t from, size_t to,
			     struct location *loc)
{
	uint64_t size = expr[to].number;
	struct place p = { 0 };
	struct eval e;

	if (from == to)
		return "partly optimised out";
	evaluate(&e, c, expr + from, to - from);
	place_of(c, &e, size, &p);
	if (p.kind == PLACE_FOUND && p.loc.kind == LOCATION_NONE)
		return strcmp(p.loc.reason, "in an SSE register") == 0 ? "partly in an SSE register" :
			"split over several places";
	if (p.kind != PLACE_FOUND || p.loc.kind != LOCATION_REGISTERS || loc->pieces == 2 || size == 0 || size > 8)
		return "split over several places";
	loc->piece[loc->pieces].reg = p.loc.piece[0].reg;
	loc->piece[loc->pieces++].size = (uint8_t)size;
	return NULL;
}

static void place_pieces(const struct context *c, const Dwarf_Op *expr, size_t len, uint64_t type_size, struct place *p)
{
	struct location loc = { .kind = LOCATION_REGISTERS };
	const char *reason = len > OPS_MAX ? "split over several places" : NULL;
	uint64_t total = 0;

	for (size_t from = 0; from < len && !reason; ) {
		size_t to = piece_end(expr, len, from);

		if (to == len || expr[to].atom == DW_OP_bit_piece) {
			reason = "split over several places";
			break;
		}
		reason = add_piece(c, expr, from, to, &loc);
		total += expr[to].number;
		from = to + 1;
	}
	if (!reason && total < type_size)
		reason = "partly optimised out";
	if (reason) {
		found_none(p, reason);
		return;
	}
	p->kind = PLACE_FOUND;
	p->loc = loc;
}

static void place_expression(const struct context *c, const Dwarf_Op *expr, size_t len, uint64_t size, struct place *p)
{
	struct eval e;

	if (len == 0) {
		found_none(p, "optimised out");
		return;
	}
	if (piece_end(expr, len, 0) < len) {
		place_pieces(c, expr, len, size, p);
		return;
	}
	evaluate(&e, c, expr, len);
	place_of(c, &e, size, p);
}

/* ---- choosing the expression ---- */

static bool is_expression(Dwarf_Attribute *attr)
{
	switch (dwarf_whatform(attr)) {
	case DW_FORM_exprloc:
	case DW_FORM_block:
	case DW_FORM_block1:
	case DW_FORM_block2:
	case DW_FORM_block4:
		return true;
	default:
		return false;
	}
}

/* The entry of a list that speaks of `pc`. With views, the first that begins there, even if it ends there. */
static bool list_entry(Dwarf_Attribute *attr, uint64_t pc, bool views, Dwarf_Op **expr, size_t *len)
{
	Dwarf_Addr base, start, end;
	ptrdiff_t off = 0;

	for (int i = 0; i < ENTRIES_MAX; i++) {
		off = dwarf_getlocations(attr, off, &base, &start, &end, expr, len);
		if (off <= 0)
			return false;
		if (start <= pc && pc < end)
			return true;
		if (views && start == pc && end == pc)
			return true;
	}
	return false;
}

/* The frame base at the entry. gcc: the CFA, sp + 8 there. clang: rbp, which will be the entry's sp - 8, or rsp, which
 * will be lower by an unknown amount. A list (old gcc) says it exactly. */
static void frame_base(Dwarf_Die *function, uint64_t entry, struct context *c)
{
	Dwarf_Attribute mem;
	Dwarf_Attribute *attr = dwarf_attr_integrate(function, DW_AT_frame_base, &mem);
	Dwarf_Op *expr;
	size_t len;

	if (!attr)
		return;
	if (!is_expression(attr)) {
		if (!list_entry(attr, entry, false, &expr, &len) || len != 1 || expr[0].atom != DW_OP_breg7)
			return;
		c->frame_known = true;
		c->frame_offset = (int64_t)expr[0].number;
		return;
	}
	if (dwarf_getlocation(attr, &expr, &len) != 0 || len != 1)
		return;
	if (expr[0].atom == DW_OP_call_frame_cfa) {
		c->frame_known = true;
		c->frame_offset = 8;
	} else if (expr[0].atom == DW_OP_reg6) {
		c->frame_known = true;
		c->frame_offset = -8;
	}
}

static bool choose_expression(Dwarf_Die *param, struct context *c, uint64_t entry, Dwarf_Op **expr, size_t *len)
{
	if (c->whole)
		return dwarf_getlocation(c->attr, expr, len) == 0;
	return list_entry(c->attr, entry, dwarf_hasattr(param, DW_AT_GNU_locviews), expr, len);
}

/* ---- constants ---- */

static void place_const(Dwarf_Attribute *attr, struct place *p)
{
	unsigned form = dwarf_whatform(attr);
	Dwarf_Sword svalue;
	Dwarf_Word uvalue;
	Dwarf_Block block;

	if ((form == DW_FORM_sdata || form == DW_FORM_implicit_const) && dwarf_formsdata(attr, &svalue) == 0) {
		found(p, LOCATION_CONST, 0, svalue);
	} else if (dwarf_formudata(attr, &uvalue) == 0) {
		found(p, LOCATION_CONST, 0, (int64_t)uvalue);
	} else if (dwarf_formblock(attr, &block) == 0 && block.length <= 8) {
		uint64_t value = 0;

		memcpy(&value, block.data, block.length);
		found(p, LOCATION_CONST, 0, (int64_t)value);
	} else {
		found_none(p, "a constant of more than 8 bytes");
	}
}

void param_place(Dwarf_Die *function, Dwarf_Die *param, uint64_t entry, const struct unit *u,
		 const struct type *type, struct place *out)
{
	Dwarf_Attribute mem;
	struct context c = { .u = u };
	Dwarf_Op *expr;
	size_t len;

	*out = (struct place){ .kind = PLACE_FOUND };
	c.attr = dwarf_attr(param, DW_AT_const_value, &mem);
	if (c.attr) {
		place_const(c.attr, out);
		return;
	}
	c.attr = dwarf_attr(param, DW_AT_location, &mem);
	c.whole = c.attr && is_expression(c.attr);
	if (!c.attr || !choose_expression(param, &c, entry, &expr, &len)) {
		found_none(out, "optimised out");
		return;
	}
	frame_base(function, entry, &c);
	place_expression(&c, expr, len, type ? type->size : 0, out);
}
