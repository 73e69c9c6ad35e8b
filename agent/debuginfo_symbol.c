/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Symbols as the debug information's own file has them.  A stripped program has lost the symbols of its local
 * functions, and with them the names of the copies that the compiler changed; the separate debug file still has them.
 */
#include <gelf.h>
#include <stdlib.h>
#include <string.h>

#include "debuginfo_internal.h"

enum { SYMBOLS_MAX = 16 << 20 };

static void add_symbol(struct debuginfo *di, const GElf_Sym *sym, size_t strings)
{
	const char *name;
	struct symbol *slot;

	if (GELF_ST_TYPE(sym->st_info) != STT_FUNC || sym->st_value == 0 || sym->st_shndx == SHN_UNDEF)
		return;
	name = elf_strptr(di->elf, strings, sym->st_name);
	slot = name ? list_add(&di->symbols) : NULL;
	if (slot)
		*slot = (struct symbol){ .name = name, .addr = sym->st_value, .size = sym->st_size,
					 .local = GELF_ST_BIND(sym->st_info) == STB_LOCAL };
}

/* By address, global before local. */
static int symbol_compare(const void *a, const void *b)
{
	const struct symbol *x = a, *y = b;

	if (x->addr != y->addr)
		return x->addr < y->addr ? -1 : 1;
	if (x->local != y->local)
		return x->local ? 1 : -1;
	return strcmp(x->name, y->name);
}

static void read_symbols(struct debuginfo *di)
{
	Elf_Scn *scn = NULL;
	GElf_Shdr sh;

	di->symbols_read = true;
	while ((scn = elf_nextscn(di->elf, scn))) {
		Elf_Data *data;
		size_t n;

		if (!gelf_getshdr(scn, &sh) || sh.sh_type != SHT_SYMTAB)
			continue;
		data = elf_getdata(scn, NULL);
		n = data ? data->d_size / sizeof(Elf64_Sym) : 0;
		for (size_t i = 0; i < n && i < SYMBOLS_MAX; i++) {
			GElf_Sym sym;

			if (gelf_getsym(data, (int)i, &sym))
				add_symbol(di, &sym, sh.sh_link);
		}
		break;
	}
	if (di->symbols.count > 1)
		qsort(di->symbols.items, di->symbols.count, sizeof(struct symbol), symbol_compare);
}

bool symbol_at(struct debuginfo *di, uint64_t addr, struct symbol *out)
{
	size_t low = 0, high;

	if (!di->separate)
		return image_symbol_at(di->img, addr, out) == 0 && out->addr == addr;
	if (!di->symbols_read)
		read_symbols(di);
	high = di->symbols.count;
	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (list_at(&di->symbols, struct symbol, mid).addr < addr)
			low = mid + 1;
		else
			high = mid;
	}
	if (low < di->symbols.count && list_at(&di->symbols, struct symbol, low).addr == addr) {
		*out = list_at(&di->symbols, struct symbol, low);
		return true;
	}
	return image_symbol_at(di->img, addr, out) == 0 && out->addr == addr;
}

void symbols_each(struct debuginfo *di, int (*visit)(const struct symbol *sym, void *arg), void *arg)
{
	if (di->separate && !di->symbols_read)
		read_symbols(di);
	for (size_t i = 0; i < di->symbols.count; i++)
		if (visit(&list_at(&di->symbols, struct symbol, i), arg))
			return;
	image_each(di->img, visit, arg);
}
