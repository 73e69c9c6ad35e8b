/* SPDX-License-Identifier: Apache-2.0 */
/* A subprogram DIE -> struct function. */
#include <stdlib.h>
#include <string.h>

#include "debuginfo_internal.h"

struct building {
	struct debuginfo *di;
	struct unit *u;
	struct function *fn;
	Dwarf_Die die;                /* the concrete one, or the abstract one if there is no code */
	Dwarf_Die origin;             /* its abstract instance, else itself */
	bool has_origin;
	bool changed;                 /* a clone whose parameters or result may differ from the source's */
	bool local;                   /* the compiler knew all callers */
	struct list params;           /* Dwarf_Die: parameters in the order of the source */
	struct list places;           /* struct place, one per parameter */
};

/* ---- name, symbol, line ---- */

/* How compilers name the copies whose parameters or result they changed: "f.isra.0", "f.specialized.1". */
static bool is_changed_clone(const char *symbol)
{
	static const char *const marks[] = { ".isra.", ".constprop.", ".part.", ".specialized.", ".argprom", ".argelim" };

	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++)
		if (strstr(symbol, marks[i]))
			return true;
	return false;
}

/* Constants were put in for parameters; the result is still that of the source. */
static bool keeps_result(const char *symbol)
{
	return !strstr(symbol, ".isra.") && !strstr(symbol, ".part.");
}

static const char *pool_text(struct debuginfo *di, const char *text)
{
	const char *copy = pool_copy(&di->pool, text, strlen(text));

	return copy ? copy : "";
}

static void set_names(struct building *b)
{
	struct function *fn = b->fn;
	const char *linkage = die_linkage(&b->die);
	struct symbol sym;

	fn->name = qualified_name(b->di, &b->die, b->u->lang);
	b->local = true;
	if (fn->addr && symbol_at(b->di, fn->addr, &sym)) {
		b->local = sym.local;
		b->changed = is_changed_clone(sym.name);
		if (!*linkage || b->changed)
			linkage = pool_text(b->di, sym.name);
	} else {
		/* A stripped symbol: every changed clone is a copy of an abstract instance. */
		b->changed = b->has_origin && !b->u->llvm;
	}
	fn->linkage = strcmp(linkage, fn->name) == 0 ? "" : linkage;
}

static void set_file(struct building *b)
{
	uint64_t line = 0;

	if (die_udata(&b->die, DW_AT_decl_line, &line) && line <= UINT32_MAX)
		b->fn->line = (uint32_t)line;
	b->fn->file = die_file(b->di, &b->die, DW_AT_decl_file);
}

/* ---- which parameters ---- */

static bool is_result(Dwarf_Die *die)
{
	return die_flag(die, DW_AT_variable_parameter);   /* Go's results */
}

static void collect_params(struct building *b, Dwarf_Die *of, struct list *out)
{
	Dwarf_Die child;

	if (dwarf_child(of, &child) != 0)
		return;
	do {
		Dwarf_Die *slot;

		if (!budget_take(b->di) || out->count >= PARAMS_MAX)
			return;
		switch (dwarf_tag(&child)) {
		case DW_TAG_unspecified_parameters:
			b->fn->variadic = true;
			break;
		case DW_TAG_GNU_formal_parameter_pack:
			if (of == &b->die || of == &b->origin)    /* packs do not nest */
				collect_params(b, &child, out);
			break;
		case DW_TAG_formal_parameter:
			if (!is_result(&child) && (slot = list_add(out)))
				*slot = child;
			break;
		}
	} while (dwarf_siblingof(&child, &child) == 0);
}

/* Replaces an abstract parameter by the concrete one that has its place. */
static void find_concrete(const struct list *concrete, Dwarf_Die *param)
{
	for (size_t i = 0; i < concrete->count; i++) {
		Dwarf_Die *die = &list_at(concrete, Dwarf_Die, i), origin;

		if (die_own_ref(die, DW_AT_abstract_origin, &origin) && origin.addr == param->addr) {
			*param = *die;
			return;
		}
	}
}

/* The abstract instance has all parameters in the source's order; an optimised copy may have lost or moved some. */
static void list_params(struct building *b)
{
	struct list concrete = { .item_size = sizeof(Dwarf_Die) };

	if (!b->has_origin) {
		collect_params(b, &b->die, &b->params);
		return;
	}
	collect_params(b, &b->origin, &b->params);
	collect_params(b, &b->die, &concrete);
	for (size_t i = 0; i < b->params.count; i++)
		find_concrete(&concrete, &list_at(&b->params, Dwarf_Die, i));
	list_free(&concrete);
}

/* ---- where they are ---- */

/* Whether arguments arrive as the ABI says.  gcc renames what it changes.  LLVM changes optimised functions in place
 * if it knows all callers, and marks that only since version 18 (DW_CC_nocall), and not always. */
static bool keeps_abi(struct building *b)
{
	uint64_t convention = 0;

	if (b->changed || b->u->lang == LANG_GO)
		return false;
	if (die_udata(&b->die, DW_AT_calling_convention, &convention) && convention == DW_CC_nocall)
		return false;
	if (!b->u->llvm || !b->local)
		return true;
	return unit_index(b->di, b->u) && !b->u->optimised;
}

static bool same_place(const struct location *a, const struct location *b)
{
	if (a->kind != b->kind)
		return false;
	if (a->kind == LOCATION_REGISTERS)
		return a->pieces == b->pieces && a->piece[0].reg == b->piece[0].reg &&
		       (a->pieces < 2 || a->piece[1].reg == b->piece[1].reg);
	return a->reg == b->reg && a->offset == b->offset;
}

/* `int f(int x, int y) { x = y; ...`: compilers without views say that x is in rsi, or a constant, from the first
 * instruction on.  True of the variable, not of the argument. */
static bool is_overwritten(const struct place *p, const struct location *by_rule)
{
	if (p->kind != PLACE_FOUND || p->loc.kind == LOCATION_NONE || by_rule->kind == LOCATION_NONE)
		return false;
	return !same_place(&p->loc, by_rule);
}

/* `register int x` without optimisation: a register that the prologue loads, as good as a home slot. */
static void settle_register(const struct building *b, struct place *p, const struct location *by_rule)
{
	if (p->whole && p->loc.kind == LOCATION_REGISTERS && !b->u->optimised && is_overwritten(p, by_rule))
		p->kind = PLACE_HOME;
}

/* What DWARF knows and what the rules say must agree before the rules may answer for the rest. */
static void apply_rules(struct building *b, const struct location *by_rule)
{
	bool agree = true;

	for (uint32_t i = 0; i < b->fn->n_params; i++) {
		settle_register(b, &list_at(&b->places, struct place, i), &by_rule[i]);
		if (!is_overwritten(&list_at(&b->places, struct place, i), &by_rule[i]))
			continue;
		agree = false;
		location_none(&b->fn->params[i].where, "optimised out (replaced by another value)");
	}
	for (uint32_t i = 0; i < b->fn->n_params; i++)
		if (agree && list_at(&b->places, struct place, i).kind != PLACE_FOUND)
			b->fn->params[i].where = by_rule[i];
}

static void ask_rules(struct building *b)
{
	struct abi_arg args[PARAMS_MAX];
	struct location by_rule[PARAMS_MAX];

	for (uint32_t i = 0; i < b->fn->n_params; i++) {
		const struct place *p = &list_at(&b->places, struct place, i);

		args[i].type = b->fn->params[i].type;
		args[i].by_reference = p->kind == PLACE_HOME_REFERENCE;
	}
	abi_arguments(b->di, b->u, args, b->fn->n_params, b->fn->ret, by_rule);
	apply_rules(b, by_rule);
}

static bool is_empty(struct debuginfo *di, struct type *t)
{
	type_complete(di, t);
	return t->kind == TYPE_STRUCT && t->n_members == 0 && t->size <= 1;
}

static void place_param(struct building *b, struct param *p, Dwarf_Die *die, struct place *place)
{
	if (!b->fn->addr) {
		location_none(&p->where, "the function has no code of its own");
		return;
	}
	if (is_empty(b->di, p->type)) {       /* gcc gives it the place of whatever follows */
		location_none(&place->loc, "empty");
		p->where = place->loc;
		return;
	}
	param_place(&b->die, die, b->fn->addr, b->u, p->type, place);
	p->where = place->loc;
	if (place->kind != PLACE_FOUND)
		location_none(&p->where, "not yet in its stack slot, and not passed by the ABI's rules");
}

static void set_places(struct building *b)
{
	for (uint32_t i = 0; i < b->fn->n_params; i++) {
		struct place *place = list_add(&b->places);

		if (!place) {
			b->fn->n_params = i;
			break;
		}
		place_param(b, &b->fn->params[i], &list_at(&b->params, Dwarf_Die, i), place);
	}
	if (b->fn->addr && keeps_abi(b))
		ask_rules(b);
}

static void set_params(struct building *b)
{
	uint32_t n;

	list_params(b);
	n = (uint32_t)b->params.count;
	b->fn->params = pool_alloc(&b->di->pool, n * sizeof(struct param) + 1);
	if (!b->fn->params)
		return;
	b->fn->n_params = n;
	for (uint32_t i = 0; i < n; i++) {
		Dwarf_Die *die = &list_at(&b->params, Dwarf_Die, i);

		b->fn->params[i].name = die_name(die);
		b->fn->params[i].type = type_of(b->di, die);
		if (!b->fn->params[i].type)
			b->fn->params[i].type = type_unknown();
	}
	set_places(b);
}

static void set_return(struct building *b)
{
	struct location *where = &b->fn->ret_where;

	b->fn->ret = type_of(b->di, &b->die);
	if (b->fn->ret && b->fn->ret->kind == TYPE_VOID)
		b->fn->ret = NULL;
	if (!b->fn->ret)
		location_none(where, b->u->lang == LANG_GO ? "returned by Go's own rules" : "returns nothing");
	else if (b->u->lang == LANG_GO)
		location_none(where, "returned by Go's own rules");
	else if (b->changed && (!*b->fn->linkage || !keeps_result(b->fn->linkage)))
		location_none(where, "perhaps removed: the compiler changed this copy of the function");
	else
		abi_return(b->di, b->u->lang, b->fn->ret, where);
}

/* ---- all together ---- */

static uint32_t count_inlined(struct building *b)
{
	struct unit *u = unit_of(b->di, &b->origin);
	uint32_t n;

	if (!u || !unit_index_deep(b->di, u))
		return 0;
	if (u->partial)
		return inlined_everywhere(b->di, b->origin.addr);
	n = unit_inlined(u, b->origin.addr);
	if (u != b->u && unit_index_deep(b->di, b->u))   /* the abstract instance is in a unit that others share */
		n += unit_inlined(b->u, b->origin.addr);
	return n;
}

static void build(struct building *b)
{
	struct function *fn = b->fn;

	b->has_origin = die_own_ref(&b->die, DW_AT_abstract_origin, &b->origin);
	if (!b->has_origin)
		b->origin = b->die;
	fn->lang = b->u->lang;
	if (!function_extent(b->di, &b->die, &fn->addr, &fn->size))
		fn->addr = fn->size = 0;
	set_names(b);
	set_file(b);
	set_return(b);
	set_params(b);
	fn->inlined = fn->addr ? 0 : count_inlined(b);
}

struct function *function_get(struct debuginfo *di, struct unit *u, Dwarf_Die *die)
{
	struct keyed *found = keyed_find(&di->functions, die->addr);
	struct building b = { .di = di, .u = u, .die = *die, .params.item_size = sizeof(Dwarf_Die),
			      .places.item_size = sizeof(struct place) };
	struct function_node *n;

	if (found)
		return &holder_of(found, struct function_node, key)->fn;
	n = pool_alloc(&di->pool, sizeof(*n));
	if (!n)
		return NULL;
	n->key.key = die->addr;
	b.fn = &n->fn;
	build(&b);
	n->origin = b.origin.addr;
	n->inlined = n->fn.inlined;
	list_free(&b.params);
	list_free(&b.places);
	return keyed_add(&di->functions, &n->key) == 0 ? &n->fn : NULL;
}

const void *function_origin(const struct function *fn)
{
	return holder_of(fn, struct function_node, fn)->origin;
}
