/* SPDX-License-Identifier: Apache-2.0 */
/* Compile units: which one covers an address, what language it is, and an index of the functions in it. */
#include <stdlib.h>
#include <string.h>

#include "debuginfo_internal.h"

enum { RANGES_MAX = 4 << 20, FUNCTION_RANGES_MAX = 64 };

static const struct { uint16_t dwarf; enum language lang; } languages[] = {
	{ DW_LANG_C, LANG_C }, { DW_LANG_C89, LANG_C }, { DW_LANG_C99, LANG_C }, { DW_LANG_C11, LANG_C },
	{ 0x2c /* C17 */, LANG_C }, { 0x3e /* C23 */, LANG_C },
	{ DW_LANG_C_plus_plus, LANG_CXX }, { DW_LANG_C_plus_plus_03, LANG_CXX }, { DW_LANG_C_plus_plus_11, LANG_CXX },
	{ DW_LANG_C_plus_plus_14, LANG_CXX }, { 0x2b /* C++17 */, LANG_CXX }, { 0x3a /* C++20 */, LANG_CXX },
	{ 0x3b /* C++23 */, LANG_CXX },
	{ DW_LANG_Rust, LANG_RUST }, { DW_LANG_Go, LANG_GO },
};

static enum language language_of(uint64_t dwarf)
{
	for (size_t i = 0; i < sizeof(languages) / sizeof(languages[0]); i++)
		if (languages[i].dwarf == dwarf)
			return languages[i].lang;
	return LANG_UNKNOWN;
}

static void unit_describe(struct debuginfo *di, struct unit *u)
{
	Dwarf_Attribute mem;
	const char *producer = dwarf_formstring(dwarf_attr(&u->die, DW_AT_producer, &mem));
	uint64_t lang = 0;

	if (die_udata(&u->die, DW_AT_language, &lang)) {
		u->lang = language_of(lang);
		u->assembler = lang == DW_LANG_Mips_Assembler;
	} else {
		/* dwz's partial units have none: the file's language is the best guess. */
		u->lang = image_language(di->img);
	}
	u->llvm = producer && (strstr(producer, "clang") || strstr(producer, "rustc") || strstr(producer, "LLVM"));
	u->partial = dwarf_tag(&u->die) == DW_TAG_partial_unit;
	u->split = dwarf_hasattr(&u->die, DW_AT_dwo_name) || dwarf_hasattr(&u->die, DW_AT_GNU_dwo_name);
	di->split_seen |= u->split;
}

struct unit *unit_of(struct debuginfo *di, Dwarf_Die *die)
{
	struct keyed *found = keyed_find(&di->units, die->cu);
	struct unit *u;

	if (!die->cu)
		return NULL;
	if (found)
		return holder_of(found, struct unit, key);
	u = pool_alloc(&di->pool, sizeof(*u));
	if (!u || !dwarf_diecu(die, &u->die, NULL, NULL))
		return NULL;
	u->key.key = die->cu;
	u->scopes.item_size = sizeof(struct scope);
	u->codes.item_size = sizeof(struct code);
	u->inlined.item_size = sizeof(void *);
	u->spans.item_size = sizeof(struct span);
	unit_describe(di, u);
	return keyed_add(&di->units, &u->key) == 0 ? u : NULL;
}

/* ---- the extent of a function ---- */

bool is_live(struct debuginfo *di, uint64_t addr)
{
	uint64_t offset;

	/* Linkers leave 0, 1, -1 or -2 in the debug info of what they threw away. */
	return addr > 1 && image_offset(di->img, addr, &offset) == 0;
}

static bool entry_attribute(Dwarf_Die *die, uint64_t base, uint64_t *entry)
{
	Dwarf_Attribute mem;
	Dwarf_Attribute *attr = dwarf_attr(die, DW_AT_entry_pc, &mem);
	Dwarf_Addr addr;
	Dwarf_Word offset;

	if (!attr)
		return false;
	if (dwarf_formaddr(attr, &addr) == 0) {
		*entry = addr;
		return true;
	}
	if (dwarf_formudata(attr, &offset) != 0)
		return false;
	*entry = base + offset;
	return true;
}

static bool begins_function(struct debuginfo *di, uint64_t addr)
{
	struct symbol sym;

	return symbol_at(di, addr, &sym) && !strstr(sym.name, ".cold");
}

/* Hot and cold parts in any order: the entry is in the one that has the function's symbol. */
static bool extent_of_ranges(struct debuginfo *di, Dwarf_Die *die, uint64_t *addr, uint64_t *size)
{
	Dwarf_Addr base, start, end;
	ptrdiff_t off = 0;
	uint64_t entry = 0;
	bool known = false, found = false;

	for (int i = 0; i < FUNCTION_RANGES_MAX && (off = dwarf_ranges(die, off, &base, &start, &end)) > 0; i++) {
		if (end <= start || !is_live(di, start))
			continue;
		if (i == 0)
			known = entry_attribute(die, base, &entry);
		if (known ? entry >= start && entry < end : begins_function(di, start)) {
			*addr = known ? entry : start;
			*size = end - *addr;
			return true;
		}
		if (!found) {
			*addr = start;
			*size = end - start;
			found = true;
		}
	}
	return found;
}

bool function_extent(struct debuginfo *di, Dwarf_Die *die, uint64_t *addr, uint64_t *size)
{
	Dwarf_Addr low, high;
	uint64_t entry;

	if (dwarf_lowpc(die, &low) != 0)
		return dwarf_hasattr(die, DW_AT_ranges) && extent_of_ranges(di, die, addr, size);
	if (!is_live(di, low))
		return false;
	if (dwarf_highpc(die, &high) != 0 || high <= low)
		high = low;
	if (!entry_attribute(die, low, &entry) || entry < low || entry >= high)
		entry = low;
	*addr = entry;
	*size = high - entry;
	return true;
}

/* ---- the index of one unit ---- */

struct indexing {
	struct debuginfo *di;
	struct unit *u;
	int open;                     /* innermost open scope */
	unsigned function_depth;      /* of the subprogram seen last */
	bool deep, failed;
};

static void close_scopes(struct indexing *x, unsigned depth, Dwarf_Off at)
{
	while (x->open >= 0) {
		struct scope *s = &list_at(&x->u->scopes, struct scope, x->open);

		if (s->depth < depth)
			return;
		s->end = at;
		x->open = s->parent;
	}
}

static struct scope *add_scope(struct indexing *x, Dwarf_Die *die, unsigned depth)
{
	struct scope *s = list_add(&x->u->scopes);

	if (!s) {
		x->failed = true;
		return NULL;
	}
	*s = (struct scope){ .start = dwarf_dieoffset(die), .end = UINT64_MAX, .die = *die, .parent = x->open, .depth = depth,
			     .name = "" };
	x->open = (int)x->u->scopes.count - 1;
	return s;
}

static struct scope *open_scope(struct indexing *x, Dwarf_Die *die, unsigned depth)
{
	struct scope *s = add_scope(x, die, depth);

	if (s)
		s->name = scope_name(die);
	return s;
}

/* C++ compilers define a class's functions outside of it: in it are declarations. Rust defines them inside. */
static enum walk_step index_class(struct indexing *x, Dwarf_Die *die, unsigned depth)
{
	struct scope *s;

	if (x->u->lang == LANG_C || dwarf_haschildren(die) <= 0)     /* nothing is named after a struct of C */
		return WALK_OVER;
	s = open_scope(x, die, depth);
	if (!s || x->deep || x->u->lang != LANG_CXX)
		return WALK_INTO;
	s->closed = true;
	return WALK_OVER;
}

static void open_body(struct indexing *x, Dwarf_Die *die, unsigned depth)
{
	struct scope *s = add_scope(x, die, depth);

	if (s)
		s->closed = true;
}

static void index_subprogram(struct indexing *x, Dwarf_Die *die)
{
	uint64_t addr = 0, size, inl;
	struct code *code;
	Dwarf_Attribute mem;

	if (!function_extent(x->di, die, &addr, &size) &&
	    dwarf_formudata(dwarf_attr(die, DW_AT_inline, &mem), &inl) != 0)
		return;
	code = list_add(&x->u->codes);
	if (!code) {
		x->failed = true;
		return;
	}
	code->addr = addr;
	code->die = *die;
}

static void index_inlined(struct indexing *x, Dwarf_Die *die)
{
	Dwarf_Die origin;
	const void **copy;

	if (!die_own_ref(die, DW_AT_abstract_origin, &origin))
		return;
	copy = list_add(&x->u->inlined);
	if (copy)
		*copy = origin.addr;
	else
		x->failed = true;
}

static void look_for_list(struct indexing *x, Dwarf_Die *die, unsigned depth)
{
	struct unit *u = x->u;
	Dwarf_Attribute mem;
	Dwarf_Attribute *attr;

	if (!u->llvm || u->optimised || depth != x->function_depth + 1)
		return;
	attr = dwarf_attr(die, DW_AT_location, &mem);
	u->optimised = attr && !is_location_expression(attr);
}

static enum walk_step index_visit(Dwarf_Die *die, unsigned depth, void *arg)
{
	struct indexing *x = arg;

	if (x->failed)
		return WALK_STOP;
	close_scopes(x, depth, dwarf_dieoffset(die));
	switch (dwarf_tag(die)) {
	case DW_TAG_subprogram:
		x->function_depth = depth;
		index_subprogram(x, die);
		if (x->deep)
			return WALK_INTO;
		if (dwarf_haschildren(die) > 0)
			open_body(x, die, depth);
		return WALK_OVER;
	case DW_TAG_inlined_subroutine:
		index_inlined(x, die);
		return WALK_INTO;
	case DW_TAG_lexical_block:
		return WALK_INTO;
	case DW_TAG_formal_parameter:
		look_for_list(x, die, depth);
		return WALK_OVER;
	case DW_TAG_namespace:
	case DW_TAG_module:
		open_scope(x, die, depth);
		return WALK_INTO;
	case DW_TAG_structure_type:
	case DW_TAG_class_type:
	case DW_TAG_union_type:
		return index_class(x, die, depth);
	default:
		return WALK_OVER;
	}
}

static int code_compare(const void *a, const void *b)
{
	const struct code *x = a, *y = b;

	if (x->addr != y->addr)
		return x->addr < y->addr ? -1 : 1;
	return x->die.addr < y->die.addr ? -1 : x->die.addr > y->die.addr;
}

static int pointer_compare(const void *a, const void *b)
{
	const char *x = *(const char *const *)a, *y = *(const char *const *)b;

	return x < y ? -1 : x > y;
}

static void sort_list(struct list *l, int (*compare)(const void *, const void *))
{
	if (l->count > 1)
		qsort(l->items, l->count, l->item_size, compare);
}

static bool index_unit(struct debuginfo *di, struct unit *u, bool deep)
{
	struct indexing x = { .di = di, .u = u, .open = -1, .function_depth = UINT_MAX - 1, .deep = deep };

	u->indexed = true;
	u->deep = deep;
	u->scopes.count = u->codes.count = u->inlined.count = 0;
	/* What a spent budget left out is missing: a part of the index is better than none. */
	walk(di, &u->die, index_visit, &x);
	close_scopes(&x, 0, UINT64_MAX);
	sort_list(&u->codes, code_compare);
	sort_list(&u->inlined, pointer_compare);
	return !x.failed;
}

/* LLVM's parameters are looked at, to know if it optimised. */
bool unit_index(struct debuginfo *di, struct unit *u)
{
	return u->indexed || index_unit(di, u, u->llvm);
}

bool unit_index_deep(struct debuginfo *di, struct unit *u)
{
	return u->deep || index_unit(di, u, true);
}

const struct code *unit_code_at(const struct unit *u, uint64_t addr)
{
	size_t low = 0, high = u->codes.count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (list_at(&u->codes, struct code, mid).addr < addr)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == u->codes.count || list_at(&u->codes, struct code, low).addr != addr)
		return NULL;
	return &list_at(&u->codes, struct code, low);
}

static size_t lower_bound(const struct list *l, const char *key)
{
	size_t low = 0, high = l->count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (list_at(l, const char *, mid) < key)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

uint32_t unit_inlined(const struct unit *u, const void *abstract)
{
	return (uint32_t)(lower_bound(&u->inlined, (const char *)abstract + 1) -
			  lower_bound(&u->inlined, abstract));
}

/* ---- units by address ---- */

typedef bool unit_visit(struct debuginfo *di, Dwarf_Die *cu, void *arg);

static bool units_of(struct debuginfo *di, Dwarf *dwarf, unit_visit *visit, void *arg)
{
	Dwarf_CU *cu = NULL;
	Dwarf_Die die;

	/* No split DIE is asked for: libdw would open whatever path the file names. */
	while (budget_take(di) && dwarf_get_units(dwarf, cu, &cu, NULL, NULL, &die, NULL) == 0)
		if (die.cu && die.addr && !visit(di, &die, arg))   /* a unit whose DIE is broken has neither */
			return false;
	return true;
}

void units_each(struct debuginfo *di, unit_visit *visit, void *arg)
{
	if (units_of(di, di->dwarf, visit, arg) && di->alt)
		units_of(di, di->alt, visit, arg);
}

struct inline_count { const void *abstract; uint32_t n; };

static bool add_inlined(struct debuginfo *di, Dwarf_Die *cu, void *arg)
{
	struct inline_count *count = arg;
	struct unit *u = unit_of(di, cu);

	if (u && unit_index_deep(di, u))
		count->n += unit_inlined(u, count->abstract);
	return true;
}

uint32_t inlined_everywhere(struct debuginfo *di, const void *abstract)
{
	struct inline_count count = { abstract, 0 };

	units_each(di, add_inlined, &count);
	return count.n;
}

static bool add_range(struct debuginfo *di, uint64_t start, uint64_t end, const Dwarf_Die *cu)
{
	struct unit_range *r;

	if (end <= start || di->ranges.count >= RANGES_MAX)
		return di->ranges.count < RANGES_MAX;
	r = list_add(&di->ranges);
	if (!r)
		return false;
	*r = (struct unit_range){ start, end, *cu };
	return true;
}

static bool add_unit_ranges(struct debuginfo *di, Dwarf_Die *cu, void *arg)
{
	Dwarf_Addr base, start, end;
	ptrdiff_t off = 0;

	if (dwarf_tag(cu) == DW_TAG_type_unit)
		return true;
	while ((off = dwarf_ranges(cu, off, &base, &start, &end)) > 0)
		if (!add_range(di, start, end, cu) || !budget_take(di))
			return false;
	return true;
}

static int range_compare(const void *a, const void *b)
{
	const struct unit_range *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

static const struct unit_range *range_at(struct debuginfo *di, uint64_t addr)
{
	size_t low = 0, high;

	if (!di->ranges_read) {
		di->ranges_read = true;
		units_each(di, add_unit_ranges, NULL);
		sort_list(&di->ranges, range_compare);
	}
	high = di->ranges.count;
	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (list_at(&di->ranges, struct unit_range, mid).start <= addr)
			low = mid + 1;
		else
			high = mid;
	}
	/* Ranges of honest units do not overlap; look back a little for those that nest. */
	for (size_t i = low; i > 0 && low - i < 8; i--)
		if (addr < list_at(&di->ranges, struct unit_range, i - 1).end)
			return &list_at(&di->ranges, struct unit_range, i - 1);
	return NULL;
}

bool unit_at(struct debuginfo *di, uint64_t addr, Dwarf_Die *cu)
{
	const struct unit_range *r;

	if (unit_by_aranges(di, addr, cu))
		return true;
	/* clang writes no .debug_aranges. */
	r = range_at(di, addr);
	if (r)
		*cu = r->die;
	return r != NULL;
}
