/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "plumb/error.h"

/* The hint for `want` among the candidates (NULL ends them); "" when there is none. */
static const char *hint_of(const char *want, const char *const *candidates)
{
	static struct error err;
	struct nearest n;

	error_set(&err, 22, "no such name");
	nearest_init(&n, want);
	for (; *candidates; candidates++)
		nearest_offer(&n, *candidates);
	assert_int_equal(nearest_hint(&n, &err), -22);
	return err.hint;
}

#define HINT(want, ...) hint_of(want, (const char *const[]){ __VA_ARGS__, NULL })

static void test_hints(void **state)
{
	assert_string_equal(HINT("ordr", "order", "customer", "x"), "did you mean 'order'?");
	assert_string_equal(HINT("parse_ordre", "parse_order", "parse_orders", "print"),
			    "did you mean 'parse_order' or 'parse_orders'?");
	assert_string_equal(HINT("abcdef", "abcdxy", "abcdeg", "abcfed", "abcxef", "zzz"),
			    "did you mean 'abcdeg', 'abcxef' or 'abcdxy'?");
	assert_string_equal(HINT("order", "customer", "qty"), "");
	assert_string_equal(HINT("order", ""), "");
}

/* A third of the length, at least one edit. */
static void test_limit(void **state)
{
	assert_string_equal(HINT("ab", "abc"), "did you mean 'abc'?");
	assert_string_equal(HINT("ab", "abcd"), "");
	assert_string_equal(HINT("abcde", "abcd"), "did you mean 'abcd'?");
	assert_string_equal(HINT("abcde", "abc"), "");
	assert_string_equal(HINT("abcdef", "abcd"), "did you mean 'abcd'?");
	assert_string_equal(HINT("abcdef", "abc"), "");
	assert_string_equal(HINT("ab", "ba"), "did you mean 'ba'?");
}

/* Hints that would help nobody. */
static void test_noise(void **state)
{
	assert_string_equal(HINT("x", "y", "z"), "");               /* nothing in common */
	assert_string_equal(HINT("x", "xy"), "did you mean 'xy'?");
	assert_string_equal(HINT("order", "order"), "");            /* the name itself was no good */
	assert_string_equal(HINT("ordr", "order", "order", "order"), "did you mean 'order'?");
	assert_string_equal(HINT("", "a"), "");
}

static void test_first_of_equals(void **state)
{
	assert_string_equal(HINT("abc", "abd", "abe", "abf", "abg", "xbc"), "did you mean 'abd', 'abe' or 'abf'?");
	assert_string_equal(HINT("abcdef", "abcdxy", "abcdyz", "abcdzz", "abcdex"),
			    "did you mean 'abcdex', 'abcdxy' or 'abcdyz'?");
}

/* Names beyond what is kept are left out rather than cut; nothing overflows. */
static void test_long_names(void **state)
{
	char want[300], near[300];

	for (size_t len = 90; len < sizeof(want) - 1; len++) {
		memset(want, 'a', len);
		want[len] = '\0';
		memcpy(near, want, len + 1);
		near[len / 2] = 'b';
		assert_int_equal(HINT(want, near)[0] != '\0', len <= 95);
		near[95] = '\0';
		assert_int_equal(HINT(want, near)[0] != '\0', len <= 141);
	}
}

/* A longest hint still fits. */
static void test_longest_hint(void **state)
{
	char want[96], a[96], b[96], c[96];

	memset(want, 'w', 95);
	want[95] = '\0';
	memcpy(a, want, 96);
	memcpy(b, want, 96);
	memcpy(c, want, 96);
	a[0] = b[1] = c[2] = 'x';
	assert_int_equal(strlen(HINT(want, a, b, c)), strlen("did you mean '', '' or ''?") + 3 * 95);
}

static void test_no_error(void **state)
{
	struct nearest n;

	nearest_init(&n, "a");
	nearest_offer(&n, NULL);
	assert_true(nearest_hint(&n, NULL) < 0);
}

/* ---- against the textbook ---- */

static int least(int a, int b)
{
	return a < b ? a : b;
}

static int textbook(const char *a, const char *b)
{
	int d[16][16], m = (int)strlen(a), n = (int)strlen(b);

	for (int i = 0; i <= m; i++)
		for (int j = 0; j <= n; j++) {
			if (i == 0 || j == 0) {
				d[i][j] = i + j;
				continue;
			}
			d[i][j] = least(d[i - 1][j - 1] + (a[i - 1] != b[j - 1]), least(d[i - 1][j], d[i][j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				d[i][j] = least(d[i][j], d[i - 2][j - 2] + 1);
		}
	return d[m][n];
}

static uint64_t seed = 7;

static void random_name(char *out, unsigned max)
{
	unsigned len;

	seed = seed * 6364136223846793005u + 1442695040888963407u;
	len = (unsigned)(seed >> 40) % (max + 1);
	for (unsigned i = 0; i < len; i++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		out[i] = (char)('a' + (seed >> 40) % 3);
	}
	out[len] = '\0';
}

static void test_against_textbook(void **state)
{
	int near = 0;

	for (int i = 0; i < 200000; i++) {
		char want[16], name[16], expected[64] = "";
		int d, limit, longer;

		random_name(want, 12);
		random_name(name, 12);
		d = textbook(want, name);
		limit = (int)strlen(want) / 3 > 1 ? (int)strlen(want) / 3 : 1;
		longer = (int)(strlen(want) > strlen(name) ? strlen(want) : strlen(name));
		if (d > 0 && d <= limit && d < longer && name[0]) {
			near++;
			snprintf(expected, sizeof(expected), "did you mean '%s'?", name);
		}
		assert_string_equal(HINT(want, name), expected);
	}
	assert_true(near > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hints), cmocka_unit_test(test_limit), cmocka_unit_test(test_noise),
		cmocka_unit_test(test_first_of_equals), cmocka_unit_test(test_long_names), cmocka_unit_test(test_longest_hint),
		cmocka_unit_test(test_no_error), cmocka_unit_test(test_against_textbook),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
