/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists: each is a statement and a table of columns.  Numbers that are nanoseconds keep their names; JSON's integers hold them.
 */
#include <errno.h>

#include "query_internal.h"

enum column_kind { COLUMN_TEXT, COLUMN_INT, COLUMN_BOOL, COLUMN_JSON };

struct column { const char *name; enum column_kind kind; };

static json_t *column_json(sqlite3_stmt *st, int i, enum column_kind kind)
{
	if (sqlite3_column_type(st, i) == SQLITE_NULL)
		return json_null();
	switch (kind) {
	case COLUMN_INT: return json_integer(sqlite3_column_int64(st, i));
	case COLUMN_BOOL: return json_boolean(sqlite3_column_int64(st, i) != 0);
	case COLUMN_JSON: return json_loads(reader_text(st, i), JSON_DECODE_ANY, NULL);
	default: return json_string(reader_text(st, i));
	}
}

static int put_rows(struct reader *r, sqlite3_stmt *st, const struct column *columns, json_t *list, struct error *err)
{
	int rc;

	while ((rc = reader_step(r, st, err)) > 0) {
		json_t *o = json_object();

		for (int i = 0; columns[i].name; i++)
			json_object_set_new(o, columns[i].name, column_json(st, i, columns[i].kind));
		json_array_append_new(list, o);
	}
	return rc;
}

static void bind_all(sqlite3_stmt *st, const struct query *q)
{
	int n = sqlite3_bind_parameter_count(st);
	const struct { const char *text; sqlite3_int64 number; } value[] = {
		{ NULL, (sqlite3_int64)q->from_ns }, { NULL, (sqlite3_int64)q->to_ns }, { NULL, (sqlite3_int64)q->request },
		{ q->service, 0 }, { q->function, 0 }, { q->host, 0 }, { q->who, 0 }, { NULL, q->open_only },
		{ NULL, q->limit && q->limit < QUERY_ROWS_MAX ? q->limit : QUERY_ROWS_MAX }, { NULL, q->probe },
		{ q->title, 0 },
	};

	for (int i = 1; i <= n; i++) {
		if ((i >= 4 && i <= 7) || i == 11)
			reader_bind_text(st, i, value[i - 1].text);
		else
			sqlite3_bind_int64(st, i, value[i - 1].number);
	}
}

/* Parameters: 1 from, 2 to, 3 request, 4 service, 5 function, 6 host, 7 who, 8 open only, 9 limit, 10 probe, 11 title. */
static int list(struct reader *r, const struct query *q, const char *sql, const struct column *columns, const char *key, struct buf *out,
		struct error *err)
{
	sqlite3_stmt *st = reader_statement(r, sql, err);
	json_t *rows = json_array(), *o = json_object();
	int rc = st ? 0 : -err->code;

	if (!rc) {
		bind_all(st, q);
		rc = put_rows(r, st, columns, rows, err);
	}
	json_object_set_new(o, key, rows);
	if (!rc)
		return answer(o, out, err);
	json_decref(o);
	return rc;
}

int query_services(struct reader *r, const struct query *q, struct buf *out, struct error *err)
{
	static const char sql[] =
		"SELECT r.service, (SELECT json_group_array(b) FROM (SELECT DISTINCT p2.build_id b FROM probe p2 JOIN request r2 ON r2.id = p2.request"
		" WHERE r2.service = r.service LIMIT 100)), (SELECT json_group_array(h) FROM (SELECT DISTINCT a.host h FROM probe p3 JOIN request r3"
		" ON r3.id = p3.request JOIN agent a ON a.id = p3.agent WHERE r3.service = r.service LIMIT 100)), count(DISTINCT r.id),"
		" sum(r.ended_ns IS NULL), max(r.opened_ns) FROM request r WHERE (?4 IS NULL OR r.service = ?4)"
		" GROUP BY r.service ORDER BY max(r.opened_ns) DESC LIMIT ?9";
	static const struct column columns[] = { { "service", COLUMN_TEXT }, { "builds", COLUMN_JSON }, { "hosts", COLUMN_JSON },
		{ "requests", COLUMN_INT }, { "open", COLUMN_INT }, { "last_opened_ns", COLUMN_INT }, { NULL, 0 } };

	return list(r, q, sql, columns, "services", out, err);
}

int query_hosts(struct reader *r, const struct query *q, struct buf *out, struct error *err)
{
	static const char sql[] =
		"SELECT a.uid, a.host, a.program, a.subject, a.acked, a.offset_ns, a.delay_ns, a.first_seen_ns, a.last_seen_ns, (SELECT coalesce(sum(records), 0)"
		" FROM loss l WHERE l.agent = a.id) FROM agent a WHERE (?6 IS NULL OR a.host = ?6) ORDER BY a.host, a.id LIMIT ?9";
	static const struct column columns[] = { { "agent", COLUMN_TEXT }, { "host", COLUMN_TEXT }, { "program", COLUMN_TEXT }, { "subject", COLUMN_TEXT }, { "entries", COLUMN_INT },
		{ "clock_offset_ns", COLUMN_INT }, { "clock_delay_ns", COLUMN_INT }, { "first_seen_ns", COLUMN_INT }, { "last_seen_ns", COLUMN_INT },
		{ "records_lost", COLUMN_INT }, { NULL, 0 } };

	return list(r, q, sql, columns, "hosts", out, err);
}

int query_requests(struct reader *r, const struct query *q, struct buf *out, struct error *err)
{
	static const char sql[] =
		"SELECT r.id, r.verb, r.target, r.service, r.probes, r.who, r.keep, r.opened_ns, r.expires_ns, r.ended_ns, r.reason, r.text, (SELECT"
		" json_group_array(json_object('host', a.host, 'state', ra.state, 'reason', ra.reason, 'text', ra.text)) FROM request_agent ra JOIN"
		" agent a ON a.id = ra.agent WHERE ra.request = r.id), (SELECT coalesce(sum(l.records), 0) FROM loss l WHERE l.request = r.id),"
		" (SELECT json_group_array(json_object('at_ns', n.at_ns, 'code', n.code, 'text', n.text)) FROM (SELECT * FROM notice n WHERE"
		" n.request = r.id ORDER BY n.at_ns DESC LIMIT 20) n) FROM request r WHERE (?3 = 0 OR r.id = ?3) AND (?4 IS NULL OR r.service = ?4)"
		" AND (?7 IS NULL OR r.who = ?7) AND (?8 = 0 OR r.ended_ns IS NULL) ORDER BY r.id DESC LIMIT ?9";
	static const struct column columns[] = { { "id", COLUMN_INT }, { "verb", COLUMN_TEXT }, { "target", COLUMN_TEXT }, { "service", COLUMN_TEXT },
		{ "probes", COLUMN_JSON }, { "who", COLUMN_TEXT }, { "keep", COLUMN_BOOL }, { "opened_ns", COLUMN_INT }, { "expires_ns", COLUMN_INT },
		{ "ended_ns", COLUMN_INT }, { "reason", COLUMN_TEXT }, { "text", COLUMN_TEXT }, { "agents", COLUMN_JSON },
		{ "records_lost", COLUMN_INT }, { "notices", COLUMN_JSON }, { NULL, 0 } };

	return list(r, q, sql, columns, "requests", out, err);
}

int query_probes(struct reader *r, const struct query *q, struct buf *out, struct error *err)
{
	static const char sql[] =
		"SELECT p.id, p.request, q.service, a.host, p.function, p.spec, p.module, p.build_id, p.file, p.line, p.site_kind, p.cost_ns,"
		" p.created_ns, p.functions FROM probe p JOIN agent a ON a.id = p.agent JOIN request q ON q.id = p.request WHERE p.pattern = 0 AND (?3 = 0 OR p.request = ?3)"
		" AND (?4 IS NULL OR q.service = ?4) AND (?5 IS NULL OR p.function = ?5) AND (?6 IS NULL OR a.host = ?6)"
		" AND (?8 = 0 OR q.ended_ns IS NULL) AND (?10 = 0 OR p.id = ?10) ORDER BY p.id DESC LIMIT ?9";
	static const struct column columns[] = { { "id", COLUMN_INT }, { "request", COLUMN_INT }, { "service", COLUMN_TEXT }, { "host", COLUMN_TEXT },
		{ "function", COLUMN_TEXT }, { "spec", COLUMN_TEXT }, { "module", COLUMN_TEXT }, { "build_id", COLUMN_TEXT }, { "file", COLUMN_TEXT },
		{ "line", COLUMN_INT }, { "site_kind", COLUMN_TEXT }, { "cost_ns", COLUMN_INT }, { "created_ns", COLUMN_INT }, { "functions", COLUMN_INT }, { NULL, 0 } };

	return list(r, q, sql, columns, "probes", out, err);
}

int query_audit(struct reader *r, const struct query *q, struct buf *out, struct error *err)
{
	static const char sql[] =
		"SELECT id, at_ns, who, role, peer, action, detail, request, outcome, ended_ns FROM audit WHERE at_ns >= ?1 AND at_ns < ?2"
		" AND (?3 = 0 OR request = ?3) AND (?7 IS NULL OR who = ?7) ORDER BY id DESC LIMIT ?9";
	static const struct column columns[] = { { "id", COLUMN_INT }, { "at_ns", COLUMN_INT }, { "who", COLUMN_TEXT }, { "role", COLUMN_TEXT },
		{ "peer", COLUMN_TEXT }, { "action", COLUMN_TEXT }, { "detail", COLUMN_TEXT }, { "request", COLUMN_INT }, { "outcome", COLUMN_TEXT },
		{ "ended_ns", COLUMN_INT }, { NULL, 0 } };

	return list(r, q, sql, columns, "audit", out, err);
}

#define VERDICT_COLUMNS \
	{ "id", COLUMN_INT }, { "at_ns", COLUMN_INT }, { "updated_ns", COLUMN_INT }, { "who", COLUMN_TEXT }, { "state", COLUMN_TEXT }, \
	{ "title", COLUMN_TEXT }, { "service", COLUMN_TEXT }, { "reason", COLUMN_TEXT }, { "record_bytes", COLUMN_INT }

int query_verdicts(struct reader *r, const struct query *q, struct buf *out, struct error *err)
{
	static const char sql[] =
		"SELECT id, at_ns, updated_ns, who, state, title, service, reason, record_bytes FROM verdict WHERE at_ns >= ?1 AND at_ns < ?2"
		" AND (?4 IS NULL OR service = ?4) AND (?7 IS NULL OR who = ?7) AND (?11 IS NULL OR title = ?11) ORDER BY id DESC LIMIT ?9";
	static const struct column columns[] = { VERDICT_COLUMNS, { NULL, 0 } };

	return list(r, q, sql, columns, "verdicts", out, err);
}

/* q->request is its id. */
int query_verdict(struct reader *r, const struct query *q, struct buf *out, struct error *err)
{
	static const char sql[] =
		"SELECT id, at_ns, updated_ns, who, state, title, service, reason, record_bytes, report FROM verdict WHERE id = ?3 LIMIT ?9";
	static const struct column columns[] = { VERDICT_COLUMNS, { "report", COLUMN_JSON }, { NULL, 0 } };

	return list(r, q, sql, columns, "verdicts", out, err);
}

/* Not JSON: the bytes. q->request is its id. */
int query_record(struct reader *r, const struct query *q, struct buf *out, struct error *err)
{
	static const char sql[] = "SELECT bytes FROM verdict_record WHERE verdict = ?1 ORDER BY at";
	sqlite3_stmt *st = reader_statement(r, sql, err);
	int rc;

	if (!st)
		return -err->code;
	sqlite3_bind_int64(st, 1, (sqlite3_int64)q->request);
	while ((rc = reader_step(r, st, err)) > 0)
		buf_add(out, sqlite3_column_blob(st, 0), (size_t)sqlite3_column_bytes(st, 0));
	if (rc)
		return rc;
	if (out->failed)
		return error_set(err, ENOMEM, "no memory for the record");
	return out->len ? 0 : error_set(err, ENOENT, "no record was stored with verdict %lu", (unsigned long)q->request);
}
