/* SPDX-License-Identifier: Apache-2.0 */
/* The API's answers. Questions to the store go to the pool. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "http_internal.h"

/* ---- parameters ---- */

/* A whole number; -EINVAL names the parameter. */
static int number(const struct call *call, const char *name, uint64_t max, uint64_t *out, struct error *err)
{
	const char *text = call_param(call, name), *end;

	if (!text)
		return 0;
	end = http_number(text, max, out);
	if (!end || *end)
		return error_set(err, EINVAL, "%s is a whole number up to %llu", name, (unsigned long long)max);
	return 0;
}

/* Verdicts are asked for by who made them and for what, rarely by their time: all of them, if no time is given. */
static void any_time(query_fn *ask, struct query *q)
{
	if (ask == query_verdicts || ask == query_verdict || ask == query_record)
		q->from_ns = 1;
}

static int read_query(const struct call *call, query_fn *ask, struct query *q, struct error *err)
{
	uint64_t step = 0, limit = 0, probe = 0, request = 0;
	const char *errors = call_param(call, "errors"), *open = call_param(call, "open");
	int rc;

	any_time(ask, q);
	if ((rc = number(call, "from", INT64_MAX, &q->from_ns, err)) || (rc = number(call, "to", INT64_MAX, &q->to_ns, err)) ||
	    (rc = number(call, "step", UINT32_MAX, &step, err)) || (rc = number(call, "limit", UINT32_MAX, &limit, err)) ||
	    (rc = number(call, "probe", INT64_MAX, &probe, err)) || (rc = number(call, "request", INT64_MAX, &request, err)) ||
	    (rc = query_by(call_param(call, "by"), &q->by, err)))
		return rc;
	q->step_s = (uint32_t)step;
	q->limit = (uint32_t)limit;
	q->probe = (int64_t)probe;
	q->request = request;
	q->service = call_param(call, "service");
	q->function = call_param(call, "function");
	q->build = call_param(call, "build");
	q->host = call_param(call, "host");
	q->who = call_param(call, "who");
	q->title = call_param(call, "title");
	q->errors_only = errors && strcmp(errors, "0");
	q->open_only = open && strcmp(open, "0");
	return query_check(q, wall_ns(), err);
}

/* ---- questions to the store ---- */

/* A request whose answer is being looked for. Freed when it is sent, or when the peer is gone. */
struct pending {
	struct call call;
	struct pool_job *job;
	void (*done)(struct call *call, struct buf *answer);
};

static void on_gone(struct evhttp_connection *evcon, void *arg)
{
	struct pending *p = arg;

	pool_forget(p->job);
	call_gone(&p->call);
	free(p);
}

static void on_answer(struct buf *answer, const struct error *err, void *arg)
{
	struct pending *p = arg;

	evhttp_connection_set_closecb(evhttp_request_get_connection(p->call.req), NULL, NULL);
	if (err->code)
		call_error(&p->call, err);
	else
		p->done(&p->call, answer);
	free(p);
}

void call_ask(struct call *call, query_fn *ask, const struct query *q, void (*done)(struct call *call, struct buf *answer))
{
	struct pending *p = calloc(1, sizeof(*p));
	struct error err = { 0 };

	if (!p) {
		error_set(&err, ENOMEM, "no memory");
		call_error(call, &err);
		return;
	}
	p->call = *call;
	TAILQ_INIT(&p->call.params); /* they are the caller's */
	p->done = done;
	if (pool_ask(call->http->collector->pool, ask, q, on_answer, p, &p->job, &err)) {
		free(p);
		call_error(call, &err);
		return;
	}
	evhttp_connection_set_closecb(evhttp_request_get_connection(call->req), on_gone, p);
}

static void send_json(struct call *call, struct buf *answer)
{
	call_json(call, 200, buf_text(answer), answer->len);
}

/* GET /api/v1/NAME, /api/v1/NAME/ID, or /api/v1/verdicts/ID/record */
static query_fn *question_of(const struct call *call, uint64_t *id)
{
	char name[32];
	size_t len = strcspn(call->rest, "/");
	const char *end;

	*id = 0;
	if (len >= sizeof(name))
		return NULL;
	memcpy(name, call->rest, len);
	name[len] = '\0';
	if (!call->rest[len])
		return query_find(name);
	end = http_number(call->rest + len + 1, INT64_MAX, id);
	if (!end || !*id)
		return NULL;
	if (!strcmp(name, "verdicts") && !strcmp(end, "/record"))
		return query_record;
	if (*end)
		return NULL;
	if (!strcmp(name, "verdicts"))
		return query_verdict;
	return !strcmp(name, "requests") ? query_requests : NULL;
}

static bool wants_final(const struct call *call, query_fn *ask)
{
	const char *final = call_param(call, "final");

	return final && strcmp(final, "0") && (ask == query_verdicts || ask == query_verdict);
}

void api_query(struct call *call)
{
	struct error err = { 0 };
	struct query q = { 0 };
	uint64_t id;
	query_fn *ask = question_of(call, &id);

	if (!ask)
		error_set(&err, ENOENT, "there is nothing there");
	else
		read_query(call, ask, &q, &err);
	if (id)
		q.request = id;
	if (err.code)
		call_error(call, &err);
	else
		call_ask(call, ask, &q, ask == query_record ? api_send_record : wants_final(call, ask) ? api_send_final : send_json);
}

/* ---- answered at once ---- */

void api_whoami(struct call *call)
{
	char text[256];

	snprintf(text, sizeof(text), "{\"name\":\"%s\",\"role\":\"%s\",\"collector\":\"%s\"}", call->who.name, role_name(call->who.role),
		 PLUMB_VERSION);
	call_json(call, 200, text, strlen(text));
}

void api_healthz(struct call *call)
{
	static const char ok[] = "{\"status\":\"ok\"}";

	call_json(call, 200, ok, strlen(ok));
}
