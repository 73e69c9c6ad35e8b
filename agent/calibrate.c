/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a single step costs differs by an order of magnitude between machines (2 us on bare metal, 3.5 to 27 us
 * in nested VMs, the same VM on another day), so the budget guard cannot go by a table: it is measured when the
 * agent starts.
 *
 * One link holds all three functions, so that there is one attach and one detach per column.  Thread CPU time is
 * taken, not wall time: that is what the budget is about, and other load on the machine does not count.  Each
 * figure is the median of several batches, each as long as the time for it allows.
 *
 * The ladder for entry + return is the loader's: a session, else two multi links, else two perf events.
 */
#include "calibrate.h"

#include <cpuid.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "multi.h"
#include "trial.h"

enum {
	WARM_UP = 8,            /* the first hit patches a nop, makes the page for single-stepping, ... */
	BATCHES = 5,
	BATCH_NS = 1000 * 1000,
	BATCH_MIN = 8,          /* calls of one batch */
	BATCH_MAX = 20000,
};

static void (*const functions[SITE_KINDS])(void) = {
	[SITE_NOP5] = trial_nop5,
	[SITE_EMULATED] = trial_push,
	[SITE_STEPPED] = trial_step,
};

/*
 * The upper ends of what was measured: a price that is too high takes a probe away too early, and its requester is
 * told so; one that is too low would let it hurt the target.  Only the single step depends on the machine this much:
 * in a VM its trap may have to go through one or two hypervisors.
 */
static const uint32_t bare_metal[SITE_KINDS][2] = {
	[SITE_NOP5] = { 250, 550 },
	[SITE_EMULATED] = { 500, 800 },
	[SITE_STEPPED] = { 3000, 3400 },
};
static const uint32_t virtual_machine[SITE_KINDS][2] = {
	[SITE_NOP5] = { 250, 550 },
	[SITE_EMULATED] = { 500, 800 },
	[SITE_STEPPED] = { 27000, 28000 },
};

static bool under_hypervisor(void)
{
	unsigned a, b, c, d;

	return __get_cpuid(1, &a, &b, &c, &d) && (c >> 31 & 1);
}

void site_costs_default(struct site_costs *out)
{
	memcpy(out->ns, under_hypervisor() ? virtual_machine : bare_metal, sizeof(out->ns));
	out->measured = false;
}

/* ---- in the child ---- */

struct result {
	uint32_t ns[SITE_KINDS][2];
	int error;               /* -errno */
	bool done;
};

static uint64_t cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static uint64_t time_calls(void (*function)(void), uint32_t calls)
{
	uint64_t start = cpu_ns();

	for (uint32_t i = 0; i < calls; i++)
		function();
	return cpu_ns() - start;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* ns of one call; the call itself is a few of them. */
static uint32_t measure(void (*function)(void))
{
	uint64_t batch[BATCHES], once, calls;

	time_calls(function, WARM_UP);
	once = time_calls(function, WARM_UP) / WARM_UP;
	calls = BATCH_NS / (once ? once : 1);
	calls = calls < BATCH_MIN ? BATCH_MIN : calls > BATCH_MAX ? BATCH_MAX : calls;
	for (int i = 0; i < BATCHES; i++)
		batch[i] = time_calls(function, (uint32_t)calls) / calls;
	qsort(batch, BATCHES, sizeof(batch[0]), compare);
	return batch[BATCHES / 2] > UINT32_MAX ? UINT32_MAX : (uint32_t)batch[BATCHES / 2];
}

/* The links of one column; more than one only for perf events and for entry and return apart. */
struct links {
	int fd[SITE_KINDS * 4];
	unsigned count;
};

/* Keeps an fd, or returns its error. */
static int links_add(struct links *l, int fd)
{
	if (fd < 0)
		return fd;
	l->fd[l->count++] = fd;
	return 0;
}

static void links_close(struct links *l)
{
	while (l->count > 0)
		close(l->fd[--l->count]);
}

static int attach_multi(struct links *l, bool session, bool ret, const uint64_t *offsets)
{
	int program = trial_load(TRIAL_EMPTY, session ? ATTACH_UPROBE_SESSION : ATTACH_UPROBE_MULTI, 0, -1, -1), rc;

	if (program < 0)
		return program;
	rc = links_add(l, multi_link_create(program, session, ret, TRIAL_PATH, offsets, NULL, SITE_KINDS, getpid()));
	close(program);
	return rc;
}

static int attach_perf(struct links *l, bool ret, const uint64_t *offsets)
{
	int program = trial_load(TRIAL_EMPTY, 0, 0, -1, -1), rc = 0;

	if (program < 0)
		return program;
	for (int kind = 0; kind < SITE_KINDS && rc == 0; kind++) {
		int event, link = trial_perf_link(program, ret, offsets[kind], 0, &event);

		if (event >= 0)
			links_add(l, event);
		rc = links_add(l, link);
	}
	close(program);
	return rc;
}

static int attach_entry(struct links *l, const uint64_t *offsets)
{
	if (attach_multi(l, false, false, offsets) == 0)
		return 0;
	links_close(l);
	return attach_perf(l, false, offsets);
}

static int attach_call(struct links *l, const uint64_t *offsets)
{
	int rc;

	if (attach_multi(l, true, false, offsets) == 0)
		return 0;
	links_close(l);
	if (attach_multi(l, false, false, offsets) == 0 && attach_multi(l, false, true, offsets) == 0)
		return 0;
	links_close(l);
	rc = attach_perf(l, false, offsets);
	return rc == 0 ? attach_perf(l, true, offsets) : rc;
}

static int column(struct result *r, int which, const uint64_t *offsets)
{
	struct links links = { .count = 0 };
	int rc = which == COST_CALL ? attach_call(&links, offsets) : attach_entry(&links, offsets);

	for (int kind = 0; kind < SITE_KINDS && rc == 0; kind++)
		r->ns[kind][which] = measure(functions[kind]);
	links_close(&links);
	return rc;
}

static void run_calibration(void *shared)
{
	struct result *r = shared;
	uint64_t offsets[SITE_KINDS];
	int rc = 0;

	for (int kind = 0; kind < SITE_KINDS && rc == 0; kind++)
		rc = trial_offset(functions[kind], &offsets[kind]);
	if (rc == 0)
		rc = column(r, COST_ENTRY, offsets);
	if (rc == 0)
		rc = column(r, COST_CALL, offsets);
	r->error = rc;
	r->done = true;
}

int calibrate(struct site_costs *out, struct error *err)
{
	struct result result = { .done = false };
	struct trial trial;
	int signal = 0, rc;

	site_costs_default(out);
	rc = trial_start(&trial, run_calibration, sizeof(result));
	if (rc != 0)
		return error_set(err, -rc, "the cost of a probe cannot be measured: %s", strerror(-rc));
	trial_finish(&trial, &result, &signal);
	if (!result.done)
		return error_set(err, ECHILD, "the cost of a probe cannot be measured: the process for it %s",
				 signal ? strsignal(signal) : "went away");
	if (result.error != 0)
		return error_set(err, -result.error, "the cost of a probe cannot be measured: %s", strerror(-result.error));
	memcpy(out->ns, result.ns, sizeof(out->ns));
	out->measured = true;
	return 0;
}
