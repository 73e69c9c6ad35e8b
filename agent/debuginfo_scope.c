/* SPDX-License-Identifier: Apache-2.0 */
/* What a source line sees: the parameters and locals in scope at its first instruction, and where they are there. */
#include <stdlib.h>
#include <string.h>

#include "debuginfo_eval.h"
#include "image_internal.h"
#include "plumb/event.h"

enum { VARIABLES_MAX = 256 };

struct gathering {
	struct debuginfo *di;
	const struct line_place *place;
	struct unit *u;
	struct frame_at frame;
	struct list params;            /* struct param */
};

/* ---- the frame ---- */

static Dwarf_CFI *cfi_of(struct debuginfo *di)
{
	if (!di->cfi_read) {
		di->cfi_read = true;
		di->cfi = dwarf_getcfi_elf(di->img->elf);
	}
	return di->cfi ? di->cfi : dwarf_getcfi(di->dwarf);
}

/* "register + offset", as compilers say it everywhere but in hand-written code. */
static bool base_register(const Dwarf_Op *op, size_t n, struct frame_base *out)
{
	if (n != 1)
		return false;
	if (op->atom >= DW_OP_breg0 && op->atom < DW_OP_breg0 + GPR_COUNT)
		*out = (struct frame_base){ true, op->atom - DW_OP_breg0, (int64_t)op->number };
	else if (op->atom >= DW_OP_reg0 && op->atom < DW_OP_reg0 + GPR_COUNT)
		*out = (struct frame_base){ true, op->atom - DW_OP_reg0, 0 };
	else if (op->atom == DW_OP_bregx && op->number < GPR_COUNT)
		*out = (struct frame_base){ true, (unsigned)op->number, (int64_t)op->number2 };
	return out->known;
}

static void find_cfa(struct debuginfo *di, struct frame_at *frame)
{
	Dwarf_CFI *cfi = cfi_of(di);
	Dwarf_Frame *found = NULL;
	Dwarf_Op *ops;
	size_t n;

	if (!cfi || dwarf_cfi_addrframe(cfi, frame->pc, &found) != 0)
		return;
	if (dwarf_frame_cfa(found, &ops, &n) == 0)
		base_register(ops, n, &frame->cfa);
	free(found);
}

static void find_frame(struct debuginfo *di, const struct unit *u, int span, struct frame_at *frame)
{
	Dwarf_Attribute mem;
	Dwarf_Attribute *attr;
	Dwarf_Op *expr;
	Dwarf_Die die;
	size_t len;

	find_cfa(di, frame);
	die = list_at(&u->spans, struct span, span).die;
	attr = dwarf_attr_integrate(&die, DW_AT_frame_base, &mem);
	if (!attr || dwarf_getlocation_addr(attr, frame->pc, &expr, &len, 1) != 1)
		return;
	if (len == 1 && expr[0].atom == DW_OP_call_frame_cfa)
		frame->base = frame->cfa;
	else
		base_register(expr, len, &frame->base);
}

/* ---- the variables ---- */

/* Declared below the line: in scope for the compiler, not for the reader of the source. */
static bool comes_later(struct debuginfo *di, const struct line_place *p, Dwarf_Die *die)
{
	uint64_t line;

	return die_udata(die, DW_AT_decl_line, &line) && line > p->line && !strcmp(die_file(di, die, DW_AT_decl_file), p->file);
}

/* The innermost of a name hides the others, in their place. */
static struct param *slot_for(struct gathering *g, const char *name)
{
	for (size_t i = 0; i < g->params.count; i++)
		if (!strcmp(list_at(&g->params, struct param, i).name, name))
			return &list_at(&g->params, struct param, i);
	return g->params.count < VARIABLES_MAX ? list_add(&g->params) : NULL;
}

static void add_variable(struct gathering *g, Dwarf_Die *die)
{
	const char *name = die_name(die);
	struct param *p;

	if (!*name || comes_later(g->di, g->place, die))
		return;
	p = slot_for(g, name);
	if (!p)
		return;
	p->name = name;
	p->type = type_of(g->di, die);
	if (!p->type)
		p->type = type_unknown();
	variable_place(die, &g->frame, g->u, p->type, &p->where);
}

/* The variables of one block. -> whether `inner` is a block inside of it that holds the place */
static bool gather_block(struct gathering *g, Dwarf_Die *block, Dwarf_Die *inner)
{
	Dwarf_Die child;
	bool found = false;

	if (dwarf_child(block, &child) != 0)
		return false;
	do {
		switch (dwarf_tag(&child)) {
		case DW_TAG_formal_parameter:
		case DW_TAG_variable:
			add_variable(g, &child);
			break;
		case DW_TAG_lexical_block:
			if (!found && dwarf_haspc(&child, g->place->start) == 1) {
				*inner = child;
				found = true;
			}
			break;
		}
	} while (budget_take(g->di) && dwarf_siblingof(&child, &child) == 0);
	return found;
}

static void gather(struct gathering *g)
{
	Dwarf_Die block = list_at(&g->u->spans, struct span, g->place->span).die, inner;

	for (int depth = 0; depth < DIE_DEPTH_MAX && gather_block(g, &block, &inner); depth++)
		block = inner;
}

static const struct function *with_params(struct gathering *g)
{
	struct function *fn = pool_alloc(&g->di->pool, sizeof(*fn));
	size_t bytes = g->params.count * sizeof(struct param);

	if (!fn)
		return NULL;
	*fn = *g->place->fn;
	fn->n_params = 0;
	fn->params = pool_alloc(&g->di->pool, bytes + 1);
	if (fn->params && bytes) {
		memcpy(fn->params, g->params.items, bytes);
		fn->n_params = (uint32_t)g->params.count;
	}
	return fn;
}

int span_outer(const struct unit *u, int span)
{
	while (list_at(&u->spans, struct span, span).inlined && list_at(&u->spans, struct span, span).parent >= 0)
		span = list_at(&u->spans, struct span, span).parent;
	return span;
}

const struct function *debuginfo_line_scope(struct debuginfo *di, const struct line_place *place)
{
	struct gathering g = { .di = di, .place = place, .u = (struct unit *)place->unit, .frame.pc = place->start,
			       .params.item_size = sizeof(struct param) };
	const struct function *fn;

	/* At the entry no local is there yet, and the arguments are where the caller has put them. */
	if (!place->fn || place->span < 0 || (!place->inlined && place->start == place->fn->addr))
		return place->fn;
	budget_begin(di);
	find_frame(di, g.u, span_outer(g.u, place->span), &g.frame);
	gather(&g);
	fn = with_params(&g);
	budget_end(di);
	list_free(&g.params);
	return fn;
}
