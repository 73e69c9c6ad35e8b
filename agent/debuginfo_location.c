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
 * An expression is evaluated symbolically (debuginfo_eval.c).
 */
#include <stdio.h>
#include <string.h>

#include "debuginfo_eval.h"
#include "plumb/event.h"

enum {
	ENTRIES_MAX = 4096,
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
static bool is_callers(unsigned reg, const struct eval_context *c)
{
	const uint32_t callers = 1u << GPR_BX | 1u << GPR_BP | 1u << GPR_SP | 1u << GPR_R12 | 1u << GPR_R13 |
				 1u << GPR_R14 | 1u << GPR_R15;

	return !c->at && c->u->lang != LANG_GO && reg < 32 && (callers >> reg & 1);
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

static void place_value(const struct eval_context *c, const struct eval_value *s, uint64_t size, struct place *p)
{
	if (is_callers(s->reg, c)) {
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

static void place_memory(const struct eval_context *c, const struct eval_value *s, struct place *p)
{
	/* Relative to a register that the prologue sets. */
	bool callers = s->base == BASE_REG && s->reg != GPR_SP && is_callers(s->reg, c);

	if (s->derefs > 1)
		found_none(p, "computed by an expression");
	else if (callers && !c->whole)
		found_none(p, "behind a register that is not loaded yet");
	else if (callers || s->base == BASE_FRAME)
		p->kind = s->derefs ? PLACE_HOME_REFERENCE : PLACE_HOME;
	else
		found(p, s->derefs ? LOCATION_INDIRECT : LOCATION_MEMORY, s->reg, s->offset);
}

/* `bits`: how many of the low bits of a register make the value. */
static void place_of(const struct eval_context *c, const struct eval *e, uint64_t size, uint64_t bits, struct place *p)
{
	const struct eval_value *s = &e->stack[e->depth ? e->depth - 1 : 0];
	const char *reason = e->reason;

	if (!reason && s->base == BASE_REG)
		reason = unreadable_register(s->reg);
	if (!reason && e->is_value && s->base == BASE_CONST && s->derefs == 0 && s->bits == 64) {
		found(p, LOCATION_CONST, 0, s->offset);
		return;
	}
	if (!reason && s->bits < 64 && (!e->is_value || s->bits < bits))
		reason = "computed by an expression";
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

static const char *add_piece(const struct eval_context *c, const Dwarf_Op *expr, size_t from, size_t to,
			     struct location *loc)
{
	uint64_t size = expr[to].number;
	struct place p = { 0 };
	struct eval e;

	if (from == to)
		return "partly optimised out";
	evaluate(&e, c, expr + from, to - from);
	place_of(c, &e, size, size * 8, &p);
	if (p.kind == PLACE_FOUND && p.loc.kind == LOCATION_NONE)
		return strcmp(p.loc.reason, "in an SSE register") == 0 ? "partly in an SSE register" :
			"split over several places";
	if (p.kind != PLACE_FOUND || p.loc.kind != LOCATION_REGISTERS || loc->pieces == 2 || size == 0 || size > 8)
		return "split over several places";
	loc->piece[loc->pieces].reg = p.loc.piece[0].reg;
	loc->piece[loc->pieces++].size = (uint8_t)size;
	return NULL;
}

static void place_pieces(const struct eval_context *c, const Dwarf_Op *expr, size_t len, uint64_t type_size, struct place *p)
{
	struct location loc = { .kind = LOCATION_REGISTERS };
	const char *reason = len > EVAL_OPS_MAX ? "split over several places" : NULL;
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

static void place_expression(const struct eval_context *c, const Dwarf_Op *expr, size_t len, const struct type *type,
			     struct place *p)
{
	uint64_t size = type ? type->size : 0;
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
	/* The ABI zeroes a bool's other bits up to its byte. */
	place_of(c, &e, size, type && type->kind == TYPE_BOOL ? 1 : size ? size * 8 : 64, p);
}

/* ---- choosing the expression ---- */

bool is_location_expression(Dwarf_Attribute *attr)
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
static void frame_base(Dwarf_Die *function, uint64_t entry, struct eval_context *c)
{
	Dwarf_Attribute mem;
	Dwarf_Attribute *attr = dwarf_attr_integrate(function, DW_AT_frame_base, &mem);
	Dwarf_Op *expr;
	size_t len;

	if (!attr)
		return;
	if (!is_location_expression(attr)) {
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

static bool choose_expression(Dwarf_Die *param, struct eval_context *c, uint64_t entry, Dwarf_Op **expr, size_t *len)
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
	struct eval_context c = { .u = u };
	Dwarf_Op *expr;
	size_t len;

	*out = (struct place){ .kind = PLACE_FOUND };
	c.attr = dwarf_attr(param, DW_AT_const_value, &mem);
	if (c.attr) {
		place_const(c.attr, out);
		return;
	}
	c.attr = dwarf_attr(param, DW_AT_location, &mem);
	c.whole = c.attr && is_location_expression(c.attr);
	if (!c.attr || !choose_expression(param, &c, entry, &expr, &len)) {
		found_none(out, "optimised out");
		return;
	}
	out->whole = c.whole;
	frame_base(function, entry, &c);
	place_expression(&c, expr, len, type, out);
}

void variable_place(Dwarf_Die *variable, const struct frame_at *frame, const struct unit *u, const struct type *type,
		    struct location *out)
{
	Dwarf_Attribute mem;
	struct eval_context c = { .u = u, .at = frame };
	struct place p = { .kind = PLACE_FOUND };
	Dwarf_Op *expr;
	size_t len;

	c.attr = dwarf_attr(variable, DW_AT_const_value, &mem);
	if (c.attr) {
		place_const(c.attr, &p);
		*out = p.loc;
		return;
	}
	c.attr = dwarf_attr(variable, DW_AT_location, &mem);
	c.whole = c.attr && is_location_expression(c.attr);
	if (!c.attr || !(c.whole ? dwarf_getlocation(c.attr, &expr, &len) == 0 : list_entry(c.attr, frame->pc, false, &expr, &len)))
		found_none(&p, "optimised out");
	else
		place_expression(&c, expr, len, type, &p);
	if (p.kind != PLACE_FOUND)
		location_none(&p.loc, "in a frame whose base is not known");
	*out = p.loc;
}
