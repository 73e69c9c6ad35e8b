/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "frame.h"
#include "pack.h"
#include "planes.h"
#include "varint.h"

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

/* ---- the head ---- */

static bool read_group(struct reader *r, struct group *g)
{
	uint64_t elements, probe;

	if (!varint_get(&r->at, r->end, &elements) || !varint_get(&r->at, r->end, &probe) ||
	    elements < 2 || elements > UINT16_MAX || probe > UINT32_MAX || elements - 1 > PLANES_COLUMNS_MAX - r->n_columns)
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

	if (!varint_get(&r->at, r->end, &r->records) || !varint_get(&r->at, r->end, &groups) ||
	    groups > PLANES_GROUPS_MAX || !groups != !r->records)
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
	if (c->kind >= COLUMN_DIFFERENCE && !varint_get(&r->at, r->end, &c->value))
		return false;
	if (c->kind == COLUMN_RAW) {
		if (!varint_get(&r->at, r->end, &bytes))
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

/* The i-th value. */
static uint8_t *put_int(uint8_t *to, struct column *c, size_t i, size_t n)
{
	uint64_t v = 0;

	for (unsigned k = 0; k < c->width; k++)
		v |= (uint64_t)c->at[k * n + i] << 8 * k;
	switch (c->kind) {
	case COLUMN_UNSIGNED:
		return put_u64(to, v);
	case COLUMN_ZIGZAG:
		return put_i64(to, (int64_t)unzigzag(v));
	default:
		c->value += unzigzag(v);
		return c->kind == COLUMN_DIFFERENCE ? put_u64(to, c->value) : put_i64(to, (int64_t)c->value);
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

static int put_record(struct reader *r, struct group *g, struct buf *out)
{
	size_t i = g->given++;
	uint8_t *to = buf_reserve(out, 2 * PACK_HEAD_MAX), *from = to;

	if (!to)
		return -ENOMEM;
	to = put_u64(put_array(to, g->elements), g->probe);
	out->len += (size_t)(to - from);
	for (uint32_t e = 0; e < g->elements - 1; e++) {
		struct column *c = &r->column[g->first_column + e];
		int rc = 0;

		if (c->kind == COLUMN_RAW) {
			rc = put_raw(c, out);
		} else {
			to = buf_reserve(out, PACK_HEAD_MAX);
			if (to)
				out->len += (size_t)(put_int(to, c, i, g->records) - to);
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
