/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this kernel, this user and this host can do: one table, each entry tried out for real, once.  plumb doctor
 * prints it; the loader picks its way of attaching by it.
 */
#ifndef PLUMB_FEATURE_H
#define PLUMB_FEATURE_H

#include <stdbool.h>
#include <stddef.h>

#include "site.h"

enum feature_id {
	FEATURE_PRIVILEGES,
	FEATURE_BPF,
	FEATURE_LOCKDOWN,
	FEATURE_BTF,
	FEATURE_JIT,
	FEATURE_MEMLOCK,
	FEATURE_RING,            /* ring buffer map */
	FEATURE_TASK_STORAGE,
	FEATURE_PERF_UPROBE,     /* perf-event uprobes with cookies: the floor */
	FEATURE_MULTI,           /* uprobe_multi links */
	FEATURE_MULTI_PID,       /* their pid filter covers all threads */
	FEATURE_SESSION,         /* entry and return as one call */
	FEATURE_SLEEPABLE,       /* sleepable programs through uprobe_multi */
	FEATURE_NOPS,            /* multi-byte nops are emulated */
	FEATURE_NOP5,            /* 5-byte nops are patched into calls */
	FEATURE_BPF_STATS,       /* BPF run-time statistics */
	FEATURE_MAP_FILES,
	FEATURE_SOCKET_DIR,
	FEATURE_GROUP,
	FEATURES
};

enum feature_state { FEATURE_OK, FEATURE_MISSING, FEATURE_LIMITED };

struct feature {
	const char *name;        /* "uprobe_multi" */
	const char *gives;       /* what it is good for */
	enum feature_state state;
	char detail[160];        /* what was found */
	const char *advice;      /* what to do about it, or what plumb does without it; NULL if the state is FEATURE_OK */
};

const char *feature_state_name(enum feature_state state); /* "ok", "missing", "limited" */

/* All of them, in the order of enum feature_id. What was not tried yet is tried now (a fifth of a second), in child
 * processes; the result is kept for the life of the process. Not thread-safe. Never fails. */
const struct feature *features(size_t *count);
/* Tries that one if need be. True if its state is FEATURE_OK. */
bool feature_has(enum feature_id id);
/* For site_kernel_set. */
enum site_kernel feature_site_kernel(void);

#endif
