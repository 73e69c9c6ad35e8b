/* SPDX-License-Identifier: Apache-2.0 */
/* Quantile bounds on buckets against enumeration and simulation; thresholds on the buckets' edges. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <math.h>
#include <string.h>

#include "quantile.h"
#include "verdict_random.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const double shares[] = { 0.5, 0.9, 0.99, 0.01 };

static void test_mixture_has_mean_one(void **state)
{
	for (size_t s = 0; s < COUNT(shares); s++)
		for (uint64_t n = 1; n <= 30; n += 7) {
			double sum = 0, choose = 1;

			for (uint64_t k = 0; k <= n; k++) {
				sum += choose * pow(shares[s], (double)k) * pow(1 - shares[s], (double)(n - k)) *
				       exp(quantile_log_e(n, k, shares[s]));
				choose = choose * (double)(n - k) / (double)(k + 1);
			}
			assert_true(fabs(sum - 1) < 1e-9);
		}
}

/* Every path: what is multiplied by itself from call to call has the mean 1, given all before. */
static void test_mixture_is_a_martingale(void **state)
{
	for (size_t s = 0; s < COUNT(shares); s++)
		for (uint64_t n = 0; n < 40; n++)
			for (uint64_t k = 0; k <= n; k++) {
				double q = shares[s], now = exp(quantile_log_e(n, k, q));
				double next =
					q * exp(quantile_log_e(n + 1, k + 1, q)) + (1 - q) * exp(quantile_log_e(n + 1, k, q));

				assert_true(fabs(next / now - 1) < 1e-9);
			}
}

static void test_least_is_the_least(void **state)
{
	for (size_t s = 0; s < COUNT(shares); s++)
		for (uint64_t n = 1; n <= 60; n += 1 + n / 5)
			for (uint64_t from = 0; from <= n; from += 1 + n / 7)
				for (uint64_t to = from; to <= n; to += 1 + n / 9) {
					double want = INFINITY, got;

					for (int k = 0; k <= 300; k++)
						want = fmin(want, quantile_log_e((double)n, (double)from +
										 (double)(to - from) * k / 300, shares[s]));
					got = quantile_least_log_e((double)n, (double)from, (double)to, shares[s]);
					assert_true(got <= want + 1e-9 && got > want - 0.01);
				}
}

static __u64 base[HIST_BUCKETS], cand[HIST_BUCKETS];

static void clear(void)
{
	memset(base, 0, sizeof(base));
	memset(cand, 0, sizeof(cand));
}

static double normal_quantile(double q) /* the four that are used */
{
	return q == 0.5 ? 0 : q == 0.9 ? 1.2815515655446004 : 2.3263478740408408;
}

/* Peeked at after each of 150 steps: how often the true quantile is ever outside its bounds. */
static void test_bounds_hold_at_all_times(void **state)
{
	enum { RUNS = 200, STEPS = 150 };
	static const double quantiles[] = { 0.5, 0.9, 0.99 };
	struct random rnd = { 11 };

	for (size_t s = 0; s < COUNT(quantiles); s++) {
		double truth = 1000 * exp(0.4 * normal_quantile(quantiles[s]));
		unsigned lost = 0;

		for (int run = 0; run < RUNS; run++) {
			int outside = 0;

			clear();
			for (int i = 0; i < STEPS; i++) {
				uint64_t low, high;

				for (int k = 0; k < 10; k++)
					base[hist_bucket(random_duration(&rnd, 1000, 0.4))]++;
				quantile_bounds(base, quantiles[s], 0.05, 1, &low, &high);
				outside |= (double)low > truth || (double)high <= truth;
			}
			lost += (unsigned)outside;
		}
		assert_true(lost <= RUNS * 0.05);
	}
}

static void test_bounds_close_in(void **state)
{
	struct random rnd = { 12 };
	uint64_t low, high;

	clear();
	quantile_bounds(base, 0.5, 0.05, 1, &low, &high);
	assert_true(low == 0 && high == UINT64_MAX);
	for (int i = 0; i < 20000; i++)
		base[hist_bucket(random_duration(&rnd, 100000, 0.3))]++;
	quantile_bounds(base, 0.5, 0.05, 1, &low, &high);
	assert_true(low <= 100000 && high > 100000);
	assert_true(low > 90000 && high < 112000);
	quantile_bounds(base, 0.99, 0.05, 1, &low, &high);
	assert_true(low > 100000 && high < 300000);
}

/* The same distribution in both arms, all of it in few buckets: ignoring what a bucket hides would see differences. */
static void test_same_quantile_is_not_refuted(void **state)
{
	enum { RUNS = 250, STEPS = 60 };
	static const double quantiles[] = { 0.5, 0.9, 0.99 };
	struct random rnd = { 13 };

	for (size_t s = 0; s < COUNT(quantiles); s++) {
		unsigned wrong = 0;

		for (int run = 0; run < RUNS; run++) {
			int found = 0;

			clear();
			for (int i = 0; i < STEPS; i++) {
				for (int k = 0; k < 10; k++) {
					base[hist_bucket(random_duration(&rnd, 5000, 0.03))]++;
					if (k % 3 == 0)
						cand[hist_bucket(random_duration(&rnd, 5000, 0.03))]++;
				}
				found |= quantile_differ_log_e(base, cand, quantiles[s], 1) >= -log(0.05);
			}
			wrong += (unsigned)found;
		}
		assert_true(wrong <= RUNS * 0.05);
	}
}

static void test_other_quantile_is_refuted(void **state)
{
	struct random rnd = { 14 };

	clear();
	for (int i = 0; i < 2000; i++) {
		base[hist_bucket(random_duration(&rnd, 5000, 0.3))]++;
		cand[hist_bucket(random_duration(&rnd, 6500, 0.3))]++;
	}
	assert_true(quantile_differ_log_e(base, cand, 0.5, 1) >= log(20));
	clear();
	assert_true(quantile_differ_log_e(base, cand, 0.5, 1) == 0);
}

static void test_thresholds_lie_on_edges(void **state)
{
	static const double margins[] = { THRESHOLD_MARGIN_MIN, 0.07, 0.1, 0.5, 3 };
	struct random rnd = { 15 };
	struct threshold t;

	for (int run = 0; run < 200; run++) {
		double median = 200 * pow(10, 5 * random_unit(&rnd)), q = run % 2 ? 0.5 : 0.99;

		clear();
		for (int i = 0; i < 3000; i++)
			base[hist_bucket(random_duration(&rnd, median, 0.5))]++;
		for (size_t m = 0; m < COUNT(margins); m++) {
			double limit;

			assert_int_equal(threshold_choose(base, q, margins[m], &t), 0);
			limit = (double)threshold_ns(t.base) * (1 + margins[m]);
			assert_true(t.base < t.pass && t.pass <= t.fail && t.fail <= t.pass + 1);
			assert_true((double)threshold_ns(t.pass) <= limit && (double)threshold_ns(t.fail) >= limit);
			assert_true((double)hist_end(t.pass) > limit);
			assert_true(fabs(t.level - (1 - (double)threshold_slow(base, t.base) / 3000)) < 1e-12);
			assert_true(q == 0.5 ? t.level > 0.3 && t.level < 0.7 : t.level > 0.96 && t.level < 0.999);
		}
	}
}

static void test_thresholds_that_cannot_be(void **state)
{
	struct threshold t;

	clear();
	assert_int_equal(threshold_choose(base, 0.5, 0.1, &t), -ERANGE);
	base[hist_bucket(5000)] = 100;
	assert_int_equal(threshold_choose(base, 0.5, 0.0001, &t), -ERANGE);
	/* all calls in one bucket: its lower edge, so that there are calls above it */
	assert_int_equal(threshold_choose(base, 0.99, 0.1, &t), 0);
	assert_true(threshold_slow(base, t.base) == 100 && threshold_slow(base, t.base + 1) <= 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mixture_has_mean_one),
		cmocka_unit_test(test_mixture_is_a_martingale),
		cmocka_unit_test(test_least_is_the_least),
		cmocka_unit_test(test_bounds_hold_at_all_times),
		cmocka_unit_test(test_bounds_close_in),
		cmocka_unit_test(test_same_quantile_is_not_refuted),
		cmocka_unit_test(test_other_quantile_is_refuted),
		cmocka_unit_test(test_thresholds_lie_on_edges),
		cmocka_unit_test(test_thresholds_that_cannot_be),
	};

	return cmocka_run_group_tests_name("verdict_quantile", tests, NULL, NULL);
}
