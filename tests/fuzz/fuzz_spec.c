/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a request and as an expression: refused with a position, or taken with a dump that reads back as itself.
 * fuzz-sources: agent/spec*.c common/[a-z]*.c -lm
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "caret.h"
#include "spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void check_error(const struct error *err, const char *text)
{
	struct buf shown = { 0 };
	size_t len = strlen(text);

	must(err->code == EINVAL && err->text[0] && !strpbrk(err->text, "\n\r\t") && !strpbrk(err->hint, "\n\r\t"));
	must(err->col >= 1 && (size_t)err->col <= len + 1 && err->len >= 1);
	must(err->len == 1 || (size_t)(err->col - 1 + err->len) <= len);
	error_render(err, text, &shown);
	must(!shown.failed && shown.len > 0);
	for (size_t i = 0; i < shown.len; i++)
		must(shown.data[i] == '\n' || (unsigned char)shown.data[i] >= 0x20);
	buf_free(&shown);
}

static int height(const struct expr *e)
{
	int a = e->a ? height(e->a) : 0, b = e->b ? height(e->b) : 0;

	return 1 + (a > b ? a : b);
}

static void check_expr(const struct expr *e, size_t len)
{
	struct buf dump = { 0 }, again = { 0 };
	struct expr *copy;

	must(height(e) <= SPEC_DEPTH_MAX);
	must(e->col >= 1 && e->len >= 1 && (size_t)(e->col - 1 + e->len) <= len);
	expr_dump(e, &dump);
	if (dump.len <= SPEC_TEXT_MAX) {
		must(spec_parse_expr(buf_text(&dump), &copy, NULL) == 0);
		expr_dump(copy, &again);
		must(strcmp(buf_text(&dump), buf_text(&again)) == 0);
		expr_free(copy);
	}
	buf_free(&dump);
	buf_free(&again);
}

static void check_spec(const struct spec *spec, size_t len)
{
	struct buf dump = { 0 };

	must(spec->name[0] && !strpbrk(spec->name, "\n\r\t") && spec->n_entry <= SPEC_CAPTURES_MAX && spec->n_return <= SPEC_CAPTURES_MAX);
	must(spec->name_col >= 1 && (size_t)(spec->name_col - 1 + spec->name_len) <= len);
	for (size_t i = 0; i < spec->n_entry; i++)
		check_expr(spec->entry[i].expr, len);
	for (size_t i = 0; i < spec->n_return; i++)
		check_expr(spec->ret[i].expr, len);
	if (spec->condition)
		check_expr(spec->condition, len);
	spec_dump(spec, &dump);
	must(!dump.failed);
	buf_free(&dump);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	struct error err;
	struct spec *spec;
	struct expr *expr;

	if (!text)
		return 0;
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	if (spec_parse(text, &spec, &err) == 0)
		check_spec(spec, strlen(text));
	else
		check_error(&err, text);
	spec_free(spec);
	if (spec_parse_expr(text, &expr, &err) == 0)
		check_expr(expr, strlen(text));
	else
		check_error(&err, text);
	expr_free(expr);
	free(text);
	return 0;
}
