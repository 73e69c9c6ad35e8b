/* SPDX-License-Identifier: Apache-2.0 */
/* Plans on the kernel, attached to functions of the test process itself. */
#ifndef TEST_KERNEL_PROBE_H
#define TEST_KERNEL_PROBE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "feature.h"
#include "loader.h"

#define MAYBE_UNUSED __attribute__((unused))

enum { NO_BIT = LAYOUT_BIT_NONE, MY_SLOT = 1 };

static const enum attach_method methods[] = { ATTACH_SESSION, ATTACH_MULTI, ATTACH_PERF };
enum { METHODS = 3 };

static struct rings *rings;

static bool no_kernel(void)
{
	const char *v = getenv("PLUMB_NO_KERNEL");

	return v && *v && strcmp(v, "0");
}

/* Without a kernel that can do it the test is skipped where that was asked for, and fails where it was not. */
MAYBE_UNUSED static int kernel_setup(void **state)
{
	struct error err = { 0 };

	if (no_kernel()) {
		print_message("PLUMB_NO_KERNEL is set: the tests on the kernel are skipped\n");
		return 0;
	}
	if (rings_new(2, 4 << 20, &rings, &err)) {
		print_error("%s (PLUMB_NO_KERNEL=1 skips this)\n", err.text);
		return -1;
	}
	return 0;
}

MAYBE_UNUSED static int kernel_teardown(void **state)
{
	rings_free(rings);
	return 0;
}

#define NEEDS_KERNEL() do { if (no_kernel()) skip(); } while (0)

MAYBE_UNUSED static bool method_works(enum attach_method m)
{
	return m == ATTACH_PERF || feature_has(m == ATTACH_SESSION ? FEATURE_SESSION : FEATURE_MULTI);
}

static uint64_t file_offset(const void *function)
{
	unsigned long from, to, off, at = (unsigned long)function;
	FILE *maps = fopen("/proc/self/maps", "r");
	uint64_t found = 0;
	char line[512];

	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps))
		if (sscanf(line, "%lx-%lx %*s %lx", &from, &to, &off) == 3 && at >= from && at < to)
			found = at - from + off;
	fclose(maps);
	assert_true(found != 0);
	return found;
}

/* Loads a plan and puts it on a function of this process. */
MAYBE_UNUSED static struct loaded *probe(const struct plan *plan, const struct load_options *options, const void *function)
{
	struct load_options o = *options;
	static struct resolved r;
	struct error err = { 0 };
	struct loaded *l;
	int fd;

	r.plan = *plan;
	r.plan.event_bytes = sizeof(struct event) + plan->data_bytes;
	o.probe = 7;
	o.slots = 2;
	if (loader_load(&r, rings, &o, &l, &err))
		fail_msg("%s", err.text);
	assert_int_equal(loader_add_process(l, getpid()), MY_SLOT);
	fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	if (loader_attach(l, fd, file_offset(function), getpid(), &err))
		fail_msg("%s", err.text);
	close(fd);
	return l;
}

MAYBE_UNUSED static struct counts counts_of(const struct loaded *l)
{
	struct counts c;

	assert_int_equal(loader_counts(l, MY_SLOT, &c), 0);
	return c;
}

#endif
