/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding a C++ or Rust function by the name in its source: "ns::Class::method".
 *
 * Demangling a whole symbol table costs seconds on a large program, so the mangled name is looked at first: whatever
 * the scheme, it holds the last component's identifier in clear, and a plain substring search rejects nearly all.
 * A full match beats a match of the last components ("Class::method"), which beats one that ignores template
 * arguments ("Box::put" for "Box<int>::put").
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "clock_ns.h"
#include "image_internal.h"

enum { MATCH_FULL, MATCH_TAIL, MATCH_FULL_BARE, MATCH_TAIL_BARE, MATCH_NONE };

enum { WANTED_MAX = 1024 };

/* A whole table of real names takes 0.3 s when the substring rejects none; hostile ones could take hours. */
enum { SEARCH_TIME_MS = 3000 };

static bool is_ident(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

/* Parts that the compiler split off demangle to their function's name in some schemes, but are not the function. */
static bool is_split_off(const char *name)
{
	static const char *const marks[] = { ".cold", ".part.", ".isra.", ".constprop.", ".warm", ".resolver",
					     ".actor", ".resume", ".destroy", ".cleanup" };
	size_t i;

	if (!strchr(name, '.'))
		return false;
	for (i = 0; i < sizeof(marks) / sizeof(marks[0]); i++)
		if (strstr(name, marks[i]))
			return true;
	return false;
}

/* True if text at p is the word "operator": what follows may hold '<' or '>' that are no brackets. */
static bool at_operator(const char *text, const char *p)
{
	return strncmp(p, "operator", 8) == 0 && !is_ident(p[8]) && (p == text || !is_ident(p[-1]));
}

/* Copies a name without its template arguments: "Box<int>::put" to "Box::put". In place is fine. */
static void strip_template_arguments(char *out, const char *text)
{
	const char *p = text;
	size_t depth = 0;

	while (*p) {
		if (depth == 0 && at_operator(text, p)) {
			memmove(out, p, 8);
			out += 8;
			p += 8;
			while (*p && strchr("<>=-", *p))
				*out++ = *p++;
		} else if (*p == '<') {
			depth++;
			p++;
		} else if (*p == '>' && depth > 0) {
			depth--;
			p++;
		} else if (depth > 0) {
			p++;
		} else {
			*out++ = *p++;
		}
	}
	*out = '\0';
}

/* True if `text` ends with "::" + tail and that "::" is not inside brackets. */
static bool ends_with(const char *text, const char *tail)
{
	size_t len = strlen(text), tail_len = strlen(tail), i, depth = 0;

	if (len < tail_len + 2 || strcmp(text + len - tail_len, tail) != 0 ||
	    strncmp(text + len - tail_len - 2, "::", 2) != 0)
		return false;
	for (i = 0; i < len - tail_len; i++) {
		if (strchr("<({[", text[i]))
			depth++;
		else if (strchr(">)}]", text[i]) && depth > 0)
			depth--;
	}
	return depth == 0;
}

static unsigned match_text(char *text, const char *wanted)
{
	if (strcmp(text, wanted) == 0)
		return MATCH_FULL;
	if (ends_with(text, wanted))
		return MATCH_TAIL;
	if (!strchr(text, '<'))
		return MATCH_NONE;
	strip_template_arguments(text, text);
	if (strcmp(text, wanted) == 0)
		return MATCH_FULL_BARE;
	return ends_with(text, wanted) ? MATCH_TAIL_BARE : MATCH_NONE;
}

/* The identifier that the mangled name must hold, or "" if the request has none (operators, closures). */
static void needle_of(const char *wanted, char *needle, size_t cap)
{
	const char *last = wanted, *p;
	size_t len = 0, depth = 0;

	for (p = wanted; *p; p++) {
		if (strchr("<({[", *p))
			depth++;
		else if (strchr(">)}]", *p) && depth > 0)
			depth--;
		else if (depth == 0 && p[0] == ':' && p[1] == ':')
			last = p + 2;
	}
	if (*last == '~')
		last++;
	while (is_ident(last[len]))
		len++;
	needle[0] = '\0';
	if (len >= cap || strncmp(last, "operator", 8) == 0)
		return;
	memcpy(needle, last, len);
	needle[len] = '\0';
}

static bool may_match(const char *name, const char *needle)
{
	return name_is_mangled(name) && strstr(name, needle) && !is_split_off(name);
}

static unsigned match_symbol(const char *name, const char *wanted)
{
	unsigned match = MATCH_NONE;
	char *text = demangle(name, false);

	if (text)
		match = match_text(text, wanted);
	free(text);
	return match;
}

/* One search. `name` and `needle` are borrowed. */
struct search {
	const char *name, *needle;
	unsigned best;
	uint64_t deadline_ns;
};

static int search_table(const struct image *img, const struct symtab *tab, struct search *s, struct symbol *out)
{
	struct symbol sym;
	unsigned match;
	size_t i;

	for (i = 1; i < tab->n && s->best != MATCH_FULL; i++) {
		const char *name = strings_at(&tab->names, tab->syms[i].st_name);

		if (!name || !may_match(name, s->needle) || !symtab_function(img, tab, i, &sym))
			continue;
		if (clock_ns(CLOCK_MONOTONIC) > s->deadline_ns)
			return -ETIMEDOUT;
		match = match_symbol(name, s->name);
		if (match < s->best) {
			s->best = match;
			*out = sym;
		}
	}
	return 0;
}

int image_find_demangled(const struct image *img, const char *name, struct symbol *out)
{
	const struct symtab *tab;
	char needle[WANTED_MAX];
	struct search s = { .name = name, .needle = needle, .best = MATCH_NONE };
	int rc = image_tables(img, &tab);

	if (rc != 0)
		return rc;
	if (strlen(name) >= WANTED_MAX)
		return -ENOENT;
	needle_of(name, needle, sizeof(needle));
	s.deadline_ns = clock_ns(CLOCK_MONOTONIC) + SEARCH_TIME_MS * 1000000ULL;
	rc = search_table(img, &tab[0], &s, out);
	if (rc == 0)
		rc = search_table(img, &tab[1], &s, out);
	if (rc != 0)
		return rc;
	return s.best < MATCH_NONE ? 0 : -ENOENT;
}
