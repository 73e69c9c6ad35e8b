/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which language a file was written in, from what a linker leaves even in a stripped file.  A hint for people and for
 * defaults, never a proof: a C program with one C++ library linked in counts as C++.
 */
#include <string.h>

#include "image_internal.h"

/* Enough to meet every language in a large program, and no more than some milliseconds. */
enum { SCAN_MAX = 500000 };

/* Rust's first scheme borrows C++'s and ends in a hash: _ZN...17h0123456789abcdefE */
static bool is_rust_legacy(const char *name)
{
	const char *h = strstr(name, "17h");

	for (; h; h = strstr(h + 1, "17h"))
		if (strspn(h + 3, "0123456789abcdef") == 16 && h[19] == 'E')
			return true;
	return false;
}

static enum language language_of_name(const char *name)
{
	if (strncmp(name, "_R", 2) == 0 && (name[2] == 'N' || name[2] == 'I'))
		return LANG_RUST;
	if (strncmp(name, "_Z", 2) != 0)
		return LANG_UNKNOWN;
	return strncmp(name, "_ZN", 3) == 0 && is_rust_legacy(name) ? LANG_RUST : LANG_CXX;
}

static bool made_by_rustc(const struct image *img)
{
	const void *data;
	size_t len;

	return img->sec.comment && image_section(img, img->sec.comment, IMAGE_SMALL_BYTES_MAX, &data, &len) == 0 &&
	       len > 0 && memmem(data, len, "rustc version", 13) != NULL;
}

/* Rust programs contain C++ at times (a library's), hence the first Rust name decides, C++ waits for the end. */
static enum language scan(const struct symtab *tab, bool defined)
{
	enum language found = LANG_UNKNOWN, lang;
	size_t i, n = tab->n < SCAN_MAX ? tab->n : SCAN_MAX;

	for (i = 1; i < n; i++) {
		const char *name = strings_at(&tab->names, tab->syms[i].st_name);

		if (!name || name[0] != '_' || (tab->syms[i].st_shndx != SHN_UNDEF) != defined)
			continue;
		lang = language_of_name(name);
		if (lang == LANG_RUST)
			return LANG_RUST;
		if (lang != LANG_UNKNOWN)
			found = lang;
	}
	return found;
}

static enum language judge(const struct image *img)
{
	const struct symtab *tab;
	enum language lang;

	if (img->sec.go)
		return LANG_GO;
	if (made_by_rustc(img))
		return LANG_RUST;
	if (image_tables(img, &tab) != 0 || (tab[0].n == 0 && tab[1].n == 0))
		return LANG_UNKNOWN;
	lang = scan(&tab[0], true);
	if (lang == LANG_UNKNOWN)
		lang = scan(&tab[1], true);
	/* A stripped program defines next to nothing any more; what it imports still carries the mangling. */
	if (lang == LANG_UNKNOWN && tab[0].n == 0)
		lang = scan(&tab[1], false);
	return lang == LANG_UNKNOWN ? LANG_C : lang;
}

enum language image_language(const struct image *img)
{
	if (!img->late->language_known) {
		img->late->language_known = true;
		img->late->language = judge(img);
	}
	return img->late->language;
}
