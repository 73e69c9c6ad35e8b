/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads that answer questions to the store, so that a long one stops neither ingest nor the others.  Each thread has a reader
 * of its own; the answer comes back in the loop's thread.
 */
#ifndef PLUMB_POOL_H
#define PLUMB_POOL_H

#include <event2/event.h>

#include "query.h"

struct pool;       /* owns its threads and the questions that wait */
struct pool_job;   /* owned by the pool */

enum { POOL_THREADS = 2, POOL_WAITING_MAX = 64, POOL_QUESTION_MS = 10000 };

/* answer is empty if err->code is not 0; the callee may take its memory. */
typedef void pool_done(struct buf *answer, const struct error *err, void *arg);

int pool_new(struct event_base *base, const char *store_path, struct pool **out, struct error *err);
/* Waits for what is being answered; nobody is told any more. Takes NULL. */
void pool_free(struct pool *p);
/* Texts of q are copied. -EAGAIN: too many wait already. On 0 `done` is called once, later, unless the job is forgotten. */
int pool_ask(struct pool *p, query_fn *ask, const struct query *q, pool_done *done, void *arg, struct pool_job **job, struct error *err);
/* Whoever asked is gone. Only before `done`. */
void pool_forget(struct pool_job *job);

#endif
