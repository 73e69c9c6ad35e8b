/* SPDX-License-Identifier: Apache-2.0 */
#include "columns.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "columns_internal.h"
#include "frame.h"

enum { PIECE_BYTES_MIN = 256 };   /* a code of its own costs some 60 bytes */

/* Where an element's bytes are. */
struct cell { uint32_t at, len; };

struct group {
	uint32_t probe, elements;
	uint32_t records;
};

struct columns {
	const uint8_t *data;
	size_t len;
	struct cell *cell;             /* of all records, one after the other */
	size_t n_cells, cap_cells;
	struct row { uint32_t group, cell; } *row;
	size_t n_rows, cap_rows;
	struct group group[COLUMNS_GROUPS_MAX];
	uint32_t n_groups, last_group;
	uint64_t *value;               /* of one column */
	size_t cap_values;
	struct buf out;
	size_t piece[COLUMNS_PIECES_MAX];
	uint32_t n_pieces;
};

struct columns *columns_new(void)
{
	return calloc(1, sizeof(struct columns));
}

void columns_free(struct columns *c)
{
	if (!c)
		return;
	free(c->cell);
	free(c->row);
	free(c->value);
	buf_free(&c->out);
	free(c);
}

/* Room for one more of `size` bytes each. */
static bool grow(void *array, size_t *cap, size_t n, size_t size)
{
	void **p = array, *more;

	if (n < *cap)
		return true;
	more = reallocarray(*p, *cap ? 2 * *cap : 1024, size);
	if (!more)
		return false;
	*p = more;
	*cap = *cap ? 2 * *cap : 1024;
	return true;
}

/* ---- taking records apart ---- */

static int find_group(struct columns *c, uint64_t probe, uint32_t elements)
{
	const struct group *g = &c->group[c->last_group];

	if (c->n_groups && g->probe == probe && g->elements == elements)
		return (int)c->last_group;
	for (uint32_t i = 0; i < c->n_groups; i++)
		if (c->group[i].probe == probe && c->group[i].elements == elements)
			return (int)(c->last_group = i);
	if (c->n_groups == COLUMNS_GROUPS_MAX)
		return -E2BIG;
	c->group[c->n_groups] = (struct group){ .probe = (uint32_t)probe, .elements = elements };
	return (int)(c->last_group = c->n_groups++);
}

/* The bytes of the array's head; *n: its elements. 0: it is none. */
static size_t array_head(const uint8_t *p, size_t len, uint32_t *n)
{
	if (len && p[0] >= 0x90 && p[0] < 0xa0) {
		*n = p[0] & 15U;
		return 1;
	}
	if (len < 3 || p[0] != 0xdc)
		return 0;
	*n = (uint32_t)(p[1] << 8 | p[2]);
	return 3;
}

static int split_record(struct columns *c, size_t *at)
{
	uint32_t n = 0;
	size_t first = c->n_cells, used = array_head(c->data + *at, c->len - *at, &n);
	uint64_t probe;
	int group;

	if (!used || n < 2)
		return -EPROTO;
	*at += used;
	for (uint32_t i = 0; i < n; i++) {
		ssize_t len = pack_measure(c->data + *at, c->len - *at);

		if (len <= 0)
			return -EPROTO;
		if (!grow(&c->cell, &c->cap_cells, c->n_cells, sizeof(*c->cell)))
			return -ENOMEM;
		c->cell[c->n_cells++] = (struct cell){ (uint32_t)*at, (uint32_t)len };
		*at += (size_t)len;
	}
	if (columns_read_int(c->data + c->cell[first].at, &probe) != INT_UNSIGNED || probe > UINT32_MAX)
		return -EPROTO;
	group = find_group(c, probe, n);
	if (group < 0)
		return group;
	if (!grow(&c->row, &c->cap_rows, c->n_rows, sizeof(*c->row)))
		return -ENOMEM;
	c->group[group].records++;
	c->row[c->n_rows++] = (struct row){ (uint32_t)group, (uint32_t)first };
	return 0;
}

/* ---- writing ---- */

static void put_varint(struct buf *out, uint64_t v)
{
	uint8_t bytes[10];
	size_t n = 0;

	for (; v >= 0x80; v >>= 7)
		bytes[n++] = (uint8_t)(v | 0x80);
	bytes[n++] = (uint8_t)v;
	buf_add(out, bytes, n);
}

static void end_piece(struct columns *c)
{
	size_t from = c->n_pieces ? c->piece[c->n_pieces - 1] : 0;

	if (c->out.len - from >= PIECE_BYTES_MIN && c->n_pieces < COLUMNS_PIECES_MAX)
		c->piece[c->n_pieces++] = c->out.len;
}

static unsigned bits_of(uint64_t v)
{
	return v ? 64 - (unsigned)__builtin_clzll(v) : 0;
}

static uint64_t zigzag(uint64_t v)
{
	return v << 1 ^ (0 - (v >> 63));
}

/* In place, from the end: the value before must still be one. */
static void to_differences(uint64_t *v, size_t n)
{
	for (size_t i = n; i-- > 1;)
		v[i] = zigzag(v[i] - v[i - 1]);
	v[0] = 0;
}

static void put_planes(struct columns *c, unsigned kind, size_t n, const uint64_t *first)
{
	uint64_t all = 0;
	unsigned width;

	for (size_t i = 0; i < n; i++)
		all |= c->value[i];
	width = (bits_of(all) + 7) / 8;
	buf_char(&c->out, (char)(kind | width));
	if (first)
		put_varint(&c->out, *first);
	for (unsigned k = 0; k < width; k++) {
		uint8_t *to = buf_reserve(&c->out, n);

		if (!to)
			return;
		for (size_t i = 0; i < n; i++)
			to[i] = (uint8_t)(c->value[i] >> 8 * k);
		c->out.len += n;
		end_piece(c);
	}
}

static void put_ints(struct columns *c, size_t n, bool negative)
{
	uint64_t plain = 0, differences = 0, first = c->value[0];

	for (size_t i = 0; i < n; i++) {
		plain += bits_of(negative ? zigzag(c->value[i]) : c->value[i]);
		differences += i ? bits_of(zigzag(c->value[i] - c->value[i - 1])) : 0;
	}
	if (differences < plain) {
		to_differences(c->value, n);
		put_planes(c, negative ? COLUMN_SIGNED_DIFFERENCE : COLUMN_DIFFERENCE, n, &first);
		return;
	}
	for (size_t i = 0; negative && i < n; i++)
		c->value[i] = zigzag(c->value[i]);
	put_planes(c, negative ? COLUMN_ZIGZAG : COLUMN_UNSIGNED, n, NULL);
}

static void put_raw(struct columns *c, uint32_t group, uint32_t element)
{
	size_t bytes = 0;

	for (size_t i = 0; i < c->n_rows; i++)
		if (c->row[i].group == group)
			bytes += c->cell[c->row[i].cell + element].len;
	buf_char(&c->out, COLUMN_RAW);
	put_varint(&c->out, bytes);
	for (size_t i = 0; i < c->n_rows; i++) {
		const struct cell *cell = &c->cell[c->row[i].cell + element];

		if (c->row[i].group == group)
			buf_add(&c->out, c->data + cell->at, cell->len);
	}
	end_piece(c);
}

/* True: all are integers, in c->value, and no unsigned one beyond the signed ones if some are negative. */
static bool read_ints(struct columns *c, uint32_t group, uint32_t element, bool *negative)
{
	bool large = false;
	size_t n = 0;

	*negative = false;
	for (size_t i = 0; i < c->n_rows; i++) {
		enum int_kind kind;

		if (c->row[i].group != group)
			continue;
		kind = columns_read_int(c->data + c->cell[c->row[i].cell + element].at, &c->value[n]);
		if (kind == INT_NONE)
			return false;
		*negative |= kind == INT_NEGATIVE;
		large |= kind == INT_UNSIGNED && c->value[n] > INT64_MAX;
		n++;
	}
	return !(large && *negative);
}

static void put_column(struct columns *c, uint32_t group, uint32_t element)
{
	bool negative;

	if (read_ints(c, group, element, &negative))
		put_ints(c, c->group[group].records, negative);
	else
		put_raw(c, group, element);
}

static void put_head(struct columns *c)
{
	put_varint(&c->out, c->n_rows);
	put_varint(&c->out, c->n_groups);
	for (uint32_t g = 0; g < c->n_groups; g++) {
		put_varint(&c->out, c->group[g].elements);
		put_varint(&c->out, c->group[g].probe);
	}
	for (size_t i = 0; c->n_groups > 1 && i < c->n_rows; i++)
		buf_char(&c->out, (char)c->row[i].group);
	end_piece(c);
}

static int make_values(struct columns *c)
{
	uint32_t columns = 0;

	for (uint32_t g = 0; g < c->n_groups; g++)
		columns += c->group[g].elements - 1;
	if (columns > COLUMNS_MAX)
		return -E2BIG;
	while (c->cap_values < c->n_rows)
		if (!grow(&c->value, &c->cap_values, c->cap_values, sizeof(*c->value)))
			return -ENOMEM;
	return 0;
}

int columns_pack(struct columns *c, const void *records, size_t len, const struct buf **out, const size_t **piece, uint32_t *n_pieces)
{
	size_t at = 0;
	int rc = len <= UINT32_MAX ? 0 : -EPROTO;

	c->data = records;
	c->len = len;
	c->n_cells = c->n_rows = 0;
	c->n_groups = c->last_group = c->n_pieces = 0;
	buf_clear(&c->out);
	while (!rc && at < len)
		rc = split_record(c, &at);
	if (!rc)
		rc = make_values(c);
	if (rc)
		return rc;
	put_head(c);
	for (uint32_t g = 0; g < c->n_groups; g++)
		for (uint32_t e = 1; e < c->group[g].elements; e++)
			put_column(c, g, e);
	*out = &c->out;
	*piece = c->piece;
	*n_pieces = c->n_pieces;
	return c->out.failed ? -ENOMEM : 0;
}
