/* SPDX-License-Identifier: Apache-2.0 */
/* Integers of seven bits a byte, the lowest first (LEB128), and signed ones made unsigned so that small ones stay short. */
#ifndef PLUMB_VARINT_H
#define PLUMB_VARINT_H

#include "buf.h"

enum { VARINT_BYTES_MAX = 10 };

static inline void varint_put(struct buf *out, uint64_t v)
{
	uint8_t bytes[VARINT_BYTES_MAX];
	size_t n = 0;

	for (; v >= 0x80; v >>= 7)
		bytes[n++] = (uint8_t)(v | 0x80);
	bytes[n++] = (uint8_t)v;
	buf_add(out, bytes, n);
}

/* Moves *at behind it. False: cut, or more than 64 bits; *at stays. */
static inline bool varint_get(const uint8_t **at, const uint8_t *end, uint64_t *v)
{
	const uint8_t *p = *at;

	*v = 0;
	for (unsigned i = 0; i < VARINT_BYTES_MAX && p + i < end; i++) {
		if (i == VARINT_BYTES_MAX - 1 && p[i] > 1)
			return false;
		*v |= (uint64_t)(p[i] & 0x7f) << (7 * i);
		if (!(p[i] & 0x80)) {
			*at = p + i + 1;
			return true;
		}
	}
	return false;
}

static inline uint64_t zigzag(uint64_t v)
{
	return v << 1 ^ (0 - (v >> 63));
}

static inline uint64_t unzigzag(uint64_t v)
{
	return v >> 1 ^ (0 - (v & 1));
}

#endif
