/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pattern's functions: their names, and what was counted in those that were called.  They may be ten thousand, and most of
 * them are never called: a row is made when a function is, and its histogram is as coarse as the kernel's.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "model_internal.h"

int model_make_functions(struct probe *p, const msgpack_object *n)
{
	uint64_t count;

	if (!n)
		return 0;
	if (!object_u64(n, &count) || count > PATTERN_FUNCTIONS_MAX)
		return -EPROTO;
	p->n_functions = (uint32_t)count;
	p->name = calloc(count + 1, sizeof(*p->name));
	p->row = calloc(count + 1, sizeof(*p->row));
	return p->name && p->row ? 0 : -ENOMEM;
}

void model_free_functions(struct probe *p)
{
	for (uint32_t i = 0; i < p->n_functions; i++) {
		if (p->name)
			free(p->name[i]);
		if (p->row)
			free(p->row[i]);
	}
	free(p->name);
	free(p->row);
}

static struct probe *pattern_of(const struct source *s, const msgpack_object *id)
{
	struct probe *p;
	uint64_t number;

	if (!s || !object_u64(id, &number) || number > UINT32_MAX)
		return NULL;
	p = idmap_get(&s->probe_of, (uint32_t)number);
	return p && p->n_functions ? p : NULL;
}

enum { FUNCTIONS_ELEMENTS = 5, FUNCTION_STATS_ELEMENTS = 4 };

int model_functions(struct model *m, const struct frame_in *in, struct error *err)
{
	const msgpack_object *names = in->count < FUNCTIONS_ELEMENTS ? NULL : &in->items[4];
	struct probe *p = names ? pattern_of(model_source(m, in, FUNCTIONS_ELEMENTS), &in->items[2]) : NULL;
	uint64_t first;

	if (!p || !object_u64(&in->items[3], &first) || names->type != MSGPACK_OBJECT_ARRAY || first > p->n_functions ||
	    names->via.array.size > p->n_functions - first)
		return model_malformed(err, "list of functions");
	for (uint32_t i = 0; i < names->via.array.size; i++) {
		char *text = safe_text(&names->via.array.ptr[i]);

		if (!text)
			return model_no_memory(err);
		free(p->name[first + i]);
		p->name[first + i] = text;
	}
	return 0;
}

const char *probe_function(const struct probe *p, uint32_t function)
{
	return function < p->n_functions && p->name[function] ? p->name[function] : p->function;
}

/* ---- counters ---- */

static struct pattern_row *row_of(struct probe *p, uint32_t function)
{
	struct pattern_row *r = p->row[function];

	if (!r) {
		r = calloc(1, sizeof(*r));
		if (r)
			r->function = function;
		p->row[function] = r;
	}
	return r;
}

/* Rows come ahead of the STATS or END of their snapshot, of all processes of a function in which something was counted. */
static void begin_snapshot(struct pattern_row *r, uint32_t snapshot)
{
	r->snapshot = snapshot;
	r->before = r->now;
	memset(&r->now, 0, sizeof(r->now));
	memset(r->hist, 0, sizeof(r->hist));
}

static void add_head(struct counts *to, const struct counts *more)
{
	uint64_t max = to->max_ns > more->max_ns ? to->max_ns : more->max_ns;

	for (size_t i = 0; i < sizeof(struct function_counts) / sizeof(__u64); i++)
		((__u64 *)(void *)to)[i] += ((const __u64 *)(const void *)more)[i];
	to->max_ns = max;
}

static int take_row(const struct source *s, const msgpack_object *o, struct error *err)
{
	const msgpack_object *part = o->via.array.ptr;
	struct pattern_row *r;
	struct probe *p;
	struct tally t;
	uint64_t i;

	if (o->type != MSGPACK_OBJECT_ARRAY || o->via.array.size < 4)
		return model_malformed(err, "list of functions");
	p = pattern_of(s, &part[0]);
	if (!p || !object_u64(&part[2], &i) || i >= p->n_functions || tally_unpack(&t, &part[3]))
		return model_malformed(err, "list of functions");
	r = row_of(p, (uint32_t)i);
	if (!r)
		return model_no_memory(err);
	if (r->snapshot != s->snapshot + 1)
		begin_snapshot(r, s->snapshot + 1);
	add_head((struct counts *)(void *)&r->now, &t.c);
	for (int b = 0; b < HIST_BUCKETS; b++)
		r->hist[b >> PATTERN_HIST_SHIFT] += t.c.hist[b];
	return 0;
}

int model_function_stats(struct model *m, const struct frame_in *in, struct error *err)
{
	const msgpack_object *rows = in->count < FUNCTION_STATS_ELEMENTS ? NULL : &in->items[3];
	struct source *s = model_source(m, in, FUNCTION_STATS_ELEMENTS);
	int rc = 0;

	if (!s || !rows || rows->type != MSGPACK_OBJECT_ARRAY)
		return model_malformed(err, "list of functions");
	for (uint32_t i = 0; !rc && i < rows->via.array.size; i++)
		rc = take_row(s, &rows->via.array.ptr[i], err);
	return rc;
}

const struct pattern_row *probe_row(const struct probe *p, uint32_t function)
{
	return function < p->n_functions ? p->row[function] : NULL;
}

const struct function_counts *probe_row_before(const struct probe *p, const struct pattern_row *r)
{
	return r->snapshot == p->source->snapshot ? &r->before : &r->now;
}

void pattern_row_counts(const struct pattern_row *r, struct counts *out)
{
	memset(out, 0, sizeof(*out));
	memcpy(out, &r->now, sizeof(r->now));
	for (int b = 0; b < PATTERN_BUCKETS; b++) /* as the agent puts them: in the middle */
		out->hist[(b << PATTERN_HIST_SHIFT) + (1 << (PATTERN_HIST_SHIFT - 1))] = r->hist[b];
}
