/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>

#include "address_sort.h"

static uint64_t seed;

static uint64_t next(void)
{
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return seed >> 16;
}

static void keys_are_in_order_and_equal_ones_keep_theirs(void **state)
{
	static const uint64_t masks[] = { 0, 0xf, 0xffff, 0xfffffff, 0xffffffffffffULL, 0x700000000000ULL };
	enum { N = 5000 };
	struct address_key *keys = calloc(N, sizeof(*keys));

	for (size_t m = 0; m < sizeof(masks) / sizeof(masks[0]); m++) {
		for (size_t n = 0; n <= N; n = n * 3 + 1) {
			for (size_t i = 0; i < n; i++)
				keys[i] = (struct address_key){ (next() & masks[m]) | (i % 3 ? 0 : 1ULL << 63), (uint32_t)i };
			assert_int_equal(address_sort(keys, n), 0);
			for (size_t i = 1; i < n; i++)
				assert_true(keys[i - 1].addr < keys[i].addr ||
					    (keys[i - 1].addr == keys[i].addr && keys[i - 1].item < keys[i].item));
		}
	}
	free(keys);
}

static void the_lower_bound_is_the_first_that_is_not_below(void **state)
{
	static const struct address_key keys[] = { { 2, 0 }, { 4, 1 }, { 4, 2 }, { 9, 3 } };
	static const size_t expected[] = { 0, 0, 0, 1, 1, 3, 3, 3, 3, 3, 4 };

	for (uint64_t a = 0; a < sizeof(expected) / sizeof(expected[0]); a++)
		assert_int_equal(address_lower_bound(keys, 4, a), expected[a]);
	assert_int_equal(address_lower_bound(keys, 0, 5), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_are_in_order_and_equal_ones_keep_theirs),
		cmocka_unit_test(the_lower_bound_is_the_first_that_is_not_below),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
