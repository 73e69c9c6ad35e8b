/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store: removing what is too old or too much, in steps of a few milliseconds, so that ingest goes on between them.  The file
 * does not shrink: freed pages are used again.
 *
 * Chunks go in the order of their arrival, looked at in every step.  Once a minute a pass goes over the rollups, probe by probe,
 * and then over requests that ended long ago.  When chunks are all gone and the file is still too large, each pass halves the age at
 * which seconds go.
 */
#include <errno.h>

#include "store_internal.h"

enum { CHUNKS_PER_STEP = 16, ROWS_PER_STEP = 400, SQUEEZE_MAX = 30, MINUTES_KEPT = 10, HOURS_KEPT = 100, REST_KEPT = 10 };
#define PASS_NS (60ULL * 1000000000)
#define FOR_EVER_NS (365ULL * 86400 * 1000000000)

enum phase { PHASE_WAIT, PHASE_ROLLUPS, PHASE_NOTICES, PHASE_LOSSES, PHASE_AUDIT, PHASE_REQUESTS };

void store_limits(struct store *s, uint64_t keep_ns, uint64_t max_bytes)
{
	s->opt.keep_ns = keep_ns;
	s->opt.max_bytes = max_bytes;
}

static uint64_t before(uint64_t now_ns, uint64_t keep_ns, uint64_t times)
{
	return keep_ns && keep_ns < now_ns / times ? now_ns - keep_ns * times : 0;
}

static uint64_t count_of(struct store *s, enum statement id, const char *sql)
{
	sqlite3_stmt *row;
	uint64_t n = 0;

	if (store_row(s, id, sql, &row, NULL, "") > 0)
		n = (uint64_t)sqlite3_column_int64(row, 0);
	store_done(row);
	return n;
}

void store_size(struct store *s, struct store_size *out)
{
	uint64_t pages = count_of(s, ST_PAGES, "PRAGMA page_count"), unused = count_of(s, ST_FREE_PAGES, "PRAGMA freelist_count");

	*out = (struct store_size){
		.file_bytes = pages * s->page_bytes, .used_bytes = (pages - unused) * s->page_bytes,
		.expired_chunks = s->expiry.chunks, .expired_rows = s->expiry.rows,
	};
}

static bool too_large(struct store *s)
{
	struct store_size size;

	if (!s->opt.max_bytes)
		return false;
	store_size(s, &size);
	return size.used_bytes > s->opt.max_bytes;
}

/* ---- chunks ---- */

static int drop_chunk(struct store *s, int64_t id, struct error *err)
{
	int rc = store_run(s, ST_CHUNK_PROBE_DROP, "DELETE FROM chunk_probe WHERE chunk = ?1", err, "i", id);

	if (!rc)
		rc = store_run(s, ST_CHUNK_DROP, "DELETE FROM chunk WHERE id = ?1", err, "i", id);
	s->expiry.chunks += rc == 0;
	return rc;
}

/* 1: a step's worth was removed, 0: nothing is left to remove. */
static int expire_chunks(struct store *s, uint64_t now_ns, struct error *err)
{
	uint64_t limit = before(now_ns, s->opt.keep_ns, 1);
	bool large = too_large(s);
	int64_t drop[CHUNKS_PER_STEP];
	sqlite3_stmt *row;
	int n = 0, rc;

	rc = store_row(s, ST_OLDEST_CHUNKS, "SELECT id, received_ns FROM chunk ORDER BY id LIMIT ?1", &row, err, "i",
		       (int64_t)CHUNKS_PER_STEP);
	while (rc > 0 && n < CHUNKS_PER_STEP && (large || (uint64_t)sqlite3_column_int64(row, 1) < limit)) {
		drop[n++] = sqlite3_column_int64(row, 0);
		rc = store_next(s, row, err);
	}
	store_done(row);
	s->expiry.squeezing = large && n == 0;
	for (int i = 0; i < n && rc >= 0; i++)
		rc = drop_chunk(s, drop[i], err);
	return rc < 0 ? rc : n == CHUNKS_PER_STEP;
}

/* ---- rollups, probe by probe ---- */

static uint64_t seconds_kept_ns(const struct store *s)
{
	uint64_t keep = s->opt.keep_ns ? s->opt.keep_ns : FOR_EVER_NS;

	return s->expiry.squeeze ? keep >> s->expiry.squeeze : s->opt.keep_ns;
}

static int drop_rollups(struct store *s, unsigned span, uint64_t before_ns, struct error *err)
{
	static const char sql[] =
		"DELETE FROM rollup WHERE span = ?1 AND probe = ?2 AND (at, pid) IN"
		" (SELECT at, pid FROM rollup WHERE span = ?1 AND probe = ?2 AND at < ?3 LIMIT ?4)";
	int rc = store_run(s, ST_ROLLUP_DROP, sql, err, "iiui", (int64_t)span, s->expiry.probe, before_ns / 1000000000,
			   (int64_t)ROWS_PER_STEP);
	int n = sqlite3_changes(s->db);

	if (rc)
		return rc;
	s->expiry.rows += (uint64_t)n;
	return n == ROWS_PER_STEP;
}

static int drop_of_probe(struct store *s, uint64_t now_ns, struct error *err)
{
	int rc = drop_rollups(s, 1, before(now_ns, seconds_kept_ns(s), 1), err);

	if (!rc)
		rc = drop_rollups(s, 60, before(now_ns, s->opt.keep_ns, MINUTES_KEPT), err);
	if (!rc)
		rc = drop_rollups(s, 3600, before(now_ns, s->opt.keep_ns, HOURS_KEPT), err);
	return rc;
}

/* 1: go on with it, 0: all probes are done. */
static int expire_rollups(struct store *s, uint64_t now_ns, struct error *err)
{
	sqlite3_stmt *row;
	int rc = s->expiry.probe ? drop_of_probe(s, now_ns, err) : 0;

	if (rc)
		return rc;
	rc = store_row(s, ST_NEXT_PROBE, "SELECT id FROM probe WHERE id > ?1 ORDER BY id LIMIT 1", &row, err, "i",
		       s->expiry.probe);
	s->expiry.probe = rc > 0 ? sqlite3_column_int64(row, 0) : 0;
	store_done(row);
	return rc;
}

/* ---- the rest ---- */

static int drop_rows(struct store *s, enum statement id, const char *sql, uint64_t before_ns, struct error *err)
{
	int rc = store_run(s, id, sql, err, "ui", before_ns, (int64_t)ROWS_PER_STEP);
	int n = sqlite3_changes(s->db);

	if (rc)
		return rc;
	s->expiry.rows += (uint64_t)n;
	return n == ROWS_PER_STEP;
}

/* A request whose hours are gone. Its rollups went before. */
static int expire_request(struct store *s, uint64_t before_ns, struct error *err)
{
	static const char processes[] =
		"DELETE FROM process WHERE (agent, run) IN (SELECT agent, run FROM probe WHERE request = ?1) AND NOT EXISTS"
		" (SELECT 1 FROM probe WHERE probe.agent = process.agent AND probe.run = process.run AND request <> ?1)";
	sqlite3_stmt *row;
	int64_t id = 0;
	int rc = store_row(s, ST_OLD_REQUEST, "SELECT id FROM request WHERE ended_ns < ?1 LIMIT 1", &row, err, "u", before_ns);

	if (rc <= 0)
		return rc;
	id = sqlite3_column_int64(row, 0);
	store_done(row);
	rc = store_run(s, ST_PROCESSES_DROP, processes, err, "i", id);
	if (!rc)   /* of agents that never came back */
		rc = store_run(s, ST_TALLIES_DROP, "DELETE FROM tally WHERE probe IN (SELECT id FROM probe WHERE request = ?1)", err, "i", id);
	if (!rc)
		rc = store_run(s, ST_NAMES_DROP, "DELETE FROM pattern_names WHERE probe IN (SELECT id FROM probe WHERE request = ?1)", err, "i", id);
	if (!rc)
		rc = store_run(s, ST_PROBES_DROP, "DELETE FROM probe WHERE request = ?1", err, "i", id);
	if (!rc)
		rc = store_run(s, ST_REQUEST_AGENTS_DROP, "DELETE FROM request_agent WHERE request = ?1", err, "i", id);
	if (!rc)
		rc = store_run(s, ST_REQUEST_DROP, "DELETE FROM request WHERE id = ?1", err, "i", id);
	s->expiry.rows += rc == 0;
	return rc ? rc : 1;
}

static int run_phase(struct store *s, uint64_t now_ns, struct error *err)
{
	switch (s->expiry.phase) {
	case PHASE_ROLLUPS:
		return expire_rollups(s, now_ns, err);
	case PHASE_NOTICES:
		return drop_rows(s, ST_OLD_NOTICES,
				 "DELETE FROM notice WHERE id IN (SELECT id FROM notice WHERE at_ns < ?1 ORDER BY id LIMIT ?2)",
				 before(now_ns, s->opt.keep_ns, REST_KEPT), err);
	case PHASE_LOSSES:
		return drop_rows(s, ST_OLD_LOSSES,
				 "DELETE FROM loss WHERE id IN (SELECT id FROM loss WHERE at_ns < ?1 ORDER BY id LIMIT ?2)",
				 before(now_ns, s->opt.keep_ns, REST_KEPT), err);
	case PHASE_AUDIT:
		return drop_rows(s, ST_OLD_AUDIT,
				 "DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE at_ns < ?1 ORDER BY id LIMIT ?2)",
				 before(now_ns, s->opt.keep_ns, HOURS_KEPT), err);
	case PHASE_REQUESTS:
		return expire_request(s, before(now_ns, s->opt.keep_ns, HOURS_KEPT), err);
	default:
		return 0;
	}
}

static void begin_pass(struct expiry *x, uint64_t now_ns)
{
	x->phase = PHASE_ROLLUPS;
	x->probe = 0;
	x->again_ns = now_ns + PASS_NS;
	if (x->squeezing)
		x->squeeze += x->squeeze < SQUEEZE_MAX;
	else if (x->squeeze)
		x->squeeze--;
}

int store_expire(struct store *s, uint64_t now_ns, struct error *err)
{
	struct expiry *x = &s->expiry;
	int rc = expire_chunks(s, now_ns, err);

	if (rc)
		return rc;
	if (x->phase == PHASE_WAIT && now_ns < x->again_ns)
		return 0;
	if (x->phase == PHASE_WAIT)
		begin_pass(x, now_ns);
	rc = run_phase(s, now_ns, err);
	if (rc == 0 && x->phase++ == PHASE_REQUESTS)
		x->phase = PHASE_WAIT;
	return rc < 0 ? rc : x->phase != PHASE_WAIT;
}
