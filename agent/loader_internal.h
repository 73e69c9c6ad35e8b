/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PLUMB_LOADER_INTERNAL_H
#define PLUMB_LOADER_INTERNAL_H

#include <pthread.h>

#include "loader.h"

struct bpf_link;
struct bpf_program;
struct probe_bpf;

/* The breakpoints in one process, or in every one. */
struct attached {
	pid_t pid;
	bool going;                 /* its process has ended; the reaper will close it */
	int fd[2];                  /* multi links */
	struct bpf_link *perf[2];
};

struct loaded {
	struct probe_bpf *skel;     /* while loading; afterwards for perf events only, libbpf attaches those: it is 1 MB */
	struct bpf_program *perf[2];/* its entry and return, for perf events */
	int prog_fd[2];             /* entry or session, return; -1: none */
	int tasks_fd, slots_fd, counters_fd;
	struct probe_shared *shared;/* the program's .bss, mapped */
	enum attach_method method;
	bool call;
	uint32_t flags;             /* of the plan */
	uint32_t slots, cpus;
	struct counts *per_cpu;     /* scratch for loader_counts */
	pthread_mutex_t lock;       /* of what follows: reaper threads take links out */
	struct attached *link;
	size_t n_links, cap_links;
};

#endif
