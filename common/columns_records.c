/* SPDX-License-Identifier: Apache-2.0 */
/* Columns that were opened, as records again, or as what a collector must know of each. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "columns_internal.h"
#include "frame.h"
#include "pack.h"

/* One record's elements lie at the same place of their columns. */
struct maker {
	struct columns_reader *r;
	const uint64_t *order, *shared[COLUMNS_SHARED];
	uint64_t *first[COLUMNS_GROUPS_MAX];   /* a group's values, column after column */
};

static const uint64_t *decode(const struct column_in *c, uint64_t **room)
{
	uint64_t *at = *room;

	column_values(c, at);
	*room += c->n;
	return at;
}

static void decode_group(struct columns_reader *r, struct group_in *g, uint64_t *room)
{
	g->given = 0;
	for (uint32_t k = 0; k < g->elements - COLUMNS_HEAD; k++, room += g->records)
		if (r->column[g->first_column + k].form != COLUMN_RAW)
			column_values(&r->column[g->first_column + k], room);
}

static int make_ready(struct maker *m, struct columns_reader *r)
{
	size_t cells = (1 + COLUMNS_SHARED) * r->records;
	uint64_t *room;

	for (uint32_t g = 0; g < r->n_groups; g++)
		cells += r->group[g].records * (r->group[g].elements - COLUMNS_HEAD);
	if (!columns_room(r, cells))
		return -ENOMEM;
	room = r->value;
	m->order = r->n_groups > 1 ? decode(&r->order, &room) : NULL;
	for (int k = 0; k < COLUMNS_SHARED; k++)
		m->shared[k] = decode(&r->shared[k], &room);
	for (uint32_t g = 0; g < r->n_groups; g++) {
		m->first[g] = room;
		decode_group(r, &r->group[g], room);
		room += r->group[g].records * (r->group[g].elements - COLUMNS_HEAD);
	}
	return 0;
}

static uint8_t *put_int(uint8_t *to, const struct column_in *c, uint64_t v)
{
	return column_is_signed(c) ? put_i64(to, (int64_t)v) : put_u64(to, v);
}

static uint8_t *put_bytes(uint8_t *to, const uint8_t *from, size_t len)
{
	memcpy(to, from, len);
	return to + len;
}

static uint8_t *put_element(uint8_t *to, struct columns_reader *r, struct column_in *c, uint64_t v)
{
	const uint8_t *from = c->soft;

	if (column_is_int(c))
		return put_int(to, c, v);
	if (c->form != COLUMN_RAW)
		return put_bytes(to, r->word[v].at, r->word[v].len);
	c->soft += pack_measure_element(from, (size_t)(c->end - from));   /* it was measured before */
	return put_bytes(to, from, (size_t)(c->soft - from));
}

static uint8_t *put_record(struct maker *m, size_t i, uint8_t *to)
{
	struct columns_reader *r = m->r;
	uint32_t number = m->order ? (uint32_t)m->order[i] : 0;
	struct group_in *g = &r->group[number];
	const uint64_t *v = m->first[number] + g->given++;

	to = put_array(to, g->elements);
	to = put_u64(to, g->probe);
	for (int k = 0; k < COLUMNS_SHARED; k++)
		to = put_int(to, &r->shared[k], m->shared[k][i]);
	for (uint32_t k = 0; k < g->elements - COLUMNS_HEAD; k++, v += g->records)
		to = put_element(to, r, &r->column[g->first_column + k], *v);
	return to;
}

int columns_records(struct columns_reader *r, struct buf *out)
{
	struct maker m = { .r = r };
	uint8_t *start, *to;
	int rc = r->records ? make_ready(&m, r) : 0;

	if (rc || !r->records)
		return rc;
	start = to = buf_reserve(out, r->bytes);
	if (!to)
		return -ENOMEM;
	for (size_t i = 0; i < r->records; i++)
		to = put_record(&m, i, to);
	out->len += (size_t)(to - start);
	out->data[out->len] = '\0';
	return 0;
}

/* ---- heads ---- */

enum { DELTA, PROCESS, THREAD };            /* shared */
enum { FLAGS, DURATION, HEAD_COLUMNS };     /* of a group */

static bool room_for_heads(struct columns_reader *r)
{
	struct columns_head *more;

	if (r->records <= r->cap_heads)
		return true;
	more = reallocarray(r->head, r->records, sizeof(*more));
	if (!more)
		return false;
	r->head = more;
	r->cap_heads = r->records;
	return true;
}

static bool has_head(const struct columns_reader *r, const struct group_in *g)
{
	const struct column_in *c = &r->column[g->first_column];

	return g->elements >= COLUMNS_HEAD + HEAD_COLUMNS && (c[FLAGS].form & COLUMN_KIND) == COLUMN_UNSIGNED &&
	       (c[DURATION].form & COLUMN_KIND) == COLUMN_UNSIGNED;
}

static bool are_ids(const struct column_in *c, uint64_t *scratch)
{
	uint64_t all = 0;

	column_values(c, scratch);
	for (size_t i = 0; i < c->n; i++)
		all |= scratch[i];
	return all <= UINT32_MAX;
}

/* Every time fits in a signed number. */
static bool read_deltas(struct columns_reader *r)
{
	uint64_t all = 0;

	column_values(&r->shared[DELTA], r->value);
	for (size_t i = 0; i < r->records; i++) {
		r->head[i].delta = (int64_t)r->value[i];
		all |= r->value[i];
	}
	return column_is_signed(&r->shared[DELTA]) || all <= INT64_MAX;
}

static void read_flags(struct columns_reader *r)
{
	uint64_t *order = r->value, *flags = r->value + r->records;
	size_t next[COLUMNS_GROUPS_MAX] = { 0 }, at = 0;

	if (r->n_groups > 1)
		column_values(&r->order, order);
	for (uint32_t g = 0; g < r->n_groups; g++) {
		column_values(&r->column[r->group[g].first_column + FLAGS], flags + at);
		next[g] = at;
		at += r->group[g].records;
	}
	for (size_t i = 0; i < r->records; i++) {
		uint32_t g = r->n_groups > 1 ? (uint32_t)order[i] : 0;

		r->head[i].probe = r->group[g].probe;
		r->head[i].values = r->group[g].elements - COLUMNS_HEAD - HEAD_COLUMNS;
		r->head[i].flags = flags[next[g]++];
	}
}

int columns_heads(struct columns_reader *r, const struct columns_head **out, size_t *n)
{
	*n = r->records;
	*out = r->head;
	if (!r->records)
		return 0;
	for (uint32_t g = 0; g < r->n_groups; g++)
		if (!has_head(r, &r->group[g]))
			return -EPROTO;
	if (!room_for_heads(r) || !columns_room(r, 2 * r->records))
		return -ENOMEM;
	if (!are_ids(&r->shared[PROCESS], r->value) || !are_ids(&r->shared[THREAD], r->value) || !read_deltas(r))
		return -EPROTO;
	read_flags(r);
	*out = r->head;
	return 0;
}
