/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "buf.h"
#include "patch.h"
#include "path_suffix.h"

/* "old>new: kind old_line new_line text; ..." */
static void dump(const struct patch *p, struct buf *out)
{
	for (uint32_t i = 0; i < p->n_files; i++) {
		const struct patch_file *f = &p->file[i];

		buf_printf(out, "%s>%s:", f->old_path ? f->old_path : "-", f->new_path ? f->new_path : "-");
		for (uint32_t k = 0; k < f->n_lines; k++)
			buf_printf(out, " %c%u/%u'%.*s'", " -+"[f->line[k].kind], f->line[k].old_line, f->line[k].new_line, (int)f->line[k].len,
				   f->line[k].text);
		buf_char(out, '\n');
	}
}

static void check(const char *text, int strip, const char *want)
{
	struct error err = { 0 };
	struct buf got = { 0 };
	struct patch *p;

	if (patch_parse(text, strlen(text), strip, &p, &err))
		fail_msg("%s", err.text);
	dump(p, &got);
	assert_string_equal(buf_text(&got), want);
	buf_free(&got);
	patch_free(p);
}

static void test_git_diff(void **state)
{
	check("diff --git a/src/order.c b/src/order.c\nindex 123..456 100644\n--- a/src/order.c\n+++ b/src/order.c\n"
	      "@@ -10,3 +10,4 @@ int f(void)\n one\n-two\n+TWO\n+three\n four\n@@ -40 +41 @@\n-x\n+y\n\\ No newline at end of file\n",
	      PATCH_STRIP_AUTO,
	      "src/order.c>src/order.c:  10/10'one' -11/0'two' +0/11'TWO' +0/12'three'  12/13'four' -40/0'x' +0/41'y'\n");
}

static void test_new_and_removed_files(void **state)
{
	check("--- /dev/null\n+++ b/new.c\t2026-01-01 00:00:00\n@@ -0,0 +1,2 @@\n+a\n+b\n--- a/old.c\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\n",
	      PATCH_STRIP_AUTO, "->new.c: +0/1'a' +0/2'b'\nold.c>-: -1/0'a'\n");
}

/* A removed line that looks like the head of a file is one of the hunk: its counts say so. */
static void test_lines_that_look_like_heads(void **state)
{
	check("--- x.c\n+++ x.c\n@@ -1,2 +1,2 @@\n--- gone\n+++ came\n same\n", 0, "x.c>x.c: -1/0'-- gone' +0/1'++ came'  2/2'same'\n");
}

static void test_strip(void **state)
{
	const char *text = "--- redis-7.0.orig/src/t.c\n+++ redis-7.0/src/t.c\n@@ -1 +1 @@\n-a\n+b\n";

	check(text, PATCH_STRIP_AUTO, "redis-7.0.orig/src/t.c>redis-7.0/src/t.c: -1/0'a' +0/1'b'\n");
	check(text, 1, "src/t.c>src/t.c: -1/0'a' +0/1'b'\n");
	check(text, 9, "t.c>t.c: -1/0'a' +0/1'b'\n");
}

static void test_carriage_returns_quotes_and_mails(void **state)
{
	check("From: me\nSubject: fix\n\n---\n x.c | 2 +-\n\n--- \"a/\\303\\244 b.c\"\r\n+++ \"b/\\303\\244 b.c\"\r\n@@ -1,2 +1,2 @@\r\n-a\r\n+b\r\n\r\n-- \n2.39\n",
	      PATCH_STRIP_AUTO, "\xc3\xa4 b.c>\xc3\xa4 b.c: -1/0'a' +0/1'b'  2/2''\n");
}

static void test_refused(void **state)
{
	static const struct { const char *text, *says; } bad[] = {
		{ "", "no unified diff" },
		{ "hello\n", "no unified diff" },
		{ "diff --git a/old.c b/new.c\nsimilarity index 100%\nrename from old.c\nrename to new.c\n", "binary files, renames or modes only" },
		{ "Binary files a/logo.png and b/logo.png differ\n", "binary files, renames or modes only" },
		{ "--- a\n+++ b\n", "without a hunk" },
		{ "--- a\n+++ b\n@@ -1,2 +1,2 @@\n x\n", "ends before its count" },
		{ "--- a\n+++ b\n@@ -1 +1,2 @@\n x\n y\n", "more lines than its head" },
		{ "--- a\n+++ b\n@@ -1 +1 @@\n?x\n", "begins with none of" },
		{ "--- a\n+++ b\n@@ -99999999 +1 @@\n", "no hunk's head" },
		{ "--- a\n+++ b\n@@ -1 1 @@\n", "no hunk's head" },
		{ "--- /dev/null\n+++ /dev/null\n@@ -1 +1 @@\n", "both sides" },
		{ "--- \"a\n+++ b\n@@ -1 +1 @@\n", "does not end" },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct error err = { 0 };
		struct patch *p = NULL;

		assert_int_equal(patch_parse(bad[i].text, strlen(bad[i].text), PATCH_STRIP_AUTO, &p, &err), -EINVAL);
		if (!strstr(err.text, bad[i].says))
			fail_msg("'%s' does not say '%s'", err.text, bad[i].says);
	}
}

static void test_paths(void **state)
{
	static const struct { const char *patch, *debuginfo; bool same; } cases[] = {
		{ "src/order.c", "/build/x/src/order.c", true },
		{ "src/order.c", "order.c", true },            /* compiled in src/ */
		{ "order.c", "./src//order.c", true },
		{ "src/order.c", "/build/src/./order.c", true },
		{ "src/order.c", "/build/lib/order.c", false },
		{ "src/order.c", "src/border.c", false },
		{ "border.c", "order.c", false },
		{ "", "order.c", false },
		{ "order.c", "", false },
		{ "/", "/", false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (!!path_suffix_matches(cases[i].patch, cases[i].debuginfo) != cases[i].same)
			fail_msg("%s and %s", cases[i].patch, cases[i].debuginfo);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_git_diff),
		cmocka_unit_test(test_new_and_removed_files),
		cmocka_unit_test(test_lines_that_look_like_heads),
		cmocka_unit_test(test_strip),
		cmocka_unit_test(test_carriage_returns_quotes_and_mails),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_paths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
