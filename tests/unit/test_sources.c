/* SPDX-License-Identifier: Apache-2.0 */
/* Whether two builds are those of a patch: lines that cannot have code, and where functions begin. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "sources.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))
#define HEAD "--- a/src/f.c\n+++ b/src/f.c\n"

/* "f 10; g 20 other.c": functions and the line that each begins at; and the lines that have code, in the first of them. */
static struct lines_answer answer_of(const char *build, const char *functions, uint32_t with_code, uint32_t paths)
{
	struct lines_answer a = { .build_id = strdup(build), .module = strdup("m"), .function = calloc(8, sizeof(*a.function)),
				  .line = calloc(1, sizeof(*a.line)), .paths = calloc(1, sizeof(*a.paths)), .n_lines = 1 };
	char *copy = strdup(functions), *rest = NULL;

	a.paths[0] = paths;
	for (char *one = strtok_r(copy, ";", &rest); one; one = strtok_r(NULL, ";", &rest)) {
		char name[64], file[64] = "/b/src/f.c";
		uint32_t line = 0;

		assert_true(sscanf(one, " %63s %u %63s", name, &line, file) >= 2);
		a.function[a.n_functions++] = (struct lines_function){ .name = strdup(name), .signature = strdup("int ()"), .file = strdup(file), .line = line };
	}
	a.line[0] = (struct lines_line){ .line = with_code ? with_code : 1, .place = calloc(1, sizeof(*a.line->place)), .n_places = with_code != 0 };
	free(copy);
	return a;
}

struct build { const char *functions; uint32_t with_code, paths; };

/* NULL: nothing speaks against it. */
static const char *check(const char *text, struct build base, struct build cand, bool one_build, struct error *err)
{
	struct lines_answer answer[VERIFY_SIDES] = { answer_of("aaaa", base.functions, base.with_code, base.paths),
						     answer_of("bbbb", cand.functions, cand.with_code, cand.paths) };
	const struct lines_answer *const answers[VERIFY_SIDES] = { &answer[BASELINE], &answer[CANDIDATE] };
	static const uint32_t first[1];
	const uint32_t *const file_of[VERIFY_SIDES] = { first, first };
	struct patch *p;
	int rc;

	memset(err, 0, sizeof(*err));
	assert_int_equal(patch_parse(text, strlen(text), PATCH_STRIP_AUTO, &p, err), 0);
	rc = sources_check(p, answers, file_of, one_build, err);
	assert_true(rc == 0 || rc == -EINVAL);
	patch_free(p);
	lines_answer_free(&answer[BASELINE]);
	lines_answer_free(&answer[CANDIDATE]);
	return rc ? err->text : NULL;
}

/* ---- lines ---- */

static void lines_that_cannot_have_code(void **state)
{
	static const struct { const char *line, *what; } cases[] = {
		{ "", "empty" }, { " \t", "empty" }, { "\t// a", "a comment" }, { "/* a */", "a comment" }, { "  /* a, and on", "a comment" },
		{ "#include <a.h>", "for the preprocessor" }, { "# ifdef A", "for the preprocessor" }, { "#endif", "for the preprocessor" },
		{ "/* a */ f();", NULL }, { "f(); // a", NULL }, { "* a", NULL }, { "*p = 1; */", NULL }, { "// a */ f();", NULL },
		{ "// a\", f());", NULL }, { "#define F f()", NULL }, { "#pragma omp parallel", NULL }, { "#", NULL }, { "/", NULL }, { "/*", "a comment" },
		{ "/*/", "a comment" }, { "}", NULL }, { "#iff", NULL }, { "// `a", NULL },
	};
	const struct build none = { "f 10", 0, 1 }, with = { "f 10", 21, 1 };
	struct error err;

	for (size_t i = 0; i < COUNT(cases); i++) {
		char removed[200], added[200], context[200], want[200];

		snprintf(removed, sizeof(removed), HEAD "@@ -20,3 +20,2 @@\n a\n-%s\n b\n", cases[i].line);
		snprintf(added, sizeof(added), HEAD "@@ -20,2 +20,3 @@\n a\n+%s\n b\n", cases[i].line);
		snprintf(context, sizeof(context), HEAD "@@ -20,2 +20,3 @@\n a\n %s\n+b\n", cases[i].line);
		assert_null(check(removed, none, with, false, &err));
		assert_null(check(added, with, none, false, &err));
		assert_int_equal(check(removed, with, none, false, &err) != NULL, cases[i].what != NULL);
		if (cases[i].what)
			assert_non_null(strstr(err.text, "the baseline is not built from the patch's old sources: line 21 of src/f.c is"));
		assert_int_equal(check(context, none, with, false, &err) != NULL, cases[i].what != NULL);
		assert_int_equal(check(added, none, with, false, &err) != NULL, cases[i].what != NULL);
		snprintf(want, sizeof(want), "the candidate is not built from the patched sources: line 21 of src/f.c is %s in the patch, and has code "
			 "in build bbbb (f)", cases[i].what ? cases[i].what : "");
		if (cases[i].what)
			assert_string_equal(err.text, want);
		/* One build, and a condition: it has the new lines only. */
		assert_int_equal(check(added, with, with, true, &err) != NULL, cases[i].what != NULL);
		assert_null(check(removed, with, none, true, &err));
		/* Two files of that name: it may be the other one's line. */
		assert_null(check(added, none, (struct build){ "f 10", 21, 2 }, false, &err));
	}
}

/* ---- functions ---- */

/* f from 15 on is changed, two lines come; g, h and so on stand below. */
#define GROWS HEAD "@@ -20,2 +20,4 @@\n a\n+b\n+c\n d\n"
/* And one is taken out at 52 of the old file. */
#define TWICE GROWS "@@ -51,3 +53,2 @@\n a\n-b\n c\n"

static void functions_that_are_elsewhere(void **state)
{
	static const struct { const char *patch, *base, *cand, *says, *hint; } cases[] = {
		{ GROWS, "f 15;g 30", "f 15;g 32", NULL, NULL },
		{ GROWS, "f 15;g 30", "f 15;g 30", "g begins at line 30 of src/f.c in both; with the patch it would begin at line 32 in the candidate", "deployed" },
		{ GROWS, "f 15;g 32", "f 15;g 30", "g begins at line 32 of src/f.c in the baseline and at 30 in the candidate", "swap --baseline" },
		{ GROWS, "f 15", "f 15", NULL, NULL },                                  /* nothing below it is known */
		{ GROWS, "f 15;g 30", "f 17;g 34", "f begins at line 15", "deployed" },   /* something before it has changed too */
		{ GROWS, "f 15;g 30", "f 15;g 35", NULL, NULL },                        /* something behind it */
		{ GROWS, "f 15;g 30;h 60", "f 15;g 32;h 60", NULL, NULL },              /* h is twice in the file */
		{ GROWS, "f 15;g 30;g 40", "f 15;g 30", NULL, NULL },
		{ GROWS, "f 15;g 30 x.c", "f 15;g 30 x.c", NULL, NULL },
		{ GROWS, "f 15;g 30 /c/src/f.c", "f 15;g 30 /d/src/f.c", "g begins at line 30", "deployed" },
		{ GROWS, "f 15;g::{lambda 30", "f 15;g::{lambda 30", NULL, NULL },
		{ TWICE, "f 15;g 30;h 60", "f 15;g 32;h 61", NULL, NULL },
		{ TWICE, "g 30", "g 30", "g begins at line 30", "deployed" },
		{ TWICE, "h 60", "h 60", "would begin at line 61", "deployed" },
		{ TWICE, "g 30;f 52", "g 32;f 52", NULL, NULL },                         /* where it began is taken out */
		/* Without context, and a hunk alone of several: what others have moved before it is not known. */
		{ HEAD "@@ -19,0 +20,2 @@\n+b\n+c\n", "f 15;g 20", "f 15;g 22", NULL, NULL },
		{ HEAD "@@ -19,0 +20,2 @@\n+b\n+c\n", "f 15;g 20", "f 15;g 20", "would begin at line 22", "deployed" },
		{ HEAD "@@ -20,2 +25,4 @@\n a\n+b\n+c\n d\n", "f 15;g 30", "f 20;g 37", NULL, NULL },
		{ HEAD "@@ -20,2 +20,2 @@\n a\n-b\n+c\n", "f 15;g 30", "f 15;g 30", NULL, NULL },   /* nothing moves */
		{ "--- /dev/null\n+++ b/src/f.c\n@@ -0,0 +1 @@\n+a\n", "g 30", "g 30", NULL, NULL },
	};
	struct error err;

	for (size_t i = 0; i < COUNT(cases); i++) {
		const char *says = check(cases[i].patch, (struct build){ cases[i].base, 0, 1 }, (struct build){ cases[i].cand, 0, 1 }, false, &err);

		if (!says != !cases[i].says || (says && (!strstr(says, cases[i].says) || !strstr(err.hint, cases[i].hint))))
			fail_msg("case %zu: %s (%s)", i, says ? says : "nothing", err.hint);
	}
}

/* ---- what is asked ---- */

/* The line that is asked about behind this one (0: the first); 0: there is none. */
static uint32_t behind(const uint32_t *below, uint32_t n, uint32_t line)
{
	for (uint32_t i = 0; i < n; i++)
		if (below[i] > line)
			return below[i];
	return 0;
}

static void lines_below_the_hunks(void **state)
{
	static const char header[] = "--- a/f.h\n+++ b/f.h\n@@ -1 +1 @@\n-a\n+b\n";
	struct error err = { 0 };
	struct patch *p;
	uint32_t below[SOURCES_BELOW_ALL], n;

	assert_int_equal(patch_parse(TWICE, strlen(TWICE), PATCH_STRIP_AUTO, &p, &err), 0);
	n = sources_below(p->file, BASELINE, below, SOURCES_BELOW_ALL);
	assert_int_equal(behind(below, n, 0), 22);
	assert_int_equal(behind(below, n, 50), 54);
	n = sources_below(p->file, CANDIDATE, below, SOURCES_BELOW_ALL);
	assert_int_equal(behind(below, n, 0), 24);
	assert_int_equal(behind(below, n, 52), 55);
	assert_int_equal(n, 52 - 24 + 1 + SOURCES_BELOW);
	assert_int_equal(below[n - 1], 54 + SOURCES_BELOW);
	assert_int_equal(sources_below(p->file, CANDIDATE, below, 7), 7);
	patch_free(p);
	assert_int_equal(patch_parse(header, strlen(header), PATCH_STRIP_AUTO, &p, &err), 0);
	assert_int_equal(sources_below(p->file, CANDIDATE, below, SOURCES_BELOW_ALL), 0);
	patch_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_that_cannot_have_code), cmocka_unit_test(functions_that_are_elsewhere), cmocka_unit_test(lines_below_the_hunks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
