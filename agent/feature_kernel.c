/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trying kernel features: each function does the real thing (makes the map, loads the program, attaches it, runs
 * the function, looks at what came of it) in a child process that is gone right after, and with it every
 * fd, link and patched page.  So nothing is closed here.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <pthread.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "feature_internal.h"
#include "multi.h"
#include "trial.h"

enum { COOKIE = 0x706c756d, RUNS = 3 };

/* A map and a program that uses it. */
struct setup {
	int map, program;
};

static bool load(struct finding *f, struct setup *s, enum trial_program what, int attach_type, uint32_t flags, int map2)
{
	s->map = trial_counter();
	if (s->map < 0) {
		finding_failed(f, s->map, "a map cannot be made");
		return false;
	}
	s->program = trial_load(what, attach_type, flags, s->map, map2);
	if (s->program < 0)
		finding_failed(f, s->program, "a program cannot be loaded");
	return s->program >= 0;
}

static bool attach(struct finding *f, const struct setup *s, bool session, void (*function)(void), uint64_t cookie)
{
	uint64_t offset;
	int rc = trial_offset(function, &offset);

	if (rc == 0)
		rc = multi_link_create(s->program, session, false, TRIAL_PATH, &offset, &cookie, 1, getpid());
	if (rc < 0)
		finding_failed(f, rc, "it cannot be attached");
	return rc >= 0;
}

static bool attach_perf(struct finding *f, const struct setup *s, void (*function)(void))
{
	uint64_t offset;
	int rc = trial_offset(function, &offset), event;

	if (rc == 0)
		rc = trial_perf_link(s->program, false, offset, COOKIE, &event);
	if (rc < 0)
		finding_failed(f, rc, "it cannot be attached");
	return rc >= 0;
}

/* The map's value is what it must be after the runs. */
static bool value_is(struct finding *f, const struct setup *s, uint64_t expected)
{
	uint64_t value = 0;
	int rc = trial_value(s->map, &value);

	if (rc != 0)
		finding_failed(f, rc, "the map cannot be read");
	else if (value != expected)
		finding_set(f, FEATURE_MISSING, "attached, but %llu of %llu hits were seen", (unsigned long long)value,
			    (unsigned long long)expected);
	return rc == 0 && value == expected;
}

static void run(void (*function)(void))
{
	for (int i = 0; i < RUNS; i++)
		function();
}

void try_bpf(struct finding *f)
{
	struct setup s;

	if (load(f, &s, TRIAL_COUNT, 0, 0, -1))
		finding_set(f, FEATURE_OK, "a program was loaded");
}

void try_jit(struct finding *f)
{
	struct bpf_prog_info info = { 0 };
	uint32_t len = sizeof(info);
	struct setup s;

	if (!load(f, &s, TRIAL_COUNT, 0, 0, -1))
		return;
	if (bpf_obj_get_info_by_fd(s.program, &info, &len) != 0)
		finding_failed(f, -errno, "the program cannot be looked at");
	else if (info.jited_prog_len == 0)
		finding_set(f, FEATURE_LIMITED, "programs are interpreted");
	else
		finding_set(f, FEATURE_OK, "programs are compiled to machine code");
}

/* Since Linux 5.11 BPF memory is charged to the cgroup, and no longer against RLIMIT_MEMLOCK. */
void try_memlock(struct finding *f)
{
	struct rlimit none;
	int map;

	if (getrlimit(RLIMIT_MEMLOCK, &none) != 0) {
		finding_failed(f, -errno, "the limit cannot be read");
		return;
	}
	none.rlim_cur = 0;
	if (setrlimit(RLIMIT_MEMLOCK, &none) != 0) {
		finding_failed(f, -errno, "the limit cannot be changed");
		return;
	}
	map = trial_counter();
	if (map >= 0)
		finding_set(f, FEATURE_OK, "the limit on locked memory does not count for BPF on this kernel");
	else if (map == -EPERM && geteuid() == 0)
		finding_set(f, FEATURE_LIMITED, "BPF memory counts as locked memory on this kernel (before 5.11)");
	else
		finding_failed(f, map, "a map cannot be made");
}

void try_ring(struct finding *f)
{
	int fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "plumb_trial", 0, 0, (uint32_t)sysconf(_SC_PAGESIZE), NULL);

	if (fd < 0)
		finding_failed(f, -errno, "a ring buffer cannot be made");
	else
		finding_set(f, FEATURE_OK, "a ring buffer was made");
}

void try_task_storage(struct finding *f)
{
	int storage = trial_task_storage();
	struct setup s;

	if (storage < 0)
		finding_failed(f, storage, "a task storage map cannot be made");
	else if (load(f, &s, TRIAL_STORAGE, 0, 0, storage))
		finding_set(f, FEATURE_OK, "a program that keeps data with the thread was loaded");
}

void try_perf_uprobe(struct finding *f)
{
	struct setup s;

	if (!load(f, &s, TRIAL_COOKIE, 0, 0, -1) || !attach_perf(f, &s, trial_push))
		return;
	run(trial_push);
	if (value_is(f, &s, COOKIE))
		finding_set(f, FEATURE_OK, "a function was probed through a perf event");
}

void try_multi(struct finding *f)
{
	struct setup s;

	if (!load(f, &s, TRIAL_COOKIE, ATTACH_UPROBE_MULTI, 0, -1) || !attach(f, &s, false, trial_push, COOKIE))
		return;
	run(trial_push);
	if (value_is(f, &s, COOKIE))
		finding_set(f, FEATURE_OK, "a function was probed through one link for many");
}

static void *run_in_thread(void *arg)
{
	run(trial_push);
	return NULL;
}

/* Kernels before 6.10 compare the pid with the thread that hits: hits in other threads than the first are lost. */
void try_multi_pid(struct finding *f)
{
	pthread_t thread;
	struct setup s;
	int rc;

	if (!load(f, &s, TRIAL_COUNT, ATTACH_UPROBE_MULTI, 0, -1) || !attach(f, &s, false, trial_push, 0))
		return;
	rc = pthread_create(&thread, NULL, run_in_thread, NULL);
	if (rc != 0) {
		finding_failed(f, -rc, "no thread could be started");
		return;
	}
	pthread_join(thread, NULL);
	if (value_is(f, &s, RUNS))
		finding_set(f, FEATURE_OK, "one process can be probed, with all of its threads");
}

void try_session(struct finding *f)
{
	struct setup s;

	if (!load(f, &s, TRIAL_COUNT, ATTACH_UPROBE_SESSION, 0, -1) || !attach(f, &s, true, trial_push, 0))
		return;
	run(trial_push);
	if (value_is(f, &s, 2 * RUNS))
		finding_set(f, FEATURE_OK, "entry and return were seen through one link");
}

void try_sleepable(struct finding *f)
{
	struct setup s;

	if (!load(f, &s, TRIAL_COPY, ATTACH_UPROBE_MULTI, BPF_F_SLEEPABLE, -1) || !attach(f, &s, false, trial_push, 0))
		return;
	run(trial_push);
	if (value_is(f, &s, RUNS))
		finding_set(f, FEATURE_OK, "a program that may wait for a page was run");
}

/* A single-stepped instruction leaves a page behind that an emulated one does not need. */
void try_nops(struct finding *f)
{
	struct setup s;
	bool multi = load(f, &s, TRIAL_COOKIE, ATTACH_UPROBE_MULTI, 0, -1) && attach(f, &s, false, trial_nop3, COOKIE);

	/* Detaching a perf event takes 100 ms longer. */
	if (!multi && (!load(f, &s, TRIAL_COOKIE, 0, 0, -1) || !attach_perf(f, &s, trial_nop3)))
		return;
	run(trial_nop3);
	if (!value_is(f, &s, COOKIE))
		return;
	if (trial_was_stepped())
		finding_set(f, FEATURE_MISSING, "a nop longer than one byte is single-stepped");
	else
		finding_set(f, FEATURE_OK, "the usual nops of several bytes are emulated");
}

void try_nop5(struct finding *f)
{
	struct setup s;

	if (!load(f, &s, TRIAL_COUNT, ATTACH_UPROBE_MULTI, 0, -1) || !attach(f, &s, false, trial_nop5, 0))
		return;
	run(trial_nop5);
	if (!value_is(f, &s, RUNS))
		return;
	if (trial_is_patched(trial_nop5))
		finding_set(f, FEATURE_OK, "a probed 5-byte nop was patched into a call");
	else
		finding_set(f, FEATURE_MISSING, "a probed 5-byte nop stays a breakpoint");
}

void try_bpf_stats(struct finding *f)
{
	int fd = bpf_enable_stats(BPF_STATS_RUN_TIME);

	if (fd < 0)
		finding_failed(f, -errno, "statistics cannot be switched on");
	else
		finding_set(f, FEATURE_OK, "the run time of programs can be measured");
}
