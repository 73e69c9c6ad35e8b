/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trying the kernel out: tiny BPF programs, attached to small functions of this very executable, run in a child
 * process, so that what the kernel leaves in the prober (patched code, its page for single-stepping) and whatever
 * goes wrong in there goes away with the child.  For feature.c and calibrate.c.
 */
#ifndef PLUMB_TRIAL_H
#define PLUMB_TRIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define TRIAL_PATH "/proc/self/exe"

/* Functions of nothing but that first instruction (a push has its pop) and a ret. */
void trial_nop5(void);    /* 5-byte nop */
void trial_nop3(void);    /* 3-byte nop */
void trial_push(void);    /* push rbx */
void trial_step(void);    /* xor eax, eax */

enum trial_program {
	TRIAL_EMPTY,      /* return 0 */
	TRIAL_COUNT,      /* counts its runs in the map */
	TRIAL_COOKIE,     /* stores its attach cookie in the map */
	TRIAL_STORAGE,    /* counts its runs if there is storage for the current task in map 2 */
	TRIAL_COPY,       /* calls a helper that may sleep (give it BPF_F_SLEEPABLE) and counts */
	TRIAL_PROGRAMS
};

/* Each returns a fd or -errno. map, map2: fds, ignored by programs without one. */
int trial_load(enum trial_program what, int attach_type, uint32_t flags, int map, int map2);
int trial_counter(void);          /* array map of one u64 */
int trial_task_storage(void);     /* task storage map of one u64 */
/* A perf-event uprobe (or return probe) on a trial function for this process, with the program attached through a
 * link. Both fds are the caller's: *event and the result. */
int trial_perf_link(int prog, bool ret, uint64_t offset, uint64_t cookie, int *event);

/* The counter's value. */
int trial_value(int map, uint64_t *out);
/* File offset in TRIAL_PATH of a trial function. */
int trial_offset(void (*function)(void), uint64_t *out);
/* The function was patched into a call (kernels >= 6.18). */
bool trial_is_patched(void (*function)(void));
/* This process has the page that the kernel single-steps on. */
bool trial_was_stepped(void);

/* A child process at work on memory that it shares with this one. */
struct trial {
	pid_t child;
	void *shared;
	size_t size;
};

/* Starts `work` in a child, on `size` zeroed bytes. 0 or -errno. */
int trial_start(struct trial *t, void (*work)(void *shared), size_t size);
/* Waits for it, copies what it left in the shared memory to out, frees all. 0, or -errno: -ECHILD: it died (or was
 * killed after 10 s), *signal tells by what; what it left is in out nevertheless. */
int trial_finish(struct trial *t, void *out, int *signal);

#endif
