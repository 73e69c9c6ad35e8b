/* SPDX-License-Identifier: Apache-2.0 */
#include "address_sort.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { DIGIT_BITS = 11, DIGITS = 1 << DIGIT_BITS };

/* One pass of a radix sort. False: all keys have the same digit, nothing was moved. */
static bool pass(const struct address_key *from, struct address_key *to, size_t n, unsigned shift)
{
	size_t start[DIGITS] = { 0 }, sum = 0;

	for (size_t i = 0; i < n; i++)
		start[(from[i].addr >> shift) % DIGITS]++;
	if (start[(from[0].addr >> shift) % DIGITS] == n)
		return false;
	for (unsigned d = 0; d < DIGITS; d++) {
		size_t count = start[d];

		start[d] = sum;
		sum += count;
	}
	for (size_t i = 0; i < n; i++)
		to[start[(from[i].addr >> shift) % DIGITS]++] = from[i];
	return true;
}

int address_sort(struct address_key *keys, size_t n)
{
	struct address_key *room, *from = keys, *to;

	if (n < 2)
		return 0;
	room = reallocarray(NULL, n, sizeof(*room));
	if (!room)
		return -ENOMEM;
	to = room;
	for (unsigned shift = 0; shift < 64; shift += DIGIT_BITS) {
		struct address_key *was = from;

		if (!pass(from, to, n, shift))
			continue;
		from = to;
		to = was;
	}
	if (from != keys)
		memcpy(keys, from, n * sizeof(*keys));
	free(room);
	return 0;
}

size_t address_lower_bound(const struct address_key *keys, size_t n, uint64_t addr)
{
	size_t low = 0, high = n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (keys[mid].addr < addr)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}
