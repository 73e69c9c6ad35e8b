/* SPDX-License-Identifier: Apache-2.0 */
/* list, hosts, audit: what the collector knows itself. The last two are read from the store, by a connection of their own. */
#include <errno.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "control_internal.h"

#define COLLECTOR_STORE "plumb.db"

enum { AUDIT_ENTRIES = 1000, HOSTS_MAX = 4096, BUSY_MS = 2000 };

/* ---- list ---- */

static const char *part_text(const struct part *p)
{
	static const char *const states[] = {
		[PART_NEW] = "waiting", [PART_ASKED] = "asked", [PART_ABSENT] = "does not run there", [PART_RUNNING] = "running",
		[PART_REFUSED] = "refused", [PART_ENDED] = "ended",
	};

	return p->state == PART_RUNNING && !p->connected ? "away" : states[p->state];
}

static void put_parts(const struct request *r, msgpack_packer *pk)
{
	const struct part *p;
	uint32_t n = 0;

	LIST_FOREACH(p, &r->parts, link)
		n++;
	msgpack_pack_array(pk, n);
	LIST_FOREACH(p, &r->parts, link) {
		bool why = p->state == PART_REFUSED || p->state == PART_ENDED;

		msgpack_pack_array(pk, 3);
		pack_text(pk, p->host);
		pack_text(pk, part_text(p));
		pack_text(pk, why ? p->text : "");
	}
}

static const char *state_text(const struct request *r)
{
	if (r->state >= REQUEST_STOPPING)
		return "ending";
	if (r->state == REQUEST_STARTING)
		return "starting";
	return r->client ? "running" : "kept";
}

/* The JSON array of texts that the store has, as msgpack. */
static void put_probes(const struct request *r, msgpack_packer *pk)
{
	msgpack_object args;
	const msgpack_object *probes;
	msgpack_zone zone;

	if (!msgpack_zone_init(&zone, 4096)) {
		msgpack_pack_array(pk, 0);
		return;
	}
	probes = pack_take(r->arguments.data, r->arguments.len, &zone, &args) > 0 ? map_get(&args, "probes") : NULL;
	if (probes)
		msgpack_pack_object(pk, *probes);
	else
		msgpack_pack_array(pk, 0);
	msgpack_zone_destroy(&zone);
}

static void put_request(const struct request *r, uint64_t now, msgpack_packer *pk)
{
	uint64_t calls = 0, shipped = 0;
	const struct part *p;

	LIST_FOREACH(p, &r->parts, link) {
		calls += p->calls;
		shipped += p->shipped;
	}
	msgpack_pack_array(pk, 11);
	msgpack_pack_uint64(pk, r->id);
	pack_text(pk, r->verb);
	pack_text(pk, r->target);
	put_probes(r, pk);
	pack_text(pk, r->who);
	msgpack_pack_uint64(pk, now > r->opened_ns ? now - r->opened_ns : 0);
	msgpack_pack_uint64(pk, r->expires_ns > now ? r->expires_ns - now : 0);
	pack_text(pk, state_text(r));
	msgpack_pack_uint64(pk, calls);
	msgpack_pack_uint64(pk, shipped);
	put_parts(r, pk);
}

void report_list(struct client *c, uint64_t wire_id)
{
	struct control *k = control_of(c->session->collector);
	const struct request *r;
	struct frame f;

	session_reply_begin(c->session, &f, wire_id, 1);
	pack_key(&f.pk, "requests");
	msgpack_pack_array(&f.pk, k->n_requests);
	LIST_FOREACH(r, &k->requests, link)
		put_request(r, wall_ns(), &f.pk);
	if (frame_end(&f)) {
		struct error err;

		error_set(&err, EMSGSIZE, "the list is too long for one answer");
		session_reply_error(c->session, wire_id, &err, -1);
	}
	session_flush(c->session);
}

/* ---- what the store has ---- */

static int read_error(sqlite3 *db, struct error *err)
{
	return error_set(err, EIO, "cannot read the store: %s", db ? sqlite3_errmsg(db) : "out of memory");
}

/* What was put but not committed yet is committed first: who asks wants to see that. */
static int open_reader(struct control *k, sqlite3 **db, struct error *err)
{
	char path[PATH_MAX];
	int rc = collector_commit(k->collector, err);

	*db = NULL;
	if (rc)
		return rc;
	snprintf(path, sizeof(path), "%s/" COLLECTOR_STORE, k->collector->opt.data);
	if (sqlite3_open_v2(path, db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
		return read_error(*db, err);
	sqlite3_busy_timeout(*db, BUSY_MS);
	return 0;
}

static void put_column(sqlite3_stmt *st, int i, msgpack_packer *pk)
{
	if (sqlite3_column_type(st, i) == SQLITE_NULL)
		msgpack_pack_nil(pk);
	else if (sqlite3_column_type(st, i) == SQLITE_INTEGER)
		msgpack_pack_int64(pk, sqlite3_column_int64(st, i));
	else
		pack_text(pk, (const char *)sqlite3_column_text(st, i));
}

/* A table of the store, as it is asked for and sent. */
struct report {
	const char *key, *sql;
	int64_t bind[2];
	int n_bind;
	int rows_max;                      /* so many may have been cut off */
	void (*put)(sqlite3_stmt *st, void *arg, msgpack_packer *pk);
	void *arg;
};

/* As many rows as there is room for. Returns how many; -EIO. */
static int read_rows(sqlite3 *db, const struct report *r, struct buf *out, bool *cut, struct error *err)
{
	sqlite3_stmt *st = NULL;
	msgpack_packer pk;
	int n = 0, rc = sqlite3_prepare_v2(db, r->sql, -1, &st, NULL);

	for (int i = 0; rc == SQLITE_OK && i < r->n_bind; i++)
		rc = sqlite3_bind_int64(st, i + 1, r->bind[i]);
	pack_into(&pk, out);
	if (rc == SQLITE_OK)
		for (; (rc = sqlite3_step(st)) == SQLITE_ROW && out->len < ANSWER_MAX; n++)
			r->put(st, r->arg, &pk);
	*cut = rc == SQLITE_ROW || n == r->rows_max;
	if (rc != SQLITE_ROW && rc != SQLITE_DONE)
		n = read_error(db, err);
	sqlite3_finalize(st);
	return n;
}

static void send_rows(struct client *c, uint64_t wire_id, const char *key, int n, const struct buf *rows, bool more)
{
	struct frame f;

	session_reply_begin(c->session, &f, wire_id, 2);
	pack_key(&f.pk, key);
	msgpack_pack_array(&f.pk, (size_t)n);
	buf_add(&c->session->out, buf_text(rows), rows->len);
	pack_key(&f.pk, "more");
	more ? msgpack_pack_true(&f.pk) : msgpack_pack_false(&f.pk);
	frame_end(&f);
	session_flush(c->session);
}

static int send_report(struct client *c, uint64_t wire_id, const struct report *r, struct error *err)
{
	struct buf rows = { 0 };
	sqlite3 *db = NULL;
	bool cut = false;
	int rc = open_reader(control_of(c->session->collector), &db, err);

	if (!rc)
		rc = read_rows(db, r, &rows, &cut, err);
	if (rc >= 0)
		send_rows(c, wire_id, r->key, rc, &rows, cut);
	sqlite3_close(db);
	buf_free(&rows);
	return rc < 0 ? rc : 0;
}

/* ---- hosts ---- */

/* id, host, uid, program, last seen, offset, delay, lost -> [host, uid, program, connected, last seen, offset, delay, lost, address] */
static void put_host(sqlite3_stmt *st, void *arg, msgpack_packer *pk)
{
	const struct agent *a = agent_find(arg, sqlite3_column_int64(st, 0));

	msgpack_pack_array(pk, 9);
	for (int i = 1; i <= 3; i++)
		put_column(st, i, pk);
	a ? msgpack_pack_true(pk) : msgpack_pack_false(pk);
	if (a)
		msgpack_pack_uint64(pk, wall_ns());
	else
		put_column(st, 4, pk);
	for (int i = 5; i <= 7; i++)
		put_column(st, i, pk);
	pack_text(pk, a ? a->session->peer : "");
}

int report_hosts(struct client *c, uint64_t wire_id, struct error *err)
{
	const struct report r = {
		.key = "hosts", .put = put_host, .arg = c->session->collector, .bind = { HOSTS_MAX }, .n_bind = 1, .rows_max = HOSTS_MAX,
		.sql = "SELECT id, host, uid, program, last_seen_ns, offset_ns, delay_ns,"
		       " (SELECT coalesce(sum(records), 0) FROM loss WHERE loss.agent = agent.id) FROM agent ORDER BY host, id LIMIT ?",
	};

	return send_report(c, wire_id, &r, err);
}

/* ---- audit ---- */

static void put_entry(sqlite3_stmt *st, void *arg, msgpack_packer *pk)
{
	msgpack_pack_array(pk, 9);
	for (int i = 0; i < 9; i++)
		put_column(st, i, pk);
}

/* The last entries, the newest at the end, where a terminal has it. */
int report_audit(struct client *c, uint64_t wire_id, uint64_t since_ns, struct error *err)
{
	uint64_t now = wall_ns();
	const struct report r = {
		.key = "entries", .put = put_entry, .rows_max = AUDIT_ENTRIES, .n_bind = 2,
		.bind = { since_ns && since_ns < now ? (int64_t)(now - since_ns) : 0, AUDIT_ENTRIES },
		.sql = "SELECT at_ns, who, role, peer, action, detail, request, outcome, ended_ns FROM"
		       " (SELECT * FROM audit WHERE at_ns >= ? ORDER BY id DESC LIMIT ?) ORDER BY id",
	};

	return send_report(c, wire_id, &r, err);
}
