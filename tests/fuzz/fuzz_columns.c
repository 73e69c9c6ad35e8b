/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as columns; and any bytes as records, which must come back as they were, or shorter where an integer was not packed
 * in its shortest form.
 * fuzz-sources: common/columns.c common/columns_unpack.c common/frame.c common/buf.c common/error.c
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "columns.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX = 1 << 16 };

/* Turned again it must be the same: then nothing was lost. */
static void there_and_back(struct columns *c, const void *records, size_t len, int depth)
{
	const struct buf *packed;
	const size_t *piece;
	struct buf back = { 0 };
	uint32_t n;

	if (columns_pack(c, records, len, &packed, &piece, &n))
		return;
	if (columns_unpack(packed->data, packed->len, len, &back))
		abort();
	if (depth && (back.len != len || memcmp(buf_text(&back), records, len) != 0))
		abort();
	if (!depth)
		there_and_back(c, buf_text(&back), back.len, 1);
	buf_free(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct columns *c = columns_new();
	struct buf out = { 0 };

	if (!c)
		abort();
	if (!columns_unpack(data, size, MAX, &out)) {
		if (out.len > MAX)
			abort();
		there_and_back(c, buf_text(&out), out.len, 0);
	}
	there_and_back(c, data, size, 0);
	buf_free(&out);
	columns_free(c);
	return 0;
}
