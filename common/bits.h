/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers of the same width without anything between them, low bits first. */
#ifndef PLUMB_BITS_H
#define PLUMB_BITS_H

#include <stddef.h>
#include <stdint.h>

enum { BITS_WIDTH_MAX = 56, BITS_SLACK = 8 };

/* n numbers' bytes; n * width fits. */
static inline size_t bits_bytes(size_t n, unsigned width)
{
	return (n * width + 7) / 8;
}

static inline unsigned bits_of(uint64_t v)
{
	return v ? 64 - (unsigned)__builtin_clzll(v) : 0;
}

/* The low `width` bits (at most BITS_WIDTH_MAX) of v[i] >> shift. BITS_SLACK bytes behind bits_bytes() are written as well. */
void bits_put(uint8_t *to, const uint64_t *v, size_t n, unsigned shift, unsigned width);
/* v[i] |= number i << shift. Reads nothing behind bits_bytes(). */
void bits_get(const uint8_t *from, uint64_t *v, size_t n, unsigned shift, unsigned width);

#endif
