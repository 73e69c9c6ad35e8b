/* SPDX-License-Identifier: Apache-2.0 */
/* ps, funcs, lines, explain, doctor: one question to all connected agents, one answer. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control_internal.h"

static const struct question_kind {
	const char *verb, *key;  /* key: what the answers have in common; NULL: they stay apart, under "answers" */
	enum merge_kind merge;
} kinds[] = {
	{ "ps", "processes", MERGE_ROWS },
	{ "funcs", "functions", MERGE_EQUAL },
	{ "lines", NULL, MERGE_WHOLE },
	{ "doctor", "checks", MERGE_EQUAL },
	{ "explain", "text", MERGE_TEXT },
};

/* What one agent has to say. */
struct asked {
	LIST_ENTRY(asked) link;
	int64_t agent;
	char host[256];
	bool answered, failed;
	struct error err;        /* failed */
	int64_t probe;
};

struct question {
	LIST_ENTRY(question) link;
	struct control *control;
	struct client *client;
	const struct question_kind *kind;
	uint64_t wire_id, id, deadline_ns;
	LIST_HEAD(, asked) asked;
	struct merge *merge;
	unsigned n_answers;
	bool more, named;        /* named: of some hosts only */
	char source[256], builds[384]; /* of funcs: where the names come from; of which build, where there are several */
	int64_t audit;
};

static void question_free(struct question *q)
{
	struct asked *a;

	while ((a = LIST_FIRST(&q->asked))) {
		LIST_REMOVE(a, link);
		free(a);
	}
	LIST_REMOVE(q, link);
	q->control->n_questions--;
	q->client->n_questions--;
	merge_free(q->merge);
	free(q);
}

/* ---- the answer ---- */

static unsigned count_failed(const struct question *q, bool all)
{
	const struct asked *a;
	unsigned n = 0;

	LIST_FOREACH(a, &q->asked, link)
		n += a->failed && (all || a->err.code != ESRCH);
	return n;
}

static void put_failed(const struct question *q, msgpack_packer *pk)
{
	const struct asked *a;

	pack_key(pk, "failed");
	msgpack_pack_array(pk, count_failed(q, false));
	LIST_FOREACH(a, &q->asked, link) {
		if (!a->failed || a->err.code == ESRCH)
			continue;
		msgpack_pack_array(pk, 2);
		pack_text(pk, a->host);
		pack_text(pk, a->err.text);
	}
}

static void put_flag(msgpack_packer *pk, const char *key, bool value)
{
	pack_key(pk, key);
	value ? msgpack_pack_true(pk) : msgpack_pack_false(pk);
}

/* The error that helps most: not that another host does not run it. */
static void reply_failure(struct question *q)
{
	const struct asked *a, *best = NULL;
	unsigned hosts = 0;
	struct error err;

	LIST_FOREACH(a, &q->asked, link) {
		hosts++;
		if (!best || best->err.code == ESRCH)
			best = a;
	}
	if (!best) {
		error_set(&err, ESRCH, "no agent is connected to this collector%s", q->named ? " of the hosts that were named" : "");
		error_hint(&err, "plumb hosts lists those that were; plumbd --collector connects one");
	} else {
		err = best->err;
		if (hosts > 1 && err.code == ESRCH)
			error_set(&err, ESRCH, "none of %u hosts runs it: %.200s", hosts, best->err.text);
	}
	control_audit_end(q->control, q->audit, "refused: %s", err.text);
	session_reply_error(q->client->session, q->wire_id, &err, best ? best->probe : -1);
}

static void reply(struct question *q)
{
	struct session *s = q->client->session;
	struct frame f;

	session_reply_begin(s, &f, q->wire_id, 6);
	pack_key(&f.pk, q->kind->key ? q->kind->key : "answers");
	merge_pack(q->merge, &f.pk);
	put_failed(q, &f.pk);
	put_flag(&f.pk, "cut", merge_cut(q->merge));
	put_flag(&f.pk, "more", q->more);
	pack_key_text(&f.pk, "source", q->source);
	pack_key_text(&f.pk, "builds", q->builds);
	if (frame_end(&f)) {
		struct error err;

		error_set(&err, EMSGSIZE, "the answers of all hosts are too large together");
		session_reply_error(s, q->wire_id, &err, -1);
	}
	session_flush(s);
	control_audit_end(q->control, q->audit, "ok: %u answered, %u failed", q->n_answers, count_failed(q, true));
}

static bool is_complete(const struct question *q)
{
	const struct asked *a;

	LIST_FOREACH(a, &q->asked, link)
		if (!a->answered && !a->failed)
			return false;
	return true;
}

static void finish(struct question *q)
{
	if (q->n_answers)
		reply(q);
	else
		reply_failure(q);
	question_free(q);
}

static void fail(struct asked *a, int code, const char *text)
{
	a->failed = true;
	a->probe = -1;
	error_set(&a->err, code, "%s", text);
}

/* ---- asking ---- */

static void pack_question(const struct question *q, const msgpack_object *args, struct session *to)
{
	struct frame f;

	frame_begin(&f, &to->out, WIRE_REQUEST, 4);
	msgpack_pack_uint64(&f.pk, q->id);
	pack_text(&f.pk, q->kind->verb);
	msgpack_pack_object(&f.pk, *args);
	if (frame_end(&f) == 0)
		session_flush(to);
}

static void ask_all(struct question *q, const struct host_list *hosts, const msgpack_object *args)
{
	struct agent *a;

	LIST_FOREACH(a, &q->control->collector->agents, link) {
		struct asked *one;

		if (!host_list_has(hosts, a->host))
			continue;
		one = calloc(1, sizeof(*one));
		if (!one)
			return;
		one->agent = a->id;
		snprintf(one->host, sizeof(one->host), "%s", a->host);
		LIST_INSERT_HEAD(&q->asked, one, link);
		pack_question(q, args, a->session);
	}
}

static const struct question_kind *find_kind(const char *verb)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(kinds[i].verb, verb) == 0)
			return &kinds[i];
	return NULL;
}

static struct question *question_new(struct client *c, const struct question_kind *kind)
{
	struct control *k = control_of(c->session->collector);
	bool room = k->n_questions < QUESTIONS_MAX && c->n_questions < CLIENT_QUESTIONS_MAX;
	struct question *q = room ? calloc(1, sizeof(*q)) : NULL;

	if (!q)
		return NULL;
	q->merge = merge_new(kind->merge);
	if (!q->merge) {
		free(q);
		return NULL;
	}
	q->control = k;
	q->client = c;
	q->kind = kind;
	q->id = QUESTION_IDS + k->next_question++;
	q->deadline_ns = mono_ns() + ANSWER_NS;
	LIST_INIT(&q->asked);
	LIST_INSERT_HEAD(&k->questions, q, link);
	k->n_questions++;
	c->n_questions++;
	return q;
}

/* "-s orderd", for the audit. */
static void describe(const msgpack_object *args, struct buf *out)
{
	static const struct { const char *key, *flag; } parts[] = { { "name", "-s" }, { "path", "-x" }, { "build", "--build" } };

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		char *text = object_text(map_get(map_get(args, "target"), parts[i].key), 255);

		if (text)
			buf_printf(out, "%s%s %s", out->len ? " " : "", parts[i].flag, text);
		free(text);
	}
}

bool question_ask(struct client *c, uint64_t wire_id, const char *verb, const msgpack_object *args)
{
	const struct question_kind *kind = find_kind(verb);
	struct host_list hosts = { 0 };
	struct buf detail = { 0 };
	struct question *q;
	struct error err = { 0 };
	int rc;

	if (!kind)
		return false;
	rc = host_list_read(map_get(args, "target"), &hosts, &err);
	q = rc ? NULL : question_new(c, kind);
	if (!q) {
		if (!rc) {
			error_set(&err, EAGAIN, "the collector is busy with other questions");
			error_hint(&err, "ask again in a moment");
		}
		session_reply_error(c->session, wire_id, &err, -1);
		host_list_free(&hosts);
		return true;
	}
	q->wire_id = wire_id;
	q->named = hosts.n > 0;
	describe(args, &detail);
	q->audit = control_audit(q->control, c->session, &c->who, verb, buf_text(&detail), 0);
	buf_free(&detail);
	ask_all(q, &hosts, args);
	host_list_free(&hosts);
	if (is_complete(q))
		finish(q);
	return true;
}

/* ---- answers ---- */

static void take_error(struct asked *a, const msgpack_object *payload)
{
	uint64_t code = EINVAL, col = 0, len = 0;
	char *text = object_text(map_get(payload, "text"), 4096), *hint = object_text(map_get(payload, "hint"), 4096);

	object_u64(map_get(payload, "code"), &code);
	fail(a, code > 0 && code < 4096 ? (int)code : EINVAL, text ? text : "refused");
	if (hint)
		error_hint(&a->err, "%s", hint);
	if (object_u64(map_get(payload, "col"), &col) && object_u64(map_get(payload, "len"), &len) && col > 0 && col < INT16_MAX)
		error_at(&a->err, (int)col, len < INT16_MAX ? (int)len : 1);
	object_i64(map_get(payload, "probe"), &a->probe);
	free(text);
	free(hint);
}

static void take_answer(struct question *q, struct asked *a, const msgpack_object *payload)
{
	char *source = object_text(map_get(payload, "source"), sizeof(q->source) - 1);
	char *builds = object_text(map_get(payload, "builds"), sizeof(q->builds) - 1);
	bool more = false;
	int rc = merge_add(q->merge, a->host, q->kind->key ? map_get(payload, q->kind->key) : payload);

	if (rc) {
		fail(a, -rc, rc == -ENOMEM ? "the collector has no memory for its answer" : "its answer is malformed");
	} else {
		a->answered = true;
		q->n_answers++;
	}
	if (object_bool(map_get(payload, "more"), &more))
		q->more |= more;
	if (source && !q->source[0])
		snprintf(q->source, sizeof(q->source), "%s", source);
	if (builds && builds[0] && !q->builds[0])
		snprintf(q->builds, sizeof(q->builds), "on %.80s: %.290s", a->host, builds);
	free(source);
	free(builds);
}

static struct question *find_question(struct control *k, uint64_t id)
{
	struct question *q;

	LIST_FOREACH(q, &k->questions, link)
		if (q->id == id)
			return q;
	return NULL;
}

static struct asked *find_asked(struct question *q, int64_t agent)
{
	struct asked *a;

	LIST_FOREACH(a, &q->asked, link)
		if (a->agent == agent && !a->answered && !a->failed)
			return a;
	return NULL;
}

void questions_reply(struct control *k, struct agent *from, const struct frame_in *in)
{
	struct question *q;
	struct asked *a;
	uint64_t id;
	bool ok = false;

	if (in->count < 4 || !object_u64(&in->items[1], &id))
		return;
	q = find_question(k, id);
	a = q ? find_asked(q, from->id) : NULL;
	if (!a)
		return;   /* too late, or of a "stop" */
	if (object_bool(&in->items[2], &ok) && ok)
		take_answer(q, a, &in->items[3]);
	else
		take_error(a, &in->items[3]);
	if (is_complete(q))
		finish(q);
}

void questions_agent_down(struct control *k, const struct agent *gone)
{
	struct question *q, *next;

	for (q = LIST_FIRST(&k->questions); q; q = next) {
		struct asked *a = find_asked(q, gone->id);

		next = LIST_NEXT(q, link);
		if (!a)
			continue;
		fail(a, ECONNRESET, "its connection is gone");
		if (is_complete(q))
			finish(q);
	}
}

void questions_client_gone(struct control *k, const struct client *c)
{
	struct question *q, *next;

	for (q = LIST_FIRST(&k->questions); q; q = next) {
		next = LIST_NEXT(q, link);
		if (q->client != c)
			continue;
		control_audit_end(k, q->audit, "the requester is gone");
		question_free(q);
	}
}

void questions_tick(struct control *k)
{
	struct question *q, *next;
	struct asked *a;

	for (q = LIST_FIRST(&k->questions); q; q = next) {
		next = LIST_NEXT(q, link);
		if (mono_ns() < q->deadline_ns)
			continue;
		LIST_FOREACH(a, &q->asked, link)
			if (!a->answered && !a->failed)
				fail(a, ETIMEDOUT, "it did not answer in time");
		finish(q);
	}
}

void questions_free(struct control *k)
{
	while (!LIST_EMPTY(&k->questions))
		question_free(LIST_FIRST(&k->questions));
}
