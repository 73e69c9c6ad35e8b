/* SPDX-License-Identifier: Apache-2.0 */
/* Qualified names, built from the scopes of a unit, and how a request matches them. */
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

/* ---- matching ---- */

static bool is_operator(const char *part, size_t len)
{
	return len >= 8 && strncmp(part, "operator", 8) == 0;
}

/* The start of the component that ends before `end`: behind the last "::" that is not inside <> or (). */
static const char *component(const char *name, const char *end)
{
	int nested = 0;

	for (const char *p = end; p > name; p--) {
		char c = p[-1];

		if (c == '>' || c == ')' || c == '}')
			nested++;
		else if ((c == '<' || c == '(' || c == '{') && nested > 0)
			nested--;
		else if (nested == 0 && c == ':' && p - 1 > name && p[-2] == ':')
			return p;
	}
	return name;
}

const char *name_last(const char *qualified)
{
	return component(qualified, qualified + strlen(qualified));
}

/* Length without template arguments. */
static size_t bare_length(const char *part, size_t len)
{
	const char *angle;

	if (is_operator(part, len) || len == 0 || part[len - 1] != '>' || part[0] == '<')
		return len;
	angle = memchr(part, '<', len);
	return angle ? (size_t)(angle - part) : len;
}

static bool parts_equal(const char *a, size_t a_len, const char *b, size_t b_len)
{
	if (a_len == b_len && memcmp(a, b, a_len) == 0)
		return true;
	/* "push" asks for every push<T>, but "push<int>" only for that one. */
	return bare_length(b, b_len) == b_len && bare_length(a, a_len) == b_len && memcmp(a, b, b_len) == 0;
}

bool name_last_matches(const char *name, const char *request)
{
	const char *want = name_last(request);

	return parts_equal(name, strlen(name), want, strlen(want));
}

static bool may_be_left_out(const char *part, size_t len)
{
	static const char anonymous[] = "(anonymous namespace)";

	return (len > 0 && part[0] == '{') || (len == sizeof(anonymous) - 1 && memcmp(part, anonymous, len) == 0);
}

bool name_matches(const char *qualified, const char *request)
{
	const char *q_end = qualified + strlen(qualified), *r_end = request + strlen(request);

	if (strncmp(request, "::", 2) == 0)
		request += 2;
	if (strcmp(qualified, request) == 0)
		return true;
	for (;;) {
		const char *q = component(qualified, q_end), *r = component(request, r_end);
		bool equal = parts_equal(q, (size_t)(q_end - q), r, (size_t)(r_end - r));

		if (!equal && !may_be_left_out(q, (size_t)(q_end - q)))
			return false;
		if (equal && r == request)
			return true;
		if (q == qualified)
			return false;
		q_end = q - 2;
		if (equal)
			r_end = r - 2;
	}
}
