/* SPDX-License-Identifier: Apache-2.0 */
#include "bits.h"

#include <string.h>

/* What is left over of a byte waits in `held`, so that one store of eight bytes per number does. */
void bits_put(uint8_t *to, const uint64_t *v, size_t n, unsigned shift, unsigned width)
{
	uint64_t mask = (1ULL << width) - 1, held = 0;
	unsigned used = 0;

	for (size_t i = 0; i < n; i++) {
		held |= (v[i] >> shift & mask) << used;
		used += width;
		memcpy(to, &held, sizeof(held));
		to += used / 8;
		held >>= used & ~7U;
		used &= 7;
	}
	memcpy(to, &held, sizeof(held));
}

static uint64_t load(const uint8_t *from, size_t at, size_t bytes)
{
	uint64_t v = 0;

	memcpy(&v, from + at, bytes - at < sizeof(v) ? bytes - at : sizeof(v));
	return v;
}

void bits_get(const uint8_t *from, uint64_t *v, size_t n, unsigned shift, unsigned width)
{
	uint64_t mask = (1ULL << width) - 1, word;
	size_t bytes = bits_bytes(n, width), i = 0, bit = 0;

	for (; i < n && bit / 8 + sizeof(word) <= bytes; i++, bit += width) {
		memcpy(&word, from + bit / 8, sizeof(word));
		v[i] |= (word >> (bit & 7) & mask) << shift;
	}
	for (; i < n; i++, bit += width)
		v[i] |= (load(from, bit / 8, bytes) >> (bit & 7) & mask) << shift;
}
