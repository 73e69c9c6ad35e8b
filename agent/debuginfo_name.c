/* SPDX-License-Identifier: Apache-2.0 */
/* Qualified names, built from the scopes of a unit. */
#include <string.h>

#include "buf.h"
#include "debuginfo_internal.h"

enum { SCOPES_MAX = 32 };

/* The innermost scope that holds a DIE, -1: none. Scopes are in the order of their start. */
static int scope_of(const struct unit *u, Dwarf_Off off)
{
	size_t low = 0, high = u->scopes.count;
	int i;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (list_at(&u->scopes, struct scope, mid).start < off)
			low = mid + 1;
		else
			high = mid;
	}
	for (i = (int)low - 1; i >= 0; i = list_at(&u->scopes, struct scope, i).parent)
		if (off < list_at(&u->scopes, struct scope, i).end)
			break;
	return i;
}

static const char *join(struct debuginfo *di, const char *const *parts, int n, const char *name)
{
	struct buf b = { 0 };
	const char *out;

	for (int i = n - 1; i >= 0; i--)
		buf_printf(&b, "%.256s::", parts[i]);
	buf_printf(&b, "%.512s", name);
	out = b.failed ? name : pool_copy(&di->pool, b.data, b.len);
	buf_free(&b);
	return out ? out : name;
}

static bool is_class(Dwarf_Die *die)
{
	int tag = dwarf_tag(die);

	return tag == DW_TAG_structure_type || tag == DW_TAG_class_type || tag == DW_TAG_union_type;
}

const char *scope_name(Dwarf_Die *die)
{
	const char *name = die_name(die);

	return *name ? name : is_class(die) ? "{unnamed type}" : "(anonymous namespace)";
}

/* The child that is `wanted`, or holds it; false if there is none. Siblings are in the order of their offsets. */
static bool child_with(struct debuginfo *di, Dwarf_Die *parent, Dwarf_Off wanted, Dwarf_Die *out)
{
	Dwarf_Die child;
	bool found = false;

	if (dwarf_child(parent, &child) != 0)
		return false;
	while (budget_take(di) && dwarf_dieoffset(&child) <= wanted) {
		const void *at = child.addr;

		*out = child;
		found = true;
		if (dwarf_siblingof(&child, &child) != 0 || child.addr <= at)
			break;
	}
	return found;
}

/*
 * Below a class that the index has left closed: the classes in it, the innermost last, that hold the DIE at `off`. Returns how many,
 * or -1 if it is in something else.
 */
static int inside_class(struct debuginfo *di, Dwarf_Die *class, Dwarf_Off off, const char **names)
{
	Dwarf_Die at = *class, child;

	for (int n = 0; n < SCOPES_MAX; n++) {
		if (!child_with(di, &at, off, &child))
			return -1;
		if (dwarf_dieoffset(&child) == off)
			return n;
		if (!is_class(&child))
			return -1;
		names[n] = scope_name(&child);
		at = child;
	}
	return -1;
}

static const struct scope *scope_at(const struct unit *u, int i)
{
	return i >= 0 && u->scopes.items ? &list_at(&u->scopes, struct scope, i) : NULL;
}

/* The names of the scopes that hold a DIE, the innermost first. */
static int scopes_of(struct debuginfo *di, struct unit *u, Dwarf_Off off, const char **parts)
{
	const struct scope *s = scope_at(u, scope_of(u, off));
	const char *names[SCOPES_MAX];
	int inner = 0, n = 0;

	if (s && s->closed) {
		Dwarf_Die die = s->die;

		inner = is_class(&die) ? inside_class(di, &die, off, names) : -1;
		/* What is declared in a function's body is named by what is inside of that body. */
		if (inner < 0 && unit_index_deep(di, u))
			s = scope_at(u, scope_of(u, off));
	}
	while (inner > 0 && n < SCOPES_MAX)
		parts[n++] = names[--inner];
	for (; s && n < SCOPES_MAX; s = scope_at(u, s->parent))
		parts[n++] = s->name;
	return n;
}

const char *qualified_name(struct debuginfo *di, Dwarf_Die *die, enum language lang)
{
	const char *parts[SCOPES_MAX], *name = die_name(die);
	struct unit *u;
	Dwarf_Die origin;
	int n;

	if (lang == LANG_C || lang == LANG_GO || lang == LANG_UNKNOWN)
		return name;
	die_origin(die, &origin);
	u = unit_of(di, &origin);
	if (!u || !unit_index(di, u))
		return name;
	n = scopes_of(di, u, dwarf_dieoffset(&origin), parts);
	return n ? join(di, parts, n, name) : name;
}
