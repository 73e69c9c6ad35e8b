/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests -> plans and layouts.  The cases are data, in tests/cases/plan: blocks of
 *
 *     probe parse_order(o->qty) if n > 3
 *     error n < 0                     (the --error expression)
 *     with errors noship shown call strip depth=2 bytes=16 string=8
 *     keep rdi rsi                    (registers that the site must leave alone)
 *     gives                           (then the plan and the layout), or: refused COLUMN TEXT
 *     ...
 *
 * with an empty line between two.  Each is run against the same source compiled with -O0 and with -O2.
 */
#include "image_files.h"

#include <ctype.h>
#include <glob.h>

#include "plan.h"

struct one_case {
	char *file, *probe, *error, *with, *keep, *refused;
	int line;
	struct buf expected;
};

struct built {
	struct resolved r;
	uint32_t keep;
	struct error err;
	bool blame_error;
	int rc;
};

static struct image *images[2];
static struct debuginfo *debug[2];
static const char *const builds[2] = { "-O0", "-O2" };
static int cases_run, cases_wrong;

static int setup(void **state)
{
	char here[1024];
	struct error err;

	make_dir();
	assert_non_null(realpath("tests/cases/plan/fixture.c", here));
	for (int i = 0; i < 2; i++) {
		sh("gcc -w -g %s -o fixture%s %s", builds[i], builds[i], here);
		images[i] = must_open(i ? "fixture-O2" : "fixture-O0");
		assert_int_equal(debuginfo_open(images[i], "", NULL, &debug[i], &err), 0);
	}
	return 0;
}

static int teardown(void **state)
{
	for (int i = 0; i < 2; i++) {
		debuginfo_close(debug[i]);
		image_free(images[i]);
	}
	return remove_dir(state);
}

static uint32_t number_in(const char *with, const char *key)
{
	const char *at = with ? strstr(with, key) : NULL;

	return at ? (uint32_t)atoi(at + strlen(key)) : 0;
}

static bool word_in(const char *with, const char *word)
{
	return with && strstr(with, word);
}

static void build(const struct one_case *c, int which, struct built *out)
{
	const struct function **fns = NULL;
	struct plan_request rq = { .ship = !word_in(c->with, "noship"), .errors_only = word_in(c->with, "errors"),
				   .show_errors = word_in(c->with, "shown"), .force_call = word_in(c->with, "call"), .blame_error = &out->blame_error };
	struct expr *error = NULL;
	struct spec *spec = NULL;

	memset(out, 0, sizeof(*out));
	rq.limits = (struct capture_limits){ number_in(c->with, "depth="), number_in(c->with, "bytes="),
					     number_in(c->with, "string=") };
	out->rc = spec_parse(c->probe, &spec, &out->err);
	if (!out->rc && c->error)
		out->rc = spec_parse_expr(c->error, &error, &out->err);
	rq.spec = spec;
	rq.error = error;
	if (!out->rc && !word_in(c->with, "strip")) {
		assert_int_equal(debuginfo_find(debug[which], spec->name, &fns, &out->err), 1);
		rq.fn = fns[0];
		rq.di = debug[which];
	}
	if (!out->rc)
		out->rc = plan_build(&rq, &out->r, &out->keep, &out->err);
	if (out->rc)
		assert_int_equal(out->rc, -out->err.code);
	free(fns);
	spec_free(spec);
	expr_free(error);
}

/* What is built must be what the agent would take from the resolver. */
static void check_accepted(const struct built *built, struct buf *out)
{
	struct buf wire = { 0 };
	struct resolved copy;
	struct error err = { 0 };

	resolved_write(&built->r, &wire);
	if (resolved_read(wire.data, wire.len, &copy, &err) != (int)wire.len)
		buf_printf(out, "the agent would refuse this: %s\n", err.text);
	else
		resolved_free(&copy);
	buf_free(&wire);
}

static void show(struct built *built, struct buf *out)
{
	static const char *const names[] = { "rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp", "r8", "r9" };

	if (built->rc) {
		buf_printf(out, "refused %s%d %s\n", built->blame_error ? "error " : "", built->err.col, built->err.text);
		return;
	}
	buf_str(out, "keep");
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (built->keep >> i & 1)
			buf_printf(out, " %s", names[i]);
	buf_str(out, "\ngives\n");
	plan_dump(&built->r.plan, out);
	layout_dump(&built->r.layout, out);
	check_accepted(built, out);
}

static void run_case(const struct one_case *c)
{
	for (int i = 0; i < 2; i++) {
		struct built built;
		struct buf got = { 0 };

		build(c, i, &built);
		show(&built, &got);
		cases_run++;
		if (strcmp(buf_text(&got), buf_text(&c->expected))) {
			fprintf(stderr, "%s:%d: %s (%s)\n--- expected\n%s--- got\n%s", c->file, c->line, c->probe, builds[i],
				    buf_text(&c->expected), buf_text(&got));
			cases_wrong++;
		}
		resolved_free(&built.r);
		buf_free(&got);
	}
}

static void end_case(struct one_case *c)
{
	if (c->probe)
		run_case(c);
	free(c->probe);
	free(c->error);
	free(c->with);
	buf_free(&c->expected);
	*c = (struct one_case){ .file = c->file };
}

static char *after(const char *line, const char *word)
{
	size_t n = strlen(word);

	return !strncmp(line, word, n) && line[n] == ' ' ? strdup(line + n + 1) : NULL;
}

static void take_line(struct one_case *c, const char *line, int number)
{
	if (!*line) {
		end_case(c);
	} else if (!c->probe && line[0] == '#') {
		return;
	} else if (!c->probe) {
		c->probe = after(line, "probe");
		c->line = number;
		assert_non_null(c->probe);
	} else if (!c->expected.len && !strncmp(line, "error ", 6)) {
		c->error = after(line, "error");
	} else if (!c->expected.len && !strncmp(line, "with ", 5)) {
		c->with = after(line, "with");
	} else {
		buf_printf(&c->expected, "%s\n", line);
	}
}

static void run_file(char *path)
{
	struct one_case c = { .file = path };
	FILE *f = fopen(path, "r");
	char line[4096];
	int number = 0;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		take_line(&c, line, ++number);
	}
	end_case(&c);
	fclose(f);
}

static void test_cases(void **state)
{
	glob_t files;

	assert_int_equal(glob("tests/cases/plan/*.case", 0, NULL, &files), 0);
	for (size_t i = 0; i < files.gl_pathc; i++)
		run_file(files.gl_pathv[i]);
	globfree(&files);
	assert_true(cases_run > 50);
	assert_int_equal(cases_wrong, 0);
}

/* ---- properties ---- */

/* The operators of a request, deep on the left, on the right and on both sides. */
static void deep(struct buf *text, int depth, int shape)
{
	if (!depth) {
		buf_str(text, "i");
		return;
	}
	buf_char(text, '(');
	deep(text, shape == 1 ? 0 : depth - 1, shape);
	buf_str(text, " + ");
	deep(text, shape == 0 ? 0 : depth - 1, shape);
	buf_char(text, ')');
}

/* A left-deep tree takes two registers, whatever its depth; a right-deep one is refused when they run out. */
static void test_registers(void **state)
{
	static const struct { int depth, shape; bool fits; } trees[] = {
		{ 20, 0, true }, { 6, 1, true }, { 8, 1, false }, { 4, 2, true }, { 6, 2, false },
	};

	for (size_t i = 0; i < sizeof(trees) / sizeof(trees[0]); i++) {
		struct buf text = { 0 };
		struct one_case c = { 0 };
		struct built built;

		buf_str(&text, "numbers(");
		deep(&text, trees[i].depth, trees[i].shape);
		buf_str(&text, ")");
		c.probe = text.data;
		build(&c, 1, &built);
		if (trees[i].fits) {
			assert_int_equal(built.rc, 0);
		} else {
			assert_int_equal(built.rc, -E2BIG);
			assert_true(built.err.col > 0);
		}
		resolved_free(&built.r);
		buf_free(&text);
	}
}

/* Whatever is asked for, operations and read bits run out before the arrays do. */
static void test_exhaustion(void **state)
{
	struct one_case c = { .with = "depth=4 string=4096 bytes=4096" };
	struct buf text = { 0 };
	struct built built;

	for (int n = 1; n <= SPEC_CAPTURES_MAX; n++) {
		buf_clear(&text);
		buf_str(&text, "parse_order(o");
		for (int i = 1; i < n; i++)
			buf_printf(&text, ", %s", i % 3 ? "o->next" : "*o");
		buf_str(&text, ") -> $ret, o, *o if o->user->name == \"bob\" || $ret < o->qty");
		c.probe = text.data;
		build(&c, 0, &built);
		assert_true(built.rc == 0 || built.rc == -E2BIG);
		if (built.rc == 0) {
			struct buf wrong = { 0 };

			check_accepted(&built, &wrong);
			assert_string_equal(buf_text(&wrong), "");
		} else {
			assert_true(built.err.text[0]);
		}
		resolved_free(&built.r);
	}
	buf_free(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases), cmocka_unit_test(test_registers), cmocka_unit_test(test_exhaustion),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
