/* SPDX-License-Identifier: Apache-2.0 */
/* The store: what agents send, except counters; audit. */
#include <errno.h>

#include "store_internal.h"

int store_probe(struct store *s, const struct store_probe *p, uint64_t now_ns, int64_t *id, struct error *err)
{
	static const char sql[] =
		"INSERT INTO probe (request, agent, run, number, spec, function, module, build_id, file, line, site_kind, cost_ns, fields, functions,"
		" frame, created_ns) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
	int rc = store_run(s, ST_PROBE, sql, err, "uiiitttttutuiibu", p->request, p->agent, (int64_t)p->run, (int64_t)p->number,
			   p->spec, p->function, p->module, p->build_id, p->file, p->line, p->site_kind, p->cost_ns, (int64_t)p->fields,
			   (int64_t)p->functions, p->frame, p->frame_len, now_ns);

	if (!rc)
		*id = sqlite3_last_insert_rowid(s->db);
	return rc;
}

int store_probe_find(struct store *s, int64_t agent, uint64_t run, uint32_t number, struct store_known *out)
{
	static const char sql[] = "SELECT id, request, fields, functions FROM probe WHERE agent = ?1 AND run = ?2 AND number = ?3";
	sqlite3_stmt *row;
	int rc = store_row(s, ST_PROBE_FIND, sql, &row, NULL, "iii", agent, (int64_t)run, (int64_t)number);

	if (rc <= 0)
		return rc;
	*out = (struct store_known){
		.id = sqlite3_column_int64(row, 0), .request = (uint64_t)sqlite3_column_int64(row, 1),
		.fields = (uint32_t)sqlite3_column_int64(row, 2), .functions = (uint32_t)sqlite3_column_int64(row, 3),
	};
	store_done(row);
	return 1;
}

/* ---- a pattern's functions ---- */

/* Its number is above those of the wire, so that it is found by none of them. */
int store_function(struct store *s, int64_t pattern, uint32_t function, const char *name, uint64_t now_ns, int64_t *id, struct error *err)
{
	static const char sql[] =
		"INSERT INTO probe (request, agent, run, number, spec, function, module, build_id, file, line, site_kind, cost_ns, fields, frame,"
		" created_ns, pattern) SELECT request, agent, run, (?2 + 1) << 32 | number, spec, ?3, module, build_id, '', 0, site_kind, cost_ns,"
		" fields, x'', ?4, id FROM probe WHERE id = ?1";
	int rc = store_run(s, ST_FUNCTION, sql, err, "iitu", pattern, (int64_t)function, name, now_ns);

	if (!rc)
		*id = sqlite3_last_insert_rowid(s->db);
	return rc;
}

int store_function_each(struct store *s, int64_t pattern, int (*visit)(uint32_t function, int64_t id, void *arg), void *arg, struct error *err)
{
	sqlite3_stmt *row;
	int rc = store_row(s, ST_FUNCTIONS, "SELECT (number >> 32) - 1, id FROM probe WHERE pattern = ?1", &row, err, "i", pattern);

	while (rc > 0) {
		rc = visit((uint32_t)sqlite3_column_int64(row, 0), sqlite3_column_int64(row, 1), arg);
		if (!rc)
			rc = store_next(s, row, err);
	}
	store_done(row);
	return rc;
}

int store_names(struct store *s, int64_t pattern, uint32_t first, const void *frame, size_t len, struct error *err)
{
	return store_run(s, ST_NAMES, "INSERT OR REPLACE INTO pattern_names (probe, first, frame) VALUES (?, ?, ?)", err, "iib", pattern,
			 (int64_t)first, frame, len);
}

int store_names_bytes(struct store *s, int64_t pattern, uint32_t from, uint32_t to, uint64_t *bytes, struct error *err)
{
	static const char sql[] = "SELECT coalesce(sum(length(frame)), 0) FROM pattern_names WHERE probe = ?1 AND first BETWEEN ?2 AND ?3";
	sqlite3_stmt *row;
	int rc = store_row(s, ST_NAMES_BYTES, sql, &row, err, "iii", pattern, (int64_t)from, (int64_t)to);

	*bytes = rc > 0 ? (uint64_t)sqlite3_column_int64(row, 0) : 0;
	store_done(row);
	return rc < 0 ? rc : 0;
}

int store_names_find(struct store *s, int64_t pattern, uint32_t function, struct buf *out, struct error *err)
{
	static const char sql[] = "SELECT frame FROM pattern_names WHERE probe = ?1 AND first <= ?2 ORDER BY first DESC LIMIT 1";
	sqlite3_stmt *row;
	int rc = store_row(s, ST_NAME, sql, &row, err, "ii", pattern, (int64_t)function);

	if (rc <= 0)
		return rc;
	buf_add(out, sqlite3_column_blob(row, 0), (size_t)sqlite3_column_bytes(row, 0));
	store_done(row);
	return out->failed ? error_set(err, ENOMEM, "out of memory") : 1;
}

int store_process(struct store *s, int64_t agent, uint64_t run, uint32_t pid, const char *comm, struct error *err)
{
	return store_run(s, ST_PROCESS, "INSERT OR REPLACE INTO process (agent, run, pid, comm) VALUES (?, ?, ?, ?)", err, "iiit",
			 agent,
			 (int64_t)run, (int64_t)pid, comm);
}

int store_chunk(struct store *s, const struct store_chunk *c, struct error *err)
{
	static const char sql[] =
		"INSERT INTO chunk (agent, sequence, run, request, first_ns, last_ns, records, offset_ns, received_ns, frame)"
		" VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
	static const char probe_sql[] = "INSERT INTO chunk_probe (probe, first_ns, chunk, records, errors) VALUES (?, ?, ?, ?, ?)";
	int rc = store_run(s, ST_CHUNK, sql, err, "iuiuuuiiub", c->agent, c->sequence, (int64_t)c->run, c->request, c->first_ns,
			   c->last_ns,
			   (int64_t)c->records, c->offset_ns, c->received_ns, c->frame, c->frame_len);
	int64_t id = sqlite3_last_insert_rowid(s->db);

	for (uint32_t i = 0; i < c->n_probes && !rc; i++)
		rc = store_run(s, ST_CHUNK_PROBE, probe_sql, err, "iuiii", c->probe[i].probe, c->probe[i].first_ns, id,
			       (int64_t)c->probe[i].records, (int64_t)c->probe[i].errors);
	return rc;
}

int store_loss(struct store *s, int64_t agent, uint64_t request, uint64_t at_ns, uint64_t records, const char *reason,
	       struct error *err)
{
	return store_run(s, ST_LOSS, "INSERT INTO loss (agent, request, at_ns, records, reason) VALUES (?, ?, ?, ?, ?)", err,
			 "iuuut", agent,
			 request, at_ns, records, reason);
}

int store_notice(struct store *s, int64_t agent, uint64_t request, uint64_t at_ns, const char *code, const char *text,
		 struct error *err)
{
	return store_run(s, ST_NOTICE, "INSERT INTO notice (agent, request, at_ns, code, text) VALUES (?, ?, ?, ?, ?)", err,
			 "iuutt", agent,
			 request, at_ns, code, text);
}

/* ---- audit ---- */

int store_audit(struct store *s, struct store_audit *a, struct error *err)
{
	static const char sql[] =
		"INSERT INTO audit (at_ns, who, role, peer, action, detail, request, outcome) VALUES (?, ?, ?, ?, ?, ?, nullif(?, 0), ?)";
	int rc = store_run(s, ST_AUDIT, sql, err, "utttttut", a->at_ns, a->who, a->role, a->peer, a->action, a->detail,
			   a->request,
			   a->outcome ? a->outcome : "");

	if (!rc)
		a->id = sqlite3_last_insert_rowid(s->db);
	return rc;
}

int store_audit_end(struct store *s, int64_t id, const char *outcome, uint64_t now_ns, struct error *err)
{
	return store_run(s, ST_AUDIT_END, "UPDATE audit SET outcome = ?2, ended_ns = ?3 WHERE id = ?1", err, "itu", id, outcome,
			 now_ns);
}
