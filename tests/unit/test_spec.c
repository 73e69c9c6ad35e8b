/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The probe language.  What it means and what it refuses is in tests/cases/spec: blocks of
 *
 *     > request          or   = expression as given to --error; more such lines are more lines of it
 *     the dump, or the refusal as error_render shows it
 *
 * with an empty line after each; '#' begins a comment between blocks.  Here is the runner, and what data cannot say.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "spec_check.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* ---- case files ---- */

struct block {
	char kind;                /* '>' or '=' */
	int line;
	struct buf input, expected;
};

typedef void block_fn(const char *file, const struct block *block);

static void block_end(const char *file, struct block *b, block_fn *use, int *n)
{
	if (b->kind) {
		use(file, b);
		(*n)++;
	}
	buf_clear(&b->input);
	buf_clear(&b->expected);
	b->kind = 0;
}

static void block_line(struct block *b, const char *line, int number)
{
	bool is_input = b->expected.len == 0 && (line[0] == '>' || line[0] == '=');

	if (!is_input) {
		assert_true(b->kind != 0 || line[0] == '#');
		if (b->kind)
			buf_printf(&b->expected, "%s\n", line);
		return;
	}
	if (b->kind)
		buf_char(&b->input, '\n');
	else
		b->line = number;
	b->kind = line[0];
	buf_str(&b->input, line[1] == ' ' ? line + 2 : line + 1);
}

static int file_blocks(const char *file, block_fn *use)
{
	FILE *f = fopen(file, "r");
	struct block b = { 0 };
	char line[8192];
	int number = 0, n = 0;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		number++;
		line[strcspn(line, "\n")] = '\0';
		if (line[0])
			block_line(&b, line, number);
		else
			block_end(file, &b, use, &n);
	}
	block_end(file, &b, use, &n);
	fclose(f);
	buf_free(&b.input);
	buf_free(&b.expected);
	return n;
}

/* All blocks of all files; the tests run in the top directory of the tree. */
static void each_block(block_fn *use)
{
	glob_t files;

	assert_int_equal(glob("tests/cases/spec/*.case", 0, NULL, &files), 0);
	for (size_t i = 0; i < files.gl_pathc; i++)
		assert_true(file_blocks(files.gl_pathv[i], use) > 0);
	globfree(&files);
}

static int cases_wrong;

static void case_run(const char *file, const struct block *b)
{
	struct buf got = { 0 };

	run(b->kind == '=', buf_text(&b->input), &got);
	if (strcmp(buf_text(&got), buf_text(&b->expected)) != 0) {
		cases_wrong++;
		print_error("%s:%d: %s\nexpected:\n%sgot:\n%s\n", file, b->line, buf_text(&b->input), buf_text(&b->expected),
			    buf_text(&got));
	}
	buf_free(&got);
}

static void test_cases(void **state)
{
	cases_wrong = 0;
	each_block(case_run);
	assert_int_equal(cases_wrong, 0);
}

/* Every beginning of every case is taken or refused with a position, never worse. */
static void case_cut(const char *file, const struct block *b)
{
	char *text = strdup(buf_text(&b->input));
	struct buf got = { 0 };

	for (size_t n = b->input.len; n > 0; n--) {
		text[n - 1] = '\0';
		run(b->kind == '=', text, &got);
		buf_clear(&got);
	}
	free(text);
	buf_free(&got);
}

static void test_beginnings(void **state)
{
	each_block(case_cut);
}

/* ---- precedence: the compiler is the judge ---- */

static int64_t value_of(const struct expr *e)
{
	int64_t a = e->a ? value_of(e->a) : 0, b = e->b ? value_of(e->b) : 0;

	switch (e->op) {
	case EXPR_NUMBER: return e->number;
	case EXPR_NEG: return -a;
	case EXPR_NOT: return !a;
	case EXPR_INVERT: return ~a;
	case EXPR_MUL: return a * b;
	case EXPR_DIV: return a / b;
	case EXPR_MOD: return a % b;
	case EXPR_ADD: return a + b;
	case EXPR_SUB: return a - b;
	case EXPR_SHL: return a << b;
	case EXPR_SHR: return a >> b;
	case EXPR_LT: return a < b;
	case EXPR_LE: return a <= b;
	case EXPR_GT: return a > b;
	case EXPR_GE: return a >= b;
	case EXPR_EQ: return a == b;
	case EXPR_NE: return a != b;
	case EXPR_BITAND: return a & b;
	case EXPR_BITXOR: return a ^ b;
	case EXPR_BITOR: return a | b;
	case EXPR_AND: return a && b;
	case EXPR_OR: return a || b;
	default: fail_msg("operator %d in a constant", e->op); return 0;
	}
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wparentheses"
#pragma GCC diagnostic ignored "-Wbool-compare"
#pragma GCC diagnostic ignored "-Wint-in-bool-context"
#define C(e) { #e, (int64_t)(e) }
static const struct { const char *text; int64_t value; } constants[] = {
	C(2 + 3 * 4), C(2 * 3 + 4), C(20 - 5 - 3), C(100 / 10 / 2), C(100 % 7 * 3), C(7 * 100 % 3), C(1 << 2 + 3), C(1 + 2 << 3),
	C(1 << 3 >> 1), C(256 >> 2 << 1), C(1 << 2 < 5), C(5 < 1 << 3), C(1 < 2 == 2 > 1), C(1 == 2 < 3), C(3 & 1 == 1), C(6 & 3 != 3),
	C(1 | 6 & 4), C(1 ^ 3 & 2), C(1 | 2 ^ 3), C(5 ^ 1 | 2), C(1 || 0 && 0), C(0 && 0 || 1), C(1 | 0 && 0), C(2 & 1 || 0),
	C(!0 + 1), C(!1 == 0), C(~0 & 15), C(~1 + 2), C(-2 * -3), C(- -2), C(-(2 + 3) * 2), C(!-1), C(-~1), C(~-1), C(!!5),
	C((2 + 3) * 4), C(((1)) + (2)), C(2 * (3 + 4) * 5), C(10 - (5 - 3)), C('a' + 1), C('\n'), C('\\' != '\''), C('\xff' < 0),
	C('\377' == -1), C(0x1F + 0xa), C(0b101 | 0B10), C(0755), C(0), C(00), C(10UL / 3), C(7ll % 4), C('\0' || '\x41'),
	C(1 <= 1 & 2 >= 2), C(1 != 0 == 1), C(3 - 2 > 0 && 4 % 2 == 0), C(1 << 1 | 1 << 3 | 1 << 5), C(8 - 3 << 1 ^ 2 * 3 & 5 | 1),
};
#pragma GCC diagnostic pop

static void test_precedence(void **state)
{
	for (size_t i = 0; i < COUNT(constants); i++) {
		struct error err = { 0 };
		struct expr *e;

		/* 1 != 0 == 1 is a chain here */
		if (spec_parse_expr(constants[i].text, &e, &err)) {
			assert_non_null(strstr(err.text, "chained"));
			assert_non_null(strstr(constants[i].text, "!= 0 =="));
			continue;
		}
		if (value_of(e) != constants[i].value)
			fail_msg("%s is %lld here and %lld in C", constants[i].text, (long long)value_of(e),
				 (long long)constants[i].value);
		check_expr(e, constants[i].text);
		expr_free(e);
	}
}

/* ---- random expressions, and random damage to them ---- */

static uint64_t seed;

static unsigned any(unsigned n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(seed >> 33) % n;
}

static void write_space(struct buf *out)
{
	if (any(3) == 0)
		buf_str(out, any(2) ? " " : "\t ");
}

static void write_random(struct buf *out, int depth)
{
	static const char *const leaves[] = {
		"o", "n", "_x1", "ns::Kind::bad", "$ret", "$duration", "$arg3", "0", "42", "0x7f", "-7", "'c'", "'\\n'", "5ms", "1.25KiB",
		"\"\"", "\"a\\\"b\\0c\\xff\"", "\"\xc3\xa9\xe5\x90\x8d\"", "NULL", "true", "\xc3\xa9t\xc3\xa9",
	};
	static const char *const operators[] = {
		"*", "/", "%", "+", "-", "<<", ">>", "<", "<=", ">", ">=", "==", "!=", "&", "^", "|", "&&", "||",
	};
	static const char *const prefixes[] = { "- ", "!", "~", "*", "-" };
	unsigned kind = depth > 0 ? any(8) : 0;

	write_space(out);
	if (kind <= 1) {
		buf_str(out, leaves[any(COUNT(leaves))]);
	} else if (kind <= 4) {
		write_random(out, depth - 1);
		buf_printf(out, " %s ", operators[any(COUNT(operators))]);
		write_random(out, depth - 1);
	} else if (kind == 5) {
		buf_str(out, prefixes[any(COUNT(prefixes))]);
		write_random(out, depth - 1);
	} else if (kind == 6) {
		buf_char(out, '(');
		write_random(out, depth - 1);
		buf_char(out, ')');
	} else {
		buf_str(out, any(2) ? "p->m" : "o.m");
		buf_char(out, '[');
		write_random(out, depth - 1);
		buf_char(out, ']');
	}
	write_space(out);
}

static void test_random(void **state)
{
	struct buf text = { 0 }, got = { 0 };
	int taken = 0;

	seed = 42;
	for (int i = 0; i < 20000; i++) {
		buf_clear(&text);
		buf_clear(&got);
		write_random(&text, (int)any(7));
		taken += run(true, buf_text(&text), &got) == 0;
		if (text.len > 0)
			text.data[any((unsigned)text.len)] = (char)(1 + any(255));
		run(any(2), buf_text(&text), &got);
	}
	assert_true(taken > 5000);
	buf_free(&text);
	buf_free(&got);
}

/* ---- fields ---- */

static struct spec *parse(const char *text)
{
	struct error err = { 0 };
	struct spec *spec;

	if (spec_parse(text, &spec, &err))
		fail_msg("%s: %s", text, err.text);
	return spec;
}

static void test_fields(void **state)
{
	struct spec *s = parse("lib.so:f( o -> id , n ) -> $ret if o->id == \"a\\0b\"");

	assert_int_equal(s->place, PLACE_FUNCTION);
	assert_string_equal(s->module, "lib.so");
	assert_string_equal(s->name, "f");
	assert_int_equal(s->name_col, 8);
	assert_int_equal(s->name_len, 1);
	assert_true(s->has_entry && s->has_return);
	assert_int_equal(s->n_entry, 2);
	assert_string_equal(s->entry[0].label, "o -> id");
	assert_int_equal(s->entry[0].expr->op, EXPR_ARROW);
	assert_int_equal(s->entry[0].expr->col, 11);
	assert_int_equal(s->entry[0].expr->len, 7);
	assert_string_equal(s->entry[0].expr->text, "id");
	assert_string_equal(s->ret[0].expr->text, "ret");
	assert_int_equal(s->condition->op, EXPR_EQ);
	assert_int_equal(s->condition->b->text_len, 3);
	assert_memory_equal(s->condition->b->text, "a\0b", 4);
	spec_free(s);
	spec_free(NULL);
	expr_free(NULL);
}

static void test_absent_parts(void **state)
{
	struct spec *s = parse("f");

	assert_true(!s->has_entry && !s->has_return && !s->condition && !s->module && s->line == 0);
	spec_free(s);
	s = parse("f()");
	assert_true(s->has_entry && s->n_entry == 0 && !s->has_return);
	spec_free(s);
	s = parse("  m:src/a.c:4294967295  ");
	assert_int_equal(s->line, UINT32_MAX);
	assert_string_equal(s->module, "m");
	assert_int_equal(s->name_col, 5);
	assert_int_equal(s->name_len, 7);
	spec_free(s);
	s = parse("m:'f*'");
	assert_int_equal(s->place, PLACE_GLOB);
	assert_int_equal(s->name_col, 4);
	assert_int_equal(s->name_len, 2);
	spec_free(s);
}

static void test_error_is_optional(void **state)
{
	struct spec *s;
	struct expr *e;

	assert_int_equal(spec_parse("f(", &s, NULL), -EINVAL);
	assert_null(s);
	assert_int_equal(spec_parse_expr("1 +", &e, NULL), -EINVAL);
	assert_null(e);
	assert_int_equal(spec_parse("f", &s, NULL), 0);
	spec_free(s);
}

/* An error left by somebody else does not become ours. */
static void test_error_starts_clean(void **state)
{
	struct error err = { .code = EIO, .text = "old", .hint = "old", .col = 7, .len = 3 };
	struct spec *s;

	assert_int_equal(spec_parse("f(a, b) if (a)", &s, &err), 0);
	assert_int_equal(err.code, 0);
	spec_free(s);
}

/* ---- limits ---- */

static void refused(const char *text, int col, const char *what)
{
	struct error err = { 0 };
	struct spec *s;

	assert_int_equal(spec_parse(text, &s, &err), -EINVAL);
	assert_int_equal(err.col, col);
	if (!strstr(err.text, what))
		fail_msg("'%s' is not in '%s'", what, err.text);
}

static void repeat(struct buf *out, const char *what, int n)
{
	while (n-- > 0)
		buf_str(out, what);
}

static void test_text_limit(void **state)
{
	struct buf b = { 0 };

	repeat(&b, "f", SPEC_TEXT_MAX);
	spec_free(parse(buf_text(&b)));
	buf_char(&b, 'f');
	refused(buf_text(&b), SPEC_TEXT_MAX + 1, "longer than 4096 bytes");
	buf_free(&b);
}

/* `open` n times, x, `close` n times, as a condition. */
static char *nested(const char *open, int n, const char *close)
{
	struct buf b = { 0 };

	buf_str(&b, "f if ");
	repeat(&b, open, n);
	buf_char(&b, 'x');
	repeat(&b, close, n);
	return b.data;
}

static void test_depth_limit(void **state)
{
	static const struct { const char *open, *close; int most, first; } shapes[] = {
		{ "a+(", ")", 31, 7 },              /* right-hand nesting: the outermost node is the one too many */
		{ "", "+x", 31, 7 + 31 * 2 },       /* a chain: its last operator */
		{ "", ".m", 31, 8 + 31 * 2 },       /* the member's name */
		{ "!", "", 31, 6 },
		{ "*", "", 31, 6 },
		{ "(", ")", 64, 6 + 64 },           /* brackets alone make no node */
		{ "a[", "]", 31, 7 },
	};

	for (size_t i = 0; i < COUNT(shapes); i++) {
		char *fits = nested(shapes[i].open, shapes[i].most, shapes[i].close);
		char *deep = nested(shapes[i].open, shapes[i].most + 1, shapes[i].close);
		char *far = nested(shapes[i].open, 1000, shapes[i].close);
		struct error err = { 0 };
		struct spec *s = parse(fits);

		check_spec(s, fits);
		spec_free(s);
		refused(deep, shapes[i].first, "nested deeper than 32");
		assert_int_equal(spec_parse(far, &s, &err), -EINVAL);
		free(fits);
		free(deep);
		free(far);
	}
}

static void test_capture_limit(void **state)
{
	struct buf b = { 0 };
	struct spec *s;

	buf_str(&b, "f(a");
	repeat(&b, ",a", SPEC_CAPTURES_MAX - 1);
	buf_str(&b, ") -> a");
	repeat(&b, ",a", SPEC_CAPTURES_MAX - 1);
	s = parse(buf_text(&b));
	assert_int_equal(s->n_entry, SPEC_CAPTURES_MAX);
	assert_int_equal(s->n_return, SPEC_CAPTURES_MAX);
	spec_free(s);
	buf_str(&b, ",a");
	refused(buf_text(&b), (int)b.len, "more than 32 captures");
	buf_free(&b);
}

/* Brackets inside a name have their own bound. */
static void test_name_nesting(void **state)
{
	struct buf b = { 0 };

	buf_char(&b, 'f');
	repeat(&b, "<a", 64);
	repeat(&b, ">", 64);
	spec_free(parse(buf_text(&b)));
	buf_clear(&b);
	buf_char(&b, 'f');
	repeat(&b, "<a", 65);
	repeat(&b, ">", 65);
	refused(buf_text(&b), 2, "is not closed");
	buf_free(&b);
}

/* ---- bytes that no case file should hold ---- */

static void test_bytes(void **state)
{
	refused("f\x01", 2, "control character U+0001");
	refused("f if a == \"\x1b[31m\"", 12, "control character U+001B");
	refused("f\x7f", 2, "control character U+007F");
	refused("f(\xc2\x9b)", 3, "control character U+009B");
	refused("f(a\xe2\x80\xae)", 4, "control character U+202E");
	refused("f(\xff)", 3, "byte 0xff is not valid UTF-8");
	refused("f(\xc0\xaf)", 3, "byte 0xc0 is not valid UTF-8");
	refused("f(\xed\xa0\x80)", 3, "byte 0xed is not valid UTF-8");
	refused("f(\xe5\x90", 3, "byte 0xe5 is not valid UTF-8");
	refused("f if a == \"x\ny\"", 13, "line break or tab");
	refused("f if a == '\t'", 12, "line break or tab");
	refused("'f\n'", 3, "line break or tab");
	refused("f(\xc2\xa0x)", 3, "non-breaking space");
}

/* A request in the right order is shown on one line, however it was written. */
static void test_hint_is_one_line(void **state)
{
	struct error err = { 0 };
	struct spec *spec = NULL;

	assert_int_equal(spec_parse("f if a\t->b\n<\r2 -> $ret", &spec, &err), -EINVAL);
	assert_string_equal(err.hint, "the order is PLACE(captures) -> captures if condition, so: f -> $ret if a ->b < 2");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases), cmocka_unit_test(test_beginnings), cmocka_unit_test(test_precedence),
		cmocka_unit_test(test_random), cmocka_unit_test(test_fields), cmocka_unit_test(test_absent_parts),
		cmocka_unit_test(test_error_is_optional), cmocka_unit_test(test_error_starts_clean),
		cmocka_unit_test(test_text_limit), cmocka_unit_test(test_depth_limit), cmocka_unit_test(test_capture_limit),
		cmocka_unit_test(test_name_nesting), cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_hint_is_one_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
