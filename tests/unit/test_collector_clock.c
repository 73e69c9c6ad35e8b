/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "clock.h"

#define SECOND 1000000000LL
#define HOUR (3600 * SECOND)
#define DAY (24 * HOUR)
#define WALL (1790000000ULL * SECOND)

/* A look at `mono` when the wall clock is `set` ahead of where it began. */
static int64_t look(struct clock_watch *w, int64_t mono, int64_t set)
{
	return clock_jump(w, WALL + (uint64_t)(mono + set), (uint64_t)(DAY + mono));
}

static int64_t age_ahead(const struct clock_watch *w, int64_t mono, int64_t set)
{
	return (int64_t)(clock_for_age(w, WALL + (uint64_t)(mono + set), (uint64_t)(DAY + mono)) - WALL) - mono;
}

static void test_time_that_passes_is_no_jump(void **state)
{
	struct clock_watch w = { 0 };

	assert_int_equal(look(&w, 0, 0), 0);
	assert_int_equal(look(&w, HOUR, 0), 0);
	for (int i = 1; i < 100; i++)   /* nor is a clock that is slewed */
		assert_int_equal(look(&w, HOUR + i * SECOND, i * SECOND / 2), 0);
	assert_int_equal(age_ahead(&w, 2 * HOUR, 0), 0);
}

static void test_forward(void **state)
{
	struct clock_watch w = { 0 };

	look(&w, 0, 0);
	assert_int_equal(look(&w, SECOND, HOUR), HOUR);
	assert_int_equal(look(&w, 2 * SECOND, HOUR), 0);
	assert_int_equal(age_ahead(&w, 2 * SECOND, HOUR), 0);         /* nothing has become older */
	assert_int_equal(age_ahead(&w, 2 * DAY, HOUR), HOUR);         /* it was meant */
	assert_int_equal(look(&w, 3 * DAY, 10 * HOUR), 9 * HOUR);     /* another one: the first is believed */
	assert_int_equal(age_ahead(&w, 3 * DAY, 10 * HOUR), HOUR);
}

static void test_back(void **state)
{
	struct clock_watch w = { 0 };

	look(&w, 0, 0);
	assert_int_equal(look(&w, SECOND, -HOUR), -HOUR);
	assert_int_equal(age_ahead(&w, SECOND, -HOUR), -HOUR);        /* things are younger than they are: they stay longer */
}

/* A wrong year, and set right again. */
static void test_forward_and_back(void **state)
{
	struct clock_watch w = { 0 };

	look(&w, 0, 0);
	assert_int_equal(look(&w, SECOND, 3650 * DAY), 3650 * DAY);
	assert_int_equal(age_ahead(&w, HOUR, 3650 * DAY), 0);
	assert_int_equal(look(&w, HOUR, 0), -3650 * DAY);
	assert_int_equal(age_ahead(&w, HOUR, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_time_that_passes_is_no_jump), cmocka_unit_test(test_forward), cmocka_unit_test(test_back),
		cmocka_unit_test(test_forward_and_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
