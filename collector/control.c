/* SPDX-License-Identifier: Apache-2.0 */
/* Requests from plumb: who may, what it is, and to whom it goes. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control_internal.h"
#include "log.h"

#define REFUSED_CLIENT_NS SECOND_NS   /* to read why */

/* ---- life ---- */

int control_start(struct collector *c, struct error *err)
{
	struct control *k = calloc(1, sizeof(*k));

	if (!k)
		return error_set(err, ENOMEM, "out of memory");
	c->control = k;
	k->collector = c;
	LIST_INIT(&k->clients);
	LIST_INIT(&k->requests);
	LIST_INIT(&k->questions);
	return requests_restore(k, err);
}

void control_stop(struct collector *c)
{
	struct control *k = c->control;

	if (!k)
		return;
	questions_free(k);
	while (!LIST_EMPTY(&k->requests))
		request_free(LIST_FIRST(&k->requests));
	free(k);
	c->control = NULL;
}

/* ---- clients ---- */

static struct client *client_new(struct session *s, struct error *err)
{
	struct client *c = calloc(1, sizeof(*c));

	if (!c) {
		error_set(err, ENOMEM, "out of memory");
		return NULL;
	}
	c->session = s;
	s->control = c;
	LIST_INSERT_HEAD(&control_of(s->collector)->clients, c, link);
	return c;
}

/* A token that is not known gets an answer, and a moment to read it: closing at once would lose the reason. */
int control_hello(struct session *s, const char *token, struct error *err)
{
	struct client *c = client_new(s, err);
	struct error why;

	if (!c)
		return -ENOMEM;
	if (tokens_check(s->collector->tokens, token, &c->who, &why) == 0)
		return 0;
	c->refused_ns = mono_ns();
	control_audit_login(control_of(s->collector), s->peer, s->host);
	session_reply_error(s, 0, &why, -1);
	return 0;
}

int control_hello_inside(struct session *s, const struct identity *who, struct error *err)
{
	struct client *c = client_new(s, err);

	if (c)
		c->who = *who;
	return c ? 0 : -ENOMEM;
}

void control_gone(struct session *s)
{
	struct client *c = s->control;
	struct request *r, *next;
	struct control *k;

	if (!c)
		return;
	k = control_of(s->collector);
	questions_client_gone(k, c);
	control_query_client_gone(c);
	for (r = LIST_FIRST(&k->requests); r; r = next) {
		next = LIST_NEXT(r, link);
		if (r->client == c)
			request_client_gone(r);
	}
	LIST_REMOVE(c, link);
	free(c);
	s->control = NULL;
}

static void let_go_refused(struct control *k)
{
	struct client *c, *next;

	for (c = LIST_FIRST(&k->clients); c; c = next) {
		next = LIST_NEXT(c, link);
		if (c->refused_ns && mono_ns() - c->refused_ns > REFUSED_CLIENT_NS)
			session_refuse(c->session, REFUSED_LOGIN, "its token is not known");
	}
}

/* ---- verbs ---- */

static void reply_empty(struct client *c, uint64_t id)
{
	struct frame f;

	session_reply_begin(c->session, &f, id, 0);
	frame_end(&f);
	session_flush(c->session);
}

static int verb_start(struct client *c, uint64_t id, const char *verb, const msgpack_object *args, struct error *err)
{
	request_start(c, id, verb, args);
	return 0;
}

static int verb_ask(struct client *c, uint64_t id, const char *verb, const msgpack_object *args, struct error *err)
{
	question_ask(c, id, verb, args);
	return 0;
}

static int verb_stop(struct client *c, uint64_t id, const char *verb, const msgpack_object *args, struct error *err)
{
	struct request *r = NULL;
	uint64_t which;

	if (object_u64(map_get(args, "id"), &which))
		r = request_of_client(c, which);
	if (!r)
		return error_set(err, ENOENT, "no such request of this connection");
	request_stop(r, "stopped", "the requester stopped it");
	request_advance(r);
	return 0;
}

static int verb_rm(struct client *c, uint64_t id, const char *verb, const msgpack_object *args, struct error *err)
{
	struct control *k = control_of(c->session->collector);
	struct request *r = NULL;
	uint64_t which = 0;
	char detail[64];
	int64_t audit;
	int rc = 0;

	if (object_u64(map_get(args, "id"), &which))
		r = request_find(k, which);
	snprintf(detail, sizeof(detail), "%lu", (unsigned long)which);
	audit = control_audit(k, c->session, &c->who, verb, detail, r ? r->id : 0);
	if (!r || r->state >= REQUEST_STOPPING) {
		rc = error_set(err, ENOENT, "there is no open request %lu", (unsigned long)which);
		error_hint(err, "plumb list shows them");
	} else if (c->who.role < ROLE_ADMIN && strcmp(r->who, c->who.name) != 0) {
		rc = error_set(err, EACCES, "request %lu belongs to %s: removing it needs the role admin", (unsigned long)which, r->who);
	}
	if (rc) {
		control_audit_end(k, audit, "refused: %s", err->text);
		return rc;
	}
	control_audit_end(k, audit, "ok");
	reply_empty(c, id);
	request_stop(r, "removed", "it was removed with plumb rm");
	request_advance(r);
	return 0;
}

static int verb_list(struct client *c, uint64_t id, const char *verb, const msgpack_object *args, struct error *err)
{
	struct control *k = control_of(c->session->collector);

	control_audit_end(k, control_audit(k, c->session, &c->who, verb, "", 0), "ok");
	report_list(c, id);
	return 0;
}

static int verb_hosts(struct client *c, uint64_t id, const char *verb, const msgpack_object *args, struct error *err)
{
	struct control *k = control_of(c->session->collector);

	control_audit_end(k, control_audit(k, c->session, &c->who, verb, "", 0), "ok");
	return report_hosts(c, id, err);
}

static int verb_audit(struct client *c, uint64_t id, const char *verb, const msgpack_object *args, struct error *err)
{
	struct control *k = control_of(c->session->collector);
	uint64_t since_ns = 0;

	object_u64(map_get(args, "since_ns"), &since_ns);
	control_audit_end(k, control_audit(k, c->session, &c->who, verb, "", 0), "ok");
	return report_audit(c, id, since_ns, err);
}

static int verb_verdict(struct client *c, uint64_t id, const char *verb, const msgpack_object *args, struct error *err)
{
	return verdict_put(c, id, args, err);
}

static int verb_query(struct client *c, uint64_t id, const char *verb, const msgpack_object *args, struct error *err)
{
	return control_query(c, id, args, err);
}

/* A verb that refuses returns the error for the REPLY. */
static const struct {
	const char *name;
	int (*run)(struct client *c, uint64_t id, const char *verb, const msgpack_object *args, struct error *err);
} verbs[] = {
	{ "trace", verb_start }, { "stat", verb_start }, { "stop", verb_stop }, { "rm", verb_rm }, { "list", verb_list },
	{ "hosts", verb_hosts }, { "audit", verb_audit }, { "ps", verb_ask }, { "funcs", verb_ask }, { "lines", verb_ask },
	{ "doctor", verb_ask }, { "explain", verb_ask }, { "verdict", verb_verdict }, { "query", verb_query },
};

static int dispatch(struct client *c, uint64_t id, const char *verb, const msgpack_object *args, struct error *err)
{
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strcmp(verbs[i].name, verb) == 0)
			return verbs[i].run(c, id, verb, args, err);
	return error_set(err, ENOSYS, "this collector does not know the request '%s'", verb);
}

void control_request(struct session *s, uint64_t id, const char *verb, const msgpack_object *args)
{
	struct client *c = s->control;
	struct control *k = control_of(s->collector);
	struct error err = { 0 };
	int rc;

	if (!c || c->refused_ns)
		return;
	rc = role_check(&c->who, verb, &err);
	if (rc == -EACCES)
		control_audit_end(k, control_audit(k, s, &c->who, verb, "", 0), "refused: %s", err.text);
	if (!rc)
		rc = dispatch(c, id, verb, args, &err);
	if (rc)
		session_reply_error(s, id, &err, -1);
}

/* ---- agents ---- */

static bool is_served(uint64_t id, const uint64_t *serves, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (serves[i] == id)
			return true;
	return false;
}

void control_agent_up(struct agent *a, bool restarted, const uint64_t *serves, size_t n)
{
	struct control *k = control_of(a->collector);
	struct request *r;

	LIST_FOREACH(r, &k->requests, link)
		request_agent_up(r, a, restarted, is_served(r->agents_id, serves, n));
	for (size_t i = 0; i < n; i++)   /* it was removed, or its time was over, while the agent was away */
		if (!request_of_agents(k, serves[i]))
			agent_stop_request(a, serves[i]);
}

void control_agent_down(struct agent *a)
{
	struct control *k = control_of(a->collector);
	struct request *r;

	if (!k)
		return;
	questions_agent_down(k, a);
	LIST_FOREACH(r, &k->requests, link)
		request_agent_down(r, a);
}

void control_reply(struct agent *a, const struct frame_in *in)
{
	questions_reply(control_of(a->collector), a, in);
}

void control_clock_jumped(struct collector *c, int64_t jump_ns)
{
	struct request *r;

	LIST_FOREACH(r, &control_of(c)->requests, link) {
		r->opened_ns += (uint64_t)jump_ns;
		r->expires_ns += (uint64_t)jump_ns;
	}
}

void control_tick(struct collector *c)
{
	struct control *k = c->control;
	struct request *r, *next;

	for (r = LIST_FIRST(&k->requests); r; r = next) {
		next = LIST_NEXT(r, link);
		request_tick(r);
	}
	questions_tick(k);
	verdicts_tick(k);
	let_go_refused(k);
	control_audit_tick(k);
}
