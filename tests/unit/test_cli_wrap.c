/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "table.h"
#include "wrap.h"

static void wrap_is(const char *text, unsigned columns, const char *want)
{
	struct buf out = { 0 };

	text_wrap(&out, text, columns);
	assert_string_equal(buf_text(&out), want);
	buf_free(&out);
}

static void test_words(void **state)
{
	wrap_is("", 40, "");
	wrap_is("short\nlines\n", 40, "short\nlines\n");
	wrap_is("no terminal cuts this line anywhere", 0, "no terminal cuts this line anywhere");
	wrap_is("a sentence that is longer than its room\nthe next\n", 30, "a sentence that is longer than\n  its room\nthe next\n");
	wrap_is("exactly as wide as the terminal", 31, "exactly as wide as the terminal");
	wrap_is("https://no-word-is-cut.example/however/long it is", 30, "https://no-word-is-cut.example/however/long\n  it is");
}

static void test_behind_a_label(void **state)
{
	wrap_is("  PASS       exposure: the candidate saw the trigger 495 times\n", 45,
		"  PASS       exposure: the candidate saw the\n             trigger 495 times\n");
	/* too narrow for that: from the left */
	wrap_is("  PASS       exposure: the candidate saw it\n", 30, "  PASS       exposure: the\ncandidate saw it\n");
	wrap_is("  \033[32mPASS\033[0m       the candidate saw the trigger often\n", 40,
		"  \033[32mPASS\033[0m       the candidate saw the\n             trigger often\n");
}

/* Whatever comes, nothing is lost and nothing is wider than it must be. */
static void test_any_width(void **state)
{
	static const char text[] = "      --guard WHAT          'error_rate < +25 %', 'no new error values', may be given several times\n"
				   "note: calls are taken to be independent of one another; those of one request are not\n";

	for (unsigned columns = 1; columns < 120; columns++) {
		struct buf out = { 0 };
		const char *a = text, *b;

		text_wrap(&out, text, columns);
		for (b = buf_text(&out); *a || *b;) {
			while (*a == ' ' || *a == '\n')
				a++;
			while (*b == ' ' || *b == '\n')
				b++;
			if (*a || *b)
				assert_int_equal(*a++, *b++);
		}
		for (b = buf_text(&out); columns > 60 && *b; b += strcspn(b, "\n") + 1)
			assert_in_range(text_columns(b, strcspn(b, "\n")), 0, columns);
		buf_free(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words), cmocka_unit_test(test_behind_a_label), cmocka_unit_test(test_any_width),
	};

	return cmocka_run_group_tests_name("cli_wrap", tests, NULL, NULL);
}
