/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the SQLite engine share: prepared statements, how they are bound and run. */
#ifndef PLUMB_STORE_INTERNAL_H
#define PLUMB_STORE_INTERNAL_H

#include <sqlite3.h>

#include "buf.h"
#include "store.h"

enum { STORE_VERSION = 4 };

enum statement {
	ST_BEGIN, ST_COMMIT,
	ST_AGENT, ST_AGENT_SUBJECT, ST_AGENT_BIND, ST_AGENT_UNBIND, ST_AGENT_CLOCK, ST_AGENT_OFFSET, ST_AGENT_RUN, ST_AGENT_ACKED, ST_AGENT_SEEN, ST_AGENT_OPEN, ST_AGENT_LOCAL,
	ST_REQUEST_OPEN, ST_REQUEST_WIRE, ST_REQUEST_END, ST_REQUEST_AGENT, ST_REQUEST_EACH, ST_REQUEST_FIND,
	ST_TALLY_DROP, ST_TALLY_DROP_AGENT, ST_REQUESTS_SHIFT, ST_VERDICTS_SHIFT,
	ST_PROBE, ST_PROBE_FIND, ST_FUNCTION, ST_FUNCTIONS, ST_NAMES, ST_NAMES_BYTES, ST_NAME, ST_PROCESS, ST_CHUNK, ST_CHUNK_PROBE, ST_LOSS, ST_NOTICE,
	ST_TALLY_GET, ST_TALLY_PUT, ST_ROLLUP_ADD,
	ST_AUDIT, ST_AUDIT_END, ST_VERDICT, ST_VERDICT_UPDATE, ST_VERDICT_FIND, ST_VERDICT_RECORD, ST_VERDICT_RECORD_BYTES, ST_VERDICT_SILENT,
	ST_OLDEST_CHUNKS, ST_CHUNK_DROP, ST_CHUNK_PROBE_DROP, ST_PAGES, ST_FREE_PAGES, ST_NEXT_PROBE, ST_ROLLUP_DROP,
	ST_OLD_NOTICES, ST_OLD_LOSSES, ST_OLD_AUDIT, ST_OLD_REQUEST, ST_TALLIES_DROP, ST_NAMES_DROP, ST_PROBES_DROP, ST_PROCESSES_DROP,
	ST_REQUEST_AGENTS_DROP, ST_REQUEST_DROP,
	STATEMENTS
};

/* Where the removal of what is old stands. */
struct expiry {
	unsigned phase, span;
	int64_t probe;              /* the last one whose rollups were looked at */
	uint64_t again_ns;          /* when the next pass over the rollups begins */
	unsigned squeeze;           /* halvings of the age of seconds: the file is too large and has no chunks any more */
	bool squeezing;
	uint64_t chunks, rows;
};

struct store {
	struct store_options opt;
	sqlite3 *db;
	sqlite3_stmt *stmt[STATEMENTS];
	bool spoiled;               /* a put has failed since the last commit */
	struct expiry expiry;
	struct buf scratch;
	uint64_t page_bytes;
};

/* Fills err from the connection's last failure. -ENOSPC: full; -EEXIST: a constraint; else -EIO, -ENOMEM, -EBUSY. */
int store_error(struct store *s, struct error *err);

/*
 * Binds the arguments and runs the statement, which is prepared at its first use.  types: 'i' int64_t, 'u' uint64_t (capped), 't'
 * const char *, 'b' const void * and size_t, 'n' a NULL.  Writes open a transaction if there is none.
 *   store_run: no rows wanted. 0, -errno.
 *   store_row: 1 and *row at the first row, to be ended with store_done; 0: there is none; -errno.
 */
int store_run(struct store *s, enum statement id, const char *sql, struct error *err, const char *types, ...);
int store_row(struct store *s, enum statement id, const char *sql, sqlite3_stmt **row, struct error *err, const char *types, ...);
/* The next row: 1, 0, -errno. */
int store_next(struct store *s, sqlite3_stmt *row, struct error *err);
void store_done(sqlite3_stmt *row);
/* Opens a transaction if there is none. */
int store_begin(struct store *s, struct error *err);

/* Brings a database from user_version to `version`; steps[n] takes it from n to n + 1, version 0 is an empty file. One
 * transaction. */
int store_migrate(sqlite3 *db, const char *const *steps, int version, struct error *err);

/* ---- rollup.c: arithmetic of counters ---- */
enum {
	ROLLUP_CALLS, ROLLUP_RETURNS, ROLLUP_ERRORS, ROLLUP_MATCHED, ROLLUP_UNDECIDED, ROLLUP_SHIPPED, ROLLUP_SAMPLED, ROLLUP_DROP_RING,
	ROLLUP_DROP_RATE, ROLLUP_DROP_NOMEM, ROLLUP_DROP_CLIENT, ROLLUP_PAST_LIMIT, ROLLUP_SHOWN, ROLLUP_UNREAD, ROLLUP_UNPAIRED, ROLLUP_SUM_NS, ROLLUP_MAX_NS,
	ROLLUP_VALUES
};

struct rollup {
	uint64_t value[ROLLUP_VALUES];
	__u64 hist[HIST_BUCKETS];
};

void rollup_of(const struct store_counts *c, struct rollup *out);
/* What has come since `before`. A counter that went back was reset: then all of `now` has. False: nothing. */
bool rollup_difference(const struct rollup *now, const struct rollup *before, struct rollup *out);

/* store_rollup.c: hist_merge(a, b) for SQL. */
int store_add_functions(sqlite3 *db);

#endif
