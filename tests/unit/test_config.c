/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "buf.h"
#include "config.h"

static const struct option options[] = {
	{ "listen", required_argument, NULL, 'l' }, { "keep-days", required_argument, NULL, 'k' }, { "insecure", no_argument, NULL, 'i' },
	{ "config", required_argument, NULL, 'c' }, { "help", no_argument, NULL, 'h' }, { NULL, 0, NULL, 0 },
};

static char path[64];

static void write_file(const char *text, size_t len)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, len, f), len);
	fclose(f);
}

static int setup(void **state)
{
	strcpy(path, "/tmp/plumb-config.XXXXXX");
	return close(mkstemp(path));
}

static int teardown(void **state)
{
	return unlink(path);
}

/* The arguments that come out, with blanks between. */
static void check(const char *yaml, const char *want)
{
	char *argv[] = { "d", "--listen", "typed", NULL };
	struct error err = { 0 };
	struct buf got = { 0 };
	struct config *c;

	write_file(yaml, strlen(yaml));
	if (config_read(path, options, 3, argv, &c, &err))
		fail_msg("%s", err.text);
	assert_null(config_argv(c)[config_argc(c)]);
	for (int i = 0; i < config_argc(c); i++)
		buf_printf(&got, "%s%s", i ? " " : "", config_argv(c)[i]);
	assert_string_equal(buf_text(&got), want);
	assert_string_equal(config_path(c), path);
	config_free(c);
	buf_free(&got);
}

static void test_file_comes_before_what_was_typed(void **state)
{
	check("listen: '[::1]:80'\nkeep-days: 0.5\ninsecure: true\n", "d --listen=[::1]:80 --keep-days=0.5 --insecure --listen typed");
	check("insecure: false\n", "d --listen typed");
	check("", "d --listen typed");
	check("# nothing\n\n", "d --listen typed");
	check("listen: --help\n", "d --listen=--help --listen typed");
}

static void test_refused(void **state)
{
	static const struct { const char *yaml, *says; } bad[] = {
		{ "listne: x\n", "listne" }, { "help: true\n", "help" }, { "config: x\n", "config" }, { "listen: [a, b]\n", "" },
		{ "listen: {a: b}\n", "" }, { "- listen\n", "" }, { "listen\n", "" }, { "listen: x\nlisten: y\n", "" }, { "insecure: maybe\n", "true or false" },
		{ "a: &x [1]\nb: *x\n", "" }, { "listen: \"\n", "" }, { "\x01\x02", "" },
	};
	char *argv[] = { "d", NULL };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct error err = { 0 };
		struct config *c = NULL;

		write_file(bad[i].yaml, strlen(bad[i].yaml));
		if (config_read(path, options, 1, argv, &c, &err) != -EINVAL || !strstr(err.text, path) || !strstr(err.text, bad[i].says))
			fail_msg("'%s' -> %s", bad[i].yaml, err.text);
	}
}

static void test_which_file(void **state)
{
	char with[100], *named[] = { "d", "--config", "/nonexistent/x", NULL }, *both[] = { "d", with, NULL }, *none[] = { "d", NULL };
	struct error err = { 0 };
	struct config *c;

	assert_int_equal(config_read(path, options, 3, named, &c, &err), -ENOENT);
	assert_int_equal(config_read("/nonexistent/x", options, 1, none, &c, &err), 0);
	assert_string_equal(config_path(c), "");
	config_free(c);
	assert_int_equal(config_read(NULL, options, 1, none, &c, &err), 0);
	config_free(c);
	snprintf(with, sizeof(with), "--config=%s", path);
	write_file("keep-days: 1\n", 13);
	assert_int_equal(config_read("/nonexistent/x", options, 2, both, &c, &err), 0);
	assert_string_equal(config_argv(c)[1], "--keep-days=1");
	config_free(c);
	assert_int_equal(config_read("/dev/zero", options, 1, none, &c, &err), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_file_comes_before_what_was_typed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_which_file, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
