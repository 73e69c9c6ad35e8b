/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "steady.h"
#include "verdict_random.h"

enum { SCALE = 1000 };   /* calls an observation: differences of the shares in thousandths */

/* The difference of the shares is x. */
static void observe(struct steady *s, double x)
{
	struct pair t = { .n_b = SCALE, .e_b = SCALE / 2, .n_c = SCALE, .e_c = (uint64_t)lround(SCALE / 2 + SCALE * x) };

	steady_tick(s, &t);
}

/* The likelihood of x over effects that are normal, and over scales with the prior 1/sigma, as a sum over a fine grid of both. */
static double likelihood(const double *x, unsigned n, bool null)
{
	double sum = 0;

	for (double delta = null ? 0 : -8; delta <= (null ? 0 : 8); delta += 0.02) {
		double over_scales = 0;

		for (double log_sigma = -9; log_sigma < 6; log_sigma += 0.02) {
			double sigma = exp(log_sigma), squares = 0;

			for (unsigned i = 0; i < n; i++)
				squares += (x[i] / sigma - delta) * (x[i] / sigma - delta);
			over_scales += exp(-squares / 2 - n * log_sigma);
		}
		sum += over_scales * (null ? 1 : exp(-delta * delta / 2) / sqrt(2 * M_PI) * 0.02);
	}
	return sum;
}

static void test_formula_against_integration(void **state)
{
	static const struct { unsigned n; double x[6]; } cases[] = {
		{ 1, { 0.1 } }, { 2, { 0.1, 0.3 } }, { 3, { 0.2, 0.2, 0.21 } }, { 4, { 0.4, -0.1, 0.2, 0.3 } },
		{ 6, { 0.1, 0.12, 0.09, 0.11, 0.1, 0.13 } }, { 6, { -0.2, 0.3, 0.01, -0.05, 0.1, 0.07 } },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		double with, without;
		struct steady s;

		steady_init(&s, SIDE_HIGHER, SCALE, INFINITY);
		for (unsigned k = 0; k < cases[i].n; k++)
			observe(&s, cases[i].x[k]);
		with = likelihood(cases[i].x, cases[i].n, false);
		without = likelihood(cases[i].x, cases[i].n, true);
		assert_true(fabs(steady_log_e(&s) - log(with / without)) < 1e-3);
	}
}

/* One second is one observation, however many calls it had; the side that is not asked for says nothing. */
static void test_sides_and_seconds(void **state)
{
	struct steady higher, lower;

	steady_init(&higher, SIDE_HIGHER, SCALE, log_needed(0.05));
	steady_init(&lower, SIDE_LOWER, SCALE, log_needed(0.05));
	observe(&higher, 0.1);
	assert_false(higher.shown);
	for (int i = 0; i < 6; i++) {
		observe(&higher, 0.1 + 0.01 * i);
		observe(&lower, 0.1 + 0.01 * i);
	}
	assert_true(higher.shown);
	assert_false(lower.shown);
	assert_true(steady_log_e(&lower) < 0);
	for (int i = 0; i < 60; i++)
		observe(&lower, -0.1);
	assert_true(lower.shown);
}

/* Ticks are put together until both arms have calls enough. */
static void test_few_calls(void **state)
{
	struct pair t = { .n_b = SCALE, .e_b = 0, .n_c = SCALE / 4, .e_c = 1 };
	struct steady s;

	steady_init(&s, SIDE_HIGHER, SCALE, log_needed(0.05));
	for (int i = 0; i < 4; i++)
		steady_tick(&s, &t);
	assert_true(s.n == 1);
	assert_true(fabs(s.sum - 4.0 / SCALE) < 1e-12);
	steady_init(&s, SIDE_HIGHER, 1, log_needed(0.05));
	memset(&t, 0, sizeof(t));
	steady_tick(&s, &t);
	assert_true(s.n == 0);
}

/* Nothing differs: shown in at most alpha of the runs, watched at every observation; and with bursts that hit either arm. */
static void test_nothing_is_shown_where_nothing_is(void **state)
{
	enum { RUNS = 2000, SECONDS = 150 };
	struct random rnd = { 17 };

	for (int bursts = 0; bursts < 2; bursts++) {
		unsigned found = 0;

		for (int run = 0; run < RUNS; run++) {
			struct steady s;

			steady_init(&s, SIDE_HIGHER, SCALE, log_needed(0.05));
			for (int i = 0; i < SECONDS && !s.shown; i++) {
				double b = bursts && random_unit(&rnd) < 0.3 ? 0.05 : 0.01, c = bursts && random_unit(&rnd) < 0.3 ? 0.05 : 0.01;
				struct pair t = { SCALE, random_binomial(&rnd, SCALE, b), SCALE, random_binomial(&rnd, SCALE, c) };

				steady_tick(&s, &t);
			}
			found += s.shown;
		}
		print_message("[          ] %s: shown in %.2f %%\n", bursts ? "bursts in either arm" : "independent calls", 100.0 * found / RUNS);
		assert_true(found <= RUNS * 0.05);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_formula_against_integration),
		cmocka_unit_test(test_sides_and_seconds),
		cmocka_unit_test(test_few_calls),
		cmocka_unit_test(test_nothing_is_shown_where_nothing_is),
	};

	return cmocka_run_group_tests_name("verdict_steady", tests, NULL, NULL);
}
