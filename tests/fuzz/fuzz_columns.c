/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as columns; and any bytes as records, which must come back as they were, or shorter where an integer was not packed
 * in its shortest form.
 * fuzz-sources: common/columns.c common/columns_ints.c common/columns_words.c common/columns_read.c common/columns_records.c common/bits.c common/planes.c common/frame.c common/buf.c common/error.c
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "columns.h"
#include "planes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX = 1 << 16 };

static int unpack(const void *soft, size_t soft_len, const void *hard, size_t hard_len, size_t max, struct buf *out)
{
	struct columns_reader *r = columns_reader_new();
	const struct columns_head *heads;
	size_t n;
	int rc = columns_open(r, soft, soft_len, hard, hard_len, max);

	if (!rc)
		columns_heads(r, &heads, &n);
	if (!rc)
		rc = columns_records(r, out);
	if (!rc && out->len > max)
		abort();
	columns_reader_free(r);
	return rc;
}

/* Turned again it must be the same: then nothing was lost. */
static void there_and_back(struct columns *c, const void *records, size_t len, int depth)
{
	struct columns_parts p;
	struct buf back = { 0 };

	if (columns_pack(c, records, len, &p))
		return;
	if (unpack(p.soft->data, p.soft->len, buf_text(p.hard), p.hard->len, 16 * len + MAX, &back))
		abort();
	if (depth && (back.len != len || memcmp(buf_text(&back), records, len) != 0))
		abort();
	if (!depth)
		there_and_back(c, buf_text(&back), back.len, 1);
	buf_free(&back);
}

/* The first byte says where the hard part begins. */
static void as_columns(struct columns *c, const uint8_t *data, size_t size)
{
	struct buf out = { 0 };
	size_t hard;

	if (!size)
		return;
	hard = 1 + data[0] * (size - 1) / 255;
	if (!unpack(data + 1, hard - 1, data + hard, size - hard, MAX, &out))
		there_and_back(c, buf_text(&out), out.len, 0);
	buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct columns *c = columns_new();
	struct buf out = { 0 };

	if (!c)
		abort();
	if (!planes_unpack(data, size, MAX, &out) && out.len > MAX)
		abort();
	as_columns(c, data, size);
	there_and_back(c, data, size, 0);
	buf_free(&out);
	columns_free(c);
	return 0;
}
