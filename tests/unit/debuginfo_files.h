/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the DWARF module share: opening, finding, and one line of text for a place or a type. */
#ifndef TEST_DEBUGINFO_FILES_H
#define TEST_DEBUGINFO_FILES_H

#include "image_files.h"

#include "buf.h"
#include "debuginfo.h"

struct opened { struct image *img; struct debuginfo *di; };

UNUSED_OK static struct opened must_open_debug(const char *name)
{
	struct opened o = { .img = must_open(name) };
	struct error err = { 0 };

	if (debuginfo_open(o.img, dir, NULL, &o.di, &err) != 0)
		fail_msg("%s: %s", name, err.text);
	return o;
}

UNUSED_OK static void close_debug(struct opened *o)
{
	debuginfo_close(o->di);
	image_free(o->img);
}

/* The only function of that name. */
UNUSED_OK static const struct function *must_find_function(struct opened *o, const char *name)
{
	const struct function **found, *fn;
	struct error err = { 0 };
	int n = debuginfo_find(o->di, name, &found, &err);

	if (n != 1)
		fail_msg("%s: %d functions '%s': %s (%s)", debuginfo_path(o->di), n, name, err.text, err.hint);
	fn = found[0];
	free(found);
	return fn;
}

UNUSED_OK static const struct param *must_find_param(const struct function *fn, const char *name)
{
	for (uint32_t i = 0; i < fn->n_params; i++)
		if (strcmp(fn->params[i].name, name) == 0)
			return &fn->params[i];
	fail_msg("%s has no parameter %s", fn->name, name);
	return NULL;
}

UNUSED_OK static void print_location(const struct location *l, struct buf *out)
{
	static const char *const regs[] = { "ax", "dx", "cx", "bx", "si", "di", "bp", "sp", "r8", "r9",
					    "r10", "r11", "r12", "r13", "r14", "r15" };

	switch (l->kind) {
	case LOCATION_NONE:
		buf_printf(out, "<%s>", l->reason);
		break;
	case LOCATION_REGISTERS:
		for (int i = 0; i < l->pieces; i++)
			buf_printf(out, "%s%s:%d", i ? " " : "", regs[l->piece[i].reg], l->piece[i].size);
		break;
	case LOCATION_MEMORY:
		buf_printf(out, "[%s%+lld]", regs[l->reg], (long long)l->offset);
		break;
	case LOCATION_INDIRECT:
		buf_printf(out, "[[%s%+lld]]", regs[l->reg], (long long)l->offset);
		break;
	case LOCATION_CONST:
		buf_printf(out, "=%lld", (long long)l->offset);
		break;
	}
}

#endif
