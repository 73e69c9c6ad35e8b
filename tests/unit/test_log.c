/* SPDX-License-Identifier: Apache-2.0 */
/* One event is one line, whatever is in its fields. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "log.h"

static char said[4096];

/* What log_line writes to standard error. */
static const char *caught(enum log_level level, const char *fields)
{
	FILE *file = tmpfile();
	int saved = dup(STDERR_FILENO);
	size_t n;

	assert_non_null(file);
	fflush(stderr);
	dup2(fileno(file), STDERR_FILENO);
	log_line(level, "client", "closing", "%s", fields);
	fflush(stderr);
	dup2(saved, STDERR_FILENO);
	close(saved);
	rewind(file);
	n = fread(said, 1, sizeof(said) - 1, file);
	said[n] = '\0';
	fclose(file);
	return said;
}

static void test_form(void **state)
{
	const char *line = caught(LOG_LEVEL_WARN, "pid=3");

	assert_int_equal(strncmp(line, "ts=2", 4), 0);
	assert_string_equal(strchr(line, ' '), " level=warn part=client event=closing pid=3\n");
	assert_int_equal(strchr(line, ' ')[-1], 'Z');
}

static void test_control_characters(void **state)
{
	const char *line = caught(LOG_LEVEL_ERROR, "name=a\nlevel=info\x1b[31m\x7f\t");

	assert_non_null(strstr(line, "name=a?level=info?[31m??\n"));
	assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
}

static void test_long_fields(void **state)
{
	static char fields[3000];
	const char *line;

	memset(fields, 'x', sizeof(fields) - 1);
	line = caught(LOG_LEVEL_ERROR, fields);
	assert_in_range(strlen(line), 1000, 1200);
	assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
}

static void test_level(void **state)
{
	assert_string_equal(caught(LOG_LEVEL_DEBUG, ""), "");
	log_set_level(LOG_LEVEL_DEBUG);
	assert_string_not_equal(caught(LOG_LEVEL_DEBUG, ""), "");
	log_set_level(LOG_LEVEL_ERROR);
	assert_string_equal(caught(LOG_LEVEL_WARN, ""), "");
	log_set_level(LOG_LEVEL_INFO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_form), cmocka_unit_test(test_control_characters), cmocka_unit_test(test_long_fields),
		cmocka_unit_test(test_level),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
