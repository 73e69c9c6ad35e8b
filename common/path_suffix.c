/* SPDX-License-Identifier: Apache-2.0 */
#include "path_suffix.h"

#include <string.h>

/* The component that ends at *end, which moves before it. Empty ones and "." are passed over; length 0: there is none. */
static size_t last_component(const char *path, size_t *end, const char **out)
{
	for (;;) {
		size_t stop = *end, start;

		while (stop && path[stop - 1] == '/')
			stop--;
		for (start = stop; start && path[start - 1] != '/';)
			start--;
		*end = start;
		if (stop == start || stop - start != 1 || path[start] != '.') {
			*out = path + start;
			return stop - start;
		}
	}
}

bool path_suffix_matches(const char *one, const char *other)
{
	size_t a_end = strlen(one), b_end = strlen(other);
	bool any = false;

	for (;; any = true) {
		const char *a, *b;
		size_t a_len = last_component(one, &a_end, &a), b_len = last_component(other, &b_end, &b);

		if (!a_len || !b_len)
			return any;
		if (a_len != b_len || memcmp(a, b, a_len))
			return false;
	}
}
