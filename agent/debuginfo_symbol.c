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

/* A string table up to its last NUL. */
struct names { const char *base; size_t len; };

static bool read_names(struct debuginfo *di, size_t number, struct names *out)
{
	Elf_Scn *scn = elf_getscn(di->elf, number);
	Elf_Data *data = scn ? elf_rawdata(scn, NULL) : NULL;
	const char *last = data && data->d_buf ? memrchr(data->d_buf, 0, data->d_size) : NULL;

	out->base = last ? data->d_buf : NULL;
	out->len = last ? (size_t)(last - out->base) + 1 : 0;
	return last != NULL;
}

static void add_symbol(struct debuginfo *di, const GElf_Sym *sym, const struct names *names)
{
	struct symbol *slot;

	if (GELF_ST_TYPE(sym->st_info) != STT_FUNC || sym->st_value == 0 || sym->st_shndx == SHN_UNDEF ||
	    sym->st_name >= names->len)
		return;
	slot = list_add(&di->symbols);
	if (slot)
		*slot = (struct symbol){ .name = names->base + sym->st_name, .addr = sym->st_value, .size = sym->st_size,
					 .local = GELF_ST_BIND(sym->st_info) == STB_LOCAL };
}

static void read_symbols(struct debuginfo *di)
{
	Elf_Scn *scn = NULL;
	struct names names;
	GElf_Shdr sh;

	di->symbols_read = true;
	while ((scn = elf_nextscn(di->elf, scn))) {
		Elf_Data *data;
		size_t n;

		if (!gelf_getshdr(scn, &sh) || sh.sh_type != SHT_SYMTAB)
			continue;
		data = elf_getdata(scn, NULL);
		n = data && data->d_buf && read_names(di, sh.sh_link, &names) ? data->d_size / sizeof(Elf64_Sym) : 0;
		for (size_t i = 0; i < n && i < SYMBOLS_MAX; i++) {
			GElf_Sym sym;

			memcpy(&sym, (const Elf64_Sym *)data->d_buf + i, sizeof(sym));
			add_symbol(di, &sym, &names);
		}
		return;
	}
}

/* By address, for symbol_at only: most questions go by the names. */
static void order_symbols(struct debuginfo *di)
{
	size_t n = di->symbols.count;

	di->symbols_ordered = true;
	di->by_address = reallocarray(NULL, n ? n : 1, sizeof(*di->by_address));
	if (!di->by_address)
		return;
	for (size_t i = 0; i < n; i++)
		di->by_address[i] = (struct address_key){ list_at(&di->symbols, struct symbol, i).addr, (uint32_t)i };
	if (address_sort(di->by_address, n) != 0) {
		free(di->by_address);
		di->by_address = NULL;
	}
}

/* Of several at one address: global before local. */
static bool is_better(const struct symbol *a, const struct symbol *b)
{
	return a->local != b->local ? !a->local : strcmp(a->name, b->name) < 0;
}

static const struct symbol *own_symbol_at(struct debuginfo *di, uint64_t addr)
{
	const struct symbol *best = NULL;
	size_t n = di->symbols.count;

	if (!di->by_address)
		return NULL;
	for (size_t i = address_lower_bound(di->by_address, n, addr); i < n && di->by_address[i].addr == addr; i++) {
		const struct symbol *sym = &list_at(&di->symbols, struct symbol, di->by_address[i].item);

		if (!best || is_better(sym, best))
			best = sym;
	}
	return best;
}

bool symbol_at(struct debuginfo *di, uint64_t addr, struct symbol *out)
{
	const struct symbol *own;

	if (di->separate && !di->symbols_read)
		read_symbols(di);
	if (di->separate && !di->symbols_ordered)
		order_symbols(di);
	own = di->separate ? own_symbol_at(di, addr) : NULL;
	if (own)
		*out = *own;
	return own || (image_symbol_at(di->img, addr, out) == 0 && out->addr == addr);
}

void symbols_each(struct debuginfo *di, int (*visit)(const struct symbol *sym, void *arg), void *arg)
{
	if (di->separate && !di->symbols_read)
		read_symbols(di);
	for (size_t i = 0; i < di->symbols.count; i++)
		if (visit(&list_at(&di->symbols, struct symbol, i), arg))
			return;
	image_visit(di->img, visit, arg);
}
