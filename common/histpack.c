/* SPDX-License-Identifier: Apache-2.0 */
#include "histpack.h"

#include <errno.h>

enum { VARINT_BYTES_MAX = 10 };

static void put_varint(struct buf *out, uint64_t v)
{
	for (; v >= 0x80; v >>= 7)
		buf_char(out, (char)(v | 0x80));
	buf_char(out, (char)v);
}

/* Bytes used; 0: cut or too long. */
static size_t get_varint(const uint8_t *data, size_t len, uint64_t *v)
{
	*v = 0;
	for (size_t i = 0; i < len && i < VARINT_BYTES_MAX; i++) {
		if (i == VARINT_BYTES_MAX - 1 && data[i] > 1)
			return 0;
		*v |= (uint64_t)(data[i] & 0x7f) << (7 * i);
		if (!(data[i] & 0x80))
			return i + 1;
	}
	return 0;
}

void hist_pack(const __u64 hist[HIST_BUCKETS], struct buf *out)
{
	uint32_t last = 0;

	for (uint32_t i = 0; i < HIST_BUCKETS; i++) {
		if (!hist[i])
			continue;
		put_varint(out, i - last);
		put_varint(out, hist[i]);
		last = i;
	}
}

int hist_unpack_add(const void *data, size_t len, __u64 hist[HIST_BUCKETS])
{
	const uint8_t *at = data;
	uint64_t bucket = 0;

	while (len) {
		uint64_t gap, n;
		size_t a = get_varint(at, len, &gap), b = a ? get_varint(at + a, len - a, &n) : 0;

		if (!b || gap >= HIST_BUCKETS || bucket + gap >= HIST_BUCKETS)
			return -EPROTO;
		bucket += gap;
		hist[bucket] += n;
		at += a + b;
		len -= a + b;
	}
	return 0;
}
