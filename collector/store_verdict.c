/* SPDX-License-Identifier: Apache-2.0 */
/* The store: verdicts, and what they can be computed again from. */
#include <stdio.h>

#include "store_internal.h"

static int insert(struct store *s, struct store_verdict *v, struct error *err)
{
	static const char sql[] =
		"INSERT INTO verdict (at_ns, updated_ns, who, state, title, service, reason, report, audit)"
		" VALUES (?1, ?1, ?2, ?3, ?4, coalesce(?5, ''), coalesce(?6, ''), coalesce(?7, 'null'), ?8)";
	int rc = store_run(s, ST_VERDICT, sql, err, "utttttti", v->now_ns, v->who, v->state, v->title, v->service, v->reason, v->report,
			   v->audit);

	if (!rc)
		v->id = sqlite3_last_insert_rowid(s->db);
	return rc;
}

static int update(struct store *s, const struct store_verdict *v, struct error *err)
{
	static const char sql[] =
		"UPDATE verdict SET updated_ns = ?2, state = ?3, title = coalesce(?4, title), service = coalesce(?5, service),"
		" reason = coalesce(?6, reason), report = coalesce(?7, report) WHERE id = ?1";

	return store_run(s, ST_VERDICT_UPDATE, sql, err, "iuttttt", v->id, v->now_ns, v->state, v->title, v->service, v->reason, v->report);
}

static int add_record(struct store *s, const struct store_verdict *v, struct error *err)
{
	static const char sql[] = "INSERT INTO verdict_record (verdict, at, bytes) VALUES (?1, ?2, ?3)";
	static const char count[] = "UPDATE verdict SET record_bytes = ?2 WHERE id = ?1";
	int rc = store_run(s, ST_VERDICT_RECORD, sql, err, "iub", v->id, v->record_at, v->record, v->record_len);

	return rc ? rc : store_run(s, ST_VERDICT_RECORD_BYTES, count, err, "iu", v->id, v->record_at + v->record_len);
}

int store_verdict(struct store *s, struct store_verdict *v, struct error *err)
{
	int rc = v->id ? update(s, v, err) : insert(s, v, err);

	return rc || !v->record_len ? rc : add_record(s, v, err);
}

int store_verdict_find(struct store *s, int64_t id, struct store_verdict_state *out, struct error *err)
{
	static const char sql[] = "SELECT who, state = 'RUNNING', record_bytes, audit FROM verdict WHERE id = ?1";
	sqlite3_stmt *row;
	int rc = store_row(s, ST_VERDICT_FIND, sql, &row, err, "i", id);

	if (rc <= 0)
		return rc;
	snprintf(out->who, sizeof(out->who), "%s", (const char *)sqlite3_column_text(row, 0));
	out->running = sqlite3_column_int(row, 1) != 0;
	out->record_bytes = (uint64_t)sqlite3_column_int64(row, 2);
	out->audit = sqlite3_column_int64(row, 3);
	store_done(row);
	return 1;
}

int store_verdict_silent(struct store *s, uint64_t before_ns, int64_t *id, struct error *err)
{
	static const char sql[] = "SELECT id FROM verdict WHERE state = 'RUNNING' AND updated_ns < ?1 LIMIT 1";
	sqlite3_stmt *row;
	int rc = store_row(s, ST_VERDICT_SILENT, sql, &row, err, "u", before_ns);

	if (rc > 0)
		*id = sqlite3_column_int64(row, 0);
	if (rc > 0)
		store_done(row);
	return rc;
}
