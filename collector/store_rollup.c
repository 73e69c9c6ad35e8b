/* SPDX-License-Identifier: Apache-2.0 */
/* The store: exact counters. */
#include <errno.h>
#include <string.h>

#include "histpack.h"
#include "store_internal.h"

#define COLUMNS \
	"calls, returns, errors, matched, undecided, shipped, sampled, drop_ring, drop_rate, drop_nomem, drop_client, past_limit, shown," \
	" unread, unpaired, sum_ns, max_ns"
#define PARAMETERS "?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?"
#define ADD(column) #column " = " #column " + excluded." #column ", "

static const uint32_t spans[] = { 1, 60, 3600 };

/* ---- hist_merge(a, b): two packed histograms as one ---- */

static void hist_merge(sqlite3_context *ctx, int n, sqlite3_value **v)
{
	__u64 hist[HIST_BUCKETS] = { 0 };
	struct buf out = { 0 };

	for (int i = 0; i < n; i++) {
		const void *data = sqlite3_value_blob(v[i]);

		if (hist_unpack_add(data, (size_t)sqlite3_value_bytes(v[i]), hist)) {
			sqlite3_result_error(ctx, "a histogram in the store is damaged", -1);
			return;
		}
	}
	hist_pack(hist, &out);
	if (out.failed)
		sqlite3_result_error_nomem(ctx);
	else
		sqlite3_result_blob64(ctx, buf_text(&out), out.len, SQLITE_TRANSIENT);
	buf_free(&out);
}

int store_add_functions(sqlite3 *db)
{
	return sqlite3_create_function(db, "hist_merge", 2, SQLITE_UTF8 | SQLITE_DETERMINISTIC, NULL, hist_merge, NULL, NULL);
}

/* ---- rows ---- */

static int read_tally(struct store *s, int64_t probe, uint32_t pid, struct rollup *out, struct error *err)
{
	sqlite3_stmt *row;
	int rc = store_row(s, ST_TALLY_GET, "SELECT " COLUMNS ", hist FROM tally WHERE probe = ?1 AND pid = ?2", &row, err, "ii",
			   probe,
			   (int64_t)pid);

	memset(out, 0, sizeof(*out));
	if (rc <= 0)
		return rc;
	for (int i = 0; i < ROLLUP_VALUES; i++)
		out->value[i] = (uint64_t)sqlite3_column_int64(row, i);
	rc = hist_unpack_add(sqlite3_column_blob(row, ROLLUP_VALUES), (size_t)sqlite3_column_bytes(row, ROLLUP_VALUES),
			     out->hist);
	store_done(row);
	return rc ? error_set(err, EIO, "the store: a histogram is damaged") : 0;
}

#define VALUES_OF(r) \
	(r)->value[0], (r)->value[1], (r)->value[2], (r)->value[3], (r)->value[4], (r)->value[5], (r)->value[6], (r)->value[7], \
	(r)->value[8], (r)->value[9], (r)->value[10], (r)->value[11], (r)->value[12], (r)->value[13], (r)->value[14], (r)->value[15], (r)->value[16]
#define VALUES_TYPES "uuuuuuuuuuuuuuuuu"
_Static_assert(ROLLUP_VALUES == 17, "COLUMNS, PARAMETERS and VALUES_OF name as many");

static int write_tally(struct store *s, int64_t probe, uint32_t pid, const struct rollup *now, struct error *err)
{
	buf_clear(&s->scratch);
	hist_pack(now->hist, &s->scratch);
	if (s->scratch.failed)
		return error_set(err, ENOMEM, "out of memory");
	return store_run(s, ST_TALLY_PUT,
			 "INSERT OR REPLACE INTO tally (probe, pid, " COLUMNS ", hist) VALUES (?, ?, " PARAMETERS ", ?)", err,
			 "ii" VALUES_TYPES "b", probe, (int64_t)pid, VALUES_OF(now), (const void *)buf_text(&s->scratch), s->scratch.len);
}

static int add_rollups(struct store *s, int64_t probe, uint32_t pid, uint64_t at_ns, const struct rollup *more, struct error *err)
{
	static const char sql[] =
		"INSERT INTO rollup (span, probe, at, pid, " COLUMNS ", hist) VALUES (?, ?, ?, ?, " PARAMETERS ", ?)"
		" ON CONFLICT (span, probe, at, pid) DO UPDATE SET "
		ADD(calls) ADD(returns) ADD(errors) ADD(matched) ADD(undecided) ADD(shipped) ADD(sampled) ADD(drop_ring) ADD(drop_rate)
		ADD(drop_nomem) ADD(drop_client) ADD(past_limit) ADD(shown) ADD(unread) ADD(unpaired) ADD(sum_ns)
		"max_ns = max(max_ns, excluded.max_ns), hist = hist_merge(hist, excluded.hist)";
	int rc = 0;

	buf_clear(&s->scratch);
	hist_pack(more->hist, &s->scratch);
	if (s->scratch.failed)
		return error_set(err, ENOMEM, "out of memory");
	for (size_t i = 0; i < sizeof(spans) / sizeof(spans[0]) && !rc; i++) {
		uint64_t at = at_ns / 1000000000;

		rc = store_run(s, ST_ROLLUP_ADD, sql, err, "iiui" VALUES_TYPES "b", (int64_t)spans[i], probe, at - at % spans[i],
			       (int64_t)pid, VALUES_OF(more), (const void *)buf_text(&s->scratch), s->scratch.len);
	}
	return rc;
}

int store_stats(struct store *s, int64_t probe, uint32_t pid, uint64_t at_ns, const struct store_counts *counts,
		struct error *err)
{
	struct rollup now, before, more;
	int rc = read_tally(s, probe, pid, &before, err);

	rollup_of(counts, &now);
	if (rc || !rollup_difference(&now, &before, &more))
		return rc;
	rc = add_rollups(s, probe, pid, at_ns, &more, err);
	return rc ? rc : write_tally(s, probe, pid, &now, err);
}
