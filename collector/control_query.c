/* SPDX-License-Identifier: Apache-2.0 */
/* plumb query: the questions of query.h over frames. The answer is the JSON that the HTTP API gives. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control_internal.h"
#include "pool.h"

enum { QUERY_TEXT_MAX = 1024, ANSWER_BYTES_MAX = WIRE_FRAME_MAX - 4096 };

/* A question that is being answered. Owned by its client; the pool has copied its texts. */
struct control_query {
	LIST_ENTRY(control_query) link;
	struct client *client;
	uint64_t wire_id;
	struct pool_job *job;
};

static void on_answer(struct buf *answer, const struct error *err, void *arg)
{
	struct control_query *q = arg;
	struct session *s = q->client->session;
	struct error too_long = { 0 };
	struct frame f;

	if (!err->code && answer->len > ANSWER_BYTES_MAX) {
		error_set(&too_long, E2BIG, "the answer is too long"), error_hint(&too_long, "ask for less time, or set --limit");
		err = &too_long;
	}
	if (err->code) {
		session_reply_error(s, q->wire_id, err, -1);
	} else {
		session_reply_begin(s, &f, q->wire_id, 1);
		pack_key_text(&f.pk, "json", buf_text(answer));
		frame_end(&f);
		session_flush(s);
	}
	LIST_REMOVE(q, link);
	q->client->n_queries--;
	free(q);
}

/* Texts live as long as the arguments are read. */
struct texts { char *service, *function, *build, *host, *who, *by, *what; };

static void free_texts(struct texts *t)
{
	char *all[] = { t->service, t->function, t->build, t->host, t->who, t->by, t->what };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		free(all[i]);
}

static int read_arguments(const msgpack_object *args, struct texts *t, struct query *q, struct error *err)
{
	const struct { const char *key; char **to; } text[] = {
		{ "service", &t->service }, { "function", &t->function }, { "build", &t->build }, { "host", &t->host }, { "who", &t->who },
		{ "by", &t->by }, { "what", &t->what },
	};
	uint64_t since = 0, step = 0, limit = 0;

	for (size_t i = 0; i < sizeof(text) / sizeof(text[0]); i++)
		*text[i].to = object_text(map_get(args, text[i].key), QUERY_TEXT_MAX);
	q->service = t->service;
	q->function = t->function;
	q->build = t->build;
	q->host = t->host;
	q->who = t->who;
	object_u64(map_get(args, "request"), &q->request);
	object_u64(map_get(args, "since_ns"), &since);
	object_u64(map_get(args, "step_s"), &step);
	object_u64(map_get(args, "limit"), &limit);
	object_bool(map_get(args, "errors"), &q->errors_only);
	object_bool(map_get(args, "open"), &q->open_only);
	q->step_s = step < UINT32_MAX ? (uint32_t)step : UINT32_MAX;
	q->limit = limit < UINT32_MAX ? (uint32_t)limit : UINT32_MAX;
	if (since)
		q->from_ns = wall_ns() > since ? wall_ns() - since : 1;
	if (query_by(t->by, &q->by, err))
		return -err->code;
	return query_check(q, wall_ns(), err);
}

static int ask(struct client *c, uint64_t wire_id, query_fn *fn, const struct query *q, struct error *err)
{
	struct control_query *kept = c->n_queries < CLIENT_QUESTIONS_MAX ? calloc(1, sizeof(*kept)) : NULL;
	int rc;

	if (!kept)
		return error_set(err, EAGAIN, "too many questions at a time");
	kept->client = c;
	kept->wire_id = wire_id;
	rc = pool_ask(c->session->collector->pool, fn, q, on_answer, kept, &kept->job, err);
	if (rc) {
		free(kept);
		return rc;
	}
	LIST_INSERT_HEAD(&c->queries, kept, link);
	c->n_queries++;
	return 0;
}

int control_query(struct client *c, uint64_t wire_id, const msgpack_object *args, struct error *err)
{
	struct texts t = { 0 };
	struct query q = { 0 };
	query_fn *fn = NULL;
	int rc = read_arguments(args, &t, &q, err);

	if (!rc) {
		fn = t.what ? query_find(t.what) : NULL;
		rc = fn ? 0 : error_set(err, EINVAL, "there is no question '%s'", t.what ? t.what : "");
	}
	if (!rc && fn == query_audit)
		rc = role_check(&c->who, "audit", err);
	if (!rc)
		rc = ask(c, wire_id, fn, &q, err);
	free_texts(&t);
	return rc;
}

void control_query_client_gone(struct client *c)
{
	struct control_query *q;

	while ((q = LIST_FIRST(&c->queries))) {
		LIST_REMOVE(q, link);
		pool_forget(q->job);
		free(q);
	}
}
