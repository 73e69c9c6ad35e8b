/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Symbol tables and the search for one name.
 *
 * A request names one function of maybe half a million, so nothing is sorted or hashed for it: one pass over both
 * tables compares names in place (libjvm's 60,000 symbols: about a millisecond).  Several symbols can answer to one
 * name; each gets a rank, the sum of what speaks against it, and the lowest wins:
 *
 *   dynamic 1   .symtab has the more, .dynsym answers when it is stripped
 *   suffix  2   the table says "name@@VERSION" where "name" was asked for
 *   local   4   a file's static function, while the other is what the world calls
 *   hidden  8   an old version ("memcpy@GLIBC_2.2.5"), kept for programs that were linked long ago
 *
 * Parts that a compiler split off (foo.cold, foo.part.0, foo.isra.0) are other names and never answer for foo.
 */
#include <errno.h>
#include <string.h>

#include "image_internal.h"

enum { RANK_DYNAMIC = 1, RANK_SUFFIX = 2, RANK_LOCAL = 4, RANK_HIDDEN = 8, RANK_NONE = 16 };

enum { VERSION_HIDDEN = 0x8000, VERDEF_MAX = 32768 };

/*
 * Strings in the table may share bytes: a hostile one gives every symbol the same name of 500 MB.  With the sum of all
 * names bounded here once, every later pass over names is bounded too.  Linkers share tails and equal names of short
 * local symbols; four times the table plus 64 bytes for each symbol is far more than that needs.
 */
static int check_names(const struct symtab *tab)
{
	uint64_t sum = 0, most = 4 * (uint64_t)tab->names.len + 64 * (uint64_t)tab->n;
	size_t i;

	for (i = 0; i < tab->n && sum <= most; i++) {
		const char *name = strings_at(&tab->names, tab->syms[i].st_name);

		sum += name ? strlen(name) : 0;
	}
	return sum <= most ? 0 : -ENOEXEC;
}

static int load_table(const struct image *img, size_t number, struct symtab *tab)
{
	const void *data;
	size_t len;
	GElf_Shdr sh;
	int rc;

	if (number == 0)
		return 0;
	if (!gelf_getshdr(elf_getscn(img->elf, number), &sh))
		return -ENOEXEC;
	rc = image_strings(img, sh.sh_link, IMAGE_STRTAB_BYTES_MAX, &tab->names);
	if (rc == 0)
		rc = image_section(img, number, IMAGE_SYMTAB_BYTES_MAX, &data, &len);
	if (rc != 0)
		return rc;
	tab->syms = data;
	tab->n = len / sizeof(Elf64_Sym);
	return check_names(tab);
}

/* Without usable version sections every symbol counts as its default version. */
static void load_versions(const struct image *img, struct symtab *tab)
{
	const void *data;
	size_t len;

	if (img->sec.versym && image_section(img, img->sec.versym, IMAGE_SYMTAB_BYTES_MAX, &data, &len) == 0 &&
	    len / sizeof(uint16_t) >= tab->n)
		tab->versions = data;
	if (img->sec.verdef && image_section(img, img->sec.verdef, IMAGE_SYMTAB_BYTES_MAX, &data, &len) == 0) {
		tab->verdef = data;
		tab->verdef_len = len;
	}
}

int image_tables(const struct image *img, const struct symtab **tab)
{
	struct image_late *late = img->late;

	*tab = late->tab;
	if (late->tables_loaded)
		return late->tables_error;
	late->tables_loaded = true;
	late->tab[1].dynamic = true;
	late->tables_error = load_table(img, img->sec.symtab, &late->tab[0]);
	if (late->tables_error == 0)
		late->tables_error = load_table(img, img->sec.dynsym, &late->tab[1]);
	if (late->tables_error == 0)
		load_versions(img, &late->tab[1]);
	else
		late->tab[0].n = late->tab[1].n = 0;
	return late->tables_error;
}

static bool is_function(const Elf64_Sym *s)
{
	unsigned type = ELF64_ST_TYPE(s->st_info);

	return (type == STT_FUNC || type == STT_GNU_IFUNC) && s->st_shndx != SHN_UNDEF && s->st_shndx != SHN_ABS &&
	       s->st_shndx != SHN_COMMON;
}

bool symtab_function(const struct image *img, const struct symtab *tab, size_t i, struct symbol *out)
{
	const Elf64_Sym *s = &tab->syms[i];
	const struct segment *seg;
	uint64_t left;

	if (!is_function(s))
		return false;
	out->name = strings_at(&tab->names, s->st_name);
	if (!out->name || !out->name[0])
		return false;
	seg = image_segment(img, s->st_value);
	if (!seg)
		return false;
	left = seg->mem_size - (s->st_value - seg->addr);
	out->addr = s->st_value;
	out->size = s->st_size < left ? s->st_size : left;
	out->dynamic = tab->dynamic;
	out->local = ELF64_ST_BIND(s->st_info) == STB_LOCAL;
	out->indirect = ELF64_ST_TYPE(s->st_info) == STT_GNU_IFUNC;
	return true;
}

/* A name as a user writes it: "foo", "foo@VERSION" or "foo@@VERSION". */
struct wanted {
	const char *name;
	size_t base_len;            /* up to the '@' */
	const char *suffix;         /* "@VERSION", "@@VERSION" or "" */
	const char *version;        /* "VERSION", NULL if none */
	bool default_only;          /* "@@" */
	uint16_t version_index;     /* in .gnu.version, 0: not defined there */
};

/* The number that .gnu.version uses for a version's name. The chain only ever goes forward, so it ends. */
static uint16_t version_index(const struct symtab *tab, const char *version)
{
	size_t at = 0, aux_at;
	unsigned left = VERDEF_MAX;
	Elf64_Verdef def;
	Elf64_Verdaux aux;
	const char *name;

	while (left-- > 0 && at <= tab->verdef_len && tab->verdef_len - at >= sizeof(def)) {
		memcpy(&def, tab->verdef + at, sizeof(def));
		aux_at = at + def.vd_aux;
		if (aux_at > tab->verdef_len || tab->verdef_len - aux_at < sizeof(aux))
			return 0;
		memcpy(&aux, tab->verdef + aux_at, sizeof(aux));
		name = strings_at(&tab->names, aux.vda_name);
		if (name && strcmp(name, version) == 0)
			return def.vd_ndx & (VERSION_HIDDEN - 1);
		if (def.vd_next == 0)
			return 0;
		at += def.vd_next;
	}
	return 0;
}

static void parse_wanted(struct wanted *w, const char *name)
{
	const char *at = name[0] ? strchr(name + 1, '@') : NULL;

	memset(w, 0, sizeof(*w));
	w->name = name;
	w->base_len = at ? (size_t)(at - name) : strlen(name);
	w->suffix = name + w->base_len;
	if (at) {
		w->default_only = at[1] == '@';
		w->version = at + 1 + w->default_only;
	}
}

static unsigned rank_plain(const struct symtab *tab, size_t i, const char *rest)
{
	if (rest[0] == '\0')
		return tab->versions && (tab->versions[i] & VERSION_HIDDEN) ? RANK_HIDDEN : 0;
	if (rest[0] != '@')
		return RANK_NONE;
	return rest[1] == '@' ? RANK_SUFFIX : RANK_SUFFIX | RANK_HIDDEN;
}

static unsigned rank_versioned(const struct wanted *w, const struct symtab *tab, size_t i, const char *rest)
{
	bool hidden;

	if (strcmp(rest, w->suffix) == 0)
		return 0;
	if (!w->default_only && rest[0] == '@' && strcmp(rest + 1, w->suffix) == 0)
		return RANK_SUFFIX;
	if (rest[0] != '\0' || !tab->versions || w->version_index == 0)
		return RANK_NONE;
	hidden = tab->versions[i] & VERSION_HIDDEN;
	if ((tab->versions[i] & (VERSION_HIDDEN - 1)) != w->version_index || (w->default_only && hidden))
		return RANK_NONE;
	return 0;
}

static unsigned rank_symbol(const struct wanted *w, const struct symtab *tab, size_t i)
{
	const char *name = strings_at(&tab->names, tab->syms[i].st_name);

	if (!name || strncmp(name, w->name, w->base_len) != 0)
		return RANK_NONE;
	return w->version ? rank_versioned(w, tab, i, name + w->base_len) : rank_plain(tab, i, name + w->base_len);
}

static unsigned find_in_table(const struct image *img, const struct symtab *tab, struct wanted *w, unsigned best,
			      struct symbol *out)
{
	struct symbol sym;
	unsigned rank;
	size_t i;

	w->version_index = w->version && tab->verdef ? version_index(tab, w->version) : 0;
	for (i = 1; i < tab->n; i++) {
		rank = rank_symbol(w, tab, i);
		if (rank == RANK_NONE || !symtab_function(img, tab, i, &sym))
			continue;
		rank |= (sym.local ? RANK_LOCAL : 0) | (tab->dynamic ? RANK_DYNAMIC : 0);
		if (rank < best) {
			best = rank;
			*out = sym;
		}
	}
	return best;
}

int image_find(const struct image *img, const char *name, struct symbol *out)
{
	const struct symtab *tab;
	unsigned best = RANK_NONE;
	struct wanted w;
	int rc = image_tables(img, &tab);

	if (rc != 0)
		return rc;
	if (!name[0])
		return -ENOENT;
	parse_wanted(&w, name);
	best = find_in_table(img, &tab[0], &w, best, out);
	best = find_in_table(img, &tab[1], &w, best, out);
	return best < RANK_NONE ? 0 : image_find_demangled(img, name, out);
}

int image_visit(const struct image *img, int (*visit)(const struct symbol *sym, void *arg), void *arg)
{
	const struct symtab *tab;
	struct symbol sym;
	int rc = image_tables(img, &tab);

	for (size_t t = 0; rc == 0 && t < 2; t++)
		for (size_t i = 1; rc == 0 && i < tab[t].n; i++)
			if (symtab_function(img, &tab[t], i, &sym))
				rc = visit(&sym, arg);
	return rc;
}

/* Most symbols of C++ begin with "_Z": the first two characters tell them from what is looked for. */
static uint32_t names_of(const char *s, const char *const *names, uint32_t n)
{
	uint32_t found = 0;

	for (uint32_t k = 0; k < n; k++) {
		size_t len;

		if (!s[0] || s[0] != names[k][0] || s[1] != names[k][1])
			continue;
		len = strlen(names[k]);
		if (strncmp(s, names[k], len) == 0 && (s[len] == '\0' || s[len] == '@'))
			found |= 1U << k;
	}
	return found;
}

uint32_t image_mentions(const struct image *img, const char *const *names, uint32_t n)
{
	const struct symtab *tab;
	uint32_t found = 0;

	if (image_tables(img, &tab) != 0)
		return 0;
	for (size_t t = 0; t < 2; t++) {
		for (size_t i = 1; i < tab[t].n; i++) {
			const char *s = strings_at(&tab[t].names, tab[t].syms[i].st_name);

			if (s)
				found |= names_of(s, names, n);
		}
	}
	return found;
}
