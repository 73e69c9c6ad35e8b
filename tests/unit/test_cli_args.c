/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "units.h"

enum { ALL = ARGS_GLOBAL | ARGS_TARGET | ARGS_JSON | ARGS_REQUEST | ARGS_TRACE | ARGS_STAT | ARGS_FUNCS };

/* ---- quantities ---- */

typedef int parser(const char *text, uint64_t *out, struct error *err);

static void parses(parser *parse, const char *text, uint64_t want)
{
	struct error err = { 0 };
	uint64_t got = 0;

	assert_int_equal(parse(text, &got, &err), 0);
	assert_int_equal(got, want);
}

static void refuses(parser *parse, const char *const *texts)
{
	for (; *texts; texts++) {
		struct error err = { 0 };
		uint64_t got = 0;

		assert_int_equal(parse(*texts, &got, &err), -EINVAL);
		assert_non_null(strstr(err.text, *texts));
	}
}

static void test_durations(void **state)
{
	static const char *const bad[] = { "", "5", "ms", "-5ms", "5 ms", " 5ms", "0ms", "1e3ms", "0x5ms", "5mss", "infs", ".5s", "99999999999d",
		"5m5s", NULL };

	parses(parse_duration, "5ms", 5000000);
	parses(parse_duration, "340ns", 340);
	parses(parse_duration, "7us", 7000);
	parses(parse_duration, "10s", 10000000000ULL);
	parses(parse_duration, "2m", 120000000000ULL);
	parses(parse_duration, "1.5h", 5400000000000ULL);
	parses(parse_duration, "1d", 86400000000000ULL);
	parses(parse_duration, "0.1s", 100000000);
	refuses(parse_duration, bad);
}

static void test_other_quantities(void **state)
{
	static const char *const bad_sample[] = { "", "100", "2/100", "1/0", "1/", "1/x", "1/9999999999", NULL };
	static const char *const bad_rate[] = { "", "0/s", "/s", "5/m", "-5/s", NULL };
	static const char *const bad_percent[] = { "", "10", "0%", "%", "-1%", "10%%", NULL };
	static const char *const bad_count[] = { "", "0", "-1", "5x", "1.2.3", NULL };
	static const char *const bad_pid[] = { "", "0", "-1", "1.0", "12x", "99999999999", "init", NULL };

	parses(parse_sample, "1/100", 100);
	parses(parse_sample, "1/1", 1);
	refuses(parse_sample, bad_sample);
	parses(parse_rate, "1000/s", 1000);
	parses(parse_rate, "1000", 1000);
	parses(parse_rate, "2k/s", 2000);
	refuses(parse_rate, bad_rate);
	parses(parse_percent, "10%", 100000);
	parses(parse_percent, "0.5%", 5000);
	parses(parse_percent, "100%", 1000000);
	refuses(parse_percent, bad_percent);
	parses(parse_count, "20k", 20000);
	parses(parse_count, "1", 1);
	refuses(parse_count, bad_count);
	parses(parse_pid, "812", 812);
	refuses(parse_pid, bad_pid);
}

typedef void formatter(struct buf *out, uint64_t ns);

static void shows(formatter *format, uint64_t ns, const char *want)
{
	struct buf out = { 0 };

	format(&out, ns);
	assert_string_equal(buf_text(&out), want);
	buf_free(&out);
}

static void test_formatting(void **state)
{
	struct buf out = { 0 };

	shows(format_elapsed, 0, "0ns");
	shows(format_elapsed, 340, "340ns");
	shows(format_elapsed, 12345, "12.3us");
	shows(format_elapsed, 999999, "999.9us");
	shows(format_elapsed, 1204000, "1.204ms");
	shows(format_elapsed, 999999999, "999.999ms");
	shows(format_elapsed, 2001000000, "2.001s");
	shows(format_elapsed, 7200000000000ULL, "7200.000s");
	shows(format_duration, 0, "0ns");
	shows(format_duration, 999, "999ns");
	shows(format_duration, 1024, "1.024us");
	shows(format_duration, 16384, "16.38us");
	shows(format_duration, 131072, "131.0us");
	shows(format_duration, 2001000000, "2.001s");
	shows(format_duration, 192000000000ULL, "3m12s");
	shows(format_duration, 7500000000000ULL, "2h05m");
	shows(format_duration, 90000000000000ULL, "1d01h");
	shows(format_duration, UINT64_MAX, "213503d23h");
	format_count(&out, 17);
	format_count(&out, 94.7);
	format_count(&out, 1203.4);
	format_count(&out, 98304);
	format_count(&out, 1214000);
	assert_string_equal(buf_text(&out), "1794.7120398.3k1.21M");
	buf_free(&out);
}

/* ---- options ---- */

static int parse(struct args *a, unsigned groups, const char *line, struct error *err)
{
	static char copy[512];
	static char *argv[32];
	int argc = 0;

	snprintf(copy, sizeof(copy), "%s", line);
	for (char *word = strtok(copy, " "); word; word = strtok(NULL, " "))
		argv[argc++] = word;
	argv[argc] = NULL;
	args_init(a);
	return args_parse(a, groups, false, argc, argv, err);
}

static void test_all_options(void **state)
{
	struct error err = { 0 };
	struct args a;

	unsetenv("PLUMB_SOCKET");
	assert_int_equal(parse(&a, ALL, "trace -p 812 --errors --error $ret<0 --limit 5 --for 10s --sample 1/7 --rate 9/s --json "
			       "--msgpack --keep --ttl 1h --budget 50% --tick 100ms -m libc.so.6 f g --socket /x --color=never", &err), 0);
	assert_int_equal(a.target, TARGET_PID);
	assert_int_equal(a.pid, 812);
	assert_true(a.errors && a.json && a.msgpack && a.keep);
	assert_string_equal(a.error, "$ret<0");
	assert_int_equal(a.limit, 5);
	assert_int_equal(a.for_ns, 10000000000ULL);
	assert_int_equal(a.sample, 7);
	assert_int_equal(a.rate, 9);
	assert_int_equal(a.ttl_ns, 3600000000000ULL);
	assert_int_equal(a.budget_ppm, 500000);
	assert_int_equal(a.tick_ns, 100000000);
	assert_string_equal(a.module, "libc.so.6");
	assert_string_equal(args_socket(&a), "/x");
	assert_int_equal(a.color, COLOR_NEVER);
	assert_int_equal(a.n_rest, 2);
	assert_string_equal(a.rest[0], "f");
	assert_string_equal(a.rest[1], "g");
}

static void test_options_stand_anywhere(void **state)
{
	struct error err = { 0 };
	struct args a;

	assert_int_equal(parse(&a, ALL, "trace f -s nginx --limit 2 g --json -- -h", &err), 0);
	assert_int_equal(a.target, TARGET_NAME);
	assert_string_equal(a.target_text, "nginx");
	assert_int_equal(a.n_rest, 3);
	assert_string_equal(a.rest[2], "-h");
	assert_false(a.help);
}

static void test_bad_options(void **state)
{
	static const struct { const char *line, *text, *hint; } bad[] = {
		{ "trace --erors f", "unknown or ambiguous option '--erors'", "did you mean '--errors'" },
		{ "trace --limit", "option '--limit' needs a value", "" },
		{ "trace -p", "option '-p' needs a value", "" },
		{ "trace -q", "unknown option '-q'", "" },
		{ "trace -p 1 -s x", "give one of -p, -s and -x, once", "" },
		{ "trace -p x", "'x' is not a process id", "plumb ps" },
		{ "trace --for 10", "'10' is not a duration", "10s" },
		{ "trace --color=blue", "--color is auto, always or never", "" },
		{ "trace --sample 10", "'10' is not a sampling share", "1/100" },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct error err = { 0 };
		struct args a;

		assert_int_equal(parse(&a, ALL, bad[i].line, &err), -EINVAL);
		assert_string_equal(err.text, bad[i].text);
		assert_non_null(strstr(err.hint, bad[i].hint));
	}
}

static void test_options_of_another_command(void **state)
{
	struct error err = { 0 };
	struct args a;

	assert_int_equal(parse(&a, ARGS_GLOBAL | ARGS_JSON, "ps --limit 5", &err), -EINVAL);
	assert_int_equal(parse(&a, ARGS_GLOBAL | ARGS_JSON, "ps -p 5", &err), -EINVAL);
	assert_int_equal(parse(&a, ARGS_GLOBAL | ARGS_JSON, "ps --json", &err), 0);
}

static void test_socket_from_the_environment(void **state)
{
	struct error err = { 0 };
	struct args a;

	setenv("PLUMB_SOCKET", "/from/env", 1);
	assert_int_equal(parse(&a, ALL, "ps", &err), 0);
	assert_string_equal(args_socket(&a), "/from/env");
	assert_int_equal(parse(&a, ALL, "ps --socket /given", &err), 0);
	assert_string_equal(args_socket(&a), "/given");
	unsetenv("PLUMB_SOCKET");
	assert_int_equal(parse(&a, ALL, "ps", &err), 0);
	assert_string_equal(args_socket(&a), "/run/plumb/plumbd.sock");
}

/* ---- a collector ---- */

static int parse_words(struct args *a, struct error *err, int argc, char **argv)
{
	args_init(a);
	return args_parse(a, ALL | ARGS_SINCE, false, argc, argv, err);
}

#define PARSE(a, err, ...) \
	parse_words(a, err, (int)(sizeof((char *[]){ "plumb", __VA_ARGS__ }) / sizeof(char *)), (char *[]){ "plumb", __VA_ARGS__, NULL })

static void test_a_collector(void **state)
{
	struct error err = { 0 };
	struct args a;

	unsetenv("PLUMB_SOCKET");
	assert_int_equal(PARSE(&a, &err, "--collector", "obs-1:7717", "--token-file", "t", "--tls-ca", "ca", "--tls-cert", "c", "--tls-key=k", "--insecure",
			       "--by", "host", "--since", "2m"), 0);
	assert_string_equal(args_collector(&a), "obs-1:7717");
	assert_string_equal(a.token_file, "t");
	assert_string_equal(a.tls.ca, "ca");
	assert_string_equal(a.tls.cert, "c");
	assert_string_equal(a.tls.key, "k");
	assert_true(a.insecure && a.by_host);
	assert_int_equal(a.since_ns, 120000000000ULL);
	assert_int_equal(PARSE(&a, &err, "--by", "service"), 0);
	assert_false(a.by_host);
	assert_null(args_collector(&a));
	assert_int_equal(PARSE(&a, &err, "--by", "pid"), -EINVAL);
	assert_int_equal(PARSE(&a, &err, "--collector", "obs-1:7717", "--socket", "s"), -EINVAL);
	assert_non_null(strstr(err.text, "exclude"));
}

/* What is typed outranks the environment, of the other kind too. */
static void test_a_collector_from_the_environment(void **state)
{
	struct error err = { 0 };
	struct args a;

	setenv("PLUMB_COLLECTOR", "obs-2:1", 1);
	setenv("PLUMB_TOKEN_FILE", "env-token", 1);
	setenv("PLUMB_TLS_CA", "env-ca", 1);
	setenv("PLUMB_SOCKET", "env-socket", 1);
	assert_int_equal(PARSE(&a, &err, "--json"), 0);
	assert_string_equal(args_collector(&a), "obs-2:1");
	assert_string_equal(a.token_file, "env-token");
	assert_string_equal(a.tls.ca, "env-ca");
	assert_int_equal(PARSE(&a, &err, "--collector", "obs-1:1"), 0);
	assert_string_equal(args_collector(&a), "obs-1:1");
	assert_int_equal(PARSE(&a, &err, "--socket", "here"), 0);
	assert_null(args_collector(&a));
	assert_string_equal(args_socket(&a), "here");
	unsetenv("PLUMB_COLLECTOR");
	unsetenv("PLUMB_TOKEN_FILE");
	unsetenv("PLUMB_TLS_CA");
	unsetenv("PLUMB_SOCKET");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_durations),
		cmocka_unit_test(test_other_quantities),
		cmocka_unit_test(test_formatting),
		cmocka_unit_test(test_all_options),
		cmocka_unit_test(test_options_stand_anywhere),
		cmocka_unit_test(test_bad_options),
		cmocka_unit_test(test_options_of_another_command),
		cmocka_unit_test(test_socket_from_the_environment),
		cmocka_unit_test(test_a_collector),
		cmocka_unit_test(test_a_collector_from_the_environment),
	};

	return cmocka_run_group_tests_name("cli_args", tests, NULL, NULL);
}
