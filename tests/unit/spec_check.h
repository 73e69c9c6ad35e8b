/* SPDX-License-Identifier: Apache-2.0 */
/* What holds for every request, taken or refused. Include after cmocka.h. */
#ifndef PLUMB_TEST_SPEC_CHECK_H
#define PLUMB_TEST_SPEC_CHECK_H

#include <errno.h>
#include <string.h>

#include "caret.h"
#include "spec.h"

/* A refusal says what and where, in one line. */
static void check_refusal(const struct error *err, const char *input)
{
	assert_int_equal(err->code, EINVAL);
	assert_true(err->text[0] != '\0');
	assert_null(strpbrk(err->text, "\n\r\t"));
	assert_null(strpbrk(err->hint, "\n\r\t"));
	assert_true(err->text[strlen(err->text) - 1] != '.' || strstr(err->text, "..."));
	assert_in_range(err->col, 1, strlen(input) + 1);
	assert_true(err->len >= 1);
	assert_true(err->len == 1 || (size_t)(err->col - 1 + err->len) <= strlen(input));
}

static int height(const struct expr *e)
{
	int a, b;

	if (!e)
		return 0;
	a = height(e->a);
	b = height(e->b);
	return 1 + (a > b ? a : b);
}

/* Every node stands inside the text and inside its parent. */
static void check_spans(const struct expr *e, int from, int to)
{
	assert_true(e->len >= 1 && e->col >= from && e->col + e->len <= to);
	if (e->a)
		check_spans(e->a, e->col, e->col + e->len);
	if (e->b)
		check_spans(e->b, e->col, e->col + e->len);
}

/* The dump of a tree is the same tree. */
static void check_expr(const struct expr *e, const char *input)
{
	struct buf dump = { 0 }, again = { 0 };
	struct error err = { 0 };
	struct expr *copy;

	assert_true(height(e) <= SPEC_DEPTH_MAX);
	check_spans(e, 1, (int)strlen(input) + 1);
	expr_dump(e, &dump);
	assert_false(dump.failed);
	if (dump.len <= SPEC_TEXT_MAX) {
		if (spec_parse_expr(buf_text(&dump), &copy, &err))
			fail_msg("the dump of '%s' does not parse: %s: %s", input, buf_text(&dump), err.text);
		expr_dump(copy, &again);
		assert_string_equal(buf_text(&dump), buf_text(&again));
		expr_free(copy);
	}
	buf_free(&dump);
	buf_free(&again);
}

static void check_list(const struct capture *list, size_t n, const char *input)
{
	assert_true(n <= SPEC_CAPTURES_MAX);
	for (size_t i = 0; i < n; i++) {
		assert_true(list[i].label[0] != '\0');
		assert_null(strpbrk(list[i].label, "\n\r\t"));
		check_expr(list[i].expr, input);
	}
}

static void check_spec(const struct spec *spec, const char *input)
{
	assert_string_equal(spec->text, input);
	assert_true(spec->name[0] != '\0');
	assert_true(spec->name_col >= 1 && spec->name_len >= 1);
	assert_true((size_t)(spec->name_col - 1 + spec->name_len) <= strlen(input));
	assert_true(spec->has_entry || spec->n_entry == 0);
	assert_true(spec->has_return == (spec->n_return > 0));
	assert_true((spec->place == PLACE_LINE) == (spec->line != 0));
	check_list(spec->entry, spec->n_entry, input);
	check_list(spec->ret, spec->n_return, input);
	if (spec->condition)
		check_expr(spec->condition, input);
}

/* Parses either kind, checks the properties, appends what a user would see. Returns the parser's code. */
static int run(bool is_expr, const char *input, struct buf *out)
{
	struct error err = { 0 };
	struct spec *spec = NULL;
	struct expr *expr = NULL;
	int code = is_expr ? spec_parse_expr(input, &expr, &err) : spec_parse(input, &spec, &err);

	assert_true(code == 0 || code == -EINVAL);
	if (code) {
		assert_null(is_expr ? (void *)expr : (void *)spec);
		check_refusal(&err, input);
		error_render(&err, input, out);
	} else if (is_expr) {
		check_expr(expr, input);
		expr_dump(expr, out);
		buf_char(out, '\n');
	} else {
		check_spec(spec, input);
		spec_dump(spec, out);
	}
	expr_free(expr);
	spec_free(spec);
	return code;
}

#endif
