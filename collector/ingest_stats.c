/* SPDX-License-Identifier: Apache-2.0 */
/* STATS, and the last counters in an END. */
#include <errno.h>
#include <string.h>

#include "ingest_internal.h"

int counters_read(const msgpack_object *o, struct counters *out, struct error *err)
{
	const msgpack_object *part = o->via.array.ptr;
	uint64_t probe, pid;

	if (o->type != MSGPACK_OBJECT_ARRAY || o->via.array.size < 4 || !object_u64(&part[0], &probe) || probe > UINT32_MAX ||
	    !object_u64(&part[1], &pid) || pid > UINT32_MAX || tally_unpack(&out->tally, &part[3]))
		return malformed(err, "row of counters");
	out->probe = (uint32_t)probe;
	out->pid = (uint32_t)pid;
	out->third = &part[2];
	return 0;
}

/* All of it, before anything is put. */
static int check_rows(const msgpack_object *rows, struct error *err)
{
	struct counters c;
	int rc = 0;

	if (rows->type != MSGPACK_OBJECT_ARRAY || rows->via.array.size > STREAM_ROWS_MAX)
		return malformed(err, "table of counters");
	for (uint32_t i = 0; i < rows->via.array.size && !rc; i++)
		rc = counters_read(&rows->via.array.ptr[i], &c, err);
	return rc;
}

static bool is_row_of(const msgpack_object *o, uint32_t probe, uint32_t pid)
{
	return o->via.array.ptr[0].via.u64 == probe && o->via.array.ptr[1].via.u64 == pid;
}

/* Several rows may name no process (pid 0): they add up, in the place of the first. False: it was counted there. */
static bool add_up(const msgpack_object *rows, uint32_t at, struct counters *c)
{
	struct counters more;

	for (uint32_t i = 0; i < at; i++)
		if (is_row_of(&rows->via.array.ptr[i], c->probe, 0))
			return false;
	for (uint32_t i = at + 1; i < rows->via.array.size; i++)
		if (is_row_of(&rows->via.array.ptr[i], c->probe, 0) && !counters_read(&rows->via.array.ptr[i], &more, NULL))
			tally_add(&c->tally, &more.tally);
	return true;
}

int counters_put(const struct taken *t, int64_t probe, const struct counters *c, uint64_t at_ns, struct error *err)
{
	struct store_counts counts = {
		.c = c->tally.c, .unread = c->tally.unread + c->tally.unplaced, .drop_client = c->tally.drop_client,
		.past_limit = c->tally.past_limit, .shown = c->tally.shown,
	};

	t->st->ingest->counts->stats_rows++;
	return store_stats(t->st->ingest->store, probe, c->pid, at_ns, &counts, err);
}

static int put_row(const struct taken *t, const struct counters *c, uint64_t at_ns, struct error *err)
{
	const struct known_probe *p = stream_probe(t->st, c->probe);
	int rc;

	if (!p) {
		taken_orphan(t);
		return 0;
	}
	rc = c->pid ? stream_process(t->st, c->pid, c->third, err) : 0;
	return rc ? rc : counters_put(t, p->is.id, c, at_ns, err);
}

static int put_rows(const struct taken *t, const msgpack_object *rows, uint64_t at_ns, struct error *err)
{
	struct counters c = { 0 };
	int rc = 0;

	for (uint32_t i = 0; i < rows->via.array.size && !rc; i++) {
		rc = counters_read(&rows->via.array.ptr[i], &c, err);
		if (!rc && (c.pid || add_up(rows, i, &c)))
			rc = put_row(t, &c, at_ns, err);
	}
	return rc;
}

int ingest_stats(const struct taken *t, struct error *err)
{
	uint64_t request = 0, ns = 0;
	int rc = taken_request(t, &request, err);

	if (!rc && (t->in->count < 4 || !object_u64(&t->in->items[2], &ns)))
		rc = malformed(err, "STATS");
	if (!rc)
		rc = check_rows(&t->in->items[3], err);
	if (!rc)
		rc = put_rows(t, &t->in->items[3], taken_time(t, ns), err);
	if (!rc && request)
		taken_publish(t, request);
	return rc;
}

/* ---- END ---- */

static int put_end(const struct taken *t, uint64_t request, const char *reason, const char *text, struct error *err)
{
	struct store *s = t->st->ingest->store;
	int rc = store_request_agent(s, request, t->st->agent, "ended", reason, text, t->now_ns, err);

	if (!rc && t->st->wire_id >= WIRE_LOCAL_REQUEST)
		rc = store_request_end(s, request, reason, text, t->now_ns, err);
	return rc;
}

/* An END has no time: its counters belong to the last moment that the agent told. */
int ingest_end(const struct taken *t, struct error *err)
{
	uint64_t request = 0;
	struct buf reason = { 0 }, text = { 0 };
	int rc = taken_request(t, &request, err);

	if (!rc && (t->in->count < 5 || !taken_text(&t->in->items[2], &reason) || !taken_text(&t->in->items[3], &text)))
		rc = malformed(err, "END");
	if (!rc)
		rc = check_rows(&t->in->items[4], err);
	if (!rc)
		rc = put_rows(t, &t->in->items[4], t->st->heard_ns ? t->st->heard_ns : t->now_ns, err);
	if (!rc && !request)
		taken_orphan(t);
	if (!rc && request)
		rc = put_end(t, request, buf_text(&reason), buf_text(&text), err);
	if (!rc && request)
		taken_publish(t, request);
	buf_free(&reason);
	buf_free(&text);
	return rc;
}
