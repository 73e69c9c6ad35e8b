/* SPDX-License-Identifier: Apache-2.0 */
#include "feature.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "feature_internal.h"
#include "trial.h"

static const char advice_denied[] = "run it as root, or give plumbd CAP_BPF and CAP_PERFMON (before Linux 5.8: CAP_SYS_ADMIN)";

static const struct entry {
	const char *name, *gives;
	void (*probe)(struct finding *f);
	bool in_child;
	const char *advice;
} table[FEATURES] = {
	[FEATURE_PRIVILEGES] = { "privileges", "attach to and read other users' processes", look_at_privileges, false,
		"run plumbd as root or with CAP_BPF, CAP_PERFMON, CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH" },
	[FEATURE_BPF] = { "BPF programs", "everything: nothing can be probed without", try_bpf, true,
		"a kernel with CONFIG_BPF_SYSCALL and CONFIG_BPF_EVENTS is needed; in a container, start plumbd on the host instead" },
	[FEATURE_LOCKDOWN] = { "kernel lockdown", "programs may read memory", look_at_lockdown, false,
		"confidentiality mode forbids BPF to read memory; boot with lockdown=integrity" },
	[FEATURE_BTF] = { "kernel BTF", "task storage, which pairs entries with returns", look_at_btf, false,
		"a kernel with CONFIG_DEBUG_INFO_BTF is needed, as distributions build it" },
	[FEATURE_JIT] = { "BPF JIT", "a hit costs a few hundred ns less", try_jit, true,
		"sysctl net.core.bpf_jit_enable=1" },
	[FEATURE_MEMLOCK] = { "locked memory", "maps and ring buffers of any size", try_memlock, true,
		"raise the limit: LimitMEMLOCK=infinity in the unit, or ulimit -l unlimited" },
	[FEATURE_RING] = { "ring buffer", "events with their arguments", try_ring, true,
		"Linux 5.8 or newer is needed" },
	[FEATURE_TASK_STORAGE] = { "task storage", "durations and return values of calls", try_task_storage, true,
		"Linux 5.15 or newer with kernel BTF is needed" },
	[FEATURE_PERF_UPROBE] = { "uprobes with cookies", "probes on functions", try_perf_uprobe, true,
		"Linux 5.15 or newer with CONFIG_UPROBE_EVENTS is needed" },
	[FEATURE_MULTI] = { "uprobe_multi", "thousands of functions attached at once", try_multi, true,
		"Linux 6.6 has it; without it each function is attached by itself, which is slow for globs" },
	[FEATURE_MULTI_PID] = { "uprobe_multi by process", "other processes are not disturbed", try_multi_pid, true,
		"Linux 6.10 has it; without it the probe filters by itself, and other processes of the same program pay for hits too" },
	[FEATURE_SESSION] = { "uprobe session", "cheaper entry + return, paired by the kernel", try_session, true,
		"Linux 6.13 has it; without it plumb pairs entries with returns by itself" },
	[FEATURE_SLEEPABLE] = { "sleepable uprobes", "memory that is paged out is read as well", try_sleepable, true,
		"Linux 6.6 has it; without it such values are shown as unread" },
	[FEATURE_NOPS] = { "emulated nops", "cheap probes on functions that begin with a long nop", try_nops, true,
		"Linux 6.17 has it; without it plumb looks for another instruction" },
	[FEATURE_NOP5] = { "patched 5-byte nop", "the cheapest probes, on code built with -fpatchable-function-entry=5", try_nop5, true,
		"Linux 6.18 has it; without it such functions cost as much as others" },
	[FEATURE_BPF_STATS] = { "BPF statistics", "the overhead budget counts measured run time", try_bpf_stats, true,
		"Linux 5.8 has it; without it the budget goes by the calibrated costs alone" },
	[FEATURE_MAP_FILES] = { "/proc/PID/map_files", "libraries that were replaced or deleted on disk", look_at_map_files, false,
		"give plumbd CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN; without it a library is found by its path only" },
	[FEATURE_SOCKET_DIR] = { "/run/plumb", "plumb reaches plumbd", look_at_socket_dir, false,
		"start plumbd, which makes it; until then root can use plumb with an agent of its own" },
	[FEATURE_GROUP] = { "group plumb", "users other than root may use plumb", look_at_group, false,
		"groupadd --system plumb, then usermod -aG plumb USER for each of them" },
};

static struct feature found[FEATURES];
static bool tried[FEATURES];

const char *feature_state_name(enum feature_state state)
{
	static const char *const names[] = { "ok", "missing", "limited" };

	return (unsigned)state < sizeof(names) / sizeof(names[0]) ? names[state] : "?";
}

void finding_set(struct finding *f, enum feature_state state, const char *fmt, ...)
{
	va_list ap;

	f->state = state;
	f->denied = false;
	f->done = true;
	va_start(ap, fmt);
	vsnprintf(f->detail, sizeof(f->detail), fmt, ap);
	va_end(ap);
}

void finding_failed(struct finding *f, int rc, const char *what)
{
	bool denied = rc == -EPERM || rc == -EACCES;

	finding_set(f, FEATURE_MISSING, "%s: %s", what, denied ? "not permitted for this user" : strerror(-rc));
	f->denied = denied;
}

/* The probe that the next child runs: fork copies it. */
static void (*child_probe)(struct finding *f);

static void probe_in_child(void *shared)
{
	child_probe(shared);
}

/* One feature that is being tried. */
struct attempt {
	bool pending;            /* in a child */
	int failed;              /* or why there is no child */
	struct trial trial;
};

static void keep(enum feature_id id, struct finding *f)
{
	struct feature *out = &found[id];

	f->detail[sizeof(f->detail) - 1] = '\0';
	out->name = table[id].name;
	out->gives = table[id].gives;
	out->state = f->state;
	memcpy(out->detail, f->detail, sizeof(out->detail));
	out->advice = f->state == FEATURE_OK ? NULL : f->denied ? advice_denied : table[id].advice;
	tried[id] = true;
}

static void attempt_start(enum feature_id id, struct attempt *a)
{
	struct finding f = { .state = FEATURE_MISSING };

	memset(a, 0, sizeof(*a));
	if (tried[id])
		return;
	if (!table[id].in_child) {
		table[id].probe(&f);
		keep(id, &f);
		return;
	}
	child_probe = table[id].probe;
	a->failed = trial_start(&a->trial, probe_in_child, sizeof(struct finding));
	a->pending = true;
}

static void attempt_finish(enum feature_id id, struct attempt *a)
{
	struct finding f = { .state = FEATURE_MISSING };
	int rc = a->failed, signal = 0;

	if (!a->pending)
		return;
	if (rc == 0)
		rc = trial_finish(&a->trial, &f, &signal);
	if (!f.done && signal)
		finding_set(&f, FEATURE_MISSING, "the process that tried it was ended by a signal: %s", strsignal(signal));
	else if (!f.done)
		finding_failed(&f, rc ? rc : -ECHILD, "it could not be tried");
	keep(id, &f);
}

/* All at once: a child spends its time waiting for the kernel to detach. */
const struct feature *features(size_t *count)
{
	struct attempt attempts[FEATURES];

	for (int id = 0; id < FEATURES; id++)
		attempt_start((enum feature_id)id, &attempts[id]);
	for (int id = 0; id < FEATURES; id++)
		attempt_finish((enum feature_id)id, &attempts[id]);
	*count = FEATURES;
	return found;
}

bool feature_has(enum feature_id id)
{
	struct attempt attempt;

	if ((unsigned)id >= FEATURES)
		return false;
	attempt_start(id, &attempt);
	attempt_finish(id, &attempt);
	return found[id].state == FEATURE_OK;
}

enum site_kernel feature_site_kernel(void)
{
	if (feature_has(FEATURE_NOP5))
		return SITE_KERNEL_NOP5;
	return feature_has(FEATURE_NOPS) ? SITE_KERNEL_NOPS : SITE_KERNEL_BRANCHES;
}
