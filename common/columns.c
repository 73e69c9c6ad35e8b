/* SPDX-License-Identifier: Apache-2.0 */
#include "columns.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "columns_internal.h"
#include "frame.h"

enum { ROWS_FIRST = 64, WORDY_BITS = 16 };

/* Columns of equal length. Owns its arrays, which hold column after column, each with room for `cap` rows. */
struct table {
	uint64_t *value;         /* of an integer; else its bytes */
	uint32_t *at;            /* where it lies */
	uint8_t *seen;           /* per column */
	uint32_t columns, cap_columns;
	size_t rows, cap, cells;
};

struct group {
	uint32_t probe;
	struct table table;
};

struct columns {
	const uint8_t *data, *at, *end;
	struct table shared;
	struct group *group[COLUMNS_GROUPS_MAX];   /* as many as there ever were */
	uint32_t n_groups, cap_groups, last_group;
	uint64_t *order;               /* each record's group */
	uint64_t *number;              /* of words */
	size_t cap_order, cap_number;
	struct words words;
	struct column_out out;
};

struct columns *columns_new(void)
{
	return calloc(1, sizeof(struct columns));
}

static void table_free(struct table *t)
{
	free(t->value);
	free(t->at);
	free(t->seen);
}

void columns_free(struct columns *c)
{
	if (!c)
		return;
	for (uint32_t i = 0; i < c->cap_groups; i++) {
		table_free(&c->group[i]->table);
		free(c->group[i]);
	}
	table_free(&c->shared);
	free(c->order);
	free(c->number);
	free(c->out.scratch);
	buf_free(&c->out.soft);
	buf_free(&c->out.hard);
	free(c);
}

/* Room for n of 8 bytes. */
static bool room_for(uint64_t **array, size_t *cap, size_t n)
{
	size_t want = *cap ? *cap : 1024;
	uint64_t *more;

	if (n <= *cap)
		return true;
	while (want < n)
		want *= 2;
	more = reallocarray(*array, want, sizeof(**array));
	if (!more)
		return false;
	*array = more;
	*cap = want;
	return true;
}

/* ---- tables ---- */

static int table_begin(struct table *t, uint32_t columns)
{
	if (columns > t->cap_columns) {
		uint8_t *seen = realloc(t->seen, columns);

		if (!seen)
			return -ENOMEM;
		t->seen = seen;
		t->cap_columns = columns;
	}
	t->columns = columns;
	t->rows = 0;
	t->cap = columns ? t->cells / columns : SIZE_MAX;
	if (columns)
		memset(t->seen, 0, columns);
	return 0;
}

/* More room between the columns: the last one moves first. */
static int table_grow(struct table *t)
{
	size_t cap = t->cap ? 2 * t->cap : ROWS_FIRST, cells = cap * t->columns;
	uint64_t *value = reallocarray(t->value, cells, sizeof(*value));
	uint32_t *at;

	if (value)
		t->value = value;
	at = value ? reallocarray(t->at, cells, sizeof(*at)) : NULL;
	if (!at)
		return -ENOMEM;
	t->at = at;
	for (size_t k = t->columns; k-- > 1;) {
		memmove(value + k * cap, value + k * t->cap, t->rows * sizeof(*value));
		memmove(at + k * cap, at + k * t->cap, t->rows * sizeof(*at));
	}
	t->cap = cap;
	t->cells = cells;
	return 0;
}

/* ---- taking records apart ---- */

/* The integer with a head of its own at p. False: it is cut. */
static bool read_long(const uint8_t *p, const uint8_t *end, uint64_t *v, uint8_t *seen)
{
	unsigned n = 1U << (p[0] & 3), spare = 64 - (8U << (p[0] & 3));
	uint64_t bits = 0;

	if ((size_t)(end - p) <= n)
		return false;
	if ((size_t)(end - p) > sizeof(bits)) {
		memcpy(&bits, p + 1, sizeof(bits));
		bits = __builtin_bswap64(bits) >> spare;
	} else {
		for (unsigned i = 1; i <= n; i++)
			bits = bits << 8 | p[i];
	}
	if (p[0] >= 0xd0)
		bits = (uint64_t)((int64_t)(bits << spare) >> spare);
	*v = bits;
	*seen = bits <= INT64_MAX ? SEEN_SMALL : p[0] >= 0xd0 ? SEEN_NEGATIVE : SEEN_LARGE;
	return true;
}

/* Where the next value begins. NULL: there is no whole one. */
static const uint8_t *read_value(const uint8_t *p, const uint8_t *end, uint64_t *v, uint8_t *seen)
{
	ssize_t n;

	if (p == end)
		return NULL;
	if (p[0] < 0x80 || p[0] >= 0xe0) {
		*v = (uint64_t)(int64_t)(int8_t)p[0];
		*seen = p[0] < 0x80 ? SEEN_SMALL : SEEN_NEGATIVE;
		return p + 1;
	}
	if (p[0] >= 0xcc && p[0] <= 0xd3)
		return read_long(p, end, v, seen) ? p + 1 + (1U << (p[0] & 3)) : NULL;
	n = pack_measure_element(p, (size_t)(end - p));
	*v = (uint64_t)n;
	*seen = SEEN_OTHER;
	return n > 0 ? p + n : NULL;
}

static int take_row(struct columns *c, struct table *t)
{
	const uint8_t *p = c->at;
	int rc = t->rows < t->cap ? 0 : table_grow(t);

	if (rc)
		return rc;
	for (size_t k = 0, i = t->rows; k < t->columns; k++, i += t->cap) {
		uint8_t seen;

		t->at[i] = (uint32_t)(p - c->data);
		p = read_value(p, c->end, &t->value[i], &seen);
		if (!p)
			return -EPROTO;
		t->seen[k] |= seen;
	}
	c->at = p;
	t->rows++;
	return 0;
}

static int new_group(struct columns *c, uint64_t probe, uint32_t columns)
{
	struct group *g;

	if (c->n_groups == COLUMNS_GROUPS_MAX)
		return -E2BIG;
	if (c->n_groups == c->cap_groups) {
		g = calloc(1, sizeof(*g));
		if (!g)
			return -ENOMEM;
		c->group[c->cap_groups++] = g;
	}
	g = c->group[c->n_groups];
	g->probe = (uint32_t)probe;
	if (table_begin(&g->table, columns))
		return -ENOMEM;
	return (int)(c->last_group = c->n_groups++);
}

static int find_group(struct columns *c, uint64_t probe, uint32_t columns)
{
	for (uint32_t i = 0, k = c->last_group; i < c->n_groups; i++, k = k + 1 == c->n_groups ? 0 : k + 1)
		if (c->group[k]->probe == probe && c->group[k]->table.columns == columns)
			return (int)(c->last_group = k);
	return new_group(c, probe, columns);
}

/* Behind the array's head; *n: its elements. NULL: it is none. */
static const uint8_t *array_head(const uint8_t *p, const uint8_t *end, uint32_t *n)
{
	if (p[0] >= 0x90 && p[0] < 0xa0) {
		*n = p[0] & 15U;
		return p + 1;
	}
	if (end - p < 3 || p[0] != 0xdc)
		return NULL;
	*n = (uint32_t)(p[1] << 8 | p[2]);
	return p + 3;
}

static int take_record(struct columns *c)
{
	uint32_t n = 0;
	const uint8_t *p = array_head(c->at, c->end, &n);
	uint64_t probe = 0;
	uint8_t seen = 0;
	int group, rc;

	p = p && n >= COLUMNS_HEAD ? read_value(p, c->end, &probe, &seen) : NULL;
	if (!p || seen != SEEN_SMALL || probe > UINT32_MAX)
		return -EPROTO;
	c->at = p;
	group = find_group(c, probe, n - COLUMNS_HEAD);
	if (group < 0)
		return group;
	if (!room_for(&c->order, &c->cap_order, c->shared.rows + 1))
		return -ENOMEM;
	c->order[c->shared.rows] = (uint64_t)group;
	rc = take_row(c, &c->shared);
	return rc ? rc : take_row(c, &c->group[group]->table);
}

/* ---- columns ---- */

static bool are_ints(uint8_t seen)
{
	return !(seen & SEEN_OTHER) && (seen & (SEEN_NEGATIVE | SEEN_LARGE)) != (SEEN_NEGATIVE | SEEN_LARGE);
}

static enum column_form int_form(uint8_t seen)
{
	return seen & SEEN_NEGATIVE ? COLUMN_SIGNED : COLUMN_UNSIGNED;
}

static void put_raw(struct columns *c, const uint32_t *at, const uint64_t *len, size_t n)
{
	size_t bytes = 0;

	for (size_t i = 0; i < n; i++)
		bytes += len[i];
	buf_char(&c->out.soft, COLUMN_RAW);
	varint_put(&c->out.soft, bytes);
	for (size_t i = 0; i < n; i++)
		buf_add(&c->out.soft, c->data + at[i], len[i]);
}

/* Integers among them: what stands for their bytes is their value. */
static void lengths(const struct columns *c, const uint32_t *at, size_t n, uint64_t *len)
{
	for (size_t i = 0; i < n; i++)
		len[i] = (uint64_t)pack_measure_element(c->data + at[i], (size_t)(c->end - (c->data + at[i])));
}

static void put_others(struct columns *c, const struct table *t, uint32_t k)
{
	uint64_t *value = t->value + k * t->cap;
	const uint32_t *at = t->at + k * t->cap;

	if (t->seen[k] != SEEN_OTHER)
		lengths(c, at, t->rows, value);
	if (words_take(&c->words, at, value, t->rows, c->number))
		column_ints(&c->out, COLUMN_WORD, c->number, t->rows);
	else
		put_raw(c, at, value, t->rows);
}

static void put_column(struct columns *c, const struct table *t, uint32_t k)
{
	if (are_ints(t->seen[k]))
		column_ints(&c->out, int_form(t->seen[k]), t->value + k * t->cap, t->rows);
	else
		put_others(c, t, k);
}

static void put_head(struct columns *c)
{
	struct buf *out = &c->out.soft;

	varint_put(out, c->shared.rows);
	varint_put(out, c->n_groups);
	for (uint32_t g = 0; g < c->n_groups; g++) {
		varint_put(out, c->group[g]->table.columns + COLUMNS_HEAD);
		varint_put(out, c->group[g]->probe);
		varint_put(out, c->group[g]->table.rows);
	}
	if (c->n_groups > 1)
		column_ints(&c->out, COLUMN_UNSIGNED, c->order, c->shared.rows);
}

static void put_columns(struct columns *c)
{
	put_head(c);
	for (uint32_t k = 0; c->shared.rows && k < COLUMNS_SHARED; k++)
		column_ints(&c->out, int_form(c->shared.seen[k]), c->shared.value + k * c->shared.cap, c->shared.rows);
	for (uint32_t g = 0; g < c->n_groups; g++)
		for (uint32_t k = 0; k < c->group[g]->table.columns; k++)
			put_column(c, &c->group[g]->table, k);
	varint_put(&c->out.soft, c->words.n);
	words_write(&c->words, &c->out.soft);
}

static int begin(struct columns *c, const void *records, size_t len)
{
	if (len > UINT32_MAX)
		return -EPROTO;
	c->data = c->at = records;
	c->end = c->data + len;
	c->n_groups = c->last_group = 0;
	buf_clear(&c->out.soft);
	buf_clear(&c->out.hard);
	words_clear(&c->words, records);
	return table_begin(&c->shared, COLUMNS_SHARED);
}

/* What can be turned, and the room that turning it takes. */
static int check(struct columns *c)
{
	uint32_t columns = 0;

	for (uint32_t g = 0; g < c->n_groups; g++)
		columns += c->group[g]->table.columns;
	if (columns > COLUMNS_MAX)
		return -E2BIG;
	for (uint32_t k = 0; k < COLUMNS_SHARED; k++)
		if (!are_ints(c->shared.seen[k]))
			return -EPROTO;
	if (!room_for(&c->number, &c->cap_number, c->shared.rows) ||
	    !room_for(&c->out.scratch, &c->out.cap_scratch, c->shared.rows))
		return -ENOMEM;
	return 0;
}

int columns_pack(struct columns *c, const void *records, size_t len, struct columns_parts *out)
{
	int rc = begin(c, records, len);

	while (!rc && c->at < c->end)
		rc = take_record(c);
	if (!rc)
		rc = check(c);
	if (rc)
		return rc;
	put_columns(c);
	*out = (struct columns_parts){ &c->out.soft, &c->out.hard };
	return c->out.soft.failed || c->out.hard.failed ? -ENOMEM : 0;
}
