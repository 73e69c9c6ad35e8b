/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Demangling of hostile names.
 *
 * A mangled name is a small program: back references and substitutions double what stands for them, so a name of a
 * hundred bytes can ask for an exabyte of text, or for centuries.  libiberty bounds its recursion (we never lift that
 * limit), but neither its output nor its time.  Hence three guards:
 *
 *  - Text: taken through the callback interface; beyond TEXT_MAX the callback leaves with longjmp.  That is safe,
 *    because both demanglers keep their state on the stack.
 *  - A pack expansion ("Dp", "sZ") searches its operand for a parameter pack before it prints anything.  The operand
 *    is a graph that substitutions ("S1_") share, but it is walked as a tree: 3^(n/3) steps for n substitutions.
 *    A name that has a pack expansion may therefore have PACK_REFERENCES_MAX of them.
 *  - In a conversion operator ("cv") a template template parameter ("T_I") is parsed twice, and so is what is nested in
 *    it: 2^n steps for n of them.  At most CONVERSION_PARAMS_MAX.
 *
 * Both counts only look for the letters, so they err on the side of refusing.
 */
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <libiberty/demangle.h>

#include "image.h"
#include "image_internal.h"

enum { NAME_MAX_BYTES = 4096, TEXT_MAX = 16384, PACK_REFERENCES_MAX = 32, CONVERSION_PARAMS_MAX = 8 };

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

/* How often `first`, then any of [0-9A-Z]*, then `last` occurs. */
static unsigned count_references(const char *name, char first, const char *last)
{
	unsigned n = 0;
	const char *p;

	for (p = strchr(name, first); p; p = strchr(p + 1, first)) {
		const char *end = p + 1 + strspn(p + 1, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ");

		if (strncmp(end, last, strlen(last)) == 0)
			n++;
	}
	return n;
}

static bool takes_too_long(const char *name)
{
	if ((strstr(name, "Dp") || strstr(name, "sZ")) && count_references(name, 'S', "_") > PACK_REFERENCES_MAX)
		return true;
	return strstr(name, "cv") && count_references(name, 'T', "_I") > CONVERSION_PARAMS_MAX;
}

static bool run(const char *name, int options, struct sink *s)
{
	if (setjmp(s->too_long))
		return false;
	s->len = 0;
	if (rust_demangle_callback(name, options, take_text, s))
		return true;
	s->len = 0;
	return name[1] == 'Z' && !takes_too_long(name) && cplus_demangle_v3_callback(name, options, take_text, s);
}

/* Symbol tables may have a version behind the name ("@@V1"), which no mangling scheme knows. */
char *demangle(const char *name, bool with_parameters)
{
	int options = with_parameters ? DMGL_PARAMS | DMGL_ANSI : DMGL_NO_OPTS;
	char plain[NAME_MAX_BYTES + 1];
	struct sink *s;
	char *text = NULL;
	size_t len;

	if (!name_is_mangled(name))
		return NULL;
	len = strnlen(name, sizeof(plain));
	if (len == sizeof(plain))
		return NULL;
	memcpy(plain, name, len + 1);
	plain[strcspn(plain, "@")] = '\0';
	s = malloc(sizeof(*s));
	if (s && run(plain, options, s) && s->len > 0)
		text = strndup(s->text, s->len);
	free(s);
	return text;
}
