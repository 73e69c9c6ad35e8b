/* SPDX-License-Identifier: Apache-2.0 */
#include "lines_answer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "frame.h"

enum { NAME_MAX_BYTES = 4096 };

static int malformed(struct error *err)
{
	return error_set(err, EPROTO, "the agent sent a malformed answer about source lines");
}

static bool is_array(const msgpack_object *o, uint32_t min)
{
	return o && o->type == MSGPACK_OBJECT_ARRAY && o->via.array.size >= min;
}

static bool take_u32(const msgpack_object *o, uint32_t *out)
{
	uint64_t v;

	if (!object_u64(o, &v) || v > UINT32_MAX)
		return false;
	*out = (uint32_t)v;
	return true;
}

/* [name, signature, file, line, inlined copies, has code of its own, site kind]; an older agent does not tell the last */
static int read_function(const msgpack_object *o, struct lines_function *f, struct error *err)
{
	const msgpack_object *part = o->via.array.ptr;

	if (!is_array(o, 6) || !take_u32(&part[3], &f->line) || !take_u32(&part[4], &f->copies) || !object_bool(&part[5], &f->own_code))
		return malformed(err);
	f->stepped = o->via.array.size > 6 && object_is(&part[6], "single-stepped");
	f->name = object_text(&part[0], NAME_MAX_BYTES);
	f->signature = object_text(&part[1], NAME_MAX_BYTES);
	f->file = object_text(&part[2], NAME_MAX_BYTES);
	return f->name && f->signature && f->file ? 0 : malformed(err);
}

/* [function, inlined, addresses, own, holder]; an older agent does not tell the last ones */
static int read_place(const msgpack_object *o, uint32_t n_functions, struct lines_place *p, struct error *err)
{
	const msgpack_object *part = o->via.array.ptr;

	if (!is_array(o, 3) || !take_u32(&part[0], &p->function) || p->function >= n_functions || !object_bool(&part[1], &p->inlined) ||
	    !take_u32(&part[2], &p->addresses))
		return malformed(err);
	p->own = true;
	p->holder = p->inlined ? LINES_NO_HOLDER : p->function;
	if (o->via.array.size > 4 && (!take_u32(&part[4], &p->holder) || p->holder >= n_functions))
		return malformed(err);
	return o->via.array.size > 3 && !object_bool(&part[3], &p->own) ? malformed(err) : 0;
}

/* [file, line, [place, ...]] */
static int read_line(const msgpack_object *o, uint32_t n_files, uint32_t n_functions, struct lines_line *l, struct error *err)
{
	const msgpack_object *part = o->via.array.ptr, *places;
	uint32_t n;

	if (!is_array(o, 3) || !take_u32(&part[0], &l->file) || l->file >= n_files || !take_u32(&part[1], &l->line) ||
	    !is_array(&part[2], 0))
		return malformed(err);
	places = part[2].via.array.ptr;
	n = part[2].via.array.size < LINES_PLACES_MAX ? part[2].via.array.size : LINES_PLACES_MAX;
	l->place = calloc(n ? n : 1, sizeof(*l->place));
	if (!l->place)
		return error_set(err, ENOMEM, "no memory for source lines");
	for (; l->n_places < n; l->n_places++) {
		int rc = read_place(&places[l->n_places], n_functions, &l->place[l->n_places], err);

		if (rc)
			return rc;
	}
	return 0;
}

static int read_functions(const msgpack_object *list, struct lines_answer *out, struct error *err)
{
	if (!is_array(list, 0) || list->via.array.size > LINES_FUNCTIONS_MAX)
		return malformed(err);
	out->function = calloc(list->via.array.size + 1, sizeof(*out->function));
	if (!out->function)
		return error_set(err, ENOMEM, "no memory for functions");
	while (out->n_functions < list->via.array.size) {
		const msgpack_object *o = &list->via.array.ptr[out->n_functions];
		int rc = read_function(o, &out->function[out->n_functions++], err);

		if (rc)
			return rc;
	}
	return 0;
}

static int read_lines(const msgpack_object *list, uint32_t n_files, struct lines_answer *out, struct error *err)
{
	if (!is_array(list, 0) || list->via.array.size > LINES_ANSWERED_MAX)
		return malformed(err);
	out->line = calloc(list->via.array.size + 1, sizeof(*out->line));
	if (!out->line)
		return error_set(err, ENOMEM, "no memory for source lines");
	while (out->n_lines < list->via.array.size) {
		const msgpack_object *o = &list->via.array.ptr[out->n_lines];
		int rc = read_line(o, n_files, out->n_functions, &out->line[out->n_lines++], err);

		if (rc)
			return rc;
	}
	return 0;
}

/* [[path, [path in the debug information, ...]], ...] */
static int read_paths(const msgpack_object *list, uint32_t n_files, struct lines_answer *out, struct error *err)
{
	if (!list)
		return 0;
	if (!is_array(list, n_files))
		return malformed(err);
	out->paths = calloc(n_files + 1, sizeof(*out->paths));
	if (!out->paths)
		return error_set(err, ENOMEM, "no memory for source files");
	for (uint32_t i = 0; i < n_files; i++) {
		const msgpack_object *o = &list->via.array.ptr[i];

		if (!is_array(o, 2) || !is_array(&o->via.array.ptr[1], 0))
			return malformed(err);
		out->paths[i] = o->via.array.ptr[1].via.array.size;
	}
	return 0;
}

static int compare_lines(const void *a, const void *b)
{
	const struct lines_line *x = a, *y = b;

	if (x->file != y->file)
		return x->file < y->file ? -1 : 1;
	return x->line < y->line ? -1 : x->line > y->line;
}

int lines_answer_read(const msgpack_object *payload, uint32_t n_files, struct lines_answer *out, struct error *err)
{
	int rc;

	out->build_id = object_text(map_get(payload, "build_id"), 256);
	out->module = object_text(map_get(payload, "module"), NAME_MAX_BYTES);
	if (!out->build_id || !out->module)
		return malformed(err);
	object_bool(map_get(payload, "more"), &out->more);
	rc = read_functions(map_get(payload, "functions"), out, err);
	if (!rc)
		rc = read_paths(map_get(payload, "files"), n_files, out, err);
	if (!rc)
		rc = read_lines(map_get(payload, "lines"), n_files, out, err);
	if (!rc)
		qsort(out->line, out->n_lines, sizeof(*out->line), compare_lines);
	return rc;
}

void lines_answer_free(struct lines_answer *a)
{
	for (uint32_t i = 0; i < a->n_functions; i++) {
		free(a->function[i].name);
		free(a->function[i].signature);
		free(a->function[i].file);
	}
	for (uint32_t i = 0; i < a->n_lines; i++)
		free(a->line[i].place);
	free(a->function);
	free(a->line);
	free(a->paths);
	free(a->build_id);
	free(a->module);
	memset(a, 0, sizeof(*a));
}

const struct lines_line *lines_answer_find(const struct lines_answer *a, uint32_t file, uint32_t line)
{
	const struct lines_line key = { .file = file, .line = line };

	return a->n_lines ? bsearch(&key, a->line, a->n_lines, sizeof(*a->line), compare_lines) : NULL;
}
