/* SPDX-License-Identifier: Apache-2.0 */
/* The store: agents, requests, what became of requests on agents. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plumb/wire.h"
#include "store_internal.h"

/* Of a request's id on the wire; below QUESTION_IDS. */
enum { WIRE_ID_RANDOM_BITS = 36, WIRE_ID_COUNT_BITS = 24 };

/* ---- agents ---- */

int store_agent(struct store *s, const char *uid, const char *host, const char *program, uint64_t now_ns, struct store_agent *out,
		struct error *err)
{
	static const char sql[] =
		"INSERT INTO agent (uid, host, program, first_seen_ns, last_seen_ns) VALUES (?1, ?2, ?3, ?4, ?4)"
		" ON CONFLICT (uid) DO UPDATE SET host = ?2, program = ?3, last_seen_ns = ?4 RETURNING id, run, acked, offset_ns";
	sqlite3_stmt *row;
	int rc = store_row(s, ST_AGENT, sql, &row, err, "tttu", uid, host, program, now_ns);

	if (rc < 0)
		return rc;
	*out = (struct store_agent){
		.id = sqlite3_column_int64(row, 0), .run = (uint64_t)sqlite3_column_int64(row, 1),
		.acked = (uint64_t)sqlite3_column_int64(row, 2), .offset_ns = sqlite3_column_int64(row, 3),
	};
	store_done(row);
	return 0;
}

int store_agent_subject(struct store *s, const char *uid, struct store_subject *out, struct error *err)
{
	sqlite3_stmt *row;
	int rc = store_row(s, ST_AGENT_SUBJECT, "SELECT subject FROM agent WHERE uid = ?1", &row, err, "t", uid);

	out->text[0] = '\0';
	if (rc <= 0)
		return rc;
	snprintf(out->text, sizeof(out->text), "%s", (const char *)sqlite3_column_text(row, 0));
	store_done(row);
	return 0;
}

int store_agent_bind(struct store *s, int64_t agent, const char *subject, struct error *err)
{
	return store_run(s, ST_AGENT_BIND, "UPDATE agent SET subject = ?2 WHERE id = ?1 AND subject = ''", err, "it", agent, subject);
}

int store_agent_unbind(struct store *s, const char *uid, struct error *err)
{
	int rc = store_run(s, ST_AGENT_UNBIND, "UPDATE agent SET subject = '' WHERE uid = ?1", err, "t", uid);

	if (!rc && !sqlite3_changes(s->db))
		rc = error_set(err, ENOENT, "there is no agent '%.40s'", uid);
	return rc;
}

int store_agent_clock(struct store *s, int64_t agent, int64_t offset_ns, uint64_t delay_ns, struct error *err)
{
	return store_run(s, ST_AGENT_CLOCK, "UPDATE agent SET offset_ns = ?2, delay_ns = ?3 WHERE id = ?1", err, "iiu", agent,
			 offset_ns,
			 delay_ns);
}

int store_agent_offset(struct store *s, int64_t agent, int64_t offset_ns, struct error *err)
{
	return store_run(s, ST_AGENT_OFFSET, "UPDATE agent SET offset_ns = ?2 WHERE id = ?1", err, "ii", agent, offset_ns);
}

int store_agent_acked(struct store *s, int64_t agent, uint64_t sequence, uint64_t seen_ns, struct error *err)
{
	return store_run(s, ST_AGENT_ACKED, "UPDATE agent SET acked = ?2, last_seen_ns = max(last_seen_ns, ?3) WHERE id = ?1", err, "iuu", agent,
			 sequence, seen_ns);
}

int store_agent_seen(struct store *s, int64_t agent, uint64_t seen_ns, struct error *err)
{
	return store_run(s, ST_AGENT_SEEN, "UPDATE agent SET last_seen_ns = max(last_seen_ns, ?2) WHERE id = ?1", err, "iu", agent, seen_ns);
}

/* A list of ids that a statement gives; owns it. */
struct ids {
	uint64_t *id;
	size_t n, cap;
};

static int ids_add(struct ids *l, uint64_t id)
{
	if (l->n == l->cap) {
		size_t cap = l->cap ? 2 * l->cap : 64;
		uint64_t *more = realloc(l->id, cap * sizeof(*more));

		if (!more)
			return -ENOMEM;
		l->id = more;
		l->cap = cap;
	}
	l->id[l->n++] = id;
	return 0;
}

static int select_ids(struct store *s, enum statement st, const char *sql, int64_t agent, struct ids *out, struct error *err)
{
	sqlite3_stmt *row;
	int rc = store_row(s, st, sql, &row, err, "i", agent);

	while (rc > 0) {
		if (ids_add(out, (uint64_t)sqlite3_column_int64(row, 0)))
			rc = error_set(err, ENOMEM, "out of memory");
		else
			rc = store_next(s, row, err);
	}
	store_done(row);
	return rc;
}

static bool among(uint64_t id, const uint64_t *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (list[i] == id)
			return true;
	return false;
}

static int end_one(struct store *s, int64_t agent, uint64_t wire_id, uint64_t now_ns, struct error *err)
{
	uint64_t id;
	int rc = store_request_find(s, agent, wire_id, &id, err);

	return rc <= 0 ? rc : store_request_agent(s, id, agent, "ended", "restart", "the agent was restarted", now_ns, err);
}

static int end_on_agent(struct store *s, int64_t agent, const uint64_t *serves, size_t n, uint64_t now_ns, struct error *err)
{
	struct ids open = { 0 };
	int rc = select_ids(s, ST_AGENT_OPEN,
			    "SELECT r.wire_id FROM request_agent a JOIN request r ON r.id = a.request"
			    " WHERE a.agent = ?1 AND a.state IN ('sent', 'running')", agent, &open, err);

	for (size_t i = 0; i < open.n && !rc; i++)
		if (!among(open.id[i], serves, n))
			rc = end_one(s, agent, open.id[i], now_ns, err);
	free(open.id);
	return rc;
}

/* What an agent opened itself is gone with it. */
static int end_local(struct store *s, int64_t agent, uint64_t now_ns, struct error *err)
{
	struct ids open = { 0 };
	int rc = select_ids(s, ST_AGENT_LOCAL, "SELECT id FROM request WHERE agent = ?1 AND ended_ns IS NULL", agent, &open, err);

	for (size_t i = 0; i < open.n && !rc; i++)
		rc = store_request_end(s, open.id[i], "restart", "the agent was restarted", now_ns, err);
	free(open.id);
	return rc;
}

int store_agent_restarted(struct store *s, int64_t agent, uint64_t run, const uint64_t *serves, size_t n, uint64_t now_ns,
			  struct error *err)
{
	int rc = store_run(s, ST_AGENT_RUN, "UPDATE agent SET run = ?2 WHERE id = ?1", err, "ii", agent, (int64_t)run);

	if (!rc)
		rc = end_on_agent(s, agent, serves, n, now_ns, err);
	return rc ? rc : end_local(s, agent, now_ns, err);
}

/* ---- requests ---- */

/*
 * Agents may still serve requests of a store that was replaced by an empty one, whose ids begin anew, and may still have data of them:
 * what they know a request by is never the same in two stores.
 */
static uint64_t wire_id_of(uint64_t id)
{
	uint64_t random;

	sqlite3_randomness(sizeof(random), &random);
	return (random >> (64 - WIRE_ID_RANDOM_BITS)) << WIRE_ID_COUNT_BITS | (id & ((1ULL << WIRE_ID_COUNT_BITS) - 1));
}

int store_request_open(struct store *s, struct store_request *r, struct error *err)
{
	static const char sql[] =
		"INSERT INTO request (id, wire_id, agent, verb, target, service, probes, arguments, who, keep, opened_ns, expires_ns)"
		" VALUES (nullif(?1, 0), ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
	int rc = store_run(s, ST_REQUEST_OPEN, sql, err, "uuittttbtiuu", r->id, r->wire_id, r->agent, r->verb, r->target,
			   r->service,
			   r->probes_json, r->arguments, r->arguments_len, r->who, (int64_t)r->keep, r->opened_ns, r->expires_ns);

	if (rc)
		return rc;
	r->id = (uint64_t)sqlite3_last_insert_rowid(s->db);
	if (r->wire_id)
		return 0;
	r->wire_id = wire_id_of(r->id);
	return store_run(s, ST_REQUEST_WIRE, "UPDATE request SET wire_id = ?2 WHERE id = ?1", err, "uu", r->id, r->wire_id);
}

int store_request_end(struct store *s, uint64_t id, const char *reason, const char *text, uint64_t now_ns, struct error *err)
{
	int rc = store_run(s, ST_REQUEST_END,
			   "UPDATE request SET ended_ns = ?2, reason = ?3, text = ?4 WHERE id = ?1 AND ended_ns IS NULL", err,
			   "uutt", id, now_ns, reason, text);

	if (rc)
		return rc;
	/* Of a request that was opened here, counters may still lie in the spools of agents that are away. */
	return store_run(s, ST_TALLY_DROP,
			 "DELETE FROM tally WHERE probe IN (SELECT p.id FROM probe p JOIN request r ON r.id = p.request WHERE r.id = ?1 AND r.agent <> 0)",
			 err, "u", id);
}

/* After the end on an agent nothing follows from there: its last counters are forgotten. */
static int drop_tallies(struct store *s, uint64_t request, int64_t agent, struct error *err)
{
	return store_run(s, ST_TALLY_DROP_AGENT,
			 "DELETE FROM tally WHERE probe IN (SELECT id FROM probe WHERE request = ?1 AND agent = ?2)", err, "ui", request, agent);
}

int store_request_agent(struct store *s, uint64_t id, int64_t agent, const char *state, const char *reason, const char *text,
			uint64_t now_ns, struct error *err)
{
	static const char sql[] = "INSERT OR REPLACE INTO request_agent (request, agent, state, reason, text, at_ns) VALUES (?, ?, ?, ?, ?, ?)";
	int rc = store_run(s, ST_REQUEST_AGENT, sql, err, "uitttu", id, agent, state, reason, text, now_ns);

	return rc || strcmp(state, "ended") ? rc : drop_tallies(s, id, agent, err);
}

static const char *text_of(sqlite3_stmt *row, int column)
{
	const unsigned char *text = sqlite3_column_text(row, column);

	return text ? (const char *)text : "";
}

static void read_request(sqlite3_stmt *row, struct store_request *r)
{
	*r = (struct store_request){
		.id = (uint64_t)sqlite3_column_int64(row, 0), .wire_id = (uint64_t)sqlite3_column_int64(row, 1),
		.agent = sqlite3_column_int64(row, 2), .verb = text_of(row, 3), .target = text_of(row, 4),
		.service = text_of(row, 5),
		.probes_json = text_of(row, 6), .arguments = sqlite3_column_blob(row, 7),
		.arguments_len = (size_t)sqlite3_column_bytes(row, 7), .who = text_of(row, 8),
		.keep = sqlite3_column_int(row, 9) != 0,
		.opened_ns = (uint64_t)sqlite3_column_int64(row, 10), .expires_ns = (uint64_t)sqlite3_column_int64(row, 11),
	};
}

int store_request_each_open(struct store *s, uint64_t now_ns, int (*visit)(const struct store_request *r, void *arg), void *arg,
			    struct error *err)
{
	static const char sql[] =
		"SELECT id, wire_id, agent, verb, target, service, probes, arguments, who, keep, opened_ns, expires_ns FROM request"
		" WHERE agent = 0 AND ended_ns IS NULL AND expires_ns > ?1 ORDER BY id";
	sqlite3_stmt *row;
	int rc = store_row(s, ST_REQUEST_EACH, sql, &row, err, "u", now_ns);

	while (rc > 0) {
		struct store_request r;

		read_request(row, &r);
		rc = visit(&r, arg);
		if (!rc)
			rc = store_next(s, row, err);
	}
	store_done(row);
	return rc;
}

int store_request_find(struct store *s, int64_t agent, uint64_t wire_id, uint64_t *id, struct error *err)
{
	sqlite3_stmt *row;
	int rc;

	*id = 0;
	if (wire_id < WIRE_LOCAL_REQUEST)
		agent = 0;
	rc = store_row(s, ST_REQUEST_FIND, "SELECT id FROM request WHERE wire_id = ?1 AND agent = ?2", &row, err, "ui", wire_id,
		       agent);
	if (rc <= 0)
		return rc;
	*id = (uint64_t)sqlite3_column_int64(row, 0);
	store_done(row);
	return 1;
}

int store_clock_jumped(struct store *s, int64_t jump_ns, struct error *err)
{
	int rc = store_run(s, ST_REQUESTS_SHIFT, "UPDATE request SET expires_ns = expires_ns + ?1 WHERE ended_ns IS NULL AND agent = 0", err, "i",
			   jump_ns);

	return rc ? rc : store_run(s, ST_VERDICTS_SHIFT, "UPDATE verdict SET updated_ns = updated_ns + ?1 WHERE state = 'RUNNING'", err, "i", jump_ns);
}
