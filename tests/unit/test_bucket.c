/* SPDX-License-Identifier: Apache-2.0 */
/* The buckets of the latency histogram, which both sides compute for themselves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "plumb/event.h"

static void check(uint64_t v)
{
	uint32_t b = hist_bucket(v);

	assert_in_range(b, 0, HIST_BUCKETS - 1);
	assert_true(hist_floor(b) <= v);
	if (b < HIST_BUCKETS - 1) {
		assert_true(v < hist_floor(b + 1));
		/* A bucket is one value, or at most a sixteenth of where it begins wide. */
		assert_true((hist_floor(b + 1) - hist_floor(b) - 1) * 16 <= hist_floor(b));
	}
}

static void test_buckets_in_a_row(void **state)
{
	for (uint32_t b = 0; b < HIST_BUCKETS; b++) {
		assert_int_equal(hist_bucket(hist_floor(b)), b);
		if (b) {
			assert_true(hist_floor(b) > hist_floor(b - 1));
			assert_int_equal(hist_bucket(hist_floor(b) - 1), b - 1);
		}
	}
}

static void test_small_values_are_exact(void **state)
{
	for (uint64_t v = 0; v < 2 * HIST_SUB; v++)
		assert_int_equal(hist_floor(hist_bucket(v)), v);
}

static void test_powers_and_beyond(void **state)
{
	for (int shift = 0; shift < 64; shift++) {
		uint64_t v = 1ULL << shift;

		check(v);
		check(v - 1);
		check(v + 1);
		assert_int_equal(hist_log2(v), shift);
		assert_int_equal(hist_log2(v | (v - 1)), shift);
	}
	assert_int_equal(hist_bucket(UINT64_MAX), HIST_BUCKETS - 1);
	assert_int_equal(hist_bucket(1ULL << HIST_MAX_BITS), HIST_BUCKETS - 1);
}

static void test_random(void **state)
{
	uint64_t x = 88172645463325252ULL;

	for (int i = 0; i < 200000; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		check(x >> (i % 64));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_buckets_in_a_row), cmocka_unit_test(test_small_values_are_exact),
		cmocka_unit_test(test_powers_and_beyond), cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
