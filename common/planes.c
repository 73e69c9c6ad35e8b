/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "frame.h"
#include "planes.h"

enum { PLANES_GROUPS_MAX = 255, PLANES_COLUMNS_MAX = 8192 };
enum column_kind { COLUMN_RAW = 0, COLUMN_UNSIGNED = 0x10, COLUMN_ZIGZAG = 0x20, COLUMN_DIFFERENCE = 0x30, COLUMN_SIGNED_DIFFERENCE = 0x40 };

struct column {
	const uint8_t *at, *end;   /* RAW: the values that are left; INT: the lowest bytes of all, and behind the planes */
	uint64_t value;            /* of differences: the one before */
	unsigned kind, width;
};

struct group {
	uint32_t probe, elements;
	uint32_t first_column;
	size_t records, given;
};

struct reader {
	const uint8_t *at, *end;
	uint64_t records;
	const uint8_t *order;      /* NULL: one group */
	uint32_t n_groups, n_columns;
	struct group group[PLANES_GROUPS_MAX];
	struct column column[PLANES_COLUMNS_MAX];
};

static bool get_varint(struct reader *r, uint64_t *v)
{
	unsigned shift = 0;

	for (*v = 0; r->at < r->end && shift < 64; shift += 7) {
		uint8_t byte = *r->at++;

		*v |= (uint64_t)(byte & 127) << shift;
		if (!(byte & 128))
			return true;
	}
	return false;
}

/* ---- the head ---- */

static bool read_group(struct reader *r, struct group *g)
{
	uint64_t elements, probe;

	if (!get_varint(r, &elements) || !get_varint(r, &probe) || elements < 2 || elements > UINT16_MAX || probe > UINT32_MAX ||
	    elements - 1 > PLANES_COLUMNS_MAX - r->n_columns)
		return false;
	*g = (struct group){ .probe = (uint32_t)probe, .elements = (uint32_t)elements, .first_column = r->n_columns };
	r->n_columns += (uint32_t)elements - 1;
	return true;
}

/* Which group each record is of. */
static bool read_order(struct reader *r)
{
	if (r->n_groups == 1) {
		r->group[0].records = r->records;
		return true;
	}
	if (r->records > (uint64_t)(r->end - r->at))
		return false;
	r->order = r->at;
	r->at += r->records;
	for (uint64_t i = 0; i < r->records; i++) {
		if (r->order[i] >= r->n_groups)
			return false;
		r->group[r->order[i]].records++;
	}
	return true;
}

static bool read_head(struct reader *r)
{
	uint64_t groups;

	if (!get_varint(r, &r->records) || !get_varint(r, &groups) || groups > PLANES_GROUPS_MAX || !groups != !r->records)
		return false;
	r->n_groups = (uint32_t)groups;
	for (uint32_t i = 0; i < r->n_groups; i++)
		if (!read_group(r, &r->group[i]))
			return false;
	return !groups || read_order(r);
}

/* ---- columns ---- */

static bool read_column(struct reader *r, struct column *c, size_t records)
{
	uint64_t bytes;
	uint8_t kind;

	if (r->at == r->end)
		return false;
	kind = *r->at++;
	*c = (struct column){ .kind = kind & 0xf0U, .width = kind & 0x0fU };
	if (c->kind > COLUMN_SIGNED_DIFFERENCE || c->width > (c->kind == COLUMN_RAW ? 0 : 8))
		return false;
	if (c->kind >= COLUMN_DIFFERENCE && !get_varint(r, &c->value))
		return false;
	if (c->kind == COLUMN_RAW) {
		if (!get_varint(r, &bytes))
			return false;
	} else if (__builtin_mul_overflow((uint64_t)records, (uint64_t)c->width, &bytes)) {
		return false;
	}
	if (bytes > (uint64_t)(r->end - r->at))
		return false;
	c->at = r->at;
	r->at += bytes;
	c->end = r->at;
	return true;
}

static bool read_columns(struct reader *r)
{
	for (uint32_t g = 0; g < r->n_groups; g++)
		for (uint32_t e = 0; e < r->group[g].elements - 1; e++)
			if (!read_column(r, &r->column[r->group[g].first_column + e], r->group[g].records))
				return false;
	return r->at == r->end;
}

/* ---- records ---- */

static size_t put_big_endian(uint8_t *to, uint8_t lead, uint64_t v, unsigned n)
{
	to[0] = lead;
	for (unsigned i = n; i > 0; i--, v >>= 8)
		to[i] = (uint8_t)v;
	return 1 + n;
}

/* As msgpack-c packs it: the shortest. At most 9 bytes. */
static size_t put_unsigned(uint8_t *to, uint64_t v)
{
	if (v < 0x80) {
		to[0] = (uint8_t)v;
		return 1;
	}
	if (v <= UINT8_MAX)
		return put_big_endian(to, 0xcc, v, 1);
	if (v <= UINT16_MAX)
		return put_big_endian(to, 0xcd, v, 2);
	return v <= UINT32_MAX ? put_big_endian(to, 0xce, v, 4) : put_big_endian(to, 0xcf, v, 8);
}

static size_t put_signed(uint8_t *to, int64_t v)
{
	if (v >= 0)
		return put_unsigned(to, (uint64_t)v);
	if (v >= -32) {
		to[0] = (uint8_t)v;
		return 1;
	}
	if (v >= INT8_MIN)
		return put_big_endian(to, 0xd0, (uint64_t)v, 1);
	if (v >= INT16_MIN)
		return put_big_endian(to, 0xd1, (uint64_t)v, 2);
	return v >= INT32_MIN ? put_big_endian(to, 0xd2, (uint64_t)v, 4) : put_big_endian(to, 0xd3, (uint64_t)v, 8);
}

static uint64_t unzigzag(uint64_t v)
{
	return v >> 1 ^ (0 - (v & 1));
}

/* The i-th value. */
static size_t put_int(struct column *c, size_t i, size_t n, uint8_t *to)
{
	uint64_t v = 0;

	for (unsigned k = 0; k < c->width; k++)
		v |= (uint64_t)c->at[k * n + i] << 8 * k;
	switch (c->kind) {
	case COLUMN_UNSIGNED:
		return put_unsigned(to, v);
	case COLUMN_ZIGZAG:
		return put_signed(to, (int64_t)unzigzag(v));
	default:
		c->value += unzigzag(v);
		return c->kind == COLUMN_DIFFERENCE ? put_unsigned(to, c->value) : put_signed(to, (int64_t)c->value);
	}
}

static int put_raw(struct column *c, struct buf *out)
{
	ssize_t n = c->at < c->end ? pack_measure(c->at, (size_t)(c->end - c->at)) : 0;

	if (n <= 0)
		return -EPROTO;
	buf_add(out, c->at, (size_t)n);
	c->at += n;
	return out->failed ? -ENOMEM : 0;
}

enum { HEAD_BYTES = 3, INT_BYTES = 9 };

static int put_record(struct reader *r, struct group *g, struct buf *out)
{
	size_t i = g->given++;
	uint8_t *to = buf_reserve(out, HEAD_BYTES + INT_BYTES), *from = to;

	if (!to)
		return -ENOMEM;
	if (g->elements < 16)
		*to++ = (uint8_t)(0x90 | g->elements);
	else
		to += put_big_endian(to, 0xdc, g->elements, 2);
	to += put_unsigned(to, g->probe);
	out->len += (size_t)(to - from);
	for (uint32_t e = 0; e < g->elements - 1; e++) {
		struct column *c = &r->column[g->first_column + e];
		int rc = 0;

		if (c->kind == COLUMN_RAW) {
			rc = put_raw(c, out);
		} else {
			to = buf_reserve(out, INT_BYTES);
			if (to)
				out->len += put_int(c, i, g->records, to);
			else
				rc = -ENOMEM;
		}
		if (rc)
			return rc;
	}
	return 0;
}

static int put_records(struct reader *r, size_t max, struct buf *out)
{
	size_t start = out->len;

	for (uint64_t i = 0; i < r->records; i++) {
		int rc = put_record(r, &r->group[r->order ? r->order[i] : 0], out);

		if (rc)
			return rc;
		if (out->len - start > max)
			return -EMSGSIZE;
	}
	for (uint32_t i = 0; i < r->n_columns; i++)
		if (r->column[i].kind == COLUMN_RAW && r->column[i].at != r->column[i].end)
			return -EPROTO;
	return 0;
}

int planes_unpack(const void *data, size_t len, size_t max, struct buf *out)
{
	struct reader *r = calloc(1, sizeof(*r));
	int rc;

	if (!r)
		return -ENOMEM;
	r->at = data;
	r->end = r->at + len;
	rc = read_head(r) && read_columns(r) ? put_records(r, max, out) : -EPROTO;
	free(r);
	return rc;
}
