/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a trace or stat that was asked of the collector:
 *
 *   STARTING   all connected agents have been asked; the client waits until the first accepts, or all have refused
 *   RUNNING    what agents send goes to the client; agents that come are asked too, those without the service again now and then
 *   STOPPING   its end was asked for, or its time is over: agents have been told, their ENDs are waited for
 *   LINGERING  the client has its END; agents that were away still have last counters to bring
 *
 * An agent's part is over by the END that it sends, never by its connection: what it has measured waits in its spool.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control_internal.h"
#include "log.h"

/* ---- finding ---- */

struct request *request_find(struct control *k, uint64_t id)
{
	struct request *r;

	LIST_FOREACH(r, &k->requests, link)
		if (r->id == id)
			return r;
	return NULL;
}

struct request *request_of_agents(struct control *k, uint64_t agents_id)
{
	struct request *r;

	LIST_FOREACH(r, &k->requests, link)
		if (r->agents_id == agents_id)
			return r;
	return NULL;
}

struct request *request_of_client(struct client *c, uint64_t wire_id)
{
	struct request *r;

	LIST_FOREACH(r, &control_of(c->session->collector)->requests, link)
		if (r->client == c && r->wire_id == wire_id)
			return r;
	return NULL;
}

/* By host, as people want to read them. */
static void insert_sorted(struct request *r, struct part *p)
{
	struct part *before = LIST_FIRST(&r->parts);

	if (!before || strcmp(before->host, p->host) > 0) {
		LIST_INSERT_HEAD(&r->parts, p, link);
		return;
	}
	while (LIST_NEXT(before, link) && strcmp(LIST_NEXT(before, link)->host, p->host) <= 0)
		before = LIST_NEXT(before, link);
	LIST_INSERT_AFTER(before, p, link);
}

struct part *request_part(struct request *r, int64_t agent, const char *host)
{
	struct part *p;

	LIST_FOREACH(p, &r->parts, link)
		if (p->agent == agent)
			return p;
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->agent = agent;
	snprintf(p->host, sizeof(p->host), "%s", host);
	insert_sorted(r, p);
	return p;
}

static unsigned count_parts(const struct request *r, enum part_state state)
{
	const struct part *p;
	unsigned n = 0;

	LIST_FOREACH(p, &r->parts, link)
		n += p->state == state;
	return n;
}

/* ---- asking agents ---- */

static uint64_t left(uint64_t end, uint64_t now)
{
	return end > now ? end - now : 1000000;   /* agents take no less than a millisecond */
}

static uint64_t for_left(const struct request *r)
{
	if (!r->for_ns)
		return 0;
	return r->started_ns ? left(r->started_ns + r->for_ns, mono_ns()) : r->for_ns;
}

static void set_state(struct request *r, struct part *p, enum part_state state, const char *stored)
{
	struct error err;

	p->state = state;
	if (!stored)
		return;
	if (store_request_agent(r->control->collector->store, r->id, p->agent, stored, p->reason, p->text, wall_ns(), &err) < 0)
		control_store_failed(&err);
}

static void ask(struct request *r, struct part *p, struct agent *a)
{
	struct buf args = { 0 };
	struct frame f;

	control_args_pack(r->arguments.data, r->arguments.len, left(r->expires_ns, wall_ns()), for_left(r), &args);
	if (args.failed) {
		buf_free(&args);
		return;   /* no memory: asked again by the tick */
	}
	frame_begin(&f, &a->session->out, WIRE_REQUEST, 4);
	msgpack_pack_uint64(&f.pk, r->agents_id);
	pack_text(&f.pk, r->verb);
	buf_add(&a->session->out, args.data, args.len);
	frame_end(&f);
	session_flush(a->session);
	buf_free(&args);
	/* Nothing has changed for the store when it is only whether the service runs by now. */
	set_state(r, p, PART_ASKED, p->state == PART_NEW ? "sent" : NULL);
	p->again_ns = mono_ns() + ASK_AGAIN_NS;
}

void agent_stop_request(struct agent *a, uint64_t id)
{
	struct control *k = control_of(a->collector);
	struct frame f;

	frame_begin(&f, &a->session->out, WIRE_REQUEST, 4);
	msgpack_pack_uint64(&f.pk, QUESTION_IDS + k->next_question++);
	pack_text(&f.pk, "stop");
	msgpack_pack_map(&f.pk, 1);
	pack_key_u64(&f.pk, "id", id);
	frame_end(&f);
	session_flush(a->session);
}

void request_ask_all(struct request *r)
{
	struct agent *a;

	LIST_FOREACH(a, &r->control->collector->agents, link) {
		struct part *p = host_list_has(&r->hosts, a->host) ? request_part(r, a->id, a->host) : NULL;

		if (!p)
			continue;
		p->connected = true;
		ask(r, p, a);
	}
}

/* ---- ending ---- */

static void end_in_store(struct request *r)
{
	struct error err;

	if (store_request_end(r->control->collector->store, r->id, r->reason, r->text, wall_ns(), &err) < 0)
		control_store_failed(&err);
}

static void set_end(struct request *r, const char *reason, const char *text)
{
	snprintf(r->reason, sizeof(r->reason), "%s", reason);
	snprintf(r->text, sizeof(r->text), "%s", text);
}

/* Those who look on hear of the end of the whole as an END of no agent. */
static void publish_end(const struct request *r)
{
	const msgpack_object item[4] = {
		{ .type = MSGPACK_OBJECT_POSITIVE_INTEGER, .via.u64 = WIRE_END }, { .type = MSGPACK_OBJECT_POSITIVE_INTEGER, .via.u64 = r->id },
		{ .type = MSGPACK_OBJECT_STR, .via.str = { (uint32_t)strlen(r->reason), r->reason } },
		{ .type = MSGPACK_OBJECT_STR, .via.str = { (uint32_t)strlen(r->text), r->text } },
	};
	const struct frame_in in = { .type = WIRE_END, .items = item, .count = 4 };

	live_publish(r->control->collector->live, &(struct live_item){ .type = WIRE_END, .request = r->id, .host = "", .in = &in });
}

/* The client hears of it, and goes. */
static void tell_end(struct request *r)
{
	log_info("control", "end", "id=%lu reason=%s records=%lu text=\"%s\"", (unsigned long)r->id, r->reason, (unsigned long)r->records, r->text);
	control_audit_end(r->control, r->audit, "ended (%s): %s", r->reason, r->text);
	r->audit = 0;
	publish_end(r);
	if (!r->client)
		return;
	request_send_end(r);
	r->client->n_requests--;
	r->client = NULL;
}

static bool has_open_parts(const struct request *r, bool connected_only)
{
	const struct part *p;

	LIST_FOREACH(p, &r->parts, link)
		if ((p->state == PART_RUNNING || p->state == PART_ASKED) && (p->connected || !connected_only))
			return true;
	return false;
}

static void finish(struct request *r)
{
	if (r->state != REQUEST_LINGERING)
		tell_end(r);
	end_in_store(r);
	request_free(r);
}

void request_stop(struct request *r, const char *reason, const char *text)
{
	struct agent *a;
	struct part *p;

	if (r->state >= REQUEST_STOPPING)
		return;
	set_end(r, reason, text);
	r->state = REQUEST_STOPPING;
	r->deadline_ns = mono_ns() + STOP_NS;
	LIST_FOREACH(p, &r->parts, link) {
		a = agent_find(r->control->collector, p->agent);
		if (a && (p->state == PART_RUNNING || p->state == PART_ASKED))
			agent_stop_request(a, r->agents_id);
	}
}

/* Refused: the client gets the reason that helps most. */
static void refuse(struct request *r)
{
	struct error err = r->refusal;
	unsigned asked = count_parts(r, PART_ABSENT);

	if (!err.code && asked) {
		error_set(&err, ESRCH, "none of %u host%s runs '%s'", asked, asked == 1 ? "" : "s", r->service);
		error_hint(&err, "plumb ps lists the processes of all hosts; with --keep the request waits for one");
	} else if (!err.code) {
		error_set(&err, ESRCH, "no agent is connected to this collector");
		error_hint(&err, "plumb hosts lists those that were; plumbd --collector connects one; with --keep the request waits");
	}
	control_audit_end(r->control, r->audit, "refused: %s", err.text);
	if (r->client)
		session_reply_error(r->client->session, r->wire_id, &err, r->refusal.code ? r->refusal_probe : -1);
	set_end(r, "refused", err.text);
	end_in_store(r);
	request_free(r);
}

/* All that ran has ended: why, if it is the same everywhere. */
static void set_common_end(struct request *r)
{
	const struct part *p, *first = NULL;
	bool same = true;

	LIST_FOREACH(p, &r->parts, link) {
		if (!p->has_run)
			continue;
		same &= !first || strcmp(first->reason, p->reason) == 0;
		first = p;
	}
	if (first)
		set_end(r, same ? first->reason : "ended", same ? first->text : "it has ended on every host");
}

static void advance_start(struct request *r)
{
	bool waiting = count_parts(r, PART_ASKED) || count_parts(r, PART_NEW);

	if (count_parts(r, PART_RUNNING) || (r->keep && !waiting && !r->refused_any) || (waiting && mono_ns() - r->asked_ns > START_NS)) {
		r->state = REQUEST_RUNNING;
		request_accepted(r);
	} else if (!waiting) {
		refuse(r);
	}
}

/* A kept request waits for what may come; another one is over when nothing runs any more that did. */
static void advance_run(struct request *r)
{
	const struct part *p;
	bool has_run = false;

	if (has_open_parts(r, false) || count_parts(r, PART_NEW))
		return;
	LIST_FOREACH(p, &r->parts, link)
		has_run |= p->has_run;
	if (!has_run || (r->keep && count_parts(r, PART_ABSENT)))
		return;
	set_common_end(r);
	finish(r);
}

void request_advance(struct request *r)
{
	if (r->state == REQUEST_STARTING)
		advance_start(r);
	else if (r->state == REQUEST_RUNNING)
		advance_run(r);
	else if (!has_open_parts(r, false))
		finish(r);
}

void request_client_gone(struct request *r)
{
	if (r->client)
		r->client->n_requests--;
	r->client = NULL;
	if (r->state >= REQUEST_STOPPING)
		return;
	if (!r->keep) {
		request_stop(r, "hangup", "the requester is gone");
		request_advance(r);
	} else {
		r->state = REQUEST_RUNNING;
		log_info("control", "kept", "id=%lu", (unsigned long)r->id);
	}
}

/* ---- agents that come and go ---- */

/* What it has in its spool comes first; whether its part has ended is told by that. */
void request_agent_up(struct request *r, struct agent *a, bool restarted, bool served)
{
	struct part *p = host_list_has(&r->hosts, a->host) ? request_part(r, a->id, a->host) : NULL;

	if (!p)
		return;
	p->connected = true;
	if (r->state >= REQUEST_STOPPING) {
		if (served)
			agent_stop_request(a, r->agents_id);
		else if (restarted && p->state != PART_REFUSED)
			p->state = PART_ENDED;
		return;
	}
	if (served) {
		set_state(r, p, PART_RUNNING, NULL);
		p->has_run = true;
		request_tell(r, p, "back", "its connection is back");
	} else if ((restarted && p->state != PART_ENDED) || p->state == PART_NEW || p->state == PART_ASKED || p->state == PART_ABSENT) {
		ask(r, p, a);
	}
}

void request_agent_down(struct request *r, const struct agent *a)
{
	struct part *p;

	LIST_FOREACH(p, &r->parts, link) {
		if (p->agent != a->id)
			continue;
		p->connected = false;
		if (p->state == PART_RUNNING)
			request_tell(r, p, "away", "its connection is gone; what it measures waits there until it is back");
		else if (p->state == PART_ASKED)
			p->state = PART_NEW;
		break;
	}
}

/* ---- time ---- */

static void ask_again(struct request *r, uint64_t now)
{
	struct part *p;

	LIST_FOREACH(p, &r->parts, link) {
		struct agent *a;

		if ((p->state != PART_ABSENT && p->state != PART_NEW) || !p->connected || now < p->again_ns)
			continue;
		a = agent_find(r->control->collector, p->agent);
		if (a)
			ask(r, p, a);
	}
}

static void linger(struct request *r, uint64_t now)
{
	if (r->state == REQUEST_STOPPING && (now >= r->deadline_ns || !has_open_parts(r, true))) {
		tell_end(r);
		r->state = REQUEST_LINGERING;
		r->deadline_ns = now + LINGER_NS;
	}
	if (r->state == REQUEST_LINGERING && now >= r->deadline_ns)
		finish(r);
}

void request_tick(struct request *r)
{
	uint64_t now = mono_ns();

	if (r->state >= REQUEST_STOPPING) {
		linger(r, now);
		return;
	}
	if (wall_ns() >= r->expires_ns) {
		request_stop(r, "ttl", "its time to live is over");
		request_advance(r);
	} else if (r->for_ns && r->started_ns && now >= r->started_ns + r->for_ns) {
		request_stop(r, "for", "the time asked for is over");
		request_advance(r);
	} else if (r->state == REQUEST_STARTING) {
		request_advance(r);
	} else {
		ask_again(r, now);
	}
}
