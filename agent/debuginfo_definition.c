/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "struct client;" in one unit, its members in another.  The first time such a type is wanted, one walk over the
 * top-level DIEs of all units notes where each struct, union and enum of a name is defined; the first one wins.
 */
#include <search.h>
#include <stdio.h>
#include <string.h>

#include "debuginfo_internal.h"

enum { KEY_MAX = 1024, NAMESPACES_MAX = 16 };

struct definition {
	const char *key;              /* "struct name", qualified */
	Dwarf_Die die;
};

struct reading {
	struct debuginfo *di;
	const char *namespaces[NAMESPACES_MAX];
};

static int definition_compare(const void *a, const void *b)
{
	const struct definition *x = a, *y = b;

	return strcmp(x->key, y->key);
}

/* A class may be declared as a struct. */
static const char *key_word(int tag)
{
	switch (tag) {
	case DW_TAG_structure_type:
	case DW_TAG_class_type:
		return "struct";
	case DW_TAG_union_type:
		return "union";
	case DW_TAG_enumeration_type:
		return "enum";
	default:
		return NULL;
	}
}

static void note(struct reading *r, Dwarf_Die *die, const char *word, unsigned depth)
{
	const char *name = die_name(die);
	char key[KEY_MAX];
	struct definition want = { .key = key }, *d;
	int n = snprintf(key, sizeof(key), "%s ", word);

	for (unsigned i = 0; i < depth && n < KEY_MAX; i++)
		n += snprintf(key + n, sizeof(key) - (size_t)n, "%s::", r->namespaces[i]);
	if (n < KEY_MAX)
		n += snprintf(key + n, sizeof(key) - (size_t)n, "%s", name);
	if (!*name || n >= KEY_MAX || tfind(&want, &r->di->definitions, definition_compare))
		return;
	d = pool_alloc(&r->di->pool, sizeof(*d));
	if (!d || !(d->key = pool_copy(&r->di->pool, key, (size_t)n)))
		return;
	d->die = *die;
	tsearch(d, &r->di->definitions, definition_compare);
}

static enum walk_step read_die(Dwarf_Die *die, unsigned depth, void *arg)
{
	struct reading *r = arg;
	int tag = dwarf_tag(die);
	const char *word = key_word(tag);

	if (tag == DW_TAG_namespace && depth < NAMESPACES_MAX) {
		const char *name = die_name(die);

		r->namespaces[depth] = *name ? name : "(anonymous namespace)";
		return WALK_INTO;
	}
	if (word && !dwarf_hasattr(die, DW_AT_declaration))
		note(r, die, word, depth);
	return WALK_OVER;
}

static bool read_unit(struct debuginfo *di, Dwarf_Die *cu, void *arg)
{
	struct reading r = { .di = di };

	return walk(di, cu, read_die, &r) || !di->budget.spent;
}

bool definition_find(struct debuginfo *di, const struct type_node *n, Dwarf_Die *out)
{
	const char *word = key_word(dwarf_tag((Dwarf_Die *)&n->die));
	char key[KEY_MAX];
	struct definition want = { .key = key }, **found;

	if (!word || !*n->bare || snprintf(key, sizeof(key), "%s %s", word, n->bare) >= KEY_MAX)
		return false;
	if (!di->definitions_read) {
		di->definitions_read = true;
		units_each(di, read_unit, NULL);
	}
	found = tfind(&want, &di->definitions, definition_compare);
	if (found)
		*out = (*found)->die;
	return found != NULL;
}

static void keep(void *item)
{
}

void definitions_free(struct debuginfo *di)
{
	tdestroy(di->definitions, keep);
	di->definitions = NULL;
}
