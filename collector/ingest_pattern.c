/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pattern's functions.  The pattern's probe has the sum of all of them (STATS). Those that are called first become probes of the store
 * themselves, with counters and nothing else; what the sum has more than they is of the others. Both come with the same time from the same
 * look at the kernel's counters, so that they add up in each second.
 */
#include <errno.h>
#include <stdlib.h>

#include "ingest_internal.h"

/* ---- names ---- */

/* A frame of names takes the place of the one before that began with the same. */
static int put_names(const struct taken *t, struct known_probe *p, uint32_t first, struct error *err)
{
	struct store *s = t->st->ingest->store;
	uint64_t before, bytes;
	int rc = p->has_names_bytes ? 0 : store_names_bytes(s, p->is.id, 0, UINT32_MAX, &p->names_bytes, err);

	p->has_names_bytes = rc == 0;
	if (!rc)
		rc = store_names_bytes(s, p->is.id, first, first, &before, err);
	if (rc)
		return rc;
	bytes = p->names_bytes - before + t->len;
	if (bytes > STREAM_NAMES_MAX)
		return malformed(err, "list of functions: its pattern's names are too long");
	p->names_bytes = bytes;
	return store_names(s, p->is.id, first, t->frame, t->len, err);
}

int ingest_functions(const struct taken *t, struct error *err)
{
	uint64_t request, number, first;
	struct known_probe *p;
	const msgpack_object *names;
	int rc = taken_request(t, &request, err);

	if (rc)
		return rc;
	if (t->in->count < 5 || !object_u64(&t->in->items[2], &number) || number > UINT32_MAX || !object_u64(&t->in->items[3], &first))
		return malformed(err, "list of functions");
	p = stream_probe(t->st, (uint32_t)number);
	if (!p) {
		taken_orphan(t);
		return 0;
	}
	names = &t->in->items[4];
	if (names->type != MSGPACK_OBJECT_ARRAY || first > p->is.functions || names->via.array.size > p->is.functions - first)
		return malformed(err, "list of functions: it has not so many");
	rc = put_names(t, p, (uint32_t)first, err);
	if (!rc && request)
		taken_publish(t, request);
	return rc;
}

static int read_name(const struct buf *frame, uint32_t function, struct buf *name, struct error *err)
{
	const msgpack_object *names;
	struct frame_in in;
	uint64_t first;
	int rc = frame_read(frame->data, frame->len, &in, err);

	if (rc)
		return rc;
	names = &in.items[4];
	if (object_u64(&in.items[3], &first) && function - first < names->via.array.size)
		taken_text(&names->via.array.ptr[function - first], name);
	frame_in_free(&in);
	return 0;
}

/* Its number, if nobody told its name. */
static int find_name(const struct taken *t, int64_t pattern, uint32_t function, struct buf *name, struct error *err)
{
	struct buf frame = { 0 };
	int rc = store_names_find(t->st->ingest->store, pattern, function, &frame, err);

	if (rc > 0)
		rc = read_name(&frame, function, name, err);
	buf_free(&frame);
	if (!rc && !name->len)
		buf_printf(name, "function %u", function);
	return rc ? rc : name->failed ? error_set(err, ENOMEM, "no memory for a function") : 0;
}

/* ---- counters ---- */

static int note(uint32_t function, int64_t id, void *arg)
{
	struct known_probe *p = arg;

	return idmap_set(&p->function, function, (void *)(uintptr_t)id);
}

static int load_functions(const struct taken *t, struct known_probe *p, struct error *err)
{
	int rc = p->has_functions ? 0 : store_function_each(t->st->ingest->store, p->is.id, note, p, err);

	p->has_functions = rc == 0;
	return rc;
}

/* The store's id of a function, 0: it has no counters of its own. */
static int function_id(const struct taken *t, struct known_probe *p, uint32_t function, int64_t *id, struct error *err)
{
	struct buf name = { 0 };
	int rc = load_functions(t, p, err);

	*id = rc ? 0 : (int64_t)(uintptr_t)idmap_get(&p->function, function);
	if (rc || *id || p->function.n >= STREAM_FUNCTIONS_MAX)
		return rc;
	rc = find_name(t, p->is.id, function, &name, err);
	if (!rc)
		rc = store_function(t->st->ingest->store, p->is.id, function, buf_text(&name), t->now_ns, id, err);
	buf_free(&name);
	if (!rc && note(function, *id, p))
		rc = error_set(err, ENOMEM, "no memory for a function");
	return rc;
}

/* A row, read; probe NULL: the store does not know it. */
struct function_row {
	struct counters counters;
	struct known_probe *probe;
	uint32_t function;
};

static int read_row(const struct taken *t, const msgpack_object *o, struct function_row *out, struct error *err)
{
	uint64_t number;
	int rc = counters_read(o, &out->counters, err);

	if (rc)
		return rc;
	out->probe = stream_probe(t->st, out->counters.probe);
	if (!object_u64(out->counters.third, &number) || (out->probe && number >= out->probe->is.functions))
		return malformed(err, "row of counters: no function of its pattern");
	out->function = (uint32_t)number;
	return 0;
}

static int put_row(const struct taken *t, const struct function_row *row, uint64_t at_ns, struct error *err)
{
	int64_t id = 0;
	int rc;

	if (!row->probe) {
		taken_orphan(t);
		return 0;
	}
	rc = function_id(t, row->probe, row->function, &id, err);
	return rc || !id ? rc : counters_put(t, id, &row->counters, at_ns, err);
}

/* put false: looks at all of it, before anything is put. */
static int take_rows(const struct taken *t, const msgpack_object *rows, bool put, uint64_t at_ns, struct error *err)
{
	int rc = 0;

	if (rows->type != MSGPACK_OBJECT_ARRAY || rows->via.array.size > STREAM_ROWS_MAX)
		return malformed(err, "table of counters");
	for (uint32_t i = 0; i < rows->via.array.size && !rc; i++) {
		struct function_row row = { 0 };

		rc = read_row(t, &rows->via.array.ptr[i], &row, err);
		if (!rc && put)
			rc = put_row(t, &row, at_ns, err);
	}
	return rc;
}

int ingest_function_stats(const struct taken *t, struct error *err)
{
	uint64_t request = 0, ns = 0;
	int rc = taken_request(t, &request, err);

	if (!rc && (t->in->count < 4 || !object_u64(&t->in->items[2], &ns)))
		rc = malformed(err, "FUNCTION_STATS");
	if (!rc)
		rc = take_rows(t, &t->in->items[3], false, 0, err);
	if (!rc)
		rc = take_rows(t, &t->in->items[3], true, taken_time(t, ns), err);
	if (!rc && request)
		taken_publish(t, request);
	return rc;
}
