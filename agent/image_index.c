/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Function symbols by address, built when the first question by address comes.
 *
 * Symbols may overlap (aliases, assembler entry points inside a larger function), so a binary search for the last
 * start at or below an address is not the answer by itself: every entry carries the farthest end of itself and all
 * before it, and the walk back stops where that says nothing earlier can reach the address.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "image_internal.h"

/* Of several names for one address, people know "malloc" and not "__libc_malloc". */
enum { RANK_DYNAMIC = 1, RANK_RESERVED = 2, RANK_LOCAL = 4, RANK_SIZELESS = 8 };

static size_t base_len(const char *name)
{
	const char *at = name[0] ? strchr(name + 1, '@') : NULL;

	return at ? (size_t)(at - name) : strlen(name);
}

static int compare_base(const char *a, const char *b)
{
	size_t la = base_len(a), lb = base_len(b);
	int c = memcmp(a, b, la < lb ? la : lb);

	return c ? c : (la > lb) - (la < lb);
}

/* By address; for one address the best name first, and the same name of both tables side by side. */
static int compare(const void *pa, const void *pb)
{
	const struct indexed *a = pa, *b = pb;
	int c;

	if (a->sym.addr != b->sym.addr)
		return a->sym.addr < b->sym.addr ? -1 : 1;
	if ((a->rank | RANK_DYNAMIC) != (b->rank | RANK_DYNAMIC))
		return a->rank < b->rank ? -1 : 1;
	c = compare_base(a->sym.name, b->sym.name);
	if (c)
		return c;
	if (a->rank != b->rank)
		return a->rank < b->rank ? -1 : 1;
	/* Same name, same table: any order will do, but always the same one. */
	return (a->sym.name > b->sym.name) - (a->sym.name < b->sym.name);
}

static unsigned rank_of(const struct symbol *sym)
{
	unsigned rank = 0;

	if (sym->dynamic)
		rank |= RANK_DYNAMIC;
	if (sym->name[0] == '_' && !name_is_mangled(sym->name))
		rank |= RANK_RESERVED;
	if (sym->local)
		rank |= RANK_LOCAL;
	if (sym->size == 0)
		rank |= RANK_SIZELESS;
	return rank;
}

static size_t collect(const struct image *img, const struct symtab *tab, struct indexed *out)
{
	struct indexed e = { 0 };
	size_t i, n = 0;

	for (i = 1; i < tab->n; i++) {
		if (!symtab_function(img, tab, i, &e.sym))
			continue;
		if (out) {
			e.rank = rank_of(&e.sym);
			out[n] = e;
		}
		n++;
	}
	return n;
}

static size_t drop_duplicates(struct indexed *index, size_t n)
{
	size_t i, kept = 0;

	for (i = 0; i < n; i++) {
		if (kept > 0 && index[kept - 1].sym.addr == index[i].sym.addr &&
		    compare_base(index[kept - 1].sym.name, index[i].sym.name) == 0)
			continue;
		index[kept++] = index[i];
	}
	return kept;
}

/*
 * Backwards once: a symbol without a size reaches up to the next address that has a symbol.  Then forwards for the
 * farthest end so far.
 */
static void set_ends(const struct image *img, struct indexed *index, size_t n)
{
	uint64_t next = UINT64_MAX, limit;
	const struct segment *seg;
	size_t i;

	for (i = n; i-- > 0;) {
		struct symbol *sym = &index[i].sym;

		if (i + 1 < n && index[i + 1].sym.addr != sym->addr)
			next = index[i + 1].sym.addr;
		seg = image_segment(img, sym->addr);
		limit = seg->addr + seg->mem_size;
		index[i].end = sym->size ? sym->addr + sym->size : next < limit ? next : limit;
	}
	for (i = 0; i < n; i++) {
		index[i].max_end = index[i].end;
		if (i > 0 && index[i - 1].max_end > index[i].max_end)
			index[i].max_end = index[i - 1].max_end;
	}
}

static int build(const struct image *img)
{
	struct image_late *late = img->late;
	const struct symtab *tab;
	int rc = image_tables(img, &tab);
	size_t n;

	if (rc != 0)
		return rc;
	n = collect(img, &tab[0], NULL) + collect(img, &tab[1], NULL);
	late->index = calloc(n ? n : 1, sizeof(*late->index));
	if (!late->index)
		return -ENOMEM;
	n = collect(img, &tab[0], late->index);
	n += collect(img, &tab[1], late->index + n);
	qsort(late->index, n, sizeof(*late->index), compare);
	late->n_index = drop_duplicates(late->index, n);
	set_ends(img, late->index, late->n_index);
	return 0;
}

static int need_index(const struct image *img)
{
	if (!img->late->index_built) {
		img->late->index_built = true;
		img->late->index_error = build(img);
	}
	return img->late->index_error;
}

/* The number of entries that start at or below addr. */
static size_t count_below(const struct image_late *late, uint64_t addr)
{
	size_t low = 0, high = late->n_index;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (late->index[mid].sym.addr <= addr)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

int image_symbol_at(const struct image *img, uint64_t addr, struct symbol *out)
{
	const struct image_late *late = img->late;
	const struct indexed *found = NULL;
	int rc = need_index(img);
	size_t i;

	if (rc != 0)
		return rc;
	for (i = count_below(late, addr); i-- > 0 && late->index[i].max_end > addr;) {
		if (found && found->sym.addr != late->index[i].sym.addr)
			break;
		if (late->index[i].end > addr)
			found = &late->index[i];      /* of one address, the first in order is the best name */
	}
	if (!found)
		return -ENOENT;
	*out = found->sym;
	return 0;
}

int image_each(const struct image *img, int (*visit)(const struct symbol *sym, void *arg), void *arg)
{
	int rc = need_index(img);
	size_t i;

	for (i = 0; rc == 0 && i < img->late->n_index; i++)
		rc = visit(&img->late->index[i].sym, arg);
	return rc;
}
