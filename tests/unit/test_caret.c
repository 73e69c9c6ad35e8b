/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "caret.h"

/* What is shown for the bytes col, len of `input`; valid until the next call. */
static const char *shown(const char *input, int col, int len, const char *hint)
{
	static struct buf out;
	struct error err;

	if (!input && !hint) {
		buf_free(&out);
		return NULL;
	}
	buf_clear(&out);
	error_set(&err, EINVAL, "bad");
	if (col)
		error_at(&err, col, len);
	if (hint)
		error_hint(&err, "%s", hint);
	error_render(&err, input, &out);
	assert_false(out.failed);
	return buf_text(&out);
}

static int forget(void **state)
{
	shown(NULL, 0, 0, NULL);
	return 0;
}

static void test_plain(void **state)
{
	assert_string_equal(shown("f(ordr->id)", 3, 4, "did you mean 'order'?"),
			    "plumb: bad\n"
			    "  1:3 | f(ordr->id)\n"
			    "      |   ^~~~\n"
			    "hint: did you mean 'order'?\n");
	assert_string_equal(shown("f(", 3, 1, NULL), "plumb: bad\n  1:3 | f(\n      |   ^\n");
	assert_string_equal(shown("f", 1, 1, NULL), "plumb: bad\n  1:1 | f\n      | ^\n");
}

static void test_no_position(void **state)
{
	assert_string_equal(shown("f", 0, 0, "do it"), "plumb: bad\nhint: do it\n");
	assert_string_equal(shown(NULL, 3, 1, "do it"), "plumb: bad\nhint: do it\n");
	assert_string_equal(shown("", 1, 1, NULL), "plumb: bad\n");
	assert_string_equal(shown(" \t ", 2, 1, NULL), "plumb: bad\n");
}

/* Positions that belong to another text must not take us out of this one. */
static void test_wrong_position(void **state)
{
	assert_string_equal(shown("ab", 99, 99, NULL), "plumb: bad\n  1:3 | ab\n      |   ^\n");
	assert_string_equal(shown("ab", 2, 99, NULL), "plumb: bad\n  1:2 | ab\n      |  ^\n");
	assert_string_equal(shown("ab", 2147483647, 2147483647, NULL), "plumb: bad\n  1:3 | ab\n      |   ^\n");
}

static void test_lines(void **state)
{
	assert_string_equal(shown("one\r\ntwo three\nfour", 10, 5, NULL), "plumb: bad\n  2:5 | two three\n      |     ^~~~~\n");
	assert_string_equal(shown("one\ntwo", 1, 7, NULL), "plumb: bad\n  1:1 | one\n      | ^~~\n");
	assert_string_equal(shown("a\n", 3, 1, NULL), "plumb: bad\n");
}

/* The caret stands under cells, not bytes. */
static void test_cells(void **state)
{
	assert_string_equal(shown("a\tb = 1", 5, 1, NULL), "plumb: bad\n  1:5 | a    b = 1\n      |        ^\n");
	assert_string_equal(shown("\xc3\xa9\xc3\xa9 = 1", 6, 1, NULL),
			    "plumb: bad\n  1:6 | \xc3\xa9\xc3\xa9 = 1\n      |    ^\n");
	assert_string_equal(shown("\xe5\x90\x8d\xe5\x90\x8d+", 4, 3, NULL),
			    "plumb: bad\n  1:4 | \xe5\x90\x8d\xe5\x90\x8d+\n      |   ^~\n");
	assert_string_equal(shown("e\xcc\x81x", 4, 1, NULL), "plumb: bad\n  1:4 | e\xcc\x81x\n      |  ^\n");
}

/* Nothing of the input or of the texts acts on the terminal. */
static void test_hostile(void **state)
{
	static struct buf out;
	struct error err = { .code = EINVAL, .text = "no \x1b[2Jsuch", .hint = "say \xff\x07", .col = 2, .len = 1 };

	assert_string_equal(shown("a\x1b[31m\xff\xc2\x9b", 2, 1, NULL), "plumb: bad\n  1:2 | a?[31m??\n      |  ^\n");
	error_render(&err, NULL, &out);
	assert_string_equal(buf_text(&out), "plumb: no \\x1b[2Jsuch\nhint: say \\xff\\x07\n");
	buf_free(&out);
}

/* In a long line the position is visible, the cuts are marked, and the caret stands under it. */
static void test_long(void **state)
{
	char input[1001];

	memset(input, '.', 1000);
	input[1000] = '\0';
	for (int col = 1; col <= 1000; col++) {
		const char *text, *line, *under;

		input[col - 1] = 'X';
		text = shown(input, col, 1, NULL);
		line = strchr(text, '\n') + 1;
		under = strchr(line, '\n') + 1;
		assert_true((size_t)(under - line) <= CARET_CELLS + 24);
		assert_int_equal(strchr(line, 'X') - line, strchr(under, '^') - under);
		assert_true(col < 40 || strstr(line, "| ..."));
		input[col - 1] = '.';
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain), cmocka_unit_test(test_no_position), cmocka_unit_test(test_wrong_position),
		cmocka_unit_test(test_lines), cmocka_unit_test(test_cells), cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_long),
	};

	return cmocka_run_group_tests(tests, NULL, forget);
}
