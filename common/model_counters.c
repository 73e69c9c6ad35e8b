/* SPDX-License-Identifier: Apache-2.0 */
/* Exact counters: rows of a snapshot, and their sums. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "model_internal.h"

#define COUNT(key, member) { key, offsetof(struct tally, member) }
static const struct {
	const char *key;
	size_t offset;
} count_keys[] = {
	COUNT("calls", c.calls), COUNT("returns", c.returns), COUNT("errors", c.errors), COUNT("matched", c.matched),
	COUNT("undecided", c.undecided), COUNT("sampled", c.sampled), COUNT("shipped", c.shipped),
	COUNT("unread_fault", unread), COUNT("unread_place", unplaced), COUNT("too_deep", c.too_deep), COUNT("unwound", c.unwound), COUNT("stray", c.stray), COUNT("drop_ring", c.dropped[DROP_RING]),
	COUNT("drop_rate", c.dropped[DROP_RATE]), COUNT("drop_nomem", c.dropped[DROP_NOMEM]), COUNT("drop_client", drop_client),
	COUNT("past_limit", past_limit), COUNT("shown", shown),
	COUNT("sum_ns", c.sum_ns), COUNT("max_ns", c.max_ns),
};
enum { N_COUNT_KEYS = sizeof(count_keys) / sizeof(count_keys[0]) };

static uint64_t *tally_field(struct tally *t, int i)
{
	return (uint64_t *)(void *)((char *)t + count_keys[i].offset);
}

static void add_error_value(struct tally *t, int64_t value, uint64_t count)
{
	for (uint32_t i = 0; i < t->n_error_values; i++) {
		if (t->error_value[i].value == value) {
			t->error_value[i].count += count;
			return;
		}
	}
	if (t->n_error_values < ERROR_VALUES_MAX)
		t->error_value[t->n_error_values++] = (struct value_count){ value, count };
}

void tally_add(struct tally *to, const struct tally *more)
{
	uint64_t max = to->c.max_ns > more->c.max_ns ? to->c.max_ns : more->c.max_ns;

	for (int i = 0; i < N_COUNT_KEYS; i++)
		*tally_field(to, i) += *(const uint64_t *)(const void *)((const char *)more + count_keys[i].offset);
	to->c.max_ns = max;
	for (int i = 0; i < HIST_BUCKETS; i++)
		to->c.hist[i] += more->c.hist[i];
	for (uint32_t i = 0; i < more->n_error_values; i++)
		add_error_value(to, more->error_value[i].value, more->error_value[i].count);
}

static void source_sum(const struct source *s, const struct probe *only, struct tally *out)
{
	for (uint32_t i = 0; i < s->n_rows; i++)
		if (s->row[i]->snapshot == s->snapshot && (!only || s->row[i]->probe == only->id))
			tally_add(out, &s->row[i]->now);
}

void model_sum(const struct model *m, const struct probe *only, struct tally *out)
{
	memset(out, 0, sizeof(*out));
	for (uint32_t i = 0; i < m->n_sources; i++)
		if (!only || only->source == m->source[i])
			source_sum(m->source[i], only, out);
}

static int unpack_hist(struct counts *c, const msgpack_object *list)
{
	const msgpack_object *at;

	if (!list)
		return 0;
	if (list->type != MSGPACK_OBJECT_ARRAY || list->via.array.size % 2)
		return -EPROTO;
	at = list->via.array.ptr;
	for (uint32_t i = 0; i < list->via.array.size; i += 2) {
		uint64_t bucket, n;

		if (!object_u64(&at[i], &bucket) || bucket >= HIST_BUCKETS || !object_u64(&at[i + 1], &n))
			return -EPROTO;
		c->hist[bucket] = n;
	}
	return 0;
}

static int unpack_error_values(struct tally *t, const msgpack_object *list)
{
	if (!list)
		return 0;
	if (list->type != MSGPACK_OBJECT_ARRAY || list->via.array.size % 2 || list->via.array.size > 2 * ERROR_VALUES_MAX)
		return -EPROTO;
	for (uint32_t i = 0; i < list->via.array.size; i += 2) {
		int64_t value;
		uint64_t count;

		if (!object_i64(&list->via.array.ptr[i], &value) || !object_u64(&list->via.array.ptr[i + 1], &count))
			return -EPROTO;
		add_error_value(t, value, count);
	}
	return 0;
}

int tally_unpack(struct tally *t, const msgpack_object *map)
{
	memset(t, 0, sizeof(*t));
	if (map->type != MSGPACK_OBJECT_MAP)
		return -EPROTO;
	for (int i = 0; i < N_COUNT_KEYS; i++)
		object_u64(map_get(map, count_keys[i].key), tally_field(t, i));
	if (unpack_error_values(t, map_get(map, "error_values")))
		return -EPROTO;
	return unpack_hist(&t->c, map_get(map, "hist"));
}

static bool row_is(const struct row *r, uint32_t probe, uint32_t pid)
{
	return r->probe == probe && r->pid == pid;
}

static struct row *row_add(struct model *m, struct source *s, uint32_t probe, uint32_t pid)
{
	struct row *r;

	if (m->n_rows >= MODEL_ROWS_MAX || model_room(&s->row, s->n_rows, MODEL_ROWS_MAX) < 0)
		return NULL;
	r = calloc(1, sizeof(*r));
	if (!r)
		return NULL;
	r->probe = probe;
	r->pid = pid;
	s->row[s->n_rows++] = r;
	m->n_rows++;
	return r;
}

/* Snapshots list their rows in the same order, so the row after the last one found is tried first. */
static struct row *find_row(struct model *m, struct source *s, uint32_t probe, uint32_t pid)
{
	for (uint32_t i = 0; i < s->n_rows; i++) {
		uint32_t at = (s->next_row + i) % s->n_rows;

		if (row_is(s->row[at], probe, pid)) {
			s->next_row = at + 1;
			return s->row[at];
		}
	}
	return row_add(m, s, probe, pid);
}

/* Several rows of one snapshot may name no process (pid 0): they add up. */
static void row_take(const struct source *s, struct row *row, const struct tally *t)
{
	if (row->snapshot != s->snapshot)
		memset(&row->now, 0, sizeof(row->now));
	row->snapshot = s->snapshot;
	tally_add(&row->now, t);
}

static int unpack_row(struct model *m, struct source *s, const msgpack_object *o, struct error *err)
{
	const msgpack_object *part = o->via.array.ptr;
	uint64_t probe, pid;
	struct tally t;
	struct row *row;

	if (o->type != MSGPACK_OBJECT_ARRAY || o->via.array.size < 4 || !object_u64(&part[0], &probe) || probe > UINT32_MAX ||
	    !object_u64(&part[1], &pid) || pid > UINT32_MAX)
		return model_malformed(err, "row of counters");
	row = find_row(m, s, (uint32_t)probe, (uint32_t)pid);
	if (!row || (pid && model_learn_comm(m, s, (uint32_t)pid, &part[2]) < 0))
		return model_no_memory(err);
	if (tally_unpack(&t, &part[3]) < 0)
		return model_malformed(err, "row of counters");
	row_take(s, row, &t);
	return 0;
}

int model_stats(struct model *m, const struct frame_in *in, struct error *err)
{
	const uint32_t at = in->type == WIRE_END ? 4 : 3;
	const msgpack_object *rows = in->count > at ? &in->items[at] : NULL;
	struct source *s;

	if (!rows || rows->type != MSGPACK_OBJECT_ARRAY)
		return model_malformed(err, "table of counters");
	s = model_source(m, in, at + 1);
	if (!s)
		return model_no_source(err);
	s->snapshot++;
	for (uint32_t i = 0; i < rows->via.array.size; i++) {
		int rc = unpack_row(m, s, &rows->via.array.ptr[i], err);

		if (rc)
			return rc;
	}
	return 0;
}
