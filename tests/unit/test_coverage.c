/* SPDX-License-Identifier: Apache-2.0 */
/* From a diff and two builds' answers to what is compared and what is said of the rest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "coverage.h"
#include "function_name.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))

/* Two hunks of one file: lines 10 to 13, and 30 to 33, are other ones. */
static const char patch_text[] =
	"--- a/src/f.c\n+++ b/src/f.c\n"
	"@@ -10,4 +10,4 @@\n-a\n-b\n-c\n-d\n+A\n+B\n+C\n+D\n"
	"@@ -30,4 +30,4 @@\n-e\n-f\n-g\n-h\n+E\n+F\n+G\n+H\n";

/*
 * What a build answers: "10 f; 11 f g!; 12 ~h@g": the lines, and of each the functions that its code lies in. ~h@g: h has no code of its own,
 * it is inlined in g. !: a probe on it is single-stepped.
 */
static uint32_t function_in(struct lines_answer *a, const char *name, bool own)
{
	size_t len = strcspn(name, "@!");

	for (uint32_t i = 0; i < a->n_functions; i++)
		if (strncmp(a->function[i].name, name, len) == 0 && !a->function[i].name[len])
			return i;
	a->function[a->n_functions] = (struct lines_function){ .name = strndup(name, len), .signature = strdup("int (void)"), .file = strdup("f.c"),
							       .own_code = own, .copies = !own, .stepped = strchr(name, '!') };
	return a->n_functions++;
}

static void add_line(struct lines_answer *a, char *text)
{
	char *rest = NULL, *word = strtok_r(text, " ", &rest);
	struct lines_line *l = &a->line[a->n_lines++];

	*l = (struct lines_line){ .line = (uint32_t)atoi(word), .place = calloc(8, sizeof(*l->place)) };
	while ((word = strtok_r(NULL, " ", &rest))) {
		bool inlined = *word == '~';
		const char *at = strchr(word, '@');
		struct lines_place *p = &l->place[l->n_places++];

		*p = (struct lines_place){ .function = function_in(a, word + inlined, !inlined), .addresses = 1, .inlined = inlined, .own = true };
		p->holder = !inlined ? p->function : at ? function_in(a, at + 1, true) : LINES_NO_HOLDER;
	}
}

static struct lines_answer answer_of(const char *text)
{
	struct lines_answer a = { .build_id = strdup("aabbccddeeff00"), .module = strdup("m"), .function = calloc(64, sizeof(*a.function)),
				  .line = calloc(64, sizeof(*a.line)) };
	char *copy = strdup(text), *rest = NULL;

	for (char *line = strtok_r(copy, ";", &rest); line; line = strtok_r(NULL, ";", &rest))
		add_line(&a, line);
	free(copy);
	return a;
}

static const char *claimed;   /* --function */

/* The patch lives as long as the coverage: lines borrow from it. */
static struct coverage *cover(const char *text, const char *base, const char *cand, struct patch **patch)
{
	struct lines_answer answer[VERIFY_SIDES] = { answer_of(base), answer_of(cand) };
	const struct lines_answer *const answers[VERIFY_SIDES] = { &answer[BASELINE], &answer[CANDIDATE] };
	static const uint32_t first[1];
	const uint32_t *const file_of[VERIFY_SIDES] = { first, first };
	struct error err = { 0 };
	struct verify_spec s;
	struct coverage *c;

	verify_spec_init(&s);
	s.function = claimed ? strdup(claimed) : NULL;
	assert_int_equal(patch_parse(text, strlen(text), PATCH_STRIP_AUTO, patch, &err), 0);
	c = coverage_new(&s, *patch, answers, file_of, &err);
	if (!c)
		fail_msg("%s", err.text);
	verify_spec_free(&s);
	lines_answer_free(&answer[BASELINE]);
	lines_answer_free(&answer[CANDIDATE]);
	return c;
}

static const char *why_of(const struct coverage *c, const char *function)
{
	int32_t i = coverage_function(c, function);

	if (i < 0)
		fail_msg("%s is not there", function);
	assert_true(c->function[i].compared || c->function[i].why[0]);
	return c->function[i].why;
}

/* ---- functions that only one build has ---- */

static void one_goes_and_one_comes(void **state)
{
	static const char gone[] = "only the baseline has it: there is nothing to compare it with",
			  hint[] = " (the candidate has to there instead: renamed?)";
	static const struct { const char *base, *cand; bool renamed; } cases[] = {
		{ "10 from;11 from", "10 to;11 to", true },
		{ "10 from;11 both", "10 to;11 both", true },
		{ "10 from;30 from", "10 to;30 to", true },              /* said once */
		{ "10 from;30 other", "10 to;30 another", true },        /* of each hunk its own */
		{ "10 from;11 other", "10 to", false },                  /* two go: which one it was is not known */
		{ "10 from", "10 to;11 another", false },
		{ "10 from", "30 to", false },                           /* in another hunk */
		{ "10 from;30 both", "10 both;30 to", false },
		{ "10 from;30 both", "10 both", false },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct patch *p;
		struct coverage *c = cover(patch_text, cases[i].base, cases[i].cand, &p);
		char want[COVERAGE_WHY];

		snprintf(want, sizeof(want), "%s%s", gone, cases[i].renamed ? hint : "");
		if (strcmp(why_of(c, "from"), want) != 0)
			fail_msg("case %zu: %s", i, why_of(c, "from"));
		if (cases[i].renamed)
			assert_string_equal(why_of(c, "to"), "only the candidate has it: there is nothing to compare it with "
							     "(the baseline has from there instead: renamed?)");
		coverage_free(c);
		patch_free(p);
	}
}

/* A hostile name fills the sentence and goes no further. */
static void a_long_name_is_cut(void **state)
{
	char base[600], cand[600], *name = base + 3;
	struct patch *p;
	struct coverage *c;

	snprintf(base, sizeof(base), "10 %0500d", 0);
	snprintf(cand, sizeof(cand), "10 to");
	c = cover(patch_text, base, cand, &p);
	assert_non_null(strstr(why_of(c, "to"), "0000 there instead: renamed?)"));
	assert_non_null(strstr(why_of(c, name), "renamed?)"));
	coverage_free(c);
	patch_free(p);
}

/* ---- too many ---- */

/* One hunk of so many changed lines, from line 1 on. */
static char *patch_of(unsigned lines)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	fprintf(f, "--- a/src/f.c\n+++ b/src/f.c\n@@ -1,%u +1,%u @@\n", lines, lines);
	for (unsigned i = 0; i < 2 * lines; i++)
		fputs(i < lines ? "-old\n" : "+new\n", f);
	fclose(f);
	return text;
}

static bool is_compared(const struct coverage *c, const char *name)
{
	int32_t i = coverage_function(c, name);

	return i >= 0 && c->function[i].compared;
}

/* Every line of so many functions, one each, and what else there is. */
static struct coverage *cover_many(unsigned functions, const char *form, const char *more, struct patch **p)
{
	char *patch = patch_of(40), *text = NULL;
	struct coverage *c;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	for (unsigned i = 0; i < functions; i++) {
		fprintf(f, "%u ", i + 1);
		fprintf(f, form, i, i < 4 ? "!" : "");
		fputc(';', f);
	}
	fputs(more, f);   /* lines in their order */
	fclose(f);
	c = cover(patch, text, text, p);
	free(patch);
	free(text);
	return c;
}

static void all_that_fit_are_compared(void **state)
{
	struct patch *p;
	struct coverage *c = cover_many(VERIFY_FUNCTIONS_MAX, "f%u%s", "30 f0;31 f0", &p);

	assert_int_equal(c->functions_compared, VERIFY_FUNCTIONS_MAX);
	assert_int_equal(c->functions_left_out, 0);
	coverage_free(c);
	patch_free(p);
}

/* Twenty of one line each: those whose probes are cheap. */
static void the_dearest_are_left_out(void **state)
{
	struct patch *p;
	struct coverage *c = cover_many(20, "f%u%s", "30 f0", &p);

	assert_int_equal(c->functions_compared, VERIFY_FUNCTIONS_MAX);
	assert_int_equal(c->functions_left_out, 4);
	for (unsigned i = 0; i < 20; i++) {
		char name[8];

		snprintf(name, sizeof(name), "f%u", i);
		assert_int_equal(is_compared(c, name), i >= 4);   /* f0 has two lines, which is not five times as much */
		if (i < 4)
			assert_non_null(strstr(why_of(c, name), "left out: at most 16 functions are compared, those that cover most changed lines"));
	}
	coverage_free(c);
	patch_free(p);
}

/* Lines that are also inlined into one function are covered by that one; those that there is room for are compared all the same. */
static void one_that_holds_the_others_comes_first(void **state)
{
	struct patch *p;
	struct coverage *c = cover_many(20, "f%1$u ~f%1$u@big%2$.0s", "30 big;31 other", &p);

	assert_int_equal(c->functions_compared, VERIFY_FUNCTIONS_MAX);
	assert_int_equal(c->functions_left_out, 20 + 2 - VERIFY_FUNCTIONS_MAX);
	assert_true(is_compared(c, "big") && is_compared(c, "other") && is_compared(c, "f0") && !is_compared(c, "f19"));
	for (uint32_t i = 0; i < c->n_lines; i++)
		if (c->line[i].state == LINE_PROBED && c->line[i].line->hunk == 0)
			assert_true(c->function[c->line[i].function].compared);
	coverage_free(c);
	patch_free(p);
}

/* What has no code of its own anywhere: a function that it is a part of is compared, if there is nothing else. */
static void inlined_everywhere(void **state)
{
#define INLINED_IN "it is inlined in the "
#define NAME_A_CALLER "baseline and the candidate: compare a function that calls it (--function)"
	static const struct { const char *base, *cand; int compared; const char *why; } cases[] = {
		{ "10 ~f@g ~f@h", "10 ~f@g ~f@h", 1, INLINED_IN "baseline and the candidate: compared as a part of g" },
		{ "10 ~f@main ~f@h", "10 ~f@main ~f@h", 1, INLINED_IN "baseline and the candidate: compared as a part of h" },
		{ "10 ~f@main", "10 ~f@main", 0, INLINED_IN NAME_A_CALLER },
		{ "10 ~f@g", "10 ~f@h", 0, INLINED_IN NAME_A_CALLER },
		{ "10 ~f@g", "10 f;11 g", 1, INLINED_IN "baseline: compared as a part of g" },
		{ "10 ~f@g;11 k", "10 ~f@g;11 k", 1, INLINED_IN NAME_A_CALLER },
		{ "10 ~f", "10 ~f", 0, INLINED_IN NAME_A_CALLER },   /* an older agent */
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct patch *p;
		struct coverage *c = cover(patch_text, cases[i].base, cases[i].cand, &p);

		if ((int)c->functions_compared != cases[i].compared || strcmp(why_of(c, "f"), cases[i].why) != 0)
			fail_msg("case %zu: %u compared, %s", i, c->functions_compared, why_of(c, "f"));
		/* Those that it is a part of and that are not needed are nobody's business. */
		for (uint32_t k = 0; k < c->n_functions; k++)
			assert_int_equal(coverage_is_missing(&c->function[k]), strcmp(c->function[k].name, "f") == 0);
		assert_int_equal(c->functions_left_out, 0);
		coverage_free(c);
		patch_free(p);
	}
}

/* ---- what the claim names ---- */

static void names_and_patterns(void **state)
{
	static const struct { const char *request, *name; bool pattern, means; const char *text; } cases[] = {
		{ "ns::f", "ns::f", false, true, "ns::f" }, { "f", "ns::f<int>", false, true, "f" },
		{ "ns::f<int>", "ns::f<long>", false, false, "ns::f<int>" },
		{ "f<char *>", "f<char *>", false, true, "f<char *>" }, { "f<char*, int>", "f<char const*, int>", false, false, "f<char*, int>" },
		{ "f<*>", "f<int>", true, true, "'f<*>'" }, { "ns::f<*>", "f<int>", true, false, "'ns::f<*>'" }, { "f< int, * >", "f< int, x >", true, true, "'f< int, * >'" },
		{ "db_*", "db_open", true, true, "db_*" }, { "db_?", "db_open", true, false, "db_?" }, { "ns::f*<int>", "ns::fa<int>", true, true, "'ns::f*<int>'" },
		{ "'db_*'", "db_open", true, true, "'db_*'" }, { "'ns::f<*>'", "ns::f<int>", true, true, "'ns::f<*>'" }, { "'f", "f", false, false, "'f" },
		{ "net.(*conn).serve", "net.(*conn).serve", false, true, "net.(*conn).serve" }, { "M::operator*", "M::operator*", false, true, "M::operator*" },
		{ "''", "", false, false, "''" },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		char *text = function_probe_text(cases[i].request);

		if (function_is_pattern(cases[i].request) != cases[i].pattern || function_means(cases[i].request, cases[i].name) != cases[i].means ||
		    strcmp(text, cases[i].text) != 0)
			fail_msg("%s: %d %d %s", cases[i].request, function_is_pattern(cases[i].request),
				 function_means(cases[i].request, cases[i].name), text);
		free(text);
	}
}

/* The claim's are compared as one, and the lines in them are that one's; the others are compared for themselves. */
static void a_claim_that_means_several(void **state)
{
	static const char *const claims[] = { "f", "ns::f", "ns::f<*>", "'ns::f*'" };

	for (size_t i = 0; i < COUNT(claims); i++) {
		struct coverage *c;
		struct patch *p;

		claimed = claims[i];
		c = cover(patch_text, "10 ns::f<int> ns::f<long>;30 g", "10 ns::f<long> ns::f<int>;30 g", &p);
		claimed = NULL;
		assert_int_equal(c->functions_compared, 2);
		assert_true(c->function[0].compared && c->function[0].known[BASELINE] && c->function[0].known[CANDIDATE]);
		assert_non_null(strstr(why_of(c, "ns::f<int>"), "counted with "));
		assert_non_null(strstr(why_of(c, "ns::f<long>"), claims[i]));
		assert_true(c->function[coverage_function(c, "g")].compared);
		for (uint32_t l = 0; l < c->n_lines; l++)
			if (c->line[l].state == LINE_PROBED)
				assert_int_equal(c->line[l].function, c->line[l].line->hunk == 0 ? 0 : coverage_function(c, "g"));
		coverage_free(c);
		patch_free(p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_goes_and_one_comes), cmocka_unit_test(a_long_name_is_cut), cmocka_unit_test(names_and_patterns),
		cmocka_unit_test(a_claim_that_means_several), cmocka_unit_test(all_that_fit_are_compared),
		cmocka_unit_test(the_dearest_are_left_out), cmocka_unit_test(one_that_holds_the_others_comes_first),
		cmocka_unit_test(inlined_everywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
