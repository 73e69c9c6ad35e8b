/* SPDX-License-Identifier: Apache-2.0 */
/* Which functions a pattern means: names from the symbol tables. */
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "resolve_match.h"

/* People know malloc and not __libc_malloc. */
enum { RANK_LOCAL = 1, RANK_RESERVED = 2 };

/* What these find on the stack, or leave there, is no return address that the kernel could swap for its own. */
static const char *const no_return_probe[] = {
	"_start", "__restore_rt", "vfork", "__vfork", "__libc_vfork", "clone", "__clone", "clone3", "__clone3", "*setjmp", "*sigsetjmp",
	"*longjmp", "*longjmp_chk", "getcontext", "__getcontext", "setcontext", "__setcontext", "swapcontext", "__swapcontext",
	"__start_context", "__push___start_context", "_dl_start", "_dl_start_user", "_dl_runtime_*", "_dl_tlsdesc_*", "__morestack*",
};

bool return_is_unsafe(const char *name)
{
	for (size_t i = 0; i < sizeof(no_return_probe) / sizeof(no_return_probe[0]); i++)
		if (!fnmatch(no_return_probe[i], name, 0))
			return true;
	return false;
}

void leave_out(struct matching *m, enum left_out why, const char *name)
{
	if (!m->left[why].n++)
		snprintf(m->left[why].example, sizeof(m->left[why].example), "%s", name);
}

static void add_match(struct matching *m, const struct symbol *sym, const char *name)
{
	size_t len = strnlen(name, PATTERN_NAME_MAX - 1);

	if (m->n == PATTERN_FUNCTIONS_MAX * 2 || m->names.len + len + 1 > PATTERN_NAMES_MAX) { /* aliases are not dropped yet */
		m->too_many = true;
		return;
	}
	if (m->n == m->cap) {
		size_t cap = m->cap ? 2 * m->cap : 1024;
		struct match *more = reallocarray(m->match, cap, sizeof(*more));

		if (!more) {
			m->no_memory = true;
			return;
		}
		m->match = more;
		m->cap = cap;
	}
	m->match[m->n] = (struct match){ .addr = sym->addr, .size = sym->size, .name = (uint32_t)m->names.len,
					 .rank = (name[0] == '_' ? RANK_RESERVED : 0) | (sym->local ? RANK_LOCAL : 0) };
	m->n++;
	buf_add(&m->names, name, len);
	buf_char(&m->names, '\0');
}

/* By the name that `plumb funcs` shows: demangled, without parameters, without a version. */
static int visit_symbol(const struct symbol *sym, void *arg)
{
	struct matching *m = arg;
	char *pretty = demangle(sym->name, false), *plain = NULL;
	const char *name = pretty ? pretty : sym->name, *version = pretty || !*name ? NULL : strchr(name + 1, '@');

	if (version) {
		plain = strndup(name, (size_t)(version - name));
		name = plain ? plain : name;
	}
	if (!fnmatch(m->r->spec->name, name, 0)) {
		if (sym->indirect)
			leave_out(m, LEFT_INDIRECT, name);
		else if (strstr(sym->name, ".cold"))
			leave_out(m, LEFT_COLD, name);
		else
			add_match(m, sym, name);
	}
	free(pretty);
	free(plain);
	return m->no_memory || m->too_many;
}

static int match_compare(const void *a, const void *b, void *arg)
{
	const struct match *x = a, *y = b;
	const char *names = arg;

	if (x->addr != y->addr)
		return x->addr < y->addr ? -1 : 1;
	if (x->rank != y->rank)
		return x->rank < y->rank ? -1 : 1;
	return strcmp(names + x->name, names + y->name);
}

/* One function may have several names, and several may have been folded into one. */
static void drop_aliases(struct matching *m)
{
	size_t kept = 0;

	if (m->n > 1)
		qsort_r(m->match, m->n, sizeof(*m->match), match_compare, m->names.data);
	for (size_t i = 0; i < m->n; i++) {
		if (kept && m->match[kept - 1].addr == m->match[i].addr) {
			if (!m->match[kept - 1].size)
				m->match[kept - 1].size = m->match[i].size;
			continue;
		}
		m->match[kept++] = m->match[i];
	}
	m->n_aliases = m->n - kept;
	m->n = kept;
}

static int no_match(const struct resolving *r, struct error *err)
{
	error_set(err, ENOENT, "no function of %s is called '%s'", r->rq->path, r->spec->name);
	error_at(err, r->spec->name_col, r->spec->name_len);
	return error_hint(err, "plumb funcs TARGET '%s' lists what a pattern means", r->spec->name);
}

int find_matches(struct matching *m, struct error *err)
{
	const struct resolving *r = m->r;

	if (r->di)
		debuginfo_symbols(r->di, visit_symbol, m);
	else
		image_each(r->img, visit_symbol, m);
	drop_aliases(m);
	if (m->no_memory || m->names.failed)
		return error_set(err, ENOMEM, "out of memory");
	if (m->too_many || m->n > PATTERN_FUNCTIONS_MAX) {
		error_set(err, E2BIG, "'%s' means more than %d functions of %s", r->spec->name, PATTERN_FUNCTIONS_MAX, r->rq->path);
		return error_at(err, r->spec->name_col, r->spec->name_len), -E2BIG;
	}
	return m->n ? 0 : no_match(r, err);
}
