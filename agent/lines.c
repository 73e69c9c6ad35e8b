/* SPDX-License-Identifier: Apache-2.0 */
#include "lines.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "site.h"

enum {
	PLACES_MAX = 400000,
	FUNCTIONS_MAX = 20000,
	PATHS_MAX = 16,                /* files of the debug information that are named for one path */
	DECODED_MAX = 8 << 20,         /* bytes of functions that are looked through for a site */
	ANSWER_BYTES = WIRE_FRAME_MAX - 64 * 1024,
};

/* ---- the question ---- */

void lines_free(struct lines_question *q)
{
	for (uint32_t i = 0; i < q->n; i++) {
		free((char *)q->query[i].path);
		free((uint32_t *)q->query[i].lines);
	}
	free(q->query);
	q->query = NULL;
	q->n = 0;
}

static int bad(struct error *err)
{
	return error_set(err, EINVAL, "the source lines are missing or malformed");
}

static int by_number(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static int read_numbers(const msgpack_object *list, struct line_query *q, struct error *err)
{
	uint32_t *lines = calloc(list->via.array.size + 1, sizeof(*lines)), n = 0, kept = 0;

	q->lines = lines;
	if (!lines)
		return error_set(err, ENOMEM, "out of memory");
	for (uint32_t i = 0; i < list->via.array.size; i++) {
		uint64_t v;

		if (!object_u64(&list->via.array.ptr[i], &v) || !v || v > INT32_MAX)
			return bad(err);
		lines[n++] = (uint32_t)v;
	}
	qsort(lines, n, sizeof(*lines), by_number);
	for (uint32_t i = 0; i < n; i++)
		if (!kept || lines[kept - 1] != lines[i])
			lines[kept++] = lines[i];
	q->n_lines = kept;
	return 0;
}

static int read_file(const msgpack_object *o, struct line_query *q, uint32_t *left, struct error *err)
{
	const msgpack_object *list;

	if (o->type != MSGPACK_OBJECT_ARRAY || o->via.array.size != 2)
		return bad(err);
	list = &o->via.array.ptr[1];
	q->path = object_text(&o->via.array.ptr[0], PATH_MAX - 1);
	if (!q->path || !*q->path || list->type != MSGPACK_OBJECT_ARRAY)
		return bad(err);
	if (list->via.array.size > *left)
		return error_set(err, E2BIG, "more than %d source lines at once", LINES_MAX);
	*left -= list->via.array.size;
	return read_numbers(list, q, err);
}

int lines_read(const msgpack_object *files, struct lines_question *out, struct error *err)
{
	uint32_t left = LINES_MAX;
	int rc = 0;

	if (!files || files->type != MSGPACK_OBJECT_ARRAY || !files->via.array.size)
		return bad(err);
	if (files->via.array.size > LINES_FILES_MAX)
		return error_set(err, E2BIG, "more than %d source files at once", LINES_FILES_MAX);
	out->query = calloc(files->via.array.size, sizeof(*out->query));
	if (!out->query)
		return error_set(err, ENOMEM, "out of memory");
	for (uint32_t i = 0; !rc && i < files->via.array.size; i++) {
		out->n++;
		rc = read_file(&files->via.array.ptr[i], &out->query[i], &left, err);
	}
	return rc;
}

/* ---- what was found ---- */

/* A function of the source: in many units, perhaps, if it comes from a header. */
struct source {
	const struct function *fn;     /* one of them */
	char *name, *signature;
	const void **origin;           /* of those whose copies are counted */
	uint32_t n_origins, inlined;
	bool has_code;
	uint64_t addr, size;           /* of its code; 0: none, or not known where */
};

/* holder: the source of the function whose code it is. */
struct place { uint32_t query, line, source, holder; bool inlined, own; uint64_t addr; };

struct answer {
	const struct lines_question *q;
	struct image *img;
	struct source *source;
	uint32_t n_sources;
	struct place *place;
	uint32_t n_places;
	struct { char *path[PATHS_MAX]; uint32_t n; } *paths;   /* per query */
	bool more, no_memory;
};

static void answer_clear(struct answer *a)
{
	for (uint32_t i = 0; i < a->n_sources; i++) {
		free(a->source[i].name);
		free(a->source[i].signature);
		free(a->source[i].origin);
	}
	for (uint32_t i = 0; a->paths && i < a->q->n; i++) {
		for (uint32_t p = 0; p < a->paths[i].n; p++)
			free(a->paths[i].path[p]);
		a->paths[i].n = 0;
	}
	free(a->source);
	free(a->place);
	a->source = NULL;
	a->place = NULL;
	a->n_sources = a->n_places = 0;
	a->more = a->no_memory = false;
}

static void on_file(uint32_t query, const char *path, void *arg)
{
	struct answer *a = arg;
	uint32_t n = a->paths[query].n;

	for (uint32_t i = 0; i < n; i++)
		if (strcmp(a->paths[query].path[i], path) == 0)
			return;
	if (n < PATHS_MAX && (a->paths[query].path[n] = strndup(path, PATH_MAX)))
		a->paths[query].n++;
}

/* Room for one more at powers of two. */
static void *grown(void *items, uint32_t n, size_t size)
{
	return n & (n - 1) ? items : reallocarray(items, n ? 2 * (size_t)n : 1, size);
}

static void add_copies(struct answer *a, struct source *s, const struct function *fn)
{
	const void *origin = function_origin(fn);
	const void **more;

	s->has_code |= fn->addr != 0;
	if (!s->addr) {
		s->addr = fn->addr;
		s->size = fn->size;
	}
	for (uint32_t i = 0; i < s->n_origins; i++)
		if (s->origin[i] == origin)
			return;
	more = grown(s->origin, s->n_origins, sizeof(*more));
	if (!more) {
		a->no_memory = true;
		return;
	}
	s->origin = more;
	s->origin[s->n_origins++] = origin;
	s->inlined += fn->inlined;
}

static bool is_source(const struct source *s, const struct function *fn, const char *name, const char *signature)
{
	if (!fn || !s->fn)
		return fn == s->fn && strcmp(s->name, name) == 0;
	return s->fn == fn || (s->fn->line == fn->line && strcmp(s->fn->file, fn->file) == 0 &&
			       strcmp(s->name, name) == 0 && strcmp(s->signature, signature) == 0);
}

/* -> its number, or -1 */
static int64_t find_source(struct answer *a, const struct function *fn, const char *name, const char *signature)
{
	struct source *more;

	for (uint32_t i = 0; i < a->n_sources; i++)
		if (is_source(&a->source[i], fn, name, signature))
			return i;
	more = a->n_sources < FUNCTIONS_MAX ? grown(a->source, a->n_sources, sizeof(*more)) : NULL;
	if (!more)
		return -1;
	a->source = more;
	more += a->n_sources;
	*more = (struct source){ .fn = fn, .name = strdup(name), .signature = strdup(signature), .has_code = !fn };
	if (more->name && more->signature)
		return a->n_sources++;
	free(more->name);
	free(more->signature);
	return -1;
}

static int64_t function_source(struct answer *a, const struct function *fn)
{
	struct buf signature = { 0 };
	int64_t i;

	function_signature(fn, &signature);
	i = find_source(a, fn, fn->name, buf_text(&signature));
	buf_free(&signature);
	if (i >= 0)
		add_copies(a, &a->source[i], fn);
	return i;
}

/* Assembly has symbols only. */
static int64_t source_of(struct answer *a, const struct line_place *p)
{
	struct symbol sym;

	if (!p->fn)
		return find_source(a, NULL, image_symbol_at(a->img, p->start, &sym) ? "?" : sym.name, "");
	return function_source(a, p->fn);
}

static int on_place(uint32_t query, const struct line_place *p, void *arg)
{
	struct answer *a = arg;
	int64_t source = source_of(a, p), holder = p->inlined && p->outer ? function_source(a, p->outer) : source;
	struct place *more = source >= 0 && holder >= 0 && a->n_places < PLACES_MAX ? grown(a->place, a->n_places, sizeof(*more)) : NULL;

	if (!more) {
		a->more = true;
		return 0;
	}
	a->place = more;
	a->place[a->n_places++] = (struct place){ query, p->line, (uint32_t)source, (uint32_t)holder, p->inlined, !p->merged && !p->unmarked, p->start };
	return 0;
}

static int by_line(const void *one, const void *other)
{
	const struct place *a = one, *b = other;

	if (a->query != b->query)
		return a->query < b->query ? -1 : 1;
	if (a->line != b->line)
		return a->line < b->line ? -1 : 1;
	if (a->source != b->source)
		return a->source < b->source ? -1 : 1;
	if (a->inlined != b->inlined)
		return a->inlined ? 1 : -1;
	if (a->holder != b->holder)
		return a->holder < b->holder ? -1 : 1;
	return a->addr < b->addr ? -1 : a->addr > b->addr;
}

/* ---- the answer ---- */

static void pack_files(const struct answer *a, msgpack_packer *pk)
{
	msgpack_pack_array(pk, a->q->n);
	for (uint32_t i = 0; i < a->q->n; i++) {
		msgpack_pack_array(pk, 2);
		pack_text(pk, a->q->query[i].path);
		msgpack_pack_array(pk, a->paths[i].n);
		for (uint32_t p = 0; p < a->paths[i].n; p++)
			pack_text(pk, a->paths[i].path[p]);
	}
}

/* On what kind of instruction a call probe would sit, captures aside; "": not known. *room: bytes that may still be decoded. */
static const char *site_of(const struct answer *a, const struct source *s, size_t *room)
{
	size_t len = s->size < SITE_CODE_MAX ? s->size : SITE_CODE_MAX;
	const char *kind = "";
	struct site site;
	uint8_t *code;
	ssize_t n;

	if (!s->addr || !len || len > *room)
		return kind;
	*room -= len;
	code = malloc(len);
	n = code ? image_code(a->img, s->addr, code, len) : -ENOMEM;
	if (n > 0 && !site_choose(code, (size_t)n, s->addr, 0, true, &site, NULL))
		kind = site_kind_name(site.kind);
	free(code);
	return kind;
}

static void pack_source(const struct answer *a, const struct source *s, size_t *room, msgpack_packer *pk)
{
	msgpack_pack_array(pk, 7);
	pack_text(pk, s->name);
	pack_text(pk, s->signature);
	pack_text(pk, s->fn ? s->fn->file : "");
	msgpack_pack_uint32(pk, s->fn ? s->fn->line : 0);
	msgpack_pack_uint32(pk, s->inlined);
	s->has_code ? msgpack_pack_true(pk) : msgpack_pack_false(pk);
	pack_text(pk, site_of(a, s, room));
}

static bool same_group(const struct place *a, const struct place *b)
{
	return a->source == b->source && a->inlined == b->inlined && a->holder == b->holder;
}

/* The places of one line: places[0 .. n). */
static void pack_line(uint32_t file, uint32_t line, const struct place *places, uint32_t n, msgpack_packer *pk)
{
	uint32_t groups = 0;

	for (uint32_t i = 0; i < n; i++)
		groups += !i || !same_group(&places[i], &places[i - 1]);
	msgpack_pack_array(pk, 3);
	msgpack_pack_uint32(pk, file);
	msgpack_pack_uint32(pk, line);
	msgpack_pack_array(pk, groups);
	for (uint32_t i = 0, next; i < n; i = next) {
		uint32_t addresses = 0;
		bool own = false;

		for (next = i; next < n && same_group(&places[next], &places[i]); next++) {
			addresses += next == i || places[next].addr != places[next - 1].addr;
			own |= places[next].own;
		}
		msgpack_pack_array(pk, 5);
		msgpack_pack_uint32(pk, places[i].source);
		places[i].inlined ? msgpack_pack_true(pk) : msgpack_pack_false(pk);
		msgpack_pack_uint32(pk, addresses);
		own ? msgpack_pack_true(pk) : msgpack_pack_false(pk);
		msgpack_pack_uint32(pk, places[i].holder);
	}
}

/* -> how many lines there was room for */
static uint32_t pack_lines(struct answer *a, size_t room, struct buf *rows)
{
	uint32_t n = 0, at = 0;
	msgpack_packer pk;

	pack_into(&pk, rows);
	for (uint32_t i = 0; i < a->q->n; i++) {
		for (uint32_t l = 0; l < a->q->query[i].n_lines; l++) {
			uint32_t line = a->q->query[i].lines[l], first = at;
			size_t before = rows->len;

			while (at < a->n_places && a->place[at].query == i && a->place[at].line == line)
				at++;
			pack_line(i, line, a->place + first, at - first, &pk);
			if (rows->len > room) {
				rows->len = before;
				a->more = true;
				return n;
			}
			n++;
		}
	}
	return n;
}

static void pack_answer(struct answer *a, const char *module, struct buf *out)
{
	size_t room = DECODED_MAX;
	struct buf rows = { 0 };
	msgpack_packer pk;
	uint32_t n;

	if (a->n_places > 1)
		qsort(a->place, a->n_places, sizeof(*a->place), by_line);
	pack_into(&pk, out);
	msgpack_pack_map(&pk, 6);
	pack_key_text(&pk, "build_id", image_build_id(a->img));
	pack_key_text(&pk, "module", module);
	pack_key(&pk, "files");
	pack_files(a, &pk);
	pack_key(&pk, "functions");
	msgpack_pack_array(&pk, a->n_sources);
	for (uint32_t i = 0; i < a->n_sources; i++)
		pack_source(a, &a->source[i], &room, &pk);
	n = pack_lines(a, out->len < ANSWER_BYTES ? ANSWER_BYTES - out->len : 0, &rows);
	pack_key(&pk, "lines");
	msgpack_pack_array(&pk, n);
	buf_add(out, rows.data, rows.len);
	pack_key(&pk, "more");
	a->more ? msgpack_pack_true(&pk) : msgpack_pack_false(&pk);
	buf_free(&rows);
}

static int search(struct answer *a, struct debuginfo *di, struct error *err)
{
	const struct line_visitor visitor = { on_file, on_place, a };
	int rc = debuginfo_lines(di, a->q->query, a->q->n, &visitor, err);

	if (rc == -ENOENT) {           /* none of the files: that is an answer */
		memset(err, 0, sizeof(*err));
		rc = 0;
	}
	if (debuginfo_failure(di))
		return error_set(err, EBADMSG, "the debug information in %.200s cannot be used: %.200s", debuginfo_path(di),
				 debuginfo_failure(di));
	if (!rc && a->no_memory)
		return error_set(err, ENOMEM, "out of memory");
	return rc;
}

void lines_work(struct buf *out, void *arg)
{
	struct lines_question *q = arg;
	const char *slash = strrchr(q->path, '/');
	struct answer a = { .q = q, .paths = calloc(q->n, sizeof(*a.paths)) };
	struct debuginfo *di = NULL;
	struct error err = { 0 };
	int rc = a.paths ? image_open(q->fd, q->path, &a.img, &err) : error_set(&err, ENOMEM, "out of memory");

	if (!rc)
		rc = debuginfo_open(a.img, q->root, &q->cache, &di, &err);
	if (!rc)
		rc = search(&a, di, &err);
	buf_add(out, &err, sizeof(err));
	if (!rc)
		pack_answer(&a, slash ? slash + 1 : q->path, out);
	answer_clear(&a);
	free(a.paths);
	debuginfo_close(di);
	image_free(a.img);
}
