/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What agents send, from frames to the store, exactly once: an entry's sequence is stored in the same transaction as its data,
 * and entries up to it are dropped when they come again.  An agent is told (ACK) after the commit.
 *
 * A stream is one agent's connection as ingest sees it. It is made from the store and dies with the connection, so that after a
 * failed commit there is nothing in memory that is ahead of the store.
 */
#ifndef PLUMB_INGEST_H
#define PLUMB_INGEST_H

#include "frame.h"
#include "live.h"
#include "store.h"

struct collector_counts;
struct ingest;       /* owns the streams that are not closed */
struct stream;

/* What an agent says of itself. Borrowed. */
struct ingest_hello {
	const char *uid, *host, *program;   /* safe to print */
	const char *subject;                /* of its certificate; "": it has none */
	uint64_t run, next;
	const uint64_t *serves;             /* ids of the collector's requests that it still serves */
	size_t n_serves;
};

/* All is borrowed. NULL: no memory. */
struct ingest *ingest_new(struct store *s, struct live *l, struct collector_counts *counts);
void ingest_free(struct ingest *g);

int ingest_open(struct ingest *g, const struct ingest_hello *h, uint64_t now_ns, struct stream **out, struct error *err);
/* Takes NULL. */
void ingest_close(struct stream *st);

/*
 * One ENTRY; now_ns: wall clock.
 *   0           taken in, or seen before
 *   -EPROTO     its content is malformed: it is kept as a loss and its sequence as taken in, the connection is to be closed
 *   -EMSGSIZE   the same, of a chunk that inflates beyond its bound
 *   other       the store does not take it in: see ingest_commit
 */
int ingest_entry(struct stream *st, uint64_t sequence, const void *frame, size_t len, uint64_t now_ns, struct error *err);
int ingest_clock(struct stream *st, int64_t offset_ns, uint64_t delay_ns, struct error *err);

/* The collector's clock was set, the agents' were not. */
int ingest_clock_jumped(struct ingest *g, int64_t jump_ns, struct error *err);

/* Bytes taken in since the last commit. */
size_t ingest_pending(const struct ingest *g);
/* Makes durable what was put into the store, by ingest and by others. On an error everything since the last commit is gone: the
 * caller closes all streams. */
int ingest_commit(struct ingest *g, struct error *err);

int64_t stream_agent(const struct stream *st);
uint64_t stream_run(const struct stream *st);      /* of the entries: an old run's may still come */
/* The last sequence that is durable. */
uint64_t stream_acked(const struct stream *st);
bool stream_restarted(const struct stream *st);    /* HELLO named another run than the store */

#endif
