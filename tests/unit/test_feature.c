/* SPDX-License-Identifier: Apache-2.0 */
/* Feature probing and calibration against the running kernel, with and without privileges. */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "calibrate.h"
#include "feature.h"
#include "loader.h"
#include "trial.h"

enum { NOBODY = 65534 };

static bool no_kernel(void)
{
	const char *no = getenv("PLUMB_NO_KERNEL");

	return no && strcmp(no, "1") == 0;
}

/* Skips, and says so. */
static void need_kernel(void)
{
	if (no_kernel()) {
		printf("skipped: PLUMB_NO_KERNEL=1\n");
		skip();
	}
	if (geteuid() != 0)
		fail_msg("this test needs root; PLUMB_NO_KERNEL=1 skips it");
}

static void check_text(const struct feature *f)
{
	assert_non_null(f->name);
	assert_non_null(f->gives);
	assert_int_not_equal(f->name[0], '\0');
	assert_int_not_equal(f->gives[0], '\0');
	assert_int_not_equal(f->detail[0], '\0');
	assert_null(strchr(f->detail, '\n'));
	assert_int_equal(f->advice == NULL, f->state == FEATURE_OK);
}

/* Runs `work` as nobody; it returns 0 or the line that failed. */
static void as_nobody(int (*work)(void))
{
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (child == 0) {
		if (setgid(NOBODY) != 0 || setuid(NOBODY) != 0)
			_exit(255);
		_exit(work());
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		fail_msg("as nobody: status 0x%x, line %d", status, WEXITSTATUS(status));
}

#define CHECK(condition) do { if (!(condition)) return __LINE__ & 0xff ? __LINE__ & 0xff : 1; } while (0)

static int unprivileged_table(void)
{
	static const enum feature_id denied[] = { FEATURE_PRIVILEGES, FEATURE_BPF, FEATURE_PERF_UPROBE, FEATURE_MULTI, FEATURE_SESSION,
						  FEATURE_NOP5 };
	const struct feature *f;
	size_t count;

	CHECK(!feature_has(FEATURE_MULTI_PID));
	CHECK(feature_site_kernel() == SITE_KERNEL_BRANCHES);
	f = features(&count);
	CHECK(count == FEATURES);
	for (size_t i = 0; i < count; i++)
		CHECK(f[i].name && f[i].detail[0] && (f[i].advice == NULL) == (f[i].state == FEATURE_OK));
	for (size_t i = 0; i < sizeof(denied) / sizeof(denied[0]); i++) {
		CHECK(f[denied[i]].state == FEATURE_MISSING);
		/* A sandbox may answer otherwise than a kernel that has BPF and denies it. */
		CHECK(no_kernel() || strstr(f[denied[i]].advice, "CAP_BPF"));
	}
	CHECK(strstr(f[FEATURE_PRIVILEGES].detail, "lacks CAP_BPF"));
	CHECK(no_kernel() || strstr(f[FEATURE_BPF].detail, "not permitted"));
	CHECK(f[FEATURE_MAP_FILES].state == FEATURE_LIMITED);
	return 0;
}

static void without_privileges_it_is_missing_with_advice(void **state)
{
	if (geteuid() != 0)
		assert_int_equal(unprivileged_table(), 0);
	else
		as_nobody(unprivileged_table);
}

static int unprivileged_costs(void)
{
	struct site_costs costs, usual;
	struct error err = { 0 };

	site_costs_default(&usual);
	CHECK(calibrate(&costs, &err) < 0);
	CHECK(err.code != 0 && err.text[0] != '\0');
	CHECK(!costs.measured && memcmp(costs.ns, usual.ns, sizeof(usual.ns)) == 0);
	return 0;
}

static void without_privileges_costs_are_the_defaults(void **state)
{
	if (geteuid() != 0)
		assert_int_equal(unprivileged_costs(), 0);
	else
		as_nobody(unprivileged_costs);
}

/* A kernel from the floor on has these; what newer ones have is only checked for consistency. */
static void this_kernel_has_the_floor(void **state)
{
	static const enum feature_id floor[] = { FEATURE_PRIVILEGES, FEATURE_BPF, FEATURE_BTF, FEATURE_MEMLOCK, FEATURE_RING,
						 FEATURE_TASK_STORAGE, FEATURE_PERF_UPROBE, FEATURE_BPF_STATS };
	const struct feature *f;
	size_t count;

	need_kernel();
	f = features(&count);
	assert_int_equal(count, FEATURES);
	for (size_t i = 0; i < count; i++)
		check_text(&f[i]);
	for (size_t i = 0; i < sizeof(floor) / sizeof(floor[0]); i++) {
		if (f[floor[i]].state != FEATURE_OK)
			fail_msg("%s: %s", f[floor[i]].name, f[floor[i]].detail);
	}
	assert_true(!feature_has(FEATURE_SESSION) || feature_has(FEATURE_MULTI_PID));
	assert_true(!feature_has(FEATURE_MULTI_PID) || feature_has(FEATURE_MULTI));
	assert_true(!feature_has(FEATURE_NOP5) || feature_has(FEATURE_NOPS));
}

/* Mainline kernels of that version have it; what later ones do about nops is theirs to decide. */
static void this_kernel_has_what_its_version_promises(void **state)
{
	static const struct {
		enum feature_id id;
		int from, until;   /* major * 100 + minor */
	} promised[] = {
		{ FEATURE_MULTI, 606, 99999 }, { FEATURE_SLEEPABLE, 606, 99999 }, { FEATURE_MULTI_PID, 610, 99999 },
		{ FEATURE_SESSION, 613, 99999 }, { FEATURE_NOPS, 617, 618 }, { FEATURE_NOP5, 618, 618 },
	};
	struct utsname name;
	int major, minor;

	need_kernel();
	assert_int_equal(uname(&name), 0);
	assert_int_equal(sscanf(name.release, "%d.%d", &major, &minor), 2);
	for (size_t i = 0; i < sizeof(promised) / sizeof(promised[0]); i++) {
		int version = major * 100 + minor;

		if (version >= promised[i].from && version <= promised[i].until && !feature_has(promised[i].id))
			fail_msg("feature %d is missing on %s", promised[i].id, name.release);
	}
}

static void the_table_is_kept(void **state)
{
	const struct feature *first, *second;
	size_t count;

	first = features(&count);
	second = features(&count);
	assert_ptr_equal(first, second);
	assert_false(feature_has((enum feature_id)FEATURES));
	assert_string_equal(feature_state_name(FEATURE_LIMITED), "limited");
}

struct stepped {
	bool before, after_push, after_step, attached;
};

static void step(void *shared)
{
	int program = trial_load(TRIAL_EMPTY, 0, 0, -1, -1), event;
	struct stepped *s = shared;
	uint64_t push, xor;

	s->before = trial_was_stepped();
	if (program < 0 || trial_offset(trial_push, &push) != 0 || trial_offset(trial_step, &xor) != 0)
		return;
	if (trial_perf_link(program, false, push, 0, &event) < 0 || trial_perf_link(program, false, xor, 0, &event) < 0)
		return;
	s->attached = true;
	trial_push();
	s->after_push = trial_was_stepped();
	trial_step();
	s->after_step = trial_was_stepped();
}

/* What FEATURE_NOPS goes by. */
static void single_stepping_can_be_seen(void **state)
{
	struct stepped s;
	struct trial t;
	int signal;

	need_kernel();
	assert_int_equal(trial_start(&t, step, sizeof(s)), 0);
	assert_int_equal(trial_finish(&t, &s, &signal), 0);
	assert_true(s.attached);
	assert_false(s.before);
	assert_false(s.after_push);
	assert_true(s.after_step);
}

static void die(void *shared)
{
	*(int *)shared = 42;
	abort();
}

static void a_child_that_dies_is_told(void **state)
{
	struct trial t;
	int signal, value;

	assert_int_equal(trial_start(&t, die, sizeof(value)), 0);
	assert_int_equal(trial_finish(&t, &value, &signal), -ECHILD);
	assert_int_equal(signal, SIGABRT);
	assert_int_equal(value, 42);
}

static void costs_are_measured(void **state)
{
	struct site_costs costs;
	struct error err = { 0 };

	need_kernel();
	if (calibrate(&costs, &err) != 0)
		fail_msg("%s", err.text);
	assert_true(costs.measured);
	for (int kind = 0; kind < SITE_KINDS; kind++) {
		/* Far from any real machine on either side: a call without a probe takes 2 ns. */
		assert_in_range(costs.ns[kind][COST_ENTRY], 20, 10000000);
		assert_in_range(costs.ns[kind][COST_CALL], 20, 10000000);
	}
}

static int open_files(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

/* A program and a file stay for the next time, a link does not. */
static void priming_leaves_no_link(void **state)
{
	int before = open_files(), after;

	need_kernel();
	loader_prime();
	after = open_files();
	assert_int_equal(after - before, feature_has(FEATURE_MULTI) ? 2 : 0);
	loader_prime();
	assert_int_equal(open_files(), after);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		/* Before the table is filled in this process. */
		cmocka_unit_test(without_privileges_it_is_missing_with_advice),
		cmocka_unit_test(without_privileges_costs_are_the_defaults),
		cmocka_unit_test(this_kernel_has_the_floor),
		cmocka_unit_test(this_kernel_has_what_its_version_promises),
		cmocka_unit_test(the_table_is_kept),
		cmocka_unit_test(single_stepping_can_be_seen),
		cmocka_unit_test(a_child_that_dies_is_told),
		cmocka_unit_test(costs_are_measured),
		cmocka_unit_test(priming_leaves_no_link),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
