/* SPDX-License-Identifier: Apache-2.0 */
/* "int parse_order(struct order *o, int n)". */
#include <string.h>

#include "buf.h"
#include "debuginfo_internal.h"

/* A declaration: the type's name with what is declared in its hole. */
static void declare(struct buf *out, const struct type *t, const char *name)
{
	size_t hole = node_of(t)->hole;
	char before = hole ? t->name[hole - 1] : ' ';

	buf_add(out, t->name, hole);
	if (*name && before != '*' && before != '&' && before != ' ')
		buf_char(out, ' ');
	buf_str(out, name);
	buf_str(out, t->name + hole);
}

static void add_params(struct buf *out, const struct function *fn)
{
	for (uint32_t i = 0; i < fn->n_params; i++) {
		if (i)
			buf_str(out, ", ");
		declare(out, fn->params[i].type, fn->params[i].name);
	}
	if (fn->variadic)
		buf_str(out, fn->n_params ? ", ..." : "...");
	else if (fn->n_params == 0 && fn->lang == LANG_C)
		buf_str(out, "void");
}

void function_signature(const struct function *fn, struct buf *out)
{
	size_t hole = fn->ret ? node_of(fn->ret)->hole : 4;
	const char *ret = fn->ret ? fn->ret->name : "void";

	buf_add(out, ret, hole);
	if (hole && ret[hole - 1] != '*' && ret[hole - 1] != '&')
		buf_char(out, ' ');
	buf_str(out, fn->name);
	buf_char(out, '(');
	add_params(out, fn);
	buf_char(out, ')');
	buf_str(out, ret + hole);
}
