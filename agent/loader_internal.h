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
	bool going;                 /* its process has ended, or it was replaced; the reaper will close it */
	uint32_t function;          /* of a pattern on perf events */
	int fd[2];                  /* multi links */
	struct bpf_link *perf[2];
};

/*
 * What a plan for many functions has besides (bpf/pattern.bpf.h). Owns its arrays, its mapping and its fds.
 *
 * Row n of the counters is slot n's own if n < slots; where the others belong is in row_of, two words for each: an array
 * map's values are 8 bytes apart.
 */
struct pattern {
	uint32_t n_functions, n_rows;
	uint64_t *offsets, *cookies;    /* of the functions that are attached */
	uint32_t n_attached;
	uint32_t generation;            /* of the links */
	int rows_fd, hists_fd;          /* hists_fd -1: there are none */
	volatile uint32_t *row_of;
	size_t row_of_bytes;
	struct function_counts *row;    /* read last: one for each CPU and row in use */
	uint32_t n_read;
	struct function_hist *hist;     /* scratch, one per CPU */
	struct counts sum;              /* scratch */
};

struct loaded {
	struct probe_bpf *skel;     /* while loading; afterwards for perf events only, libbpf attaches those: it is 1 MB */
	struct bpf_program *program[2]; /* of skel: entry or session, return */
	int prog_fd[2];             /* entry or session, return; -1: none */
	int tasks_fd, slots_fd, counters_fd;
	struct probe_shared *shared;/* the program's .bss, mapped */
	enum attach_method method;
	bool call;
	uint32_t flags;             /* of the plan */
	uint32_t slots, cpus;
	struct counts *per_cpu;     /* scratch for loader_counts */
	struct pattern *pattern;    /* NULL: one function */
	int values_fd;              /* -1: error values are not counted */
	struct error_count *value;  /* as they were read last */
	uint32_t n_values;
	pthread_mutex_t lock;       /* of what follows: reaper threads take links out */
	struct attached *link;
	size_t n_links, cap_links;
};

/* loader_program.c: before an object is opened: libbpf is told of our section. -errno: this kernel cannot run them. */
int programs_register(void);
/* The shortest that can run the plan. */
enum plan_length plan_length(const struct plan *plan);
/* Those of l->skel that are to be loaded. */
void programs_choose(struct loaded *l);

/* loader_attach.c: a multi link, or two, at these places of the file. a->pid is the process. */
int attach_multi(struct loaded *l, const char *path, const uint64_t *offsets, const uint64_t *cookies, uint32_t n, struct attached *a);
void attached_close(struct attached *a);
int attach_failed(struct error *err, int rc);
/* Takes it over, or returns -ENOMEM. */
int attached_keep(struct loaded *l, const struct attached *a, struct error *err);

/* loader_pattern.c; in the order of a load. `slots` may be made smaller. */
int pattern_new(struct loaded *l, const struct resolved *r);
int pattern_size_maps(struct loaded *l);
int pattern_keep(struct loaded *l);
void pattern_free(struct pattern *p);
/* A slot's counters over all functions, as of the last loader_read. */
int pattern_slot_counts(const struct loaded *l, uint32_t slot, struct counts *out);

/* loader_values.c; in the order of a load */
int values_size_map(struct loaded *l);
int values_keep(struct loaded *l);

/* What the program leaves to be worked out (event.h). */
void counts_complete(const struct loaded *l, struct counts *c);
int own_fd(int fd);

#endif
