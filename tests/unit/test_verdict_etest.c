/* SPDX-License-Identifier: Apache-2.0 */
/* Each formula against enumeration of all outcomes, and against what the literature's closed forms give. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "etest.h"
#include "ratio.h"
#include "verdict_random.h"

#define assert_close(a, b, eps) assert_true(fabs((a) - (b)) <= (eps))
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static double choose(uint64_t n, uint64_t k)
{
	double c = 1;

	for (uint64_t i = 0; i < k; i++)
		c = c * (double)(n - i) / (double)(i + 1);
	return c;
}

static double binomial(uint64_t n, uint64_t k, double p)
{
	return choose(n, k) * pow(p, (double)k) * pow(1 - p, (double)(n - k));
}

/* The mean of exp(log_e) of a tick over all outcomes, rates th_b and th_c. */
typedef double (*factor_fn)(const struct pair *tick, void *data);

static double mean(uint64_t n_b, uint64_t n_c, double th_b, double th_c, factor_fn factor, void *data)
{
	double sum = 0;

	for (uint64_t b = 0; b <= n_b; b++)
		for (uint64_t c = 0; c <= n_c; c++) {
			struct pair tick = { n_b, b, n_c, c };

			sum += binomial(n_b, b, th_b) * binomial(n_c, c, th_c) * exp(factor(&tick, data));
		}
	return sum;
}

static const double rates[] = { 0.001, 0.05, 0.3, 0.5, 0.8, 0.97 };
static const uint64_t sizes[][2] = { { 1, 1 }, { 3, 5 }, { 9, 1 }, { 2, 11 } };

/* ---- two streams ---- */

static double differ_factor(const struct pair *tick, void *data)
{
	struct differ d = { .seen = *(struct pair *)data };

	differ_tick(&d, tick);
	return d.log_e;
}

static void test_differ_is_written_as_published(void **state)
{
	struct differ d = { .seen = { 40, 3, 20, 5 }, .log_e = 0.5 };
	struct pair tick = { 10, 2, 4, 1 };
	double b = 3.18 / 40.36, c = 5.18 / 20.36, both = (10 * b + 4 * c) / 14;
	double want = 0.5 + 2 * log(b) + 8 * log(1 - b) + log(c) + 3 * log(1 - c) - 3 * log(both) - 11 * log(1 - both);

	differ_tick(&d, &tick);
	assert_close(d.log_e, want, 1e-12);
	assert_int_equal(d.seen.n_b, 50);
	assert_int_equal(d.seen.e_c, 6);
}

static void test_differ_never_gains_when_equal(void **state)
{
	static struct pair past[] = { { 0, 0, 0, 0 }, { 40, 3, 20, 15 }, { 7, 7, 90, 1 }, { 1000, 0, 10, 9 } };

	for (size_t h = 0; h < COUNT(past); h++)
		for (size_t s = 0; s < COUNT(sizes); s++)
			for (size_t i = 0; i < COUNT(rates); i++)
				assert_true(mean(sizes[s][0], sizes[s][1], rates[i], rates[i], differ_factor, &past[h]) <=
					    1 + 1e-9);
}

static void test_differ_gains_when_different(void **state)
{
	struct pair past = { 100, 5, 100, 30 };

	assert_true(mean(5, 5, 0.05, 0.3, differ_factor, &past) > 1.1);
}

/* ---- the ratio with a margin ---- */

struct ratio_case {
	enum side side;
	double r, a_b, a_c, boldness;
};

static double ratio_case_factor(const struct pair *tick, void *data)
{
	struct ratio_case *c = data;

	return ratio_factor(c->side, c->r, c->a_b, c->a_c, c->boldness, tick);
}

static void check_ratio_case(struct ratio_case *c)
{
	for (size_t s = 0; s < COUNT(sizes); s++)
		for (size_t i = 0; i < COUNT(rates); i++)
			for (size_t j = 0; j < COUNT(rates); j++) {
				double line = c->r * rates[i], other = rates[j];

				/* on the line, and on the side that the test speaks against */
				if (line < 1)
					assert_true(mean(sizes[s][0], sizes[s][1], rates[i], line, ratio_case_factor, c) <=
						    1 + 1e-9);
				if (c->side == SIDE_LOWER ? other >= line : other <= line)
					assert_true(mean(sizes[s][0], sizes[s][1], rates[i], other, ratio_case_factor, c) <=
						    1 + 1e-9);
			}
}

static void test_ratio_never_gains_on_the_other_side(void **state)
{
	static const double margins[] = { 0.1, 0.5, 1, 1.25, 4 };

	for (size_t m = 0; m < COUNT(margins); m++)
		for (size_t i = 0; i < COUNT(rates); i++)
			for (size_t j = 0; j < COUNT(rates); j++) {
				struct ratio_case low = { SIDE_LOWER, margins[m], rates[i], rates[j], 1 };
				struct ratio_case high = { SIDE_HIGHER, margins[m], rates[i], rates[j], j % 2 ? 0.4 : 1 };

				check_ratio_case(&low);
				check_ratio_case(&high);
			}
}

/* With margin 1 it is the two-stream test, whenever the guesses lie on the tested side. */
static void test_ratio_of_one_is_the_two_stream_test(void **state)
{
	struct pair past = { 400, 80, 100, 3 }, tick = { 12, 4, 7, 1 };
	double a_b = rate_guess(400, 80), a_c = rate_guess(100, 3);

	assert_close(ratio_factor(SIDE_LOWER, 1, a_b, a_c, 1, &tick), differ_factor(&tick, &past), 1e-12);
	assert_true(ratio_factor(SIDE_HIGHER, 1, a_b, a_c, 1, &tick) == 0);
}

/* With rare errors it is the counts test. */
static void test_ratio_of_rare_errors_is_the_counts_test(void **state)
{
	struct pair tick = { 30000, 4, 10000, 1 };
	double a_b = 2e-6, a_c = 5e-7, r = 1.5, p = r * 10000 / (30000 + r * 10000),
	       q = 10000 * a_c / (30000 * a_b + 10000 * a_c);
	double want = log(q / p) + 4 * log((1 - q) / (1 - p));

	assert_close(ratio_factor(SIDE_LOWER, r, a_b, a_c, 1, &tick), want, 1e-5);
}

static void test_ratio_bounds_close_in(void **state)
{
	struct ratio_side low, high;
	double last_low = 0, last_high = INFINITY;

	ratio_init(&low, SIDE_LOWER, 1, log_needed(0.05));
	ratio_init(&high, SIDE_HIGHER, 1, log_needed(0.05));
	for (int i = 0; i < 400; i++) {
		struct pair tick = { 1000, 20, 1000, 10 };

		ratio_tick(&low, &tick);
		ratio_tick(&high, &tick);
		assert_true(ratio_bound(&low) <= last_high && ratio_bound(&high) >= last_low);
		last_high = ratio_bound(&low);
		last_low = ratio_bound(&high);
	}
	assert_true(ratio_shown(&low) && !ratio_shown(&high));
	assert_true(last_low < 0.5 && last_low > 0.42);
	assert_true(last_high > 0.5 && last_high < 0.6);
}

/* Calls of one arm alone wait for the other one, and teach nothing about the ratio by themselves. */
static void test_ratio_waits_for_both_arms(void **state)
{
	struct pair b = { 100, 10, 0, 0 }, c = { 0, 0, 100, 0 };
	struct ratio_side s;

	ratio_init(&s, SIDE_LOWER, 1, log_needed(0.05));
	for (int i = 0; i < 3 * BLOCK_WAIT_TICKS; i++)
		ratio_tick(&s, &b);
	assert_int_equal(s.blocks, 0);
	assert_true(ratio_log_e(&s) == 0);
	for (int i = 0; i < 40; i++)
		ratio_tick(&s, i % 2 ? &b : &c);
	assert_int_equal(s.blocks, 20);
	assert_true(ratio_shown(&s));
}

/* ---- counts ---- */

static double counts_factor(const struct pair *tick, void *data)
{
	struct counts_test t = *(struct counts_test *)data;
	double before = t.log_e;

	counts_tick(&t, (double)tick->n_b, (double)tick->n_c, (double)tick->e_b, (double)tick->e_c);
	return t.log_e - before;
}

static void test_counts_never_gain_on_the_other_side(void **state)
{
	static const double margins[] = { 0.2, 0.9, 1, 1.25 };

	for (size_t m = 0; m < COUNT(margins); m++)
		for (int side = SIDE_LOWER; side <= SIDE_HIGHER; side++)
			for (size_t i = 0; i < COUNT(rates); i++)
				for (size_t j = 0; j < COUNT(rates); j++)
					for (size_t s = 0; s < COUNT(sizes); s++) {
						struct counts_test t = { .side = (enum side)side,
									 .r = margins[m],
									 .w_b = 50,
									 .w_c = 20,
									 .e_b = 50 * rates[i],
									 .e_c = 20 * rates[COUNT(rates) - 1 - i] };
						double line = margins[m] * rates[i];

						if (side == SIDE_LOWER ? rates[j] < line : rates[j] > line)
							continue;
						assert_true(mean(sizes[s][0], sizes[s][1], rates[i], rates[j], counts_factor,
								 &t) <= 1 + 1e-9);
					}
}

static void test_counts_are_written_as_published(void **state)
{
	struct counts_test t;
	double p, q, want;

	counts_init(&t, SIDE_LOWER, 1.25);
	counts_tick(&t, 100, 50, 7, 1);
	assert_true(t.log_e == 0);   /* nothing earlier to bet with */
	p = 1.25 * 30 / (90 + 1.25 * 30);
	q = (1.18 / 50 * 30) / (7.18 / 100 * 90 + 1.18 / 50 * 30);
	q = p + 150.0 / (150 + 120) * (q - p);
	want = 2 * log(q / p) + 5 * log((1 - q) / (1 - p));
	counts_tick(&t, 90, 30, 5, 2);
	assert_close(t.log_e, want, 1e-12);
	/* a bet is kept on the tested side */
	counts_init(&t, SIDE_LOWER, 1);
	counts_tick(&t, 10, 10, 1, 9);
	counts_tick(&t, 10, 10, 0, 9);
	assert_true(t.log_e == 0);
}

/* ---- gone ---- */

static double gone_factor(const struct pair *tick, void *data)
{
	struct gone g = *(struct gone *)data;
	double before = gone_evidence(&g);

	gone_tick(&g, tick);
	return gone_evidence(&g) - before;
}

static void test_gone_closed_form(void **state)
{
	/* the integral over q in (0, p) of ((1-q)/(1-p))^k / p, by Simpson's rule */
	for (int k = 0; k < 40; k += 3)
		for (int s = 1; s < 20; s += 4) {
			enum { STEPS = 2000 };
			double share = s / 20.0, p = 2 * share / (1 - share + 2 * share), sum = 0;

			for (int i = 0; i <= STEPS; i++) {
				double q = p * i / STEPS, weight = i == 0 || i == STEPS ? 1 : i % 2 ? 4 : 2;

				sum += weight * pow((1 - q) / (1 - p), k);
			}
			assert_close(gone_log_e(share, 2, (uint64_t)k), log(sum / STEPS / 3), 1e-7);
		}
}

static void test_gone_errors_needed(void **state)
{
	static const struct { double share; uint64_t errors; } table[] = {
		{ 0.5, 7 }, { 0.2, 20 }, { 0.1, 43 }, { 0.05, 88 }, { 0.01, 449 },
	};

	for (size_t i = 0; i < COUNT(table); i++)
		assert_int_equal(gone_errors_needed(table[i].share, 1, 0.05), table[i].errors);
	assert_true(gone_errors_needed(0, 1, 0.05) == UINT64_MAX && gone_errors_needed(1, 1, 0.05) == UINT64_MAX);
	for (int s = 1; s < 100; s++) {
		uint64_t k = gone_errors_needed(s / 100.0, 1, 0.01);

		assert_true(gone_log_e(s / 100.0, 1, k) >= log(100));
		assert_true(k <= 1 || gone_log_e(s / 100.0, 1, k - 1) < log(100));
	}
}

/* A constant split: the sum is the integral, exactly up to k = 15 and closely above. */
static void test_gone_mixture_is_the_closed_form(void **state)
{
	static const double shares[] = { 0.5, 0.2, 0.1, 0.05, 0.01 };

	for (size_t s = 0; s < COUNT(shares); s++) {
		uint64_t most = gone_errors_needed(shares[s], 1, 0.05);
		struct gone g;

		gone_init(&g, 1, 1);
		assert_close(gone_evidence(&g), 0, 1e-12);
		for (uint64_t k = 1; k <= most; k++) {
			struct pair tick = { (uint64_t)(10000 * (1 - shares[s]) + 0.5), 1, (uint64_t)(10000 * shares[s] + 0.5),
					     0 };

			gone_tick(&g, &tick);
			assert_close(gone_evidence(&g), gone_log_e(shares[s], 1, k), k <= 15 ? 1e-10 : 1e-6);
		}
		assert_true(gone_evidence(&g) >= log(20));
	}
}

static void test_gone_never_gains_on_the_other_side(void **state)
{
	struct gone g;
	static const struct pair past[] = { { 5, 2, 9, 0 }, { 90, 3, 2, 0 }, { 4, 1, 4, 1 } };

	gone_init(&g, 1, 1);
	for (size_t h = 0; h <= COUNT(past); h++) {
		for (size_t s = 0; s < COUNT(sizes); s++)
			for (size_t i = 0; i < COUNT(rates); i++)
				for (size_t j = i; j < COUNT(rates); j++)
					assert_true(mean(sizes[s][0], sizes[s][1], rates[i], rates[j], gone_factor, &g) <=
						    1 + 1e-9);
		if (h < COUNT(past))
			gone_tick(&g, &past[h]);
	}
}

/* ---- calls that hang together: three that always end alike, over all outcomes of n such groups ---- */

static double tempered_mean(uint64_t n_b, uint64_t n_c, double th, const struct ratio_case *c, unsigned together, double root)
{
	double sum = 0;

	for (uint64_t b = 0; b <= n_b; b++)
		for (uint64_t x = 0; x <= n_c; x++) {
			struct pair tick = { n_b * together, b * together, n_c * together, x * together };

			sum += binomial(n_b, b, th) * binomial(n_c, x, th) *
			       exp(ratio_factor(c->side, 1, c->a_b, c->a_c, 1, &tick) / root);
		}
	return sum;
}

static void test_calls_that_hang_together(void **state)
{
	bool wrong = false;

	for (size_t i = 0; i < COUNT(rates); i++)
		for (size_t j = 0; j < COUNT(rates); j++)
			for (size_t t = 0; t < COUNT(rates); t++)
				for (size_t s = 0; s < COUNT(sizes); s++) {
					struct ratio_case c = { i > j ? SIDE_LOWER : SIDE_HIGHER, 1, rates[i], rates[j], 1 };

					assert_true(tempered_mean(sizes[s][0], sizes[s][1], rates[t], &c, 3, 3) <= 1 + 1e-9);
					wrong |= tempered_mean(sizes[s][0], sizes[s][1], rates[t], &c, 3, 1) > 1.01;
				}
	assert_true(wrong);   /* without the root it is none */
}

static void test_together_needs_so_many_times_more(void **state)
{
	struct gone one, five;

	gone_init(&one, 1, 1);
	gone_init(&five, 1, 5);
	for (int i = 0; i < 40; i++) {
		struct pair t = { 10, 1, 10, 0 }, t5 = { 50, 5, 50, 0 };

		gone_tick(&one, &t);
		gone_tick(&five, &t5);
		assert_close(gone_evidence(&one), gone_evidence(&five), 1e-9);
	}
	assert_close(rate_high(1000 / 5.0, 10 / 5.0, 0.05), rate_high(200, 2, 0.05), 1e-12);
}

/* ---- one rate ---- */

static void test_clean_bound(void **state)
{
	static const double alphas[] = { 0.05, 0.01, 0.001 };

	assert_close(clean_bound(1000, 0.05), 1 - pow(20 * 1001.0, -1.0 / 1000), 1e-12);
	assert_close(clean_bound(1000, 0.05), 0.0099, 0.00005);
	for (size_t a = 0; a < COUNT(alphas); a++)
		for (uint64_t n = 1; n < 100000; n = n * 3 + 1) {
			assert_close(rate_high(n, 0, alphas[a]), clean_bound(n, alphas[a]), 1e-9);
			assert_true(rate_low(n, 0, alphas[a]) == 0);
		}
	for (size_t a = 0; a < COUNT(alphas); a++) {
		uint64_t n = clean_calls_needed(0.001, alphas[a]);

		assert_true(clean_bound(n, alphas[a]) < 0.001 && clean_bound(n - 1, alphas[a]) >= 0.001);
	}
}

/* Every path of 14 calls: the share of probability that ever has the true rate outside its bounds. */
static double ever_outside(double th, double alpha, unsigned calls)
{
	double lost = 0;

	for (uint32_t path = 0; path < 1U << calls; path++) {
		double p = 1;
		uint64_t e = 0;
		int outside = 0;

		for (unsigned n = 1; n <= calls; n++) {
			uint64_t hit = path >> (n - 1) & 1;

			e += hit;
			p *= hit ? th : 1 - th;
			outside |= rate_log_e(n, e, th) >= -log(alpha);
		}
		lost += outside ? p : 0;
	}
	return lost;
}

static void test_rate_bounds_hold_at_all_times(void **state)
{
	for (size_t i = 0; i < COUNT(rates); i++) {
		assert_true(ever_outside(rates[i], 0.05, 14) <= 0.05);
		assert_true(ever_outside(rates[i], 0.3, 14) <= 0.3);
	}
}

static void test_rate_bounds_are_where_the_evidence_is(void **state)
{
	static const uint64_t seen[][2] = { { 1, 1 }, { 10, 1 }, { 50, 49 }, { 100000, 7 }, { 1000000000, 400000000 } };

	for (size_t i = 0; i < COUNT(seen); i++) {
		uint64_t n = seen[i][0], e = seen[i][1];
		double low = rate_low(n, e, 0.01), high = rate_high(n, e, 0.01), at = (double)e / (double)n;

		assert_true(low <= at && at <= high && low >= 0 && high <= 1);
		assert_true(rate_log_e(n, e, low) >= log(100) - 1e-9);
		if (e < n)
			assert_true(rate_log_e(n, e, high) >= log(100) - 1e-9);
	}
	assert_true(rate_low(0, 0, 0.05) == 0 && rate_high(0, 0, 0.05) == 1);
}

/* ---- numbers that are large ---- */

static void test_large_counts_stay_finite(void **state)
{
	uint64_t big = 1ULL << 40;
	struct pair t = { big, big / 3, big, 0 };
	struct ratio_side s;
	struct differ d = { 0 };
	struct gone g;

	ratio_init(&s, SIDE_LOWER, 1, log_needed(0.05));
	gone_init(&g, 1, 1);
	for (int i = 0; i < 1000; i++) {
		ratio_tick(&s, &t);
		differ_tick(&d, &t);
		gone_tick(&g, &t);
		for (int k = 0; k < RATIO_GRID; k++)
			assert_true(isfinite(s.log_e[k]));
	}
	assert_true(isfinite(d.log_e) && isfinite(gone_evidence(&g)));
	assert_true(ratio_shown(&s));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_differ_is_written_as_published),
		cmocka_unit_test(test_differ_never_gains_when_equal),
		cmocka_unit_test(test_differ_gains_when_different),
		cmocka_unit_test(test_ratio_never_gains_on_the_other_side),
		cmocka_unit_test(test_ratio_of_one_is_the_two_stream_test),
		cmocka_unit_test(test_ratio_of_rare_errors_is_the_counts_test),
		cmocka_unit_test(test_ratio_bounds_close_in),
		cmocka_unit_test(test_ratio_waits_for_both_arms),
		cmocka_unit_test(test_counts_never_gain_on_the_other_side),
		cmocka_unit_test(test_counts_are_written_as_published),
		cmocka_unit_test(test_gone_closed_form),
		cmocka_unit_test(test_gone_errors_needed),
		cmocka_unit_test(test_gone_mixture_is_the_closed_form),
		cmocka_unit_test(test_gone_never_gains_on_the_other_side),
		cmocka_unit_test(test_calls_that_hang_together),
		cmocka_unit_test(test_together_needs_so_many_times_more),
		cmocka_unit_test(test_clean_bound),
		cmocka_unit_test(test_rate_bounds_hold_at_all_times),
		cmocka_unit_test(test_rate_bounds_are_where_the_evidence_is),
		cmocka_unit_test(test_large_counts_stay_finite),
	};

	return cmocka_run_group_tests_name("verdict_etest", tests, NULL, NULL);
}
