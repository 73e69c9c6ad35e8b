/* SPDX-License-Identifier: Apache-2.0 */
/* Which function's source an address is: the functions of a unit and the copies that were inlined into them, by address. */
#include <stdlib.h>

#include "debuginfo_internal.h"

enum { SPANS_MAX = 8 << 20 };

struct reading { struct debuginfo *di; struct unit *u; bool failed; };

static void add_span(struct reading *r, const struct span *span)
{
	struct span *s = r->u->spans.count < SPANS_MAX ? list_add(&r->u->spans) : NULL;

	if (s)
		*s = *span;
	else
		r->failed = true;
}

static void add_spans(struct reading *r, Dwarf_Die *die, unsigned depth, bool inlined)
{
	struct span s = { .die = *die, .parent = -1, .depth = depth, .inlined = inlined };
	Dwarf_Addr entry, base;
	ptrdiff_t off = 0;
	bool entered = !inlined || dwarf_entrypc(die, &entry) != 0 || !is_live(r->di, entry);

	for (int i = 0; i < LINE_CODE_RANGES_MAX && (off = dwarf_ranges(die, off, &base, &s.start, &s.end)) > 0; i++) {
		if (s.end <= s.start || !is_live(r->di, s.start))
			continue;
		add_span(r, &s);
		entered |= inlined && s.start == entry;
	}
	if (!entered) {
		s.start = s.end = entry;
		add_span(r, &s);
	}
}

static enum walk_step visit(Dwarf_Die *die, unsigned depth, void *arg)
{
	struct reading *r = arg;

	if (r->failed)
		return WALK_STOP;
	switch (dwarf_tag(die)) {
	case DW_TAG_subprogram:
		add_spans(r, die, depth, false);
		return WALK_INTO;
	case DW_TAG_inlined_subroutine:
		add_spans(r, die, depth, true);
		return WALK_INTO;
	case DW_TAG_lexical_block:
	case DW_TAG_namespace:
	case DW_TAG_module:
		return WALK_INTO;
	case DW_TAG_structure_type:
	case DW_TAG_class_type:
	case DW_TAG_union_type:
	case DW_TAG_enumeration_type:
		return r->u->lang == LANG_C ? WALK_OVER : WALK_INTO;
	default:
		return WALK_OVER;
	}
}

/* The outer one first where two begin together. */
static int span_compare(const void *a, const void *b)
{
	const struct span *x = a, *y = b;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	if (x->end != y->end)
		return x->end > y->end ? -1 : 1;
	return x->depth < y->depth ? -1 : x->depth > y->depth;
}

static void link_parents(struct unit *u)
{
	int around = -1;

	for (size_t i = 0; i < u->spans.count; i++) {
		struct span *s = &list_at(&u->spans, struct span, i);

		while (around >= 0 && list_at(&u->spans, struct span, around).end <= s->start)
			around = list_at(&u->spans, struct span, around).parent;
		s->parent = around;
		around = (int)i;
	}
}

bool spans_read(struct debuginfo *di, struct unit *u)
{
	struct reading r = { di, u, false };

	if (u->spans_read)
		return true;
	u->spans_read = true;
	walk(di, &u->die, visit, &r);
	if (u->spans.count > 1)
		qsort(u->spans.items, u->spans.count, sizeof(struct span), span_compare);
	link_parents(u);
	return !r.failed;
}

int span_before(const struct unit *u, uint64_t addr)
{
	size_t low = 0, high = u->spans.count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (list_at(&u->spans, struct span, mid).start <= addr)
			low = mid + 1;
		else
			high = mid;
	}
	return (int)low - 1;
}

/* Spans nest: the innermost one is the last that begins before the address, or is around that. */
int span_at(const struct unit *u, uint64_t addr)
{
	int i = span_before(u, addr);

	while (i >= 0 && addr >= list_at(&u->spans, struct span, i).end)
		i = list_at(&u->spans, struct span, i).parent;
	return i;
}

/* The function with code of its own that has the same origin. */
static struct function *original(struct debuginfo *di, struct unit *u, Dwarf_Die *origin)
{
	struct unit *home = unit_of(di, origin);

	for (size_t i = 0; unit_index(di, u) && i < u->codes.count; i++) {
		struct code *c = &list_at(&u->codes, struct code, i);
		Dwarf_Die of;

		if (c->addr && die_own_ref(&c->die, DW_AT_abstract_origin, &of) && of.addr == origin->addr)
			return function_get(di, u, &c->die);
	}
	return home ? function_get(di, home, origin) : NULL;
}

struct function *span_function(struct debuginfo *di, struct unit *u, struct span *s)
{
	Dwarf_Die origin;

	if (s->fn)
		return s->fn;
	if (!s->inlined)
		s->fn = function_get(di, u, &s->die);
	else if (die_own_ref(&s->die, DW_AT_abstract_origin, &origin))
		s->fn = original(di, u, &origin);
	return s->fn;
}
