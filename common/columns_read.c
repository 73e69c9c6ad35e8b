/* SPDX-License-Identifier: Apache-2.0 */
/* Columns that a peer sent, or that lie in a store: everything that they claim is checked here, once. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bits.h"
#include "columns_internal.h"
#include "frame.h"

enum { INT_BYTES = 9, HEAD_BYTES = 3 + 5 + COLUMNS_SHARED * INT_BYTES };

struct columns_reader *columns_reader_new(void)
{
	return calloc(1, sizeof(struct columns_reader));
}

void columns_reader_free(struct columns_reader *r)
{
	if (!r)
		return;
	free(r->column);
	free(r->value);
	free(r->head);
	free(r);
}

bool columns_room(struct columns_reader *r, size_t n)
{
	uint64_t *more;

	if (n <= r->cap_values)
		return true;
	more = reallocarray(r->value, n, sizeof(*more));
	if (!more)
		return false;
	r->value = more;
	r->cap_values = n;
	return true;
}

/* ---- decoding ---- */

static void add_planes(const struct column_in *c, uint64_t *out)
{
	for (unsigned k = 0; k < c->high / 8; k++)
		for (size_t i = 0; i < c->n; i++)
			out[i] |= (uint64_t)c->soft[k * c->n + i] << (c->low + 8 * k);
}

void column_values(const struct column_in *c, uint64_t *out)
{
	uint64_t v = c->first;

	memset(out, 0, c->n * sizeof(*out));
	if (c->low)
		bits_get(c->hard, out, c->n, 0, c->low);
	if (c->high > 8)
		add_planes(c, out);
	else if (c->high)
		bits_get(c->soft, out, c->n, c->low, c->high);
	if (!(c->form & COLUMN_DIFFERENCE)) {
		for (size_t i = 0; i < c->n; i++)
			out[i] += c->base;
		return;
	}
	for (size_t i = 0; i < c->n; i++) {
		if (i)
			v += c->form & COLUMN_ZIGZAG ? unzigzag(out[i]) : c->base + out[i];
		out[i] = v;
	}
}

/* ---- the head ---- */

static bool get_byte(struct columns_reader *r, unsigned *v)
{
	if (r->at == r->end)
		return false;
	*v = *r->at++;
	return true;
}

/* Adds to what the records take at most. */
static int add_bytes(struct columns_reader *r, uint64_t n, uint64_t each)
{
	uint64_t more;

	if (__builtin_mul_overflow(n, each, &more) || more > r->max - r->bytes)
		return -EMSGSIZE;
	r->bytes += more;
	return 0;
}

static int read_group(struct columns_reader *r, struct group_in *g)
{
	uint64_t elements, probe, records;

	if (!varint_get(&r->at, r->end, &elements) || !varint_get(&r->at, r->end, &probe) ||
	    !varint_get(&r->at, r->end, &records) || elements < COLUMNS_HEAD || elements > UINT16_MAX ||
	    probe > UINT32_MAX || !records || elements - COLUMNS_HEAD > COLUMNS_MAX - r->n_columns)
		return -EPROTO;
	*g = (struct group_in){ .probe = (uint32_t)probe, .elements = (uint32_t)elements, .first_column = r->n_columns,
				.records = records };
	r->n_columns += (uint32_t)elements - COLUMNS_HEAD;
	return add_bytes(r, records, HEAD_BYTES + INT_BYTES * (elements - COLUMNS_HEAD));
}

static int read_head(struct columns_reader *r)
{
	uint64_t records, groups, sum = 0;

	if (!varint_get(&r->at, r->end, &records) || !varint_get(&r->at, r->end, &groups) || groups > COLUMNS_GROUPS_MAX)
		return -EPROTO;
	r->n_groups = (uint32_t)groups;
	for (uint32_t i = 0; i < r->n_groups; i++) {
		int rc = read_group(r, &r->group[i]);

		if (rc)
			return rc;
		sum += r->group[i].records;
	}
	r->records = records;
	return records == sum ? 0 : -EPROTO;
}

static bool room_for_columns(struct columns_reader *r)
{
	struct column_in *more;

	if (r->n_columns <= r->cap_columns)
		return true;
	more = reallocarray(r->column, r->n_columns, sizeof(*more));
	if (!more)
		return false;
	r->column = more;
	r->cap_columns = r->n_columns;
	return true;
}

/* ---- columns ---- */

/* Exactly n values. */
static int read_raw(struct columns_reader *r, struct column_in *c)
{
	const uint8_t *p;
	uint64_t bytes;

	if (!varint_get(&r->at, r->end, &bytes) || bytes > (uint64_t)(r->end - r->at))
		return -EPROTO;
	p = r->at;
	c->soft = p;
	c->end = r->at += bytes;
	for (size_t i = 0; i < c->n; i++) {
		ssize_t n = p < c->end ? pack_measure_element(p, (size_t)(c->end - p)) : 0;

		if (n <= 0)
			return -EPROTO;
		p += n;
	}
	return p == c->end ? add_bytes(r, bytes, 1) : -EPROTO;
}

static bool are_widths(unsigned low, unsigned high)
{
	return low <= BITS_WIDTH_MAX && (high <= 2 || high == 4 || (high % 8 == 0 && high <= 64)) && (high <= 8 || low + high - 8 < 64);
}

static int read_ints(struct columns_reader *r, struct column_in *c)
{
	bool differ = c->form & COLUMN_DIFFERENCE;
	size_t soft, hard;

	if (!get_byte(r, &c->low) || !get_byte(r, &c->high) || !are_widths(c->low, c->high) || !varint_get(&r->at, r->end, &c->base) ||
	    (differ && !varint_get(&r->at, r->end, &c->first)))
		return -EPROTO;
	if (differ || column_is_signed(c))
		c->base = unzigzag(c->base);
	soft = c->high > 8 ? c->n * (c->high / 8) : bits_bytes(c->n, c->high);
	hard = bits_bytes(c->n, c->low);
	if (soft > (size_t)(r->end - r->at) || hard > (size_t)(r->hard_end - r->hard))
		return -EPROTO;
	c->soft = r->at;
	c->hard = r->hard;
	r->at += soft;
	r->hard += hard;
	return 0;
}

static int read_column(struct columns_reader *r, struct column_in *c, size_t n)
{
	unsigned form;

	if (!get_byte(r, &form))
		return -EPROTO;
	*c = (struct column_in){ .form = (enum column_form)form, .n = n };
	if (form == COLUMN_RAW)
		return read_raw(r, c);
	if (!(form & COLUMN_KIND) || (form & COLUMN_KIND) > COLUMN_WORD || form >> 4 == 2 || form >> 4 > 3)
		return -EPROTO;
	return read_ints(r, c);
}

static int read_shared(struct columns_reader *r)
{
	int rc = r->n_groups > 1 ? read_column(r, &r->order, r->records) : 0;

	if (r->n_groups > 1 && !rc && !column_is_int(&r->order))
		return -EPROTO;
	for (int k = 0; !rc && r->records && k < COLUMNS_SHARED; k++) {
		rc = read_column(r, &r->shared[k], r->records);
		if (!rc && !column_is_int(&r->shared[k]))
			return -EPROTO;
	}
	return rc;
}

static int read_columns(struct columns_reader *r)
{
	int rc = room_for_columns(r) ? read_shared(r) : -ENOMEM;

	for (uint32_t g = 0; g < r->n_groups; g++)
		for (uint32_t k = 0; !rc && k < r->group[g].elements - COLUMNS_HEAD; k++)
			rc = read_column(r, &r->column[r->group[g].first_column + k], r->group[g].records);
	return rc;
}

/* ---- what columns refer to ---- */

static int read_words(struct columns_reader *r)
{
	uint64_t n;

	if (!varint_get(&r->at, r->end, &n) || n > COLUMNS_WORDS_MAX)
		return -EPROTO;
	r->n_words = (uint32_t)n;
	for (uint32_t i = 0; i < r->n_words; i++) {
		ssize_t len = r->at < r->end ? pack_measure_element(r->at, (size_t)(r->end - r->at)) : 0;

		if (len <= 0)
			return -EPROTO;
		r->word[i].at = r->at;
		r->word[i].len = (uint32_t)len;
		r->at += len;
	}
	return r->at == r->end && r->hard == r->hard_end ? 0 : -EPROTO;
}

static int check_words(struct columns_reader *r, const struct column_in *c)
{
	uint64_t bytes = 0;

	if ((c->form & COLUMN_KIND) != COLUMN_WORD)
		return 0;
	if (!columns_room(r, c->n))
		return -ENOMEM;
	column_values(c, r->value);
	for (size_t i = 0; i < c->n; i++) {
		if (r->value[i] >= r->n_words)
			return -EPROTO;
		bytes += r->word[r->value[i]].len;
	}
	return add_bytes(r, bytes, 1);
}

/* As many records of each group as it says. */
static int check_order(struct columns_reader *r)
{
	if (r->n_groups < 2)
		return 0;
	if (!columns_room(r, r->records))
		return -ENOMEM;
	column_values(&r->order, r->value);
	for (uint32_t g = 0; g < r->n_groups; g++)
		r->group[g].given = 0;
	for (size_t i = 0; i < r->records; i++)
		if (r->value[i] >= r->n_groups || r->group[r->value[i]].given++ == r->group[r->value[i]].records)
			return -EPROTO;
	return 0;
}

int columns_open(struct columns_reader *r, const void *soft, size_t soft_len, const void *hard, size_t hard_len, size_t max)
{
	int rc;

	r->at = soft;
	r->end = r->at + soft_len;
	r->hard = hard;
	r->hard_end = r->hard + hard_len;
	r->max = max;
	r->bytes = 0;
	r->n_columns = r->n_words = 0;
	rc = read_head(r);
	if (!rc)
		rc = read_columns(r);
	if (!rc)
		rc = read_words(r);
	if (!rc)
		rc = check_order(r);
	for (uint32_t i = 0; !rc && i < r->n_columns; i++)
		rc = check_words(r, &r->column[i]);
	return rc;
}
