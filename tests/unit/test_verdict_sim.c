/* SPDX-License-Identifier: Apache-2.0 */
/* Seeded simulations, looked at after every tick: nothing is found where nothing is, and what is there is found. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "verdict_scenarios.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Split and error rate that wander together with identical arms. A test that is not made for peeking fails this. */
static void test_bare_tests_keep_alpha(void **state)
{
	enum { RUNS = 2000, TICKS = 100 };
	static const struct { double share, rate; } at[] = { { 1, 0.02 }, { 0.1, 0.05 }, { 1, 0.4 } };
	struct random rnd = { 20 };

	for (size_t i = 0; i < COUNT(at); i++) {
		unsigned found[BARE_TESTS] = { 0 };

		bare_null(&rnd, RUNS, TICKS, at[i].share, at[i].rate, 1, i == 0, found);
		for (unsigned k = 0; k < BARE_Z; k++) {
			if (i > 0 && (k == BARE_RATIO_LOWER || k == BARE_RATIO_HIGHER))
				continue;
			print_message("[          ] %-26s split 1 : %-4g rate %-4g false in %.2f %%\n", bare_names[k],
				      at[i].share, at[i].rate, 100.0 * found[k] / RUNS);
			assert_true(found[k] <= RUNS * 0.05);
		}
		print_message("[          ] %s: false in %.1f %%\n", bare_names[BARE_Z], 100.0 * found[BARE_Z] / RUNS);
		assert_true(found[BARE_Z] > RUNS * 0.2);
	}
}

static void test_nothing_is_found_where_nothing_is(void **state)
{
	enum { RUNS = 2000, SHORTER = 4 };   /* all of it: make bench */

	for (size_t i = 0; i < COUNT(scenarios_null); i++) {
		struct scenario shorter = scenarios_null[i], *s = &shorter;
		struct scenario_result r;

		s->ticks /= SHORTER;
		r = scenario_repeat(s, RUNS, 1);
		print_message("[          ] %-54s %s in %.2f %%\n", s->name, verdict_state_name(s->watched),
			      100.0 * r.came / RUNS);
		assert_true(r.came <= RUNS * s->alpha);
	}
}

static void test_what_is_there_is_found(void **state)
{
	enum { RUNS = 60 };

	for (size_t i = 0; i < COUNT(scenarios_real); i++) {
		const struct scenario *s = &scenarios_real[i];
		struct scenario_result r = scenario_repeat(s, RUNS, 7);

		print_message("[          ] %-54s %s in %.0f %%, median after %llu calls\n", s->name,
			      verdict_state_name(s->watched), 100.0 * r.came / RUNS, (unsigned long long)r.median);
		assert_true(r.came >= RUNS * 0.95);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bare_tests_keep_alpha),
		cmocka_unit_test(test_nothing_is_found_where_nothing_is),
		cmocka_unit_test(test_what_is_there_is_found),
	};

	return cmocka_run_group_tests_name("verdict_sim", tests, NULL, NULL);
}
