/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Workers that stay.  A worker (worker.h) that has found a function in 300 MB of debug information has read much of what
 * the next question about the same file needs, and forgets it when it ends.  A keeper is such a child that answers, waits,
 * and is asked again about that file, and about no other: what a hostile file may have done to its reader
 * cannot reach the answer about another one.  Files are read besides it: the executable, and debug files, which are looked for
 * below the process's root and beside the file.  So "about that file" means: with that executable, below that root, by that
 * path.  What the next question needs must be in it: it goes over a socket.
 */
#ifndef PLUMB_KEEPER_H
#define PLUMB_KEEPER_H

#include <event2/event.h>

#include "resolve.h"

struct keepers;        /* all keepers of an agent */
struct keeper;         /* one; belongs to the keepers */

struct keepers_options {
	unsigned max;          /* that wait for a question, at most; 0: none stays */
	uint64_t max_bytes;    /* that these may have resident, together */
	unsigned idle_ms;      /* after that long without a question one ends */
};
void keepers_options_default(struct keepers_options *opt);

/* `opt` is copied. NULL: out of memory. */
struct keepers *keepers_new(struct event_base *base, const struct keepers_options *opt);
/* Kills all of them; nobody's `done` is called. */
void keepers_free(struct keepers *ks);

/*
 * Has a request answered (rq->explain: as explain_work would, else as resolve_work would), by the keeper that waits for
 * questions about this file, executable, root and path, or by a new one.  Borrows nothing after it has returned.  `done` is called once, from the
 * loop, as worker_start's is; *out is for keeper_cancel until then.
 */
int keepers_ask(struct keepers *ks, const struct resolve_request *rq,
		void (*done)(const char *data, size_t len, const struct error *failed, void *arg), void *arg,
		struct keeper **out, struct error *err);
/* Kills the one that is busy with a question; done is not called. NULL: nothing. */
void keeper_cancel(struct keeper *k);

/* How many wait for a question, and what they have resident. */
unsigned keepers_waiting(const struct keepers *ks, uint64_t *bytes);

#endif
