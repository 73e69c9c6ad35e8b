/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Demangling of hostile names.
 *
 * A mangled name is a small program: back references and substitutions double what stands for them, so a name of a
 * hundred bytes can ask for an exabyte of text.  libiberty bounds its recursion (we never lift that limit) but not its
 * output, and its convenience functions grow a buffer until memory ends.  So the text is taken through the callback
 * interface, and when it passes TEXT_MAX the callback leaves with longjmp.  That is safe here because both demanglers
 * keep their state on the stack.
 */
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <libiberty/demangle.h>

#include "image.h"
#include "image_internal.h"

enum { NAME_MAX_BYTES = 4096, TEXT_MAX = 16384 };

struct sink {
	jmp_buf too_long;
	size_t len;
	char text[TEXT_MAX];
};

static void take_text(const char *text, size_t len, void *arg)
{
	struct sink *s = arg;

	if (len >= sizeof(s->text) - s->len)
		longjmp(s->too_long, 1);
	memcpy(s->text + s->len, text, len);
	s->len += len;
}

bool name_is_mangled(const char *name)
{
	return name[0] == '_' && (name[1] == 'Z' || name[1] == 'R');
}

static bool run(const char *name, int options, struct sink *s)
{
	if (setjmp(s->too_long))
		return false;
	s->len = 0;
	if (rust_demangle_callback(name, options, take_text, s))
		return true;
	s->len = 0;
	return name[1] == 'Z' && cplus_demangle_v3_callback(name, options, take_text, s);
}

char *demangle(const char *name, bool with_parameters)
{
	int options = with_parameters ? DMGL_PARAMS | DMGL_ANSI : DMGL_NO_OPTS;
	struct sink *s;
	char *text = NULL;

	if (!name_is_mangled(name) || strnlen(name, NAME_MAX_BYTES + 1) > NAME_MAX_BYTES)
		return NULL;
	s = malloc(sizeof(*s));
	if (s && run(name, options, s) && s->len > 0)
		text = strndup(s->text, s->len);
	free(s);
	return text;
}
