/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Functions by name.  First by symbols: each function symbol that may carry the name leads to an address, to a unit, to
 * a DIE that must confirm it.  Only if none does, all units are walked: then the name is a function that was inlined
 * everywhere, one without a symbol, or a mistake that deserves the nearest names.
 */
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "debuginfo_internal.h"
#include "qualified.h"

enum { ADDRESSES_MAX = 4096, OFFERS_MAX = 500000 };

struct search {
	struct debuginfo *di;
	const char *name;
	char marker[300];             /* "5parse": how a mangled symbol spells the last component */
	char scope[300];              /* "Parser": what it must have in it as well, of the component before; "" any */
	struct list addresses;        /* struct candidate */
	struct list found;            /* struct function * */
	struct nearest nearest;
	unsigned offers;
};

struct candidate { uint64_t addr; bool exact; };

/* ---- candidates from the symbol table ---- */

/* Exact, a clone of it ("f.isra.0") or a version of it ("f@@V1"); or mangled with the name in it. */
static bool symbol_may_be(const struct search *s, const char *sym, bool *exact)
{
	size_t len = strlen(s->name);

	if (strncmp(sym, s->name, len) == 0 && (sym[len] == '\0' || sym[len] == '.' || sym[len] == '@')) {
		*exact = true;
		return !strstr(sym + len, ".cold");
	}
	*exact = false;
	return sym[0] == '_' && (sym[1] == 'Z' || sym[1] == 'R') && s->marker[0] && strstr(sym, s->marker) &&
	       strstr(sym, s->scope) && !strstr(sym, ".cold");
}

static int consider_symbol(const struct symbol *sym, void *arg)
{
	struct search *s = arg;
	struct candidate *c;
	bool exact;

	if (sym->indirect || !symbol_may_be(s, sym->name, &exact) || s->addresses.count >= ADDRESSES_MAX)
		return 0;
	c = list_add(&s->addresses);
	if (c)
		*c = (struct candidate){ sym->addr, exact };
	return 0;
}

/* ---- confirming ---- */

static void add_found(struct search *s, struct function *fn)
{
	struct function **slot;

	for (size_t i = 0; i < s->found.count; i++)
		if (list_at(&s->found, struct function *, i) == fn)
			return;
	if (s->found.count >= FOUND_MAX)
		return;
	slot = list_add(&s->found);
	if (slot)
		*slot = fn;
}

static struct unit *indexed_unit(struct debuginfo *di, Dwarf_Die *die)
{
	struct unit *u = unit_of(di, die);

	return u && !u->assembler && unit_index(di, u) ? u : NULL;
}

/* The n-th function at an address, by the unit's index as it is now: it may be made anew while a function is built. */
static const struct code *nth_code(const struct unit *u, uint64_t addr, size_t n)
{
	const struct code *code = unit_code_at(u, addr), *end = &list_at(&u->codes, struct code, 0) + u->codes.count;

	return code && n < (size_t)(end - code) && code[n].addr == addr ? &code[n] : NULL;
}

static struct unit *unit_with_code(struct debuginfo *di, uint64_t addr)
{
	Dwarf_Die cu;
	struct unit *u = unit_at(di, addr, &cu) ? indexed_unit(di, &cu) : NULL;

	if (u && !unit_code_at(u, addr))              /* perhaps inside of another function */
		unit_index_deep(di, u);
	return u;
}

/* Folded functions share an address: the one of the wanted name, else (for a symbol of that very name) the first. */
static struct function *function_at(struct debuginfo *di, uint64_t addr, const char *name, bool exact)
{
	struct unit *u = unit_with_code(di, addr);
	struct function *first = NULL;
	const struct code *code;

	for (size_t i = 0; u && (code = nth_code(u, addr, i)); i++) {
		Dwarf_Die die = code->die;
		struct function *fn;

		if (name && !exact && !name_last_matches(die_name(&die), name))
			continue;
		fn = function_get(di, u, &die);
		if (!fn)
			return NULL;
		if (!name || name_matches(fn->name, name))
			return fn;
		first = first ? first : fn;
	}
	return exact ? first : NULL;
}

static int candidate_compare(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;

	if (x->addr != y->addr)
		return x->addr < y->addr ? -1 : 1;
	return y->exact - x->exact;           /* exact first: the later ones of an address are dropped */
}

/* The component before the last one, if it is a plain name that mangling writes out: of std it abbreviates some. */
static void set_scope(struct search *s, const char *last)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
	static const char *const abbreviated[] = { "std", "allocator", "basic_string", "string", "istream", "ostream", "iostream",
						   "basic_istream", "basic_ostream", "basic_iostream" };
	size_t end = last - s->name >= 2 ? (size_t)(last - s->name) - 2 : 0, from = end;

	while (from > 0 && strchr(letters, s->name[from - 1]))
		from--;
	if (from == end || end - from >= sizeof(s->scope) || (from > 0 && s->name[from - 1] != ':'))
		return;
	memcpy(s->scope, s->name + from, end - from);
	for (size_t i = 0; i < sizeof(abbreviated) / sizeof(abbreviated[0]); i++)
		if (strcmp(s->scope, abbreviated[i]) == 0)
			s->scope[0] = '\0';
}

static void find_by_symbols(struct search *s)
{
	const char *last = name_last(s->name);
	uint64_t previous = 0;

	snprintf(s->marker, sizeof(s->marker), "%zu%.280s", strcspn(last, "<"), last);
	s->marker[strcspn(s->marker, "<")] = '\0';
	set_scope(s, last);
	symbols_each(s->di, consider_symbol, s);
	if (s->addresses.count > 1)
		qsort(s->addresses.items, s->addresses.count, sizeof(struct candidate), candidate_compare);
	for (size_t i = 0; i < s->addresses.count && budget_take(s->di); i++) {
		const struct candidate *c = &list_at(&s->addresses, struct candidate, i);
		struct function *fn;

		if (c->addr == 0 || c->addr == previous)
			continue;
		previous = c->addr;
		fn = function_at(s->di, c->addr, s->name, c->exact);
		if (fn)
			add_found(s, fn);
	}
}

/* ---- walking all units ---- */

struct units_walk { struct debuginfo *di; struct unit *u; function_visit *visit; void *arg; bool stopped; };

static enum walk_step visit_die(Dwarf_Die *die, unsigned depth, void *arg)
{
	struct units_walk *w = arg;

	switch (dwarf_tag(die)) {
	case DW_TAG_subprogram:
		if (!dwarf_hasattr(die, DW_AT_declaration) && !w->visit(w->di, w->u, die, w->arg)) {
			w->stopped = true;
			return WALK_STOP;
		}
		return WALK_OVER;
	case DW_TAG_namespace:
	case DW_TAG_module:
		return WALK_INTO;
	case DW_TAG_structure_type:
	case DW_TAG_class_type:
	case DW_TAG_union_type:
	case DW_TAG_enumeration_type:         /* Rust puts methods into the type */
		return w->u->lang == LANG_C ? WALK_OVER : WALK_INTO;
	default:
		return WALK_OVER;
	}
}

static bool visit_unit(struct debuginfo *di, Dwarf_Die *cu, void *arg)
{
	struct units_walk *w = arg;

	if (dwarf_tag(cu) == DW_TAG_type_unit)
		return true;
	w->u = unit_of(di, cu);
	if (!w->u || w->u->assembler)
		return true;
	return walk(di, cu, visit_die, w) || (!w->stopped && !di->budget.spent);
}

void subprograms_each(struct debuginfo *di, function_visit *visit, void *arg)
{
	struct units_walk w = { .di = di, .visit = visit, .arg = arg };

	units_each(di, visit_unit, &w);
}

static bool same_source(const struct function *a, const struct function *b)
{
	return a->line == b->line && strcmp(a->name, b->name) == 0 && strcmp(a->file, b->file) == 0;
}

/* One entry for an inline function of a header that many units have: what has no code joins what has, or its like. */
static void join_found(struct search *s, struct function *fn)
{
	struct function_node *n = holder_of(fn, struct function_node, fn);

	fn->inlined = n->inlined;             /* an earlier search may have added to it */
	for (size_t i = 0; i < s->found.count; i++) {
		struct function **slot = &list_at(&s->found, struct function *, i), *other = *slot;

		if ((fn->addr && other->addr) || !same_source(fn, other))
			continue;
		if (fn->addr) {
			*slot = fn;
			fn = other;
		}
		if (holder_of(*slot, struct function_node, fn)->origin != holder_of(fn, struct function_node, fn)->origin)
			(*slot)->inlined += fn->inlined;
		return;
	}
	add_found(s, fn);
}

static bool find_visit(struct debuginfo *di, struct unit *u, Dwarf_Die *die, void *arg)
{
	struct search *s = arg;
	const char *name = die_name(die);
	struct function *fn;

	if (!name_last_matches(name, s->name)) {
		if (*name && s->offers++ < OFFERS_MAX)
			nearest_offer(&s->nearest, name);
		return true;
	}
	if (!name_matches(qualified_name(di, die, u->lang), s->name)) {
		nearest_offer(&s->nearest, qualified_name(di, die, u->lang));
		return true;
	}
	fn = function_get(di, u, die);
	/* In a shared unit it may be another program's. */
	if (fn && (!u->partial || fn->addr || fn->inlined))
		join_found(s, fn);
	return s->found.count < FOUND_MAX;
}

static int offer_symbol(const struct symbol *sym, void *arg)
{
	struct search *s = arg;

	if (s->offers++ < OFFERS_MAX)
		nearest_offer(&s->nearest, sym->name);
	return 0;
}

static void not_found(struct search *s, struct error *err)
{
	struct debuginfo *di = s->di;

	if (di->budget.spent)
		error_set(err, ETIMEDOUT, "no function '%.200s' was found before the search of %.200s reached its limit",
			  s->name, di->path);
	else if (di->split_seen)
		error_set(err, ENOENT, "no function '%.200s'; the debug information is split (.dwo), which is not supported",
			  s->name);
	else
		error_set(err, ENOENT, "no function '%.200s' in the debug information", s->name);
	if (di->split_seen && !di->budget.spent)
		error_hint(err, "build without -gsplit-dwarf");
	else
		nearest_hint(&s->nearest, err);
}

static void find(struct search *s, struct error *err)
{
	find_by_symbols(s);
	if (s->found.count)
		return;
	nearest_init(&s->nearest, s->name);
	subprograms_each(s->di, find_visit, s);
	if (s->found.count)
		return;
	symbols_each(s->di, offer_symbol, s);
	not_found(s, err);
}

int debuginfo_find(struct debuginfo *di, const char *name, const struct function ***out, struct error *err)
{
	struct search s = { .di = di, .name = name, .addresses.item_size = sizeof(struct candidate),
			    .found.item_size = sizeof(struct function *) };

	*out = NULL;
	if (!*name)
		return error_set(err, EINVAL, "a function has no empty name");
	budget_begin(di);
	find(&s, err);
	budget_end(di);
	list_free(&s.addresses);
	if (s.found.count)
		*out = (const struct function **)s.found.items;
	return (int)s.found.count;
}

/* ---- by address, and all ---- */

int debuginfo_at(struct debuginfo *di, uint64_t addr, const struct function **out)
{
	budget_begin(di);
	*out = addr ? function_at(di, addr, NULL, false) : NULL;   /* 0 is how the index marks what has no code */
	budget_end(di);
	return *out ? 0 : -ENOENT;
}

struct each { const char *glob; int (*visit)(const struct function *fn, void *arg); void *arg; int rc; };

static bool glob_matches(struct debuginfo *di, struct unit *u, Dwarf_Die *die, const char *glob)
{
	return fnmatch(glob, die_name(die), 0) == 0 || fnmatch(glob, qualified_name(di, die, u->lang), 0) == 0;
}

static bool each_visit(struct debuginfo *di, struct unit *u, Dwarf_Die *die, void *arg)
{
	struct each *e = arg;
	uint64_t addr, size;
	struct function *fn;

	if (!function_extent(di, die, &addr, &size) || (e->glob && !glob_matches(di, u, die, e->glob)))
		return true;
	fn = function_get(di, u, die);
	e->rc = fn && fn->addr ? e->visit(fn, e->arg) : 0;
	return e->rc == 0;
}

int debuginfo_each(struct debuginfo *di, const char *glob, int (*visit)(const struct function *fn, void *arg), void *arg)
{
	struct each e = { glob, visit, arg, 0 };

	budget_begin(di);
	subprograms_each(di, each_visit, &e);
	budget_end(di);
	return e.rc;
}
