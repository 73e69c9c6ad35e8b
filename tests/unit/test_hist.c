/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "hist.h"

static __u64 hist[HIST_BUCKETS];

static uint64_t seed;

static uint64_t next_random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void test_buckets_cover_the_line(void **state)
{
	for (uint32_t i = 0; i + 1 < HIST_BUCKETS; i++) {
		assert_int_equal(hist_end(i), hist_floor(i + 1));
		assert_int_equal(hist_bucket(hist_floor(i)), i);
		assert_int_equal(hist_bucket(hist_end(i) - 1), i);
		/* the promise of the header: a bucket is at most 1/16 of its lower end wide */
		if (hist_floor(i) >= HIST_SUB)
			assert_true((hist_end(i) - hist_floor(i)) * HIST_SUB <= hist_floor(i));
	}
	assert_int_equal(hist_end(HIST_BUCKETS - 1), 1ULL << HIST_MAX_BITS);
}

/* Against sorting: for many distributions and sizes a quantile is within 1/16 of the true value. */
static void test_quantiles_against_brute_force(void **state)
{
	static const double shares[] = { 0, 0.01, 0.25, 0.5, 0.9, 0.99, 0.999, 1 };
	enum { MAX = 5000 };
	uint64_t *v = malloc(MAX * sizeof(*v));

	seed = 88172645463325252ULL;
	for (int round = 0; round < 200; round++) {
		size_t n = 1 + next_random() % MAX;
		uint64_t scale = 1ULL << (next_random() % 38), max = 0;

		memset(hist, 0, sizeof(hist));
		for (size_t i = 0; i < n; i++) {
			v[i] = next_random() % scale + (round % 2 ? scale : 0);
			max = v[i] > max ? v[i] : max;
			hist[hist_bucket(v[i])]++;
		}
		qsort(v, n, sizeof(*v), compare);
		assert_int_equal(hist_total(hist), n);
		for (size_t s = 0; s < sizeof(shares) / sizeof(shares[0]); s++) {
			size_t rank = (size_t)(shares[s] * (double)n);
			uint64_t got = hist_quantile(hist, shares[s], max), want;

			if ((double)rank < shares[s] * (double)n)
				rank++;
			want = v[rank ? rank - 1 : 0];
			assert_true(got <= max);
			assert_true((got > want ? got - want : want - got) * 16 <= want);
		}
		assert_true(hist_bound(hist) >= max && (hist_bound(hist) - max) * 16 <= max);
	}
	free(v);
}

static void test_edges(void **state)
{
	memset(hist, 0, sizeof(hist));
	assert_int_equal(hist_quantile(hist, 0.5, 0), 0);
	assert_int_equal(hist_bound(hist), 0);
	hist[0] = 3;
	assert_int_equal(hist_quantile(hist, 0.99, 0), 0);
	memset(hist, 0, sizeof(hist));
	hist[hist_bucket(1000)] = 1;
	assert_int_equal(hist_quantile(hist, 1, 1000), 1000 < hist_quantile(hist, 1, 0) ? 1000 : hist_quantile(hist, 1, 0));
	/* beyond 2^40 ns only the maximum is known */
	memset(hist, 0, sizeof(hist));
	hist[HIST_BUCKETS - 1] = 1;
	assert_int_equal(hist_quantile(hist, 0.5, 1ULL << 45), 1ULL << 45);
}

static void test_octaves(void **state)
{
	uint64_t octave[HIST_OCTAVES], n = 0;

	memset(hist, 0, sizeof(hist));
	hist[hist_bucket(0)] = 1;
	hist[hist_bucket(1)] = 2;
	hist[hist_bucket(1023)] = 4;
	hist[hist_bucket(1024)] = 8;
	hist[HIST_BUCKETS - 1] = 16;
	hist_octaves(hist, octave);
	assert_int_equal(octave[0], 3);
	assert_int_equal(octave[9], 4);
	assert_int_equal(octave[10], 8);
	assert_int_equal(octave[39], 16);
	for (int i = 0; i < HIST_OCTAVES; i++)
		n += octave[i];
	assert_int_equal(n, 31);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_buckets_cover_the_line),
		cmocka_unit_test(test_quantiles_against_brute_force),
		cmocka_unit_test(test_edges),
		cmocka_unit_test(test_octaves),
	};

	return cmocka_run_group_tests_name("hist", tests, NULL, NULL);
}
