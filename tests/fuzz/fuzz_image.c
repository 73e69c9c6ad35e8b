/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as an ELF file, through every question that can be asked of one; bytes that start with '_' as a mangled name.
 *
 * fuzz-sources: agent/image*.c agent/demangle.c common/buf.c common/error.c
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(bool ok)
{
	if (!ok)
		abort();
}

static void fuzz_name(const uint8_t *data, size_t size)
{
	char *name = strndup((const char *)data, size);

	need(name != NULL);
	free(demangle(name, false));
	free(demangle(name, true));
	free(name);
}

struct walk {
	const struct image *img;
	uint64_t last;
};

static int visit(const struct symbol *sym, void *arg)
{
	struct walk *w = arg;
	struct symbol at, found;
	uint8_t code[32];
	ssize_t n;

	need(sym->name[0] != '\0' && sym->addr >= w->last);
	w->last = sym->addr;
	need(image_symbol_at(w->img, sym->addr, &at) == 0);
	need(image_find(w->img, sym->name, &found) == 0 || strchr(sym->name, '@'));
	n = image_code(w->img, sym->addr, code, sizeof(code));
	need(n <= (ssize_t)sizeof(code));
	return 0;
}

static void ask_all(const struct image *img)
{
	static const char *const names[] = { "main", "f@V1", "f@@V2", "f@V3", "ns::A::f", "A::f", "operator new" };
	struct walk w = { .img = img };
	struct symbol sym;
	struct error err;
	char found[256];
	size_t i;
	int fd;

	need(strlen(image_build_id(img)) < BUILD_ID_HEX_MAX);
	need(image_language(img) <= LANG_GO);
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		image_find(img, names[i], &sym);
	image_mentions(img, names, sizeof(names) / sizeof(names[0]));
	image_each(img, visit, &w);
	fd = image_open_debug(img, "/nonexistent", found, sizeof(found), &err);
	if (fd >= 0)
		close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct image *img;
	struct error err;
	int fd;

	if (size > 0 && data[0] == '_') {
		fuzz_name(data, size);
		return 0;
	}
	fd = memfd_create("fuzz", MFD_CLOEXEC);
	need(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	if (image_open(fd, "fuzz", &img, &err) == 0) {
		ask_all(img);
		image_free(img);
	} else {
		need(err.code != 0 && err.text[0]);
	}
	close(fd);
	return 0;
}
