/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plan in the kernel: the BPF programs and maps of one probe, and its breakpoints.
 *
 * The ladder of how entry and return are attached, best first; each rung works by itself:
 *   ATTACH_SESSION  one session link                      (kernel >= 6.13)
 *   ATTACH_MULTI    two uprobe_multi links                (kernel >= 6.6)
 *   ATTACH_PERF     two perf-event uprobes                (kernel >= 5.15)
 */
#ifndef PLUMB_LOADER_H
#define PLUMB_LOADER_H

#include <sys/types.h>

#include "resolved.h"
#include "ring.h"

enum { PATTERN_PERF_MAX = 64 }; /* functions, where each of them needs a perf event */

enum attach_method { ATTACH_AUTO, ATTACH_SESSION, ATTACH_MULTI, ATTACH_PERF };

/* "auto", "session", "multi", "perf" <-> method; -EINVAL for another name. */
int attach_method_parse(const char *name, enum attach_method *out);
const char *attach_method_name(enum attach_method m);

/* How an entry or a call (entry and return) would be attached, for people: "one session link". */
const char *loader_describe_method(enum attach_method wanted, bool call);

struct load_options {
	enum attach_method method;
	uint32_t probe;        /* id for the events */
	uint32_t slots;        /* processes that are told apart, at least 2 */
	bool open;             /* any process may hit it */
	uint32_t sample, rate_per_s;
	uid_t uid;             /* whose processes only, whatever they execute; 0: anybody's */
};

struct loaded;             /* owns programs, maps and links */

/* Makes the next loader_attach wait less, if it comes within some milliseconds. Takes up to 100 ms: for a thread of its own. */
void loader_prime(void);
/* Loads the plan. Nothing is attached yet. */
int loader_load(const struct resolved *r, const struct rings *rings, const struct load_options *opts,
		struct loaded **out, struct error *err);
/* Puts the breakpoint, or a pattern's breakpoints, into process `pid` (0: every process that maps the file). file_fd: the mapped
 * file itself; offset: of one function. */
int loader_attach(struct loaded *l, int file_fd, uint64_t offset, pid_t pid, struct error *err);
/* Gives a process a slot; events of other processes are ignored unless the plan is open. -> slot or -errno */
int loader_add_process(struct loaded *l, pid_t pid);
/* The process has ended: the next loader_detach removes its breakpoints. False: it has none of its own. */
bool loader_leave(struct loaded *l, pid_t pid);
/*
 * Takes functions out of a pattern, in all processes, without missing a call of the others; the next loader_detach removes
 * what is left of the old breakpoints. -ENOTSUP: it can only go as a whole.
 */
int loader_drop(struct loaded *l, int file_fd, const uint32_t *functions, uint32_t n, struct error *err);
/* Removes the breakpoints of the processes that left and of what was dropped, or all. Thread-safe; may take 100 ms: not for the event loop. */
void loader_detach(struct loaded *l, bool all);
void loader_free(struct loaded *l);

enum attach_method loader_method(const struct loaded *l);
uint32_t loader_instructions(const struct loaded *l);  /* left after the verifier removed what the plan does not need */
uint32_t loader_code_bytes(const struct loaded *l);    /* of the machine code made of all its programs; 0: not compiled */
/* Sums a slot's counters over all CPUs. */
int loader_counts(const struct loaded *l, uint32_t slot, struct counts *out);
/* How often failing calls returned a value. Exact; what found no room is missing from the sum. */
struct error_count { uint32_t slot; int64_t value; uint64_t count; };
/* Reads them from the kernel, before the counters, so that they are never more than there were errors. */
int loader_read_values(struct loaded *l);
/* Those that were read last, of the slots first to last together: at most max. Returns how many. */
uint32_t loader_values(const struct loaded *l, uint32_t first, uint32_t last, struct error_count *out, uint32_t max);
/* Adds up counters; the maximum is the larger one. */
void counts_add(struct counts *to, const struct counts *from);
/*
 * A pattern's functions that a process called. First loader_read, which takes what the kernel has counted up to now; then
 * loader_each_function for each slot, in the order of the functions, and at last function UINT32_MAX: what belongs to no function, and
 * all functions beyond those that are told apart. The counts are valid during the call only.
 */
int loader_read(struct loaded *l);
typedef void loader_function_visit(uint32_t function, uint32_t row, const struct counts *c, void *arg);
void loader_each_function(struct loaded *l, uint32_t slot, bool histograms, loader_function_visit *visit, void *arg);
/* No more events: they count as sampled. */
void loader_mute(struct loaded *l);
/* Calls visit for each process with a slot. */
void loader_each_process(const struct loaded *l, void (*visit)(pid_t pid, uint32_t slot, void *arg), void *arg);
uint32_t loader_slots(const struct loaded *l);
uint32_t loader_rows(const struct loaded *l);  /* of counters: slots, or what a pattern's functions have, a number that identifies each */
/* There were more processes than slots: the last slot is of several. */
bool loader_shares_last(const struct loaded *l);
/* What the kernel measured while BPF statistics were on. */
int loader_run_time(const struct loaded *l, uint64_t *runs, uint64_t *ns);

#endif
