/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as an ELF file with DWARF: every function, its signature and places, its types three levels deep.
 * A name of the input's choice is searched as well, and the code of the first lines of each file that programs usually have.
 *
 * fuzz-sources: agent/debuginfo*.c agent/image*.c agent/unpack*.c agent/zstream.c agent/cache.c agent/address_sort.c agent/demangle.c common/[a-z]*.c -lm
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "buf.h"
#include "debuginfo.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(bool ok)
{
	if (!ok)
		abort();
}

static void check_type(struct debuginfo *di, struct type *t, int depth)
{
	uint64_t offset;

	need(t->name && strlen(t->name) < 2000);
	type_complete(di, t);
	need(t->complete);
	need(t->kind != TYPE_POINTER || t->target);
	need(t->kind != TYPE_ARRAY || t->target);
	if (depth == 0)
		return;
	if (t->target)
		check_type(di, t->target, depth - 1);
	for (uint32_t i = 0; i < t->n_members && i < 64; i++) {
		const struct member *m = &t->members[i];

		need(m->name && m->type && m->bit_size <= 64 && m->bit_offset < 64);
		need(!*m->name || type_member(di, t, m->name, &offset));
		check_type(di, m->type, depth - 1);
	}
	for (uint32_t i = 0; i < t->n_enumerators; i++)
		need(t->enumerators[i].name != NULL);
}

static void check_location(const struct location *l)
{
	need(l->kind <= LOCATION_CONST);
	need(l->kind != LOCATION_NONE || l->reason[0]);
	need(l->reg < 16 && l->pieces <= 2);
	need(l->kind != LOCATION_REGISTERS || l->pieces > 0);
	for (int i = 0; i < l->pieces; i++)
		need(l->piece[i].reg < 16 && l->piece[i].size > 0 && l->piece[i].size <= 8);
}

static int check_function(const struct function *fn, void *arg)
{
	struct debuginfo *di = arg;
	struct buf text = { 0 };

	need(fn->name && fn->linkage && fn->file);
	function_signature(fn, &text);
	need(!text.failed);
	buf_free(&text);
	check_location(&fn->ret_where);
	if (fn->ret)
		check_type(di, fn->ret, 3);
	for (uint32_t i = 0; i < fn->n_params; i++) {
		check_location(&fn->params[i].where);
		check_type(di, fn->params[i].type, 3);
	}
	return 0;
}

static int check_found(const struct function *fn, void *arg)
{
	const struct function *again;

	need(fn->addr != 0);
	need(debuginfo_at(arg, fn->addr, &again) == 0 || again == NULL);
	return check_function(fn, arg);
}

static void search(struct debuginfo *di, const char *name)
{
	const struct function **found;
	struct error err = { 0 };
	int n = debuginfo_find(di, name, &found, &err);

	need(n > 0 || err.code != 0);
	for (int i = 0; i < n; i++)
		check_function(found[i], di);
	free(found);
}

static int check_place(uint32_t query, const struct line_place *p, void *arg)
{
	struct code_range code[LINE_CODE_RANGES_MAX];
	const struct function *fn = debuginfo_line_scope(arg, p);
	uint64_t entry;
	uint32_t n = debuginfo_line_code(arg, p, code, &entry);

	need(p->start < p->end && p->next_statement > p->start && p->next_statement <= p->end && p->file && p->line);
	need(n <= LINE_CODE_RANGES_MAX);
	if (fn)
		check_function(fn, arg);
	for (uint32_t i = 0; i < n; i++)
		need(code[i].start < code[i].end);
	return 0;
}

static void search_lines(struct debuginfo *di)
{
	static uint32_t lines[64];
	struct line_query q[] = {
		{ .path = "a.c", .lines = lines, .n_lines = 64 }, { .path = "src/lib/scale.h", .lines = lines, .n_lines = 64 },
		{ .path = "/tmp//./a.cc", .lines = lines, .n_lines = 1 }, { .path = "/", .lines = lines, .n_lines = 64 },
	};
	const struct line_visitor visitor = { .place = check_place, .arg = di };
	struct error err = { 0 };

	for (uint32_t i = 0; i < 64; i++)
		lines[i] = i + 1;
	need(debuginfo_lines(di, q, 4, &visitor, &err) == 0 || err.code != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct debuginfo *di;
	struct image *img;
	struct error err;
	char name[16] = "";
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	need(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	memcpy(name, data, size < sizeof(name) - 1 ? size : sizeof(name) - 1);
	if (image_open(fd, "fuzz", &img, &err) == 0) {
		if (image_has_debug_info(img) && debuginfo_open(img, "/nonexistent", NULL, &di, &err) == 0) {
			search(di, "work");
			search(di, "ns::A::get");
			search(di, "nosuch");
			if (size > 64)
				search(di, memcpy(name, data + size - 15, 15));
			debuginfo_each(di, NULL, check_found, di);
			search_lines(di);
			debuginfo_close(di);
		}
		image_free(img);
	}
	close(fd);
	return 0;
}
