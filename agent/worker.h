/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Work on hostile files in a child process of its own.  Whatever a corrupt ELF or DWARF file does to the reader (a crash
 * in a library, endless loops, all memory), it happens to the child, which has limits, and the event loop waits for nobody.
 */
#ifndef PLUMB_WORKER_H
#define PLUMB_WORKER_H

#include <event2/event.h>
#include <sys/types.h>

#include "buf.h"
#include "plumb/error.h"

enum {
	WORKER_SECONDS = 60,            /* wall clock */
	WORKER_CPU_SECONDS = 40,
	WORKER_ANSWER_MAX = 64 << 20,
};

struct worker;

/* What a worker may have open besides its pipe; -1: none. */
struct worker_files { int fd[2]; };

/*
 * Forks, with `files` (may be NULL) and nothing else of the agent's open; the child runs work(out, arg) and sends what it left in `out`.  `done` is called once, from the loop, with the
 * answer, or with failed != NULL when the child died, ran out of time or said too much.  The worker is gone after done.
 */
int worker_start(struct event_base *base, const struct worker_files *files,
		 void (*work)(struct buf *out, void *arg), void *arg,
		 void (*done)(const char *data, size_t len, const struct error *failed, void *arg), void *done_arg,
		 struct worker **out, struct error *err);
/* Kills the child; done is not called. */
void worker_cancel(struct worker *w);

/* ---- for children that are asked more than once (keeper.h) ---- */

/* In a child that was just forked: only `keep` stays open (-1: none), and it gets a worker's limits. */
void worker_become(const int *keep, size_t n_keep);
/* Writes all of it, or ends the child. */
void worker_say(int fd, const void *data, size_t len);
/* Kills a child and waits for it: one that has only closed its end would otherwise be waited for as long as it likes.
 * -> how it ended; that stays as it was for one that was ending by itself. */
int worker_reap(pid_t pid);
/* Why there is no answer: it took more than WORKER_SECONDS; the child ended so. */
void worker_late(struct error *err);
void worker_failed(int status, struct error *err);

#endif
