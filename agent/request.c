/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a trace or stat:
 *
 *   STARTING  the target's processes are found, their files resolved (in workers), the plans loaded and attached
 *   RUNNING   events and ticks go to the client
 *   ENDING    breakpoints are being removed (in the reaper's thread); then the rings are drained a last time, so that the
 *             counters in END are final, and the request is gone
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent_internal.h"
#include "log.h"
#include "uplink.h"

static const char *const verb_names[] = { [VERB_TRACE] = "trace", [VERB_STAT] = "stat" };

#define RECORDED_TICK_NS 1000000000ULL

const char *request_verb_name(enum request_verb verb)
{
	return verb_names[verb];
}

bool request_recorded(const struct request *rq)
{
	return rq->client && rq->client->uplink;
}

struct request *request_find(struct agent *a, uint64_t id)
{
	struct request *rq;

	LIST_FOREACH(rq, &a->requests, link)
		if (rq->id == id)
			return rq;
	return NULL;
}

struct request *request_of_client(struct client *c, uint64_t wire_id)
{
	struct request *rq;

	LIST_FOREACH(rq, &c->agent->requests, link)
		if (rq->client == c && rq->wire_id == wire_id)
			return rq;
	return NULL;
}

static void request_free(struct request *rq)
{
	struct agent *a = rq->agent;
	struct instance *in, *next;

	jobs_cancel(rq);
	watch_free_all(rq);
	if (rq->timer)
		event_free(rq->timer);
	for (in = LIST_FIRST(&rq->instances); in; in = next) {
		next = LIST_NEXT(in, link);
		instance_free(in);
	}
	for (uint32_t i = 0; i < rq->args.n_probes; i++)
		free(rq->module[i]);
	request_args_free(&rq->args);
	buf_free(&rq->chunk);
	free(rq->known);
	LIST_REMOVE(rq, link);
	a->n_requests--;
	free(rq);
	if (a->stopping && !a->n_requests)
		event_base_loopexit(a->base, NULL);
}

void request_drop(struct request *rq)
{
	request_free(rq);
}

void request_notice(struct request *rq, const char *code, const char *fmt, ...)
{
	struct frame f;
	char text[600];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_info("request", code, "id=%lu text=\"%s\"", (unsigned long)rq->id, text);
	if (!rq->client || rq->state == REQUEST_STARTING)
		return;
	frame_begin(&f, &rq->client->out, WIRE_NOTICE, 4);
	msgpack_pack_uint64(&f.pk, rq->wire_id);
	pack_text(&f.pk, code);
	pack_text(&f.pk, text);
	frame_end(&f);
	client_flush(rq->client);
}

void request_notice_removed(struct request *rq, const struct instance *in, const char *text, bool part)
{
	struct frame f;

	if (!rq->client || rq->state == REQUEST_STARTING)
		return;
	frame_begin(&f, &rq->client->out, WIRE_NOTICE, 4);
	msgpack_pack_uint64(&f.pk, rq->wire_id);
	pack_text(&f.pk, "removed");
	msgpack_pack_map(&f.pk, 2U + part);
	pack_key_u64(&f.pk, "probe", in->id);
	pack_key_text(&f.pk, "text", text);
	if (part) {
		pack_key(&f.pk, "part");
		msgpack_pack_true(&f.pk);
	}
	frame_end(&f);
	client_flush(rq->client);
}

/* ---- ending ---- */

static void finish(struct request *rq)
{
	uint64_t calls, shipped;

	stream_drain(rq->agent);
	stream_flush(rq, true);
	if (request_recorded(rq))
		request_send_stats(rq, now_ns(), true);
	rows_totals(rq, &calls, &shipped);
	log_info("request", "end", "id=%lu reason=%s calls=%lu shipped=%lu text=\"%s\"", (unsigned long)rq->id,
		 rq->end_reason, (unsigned long)calls, (unsigned long)shipped, rq->end_text);
	request_send_end(rq);
	request_free(rq);
}

static void on_detached(void *arg)
{
	struct instance *in = arg;

	in->rq->detaching--;
	request_advance(in->rq);
}

void request_process_left(struct request *rq, pid_t pid)
{
	struct instance *in;

	if (rq->state == REQUEST_ENDING)
		return;
	LIST_FOREACH(in, &rq->instances, link) {
		/* Without memory for the job they stay until the end. */
		if (!in->detached && loader_leave(in->loaded, pid) &&
		    !reaper_detach(rq->agent->reaper, in->loaded, false, on_detached, in))
			rq->detaching++;
	}
}

static void detach_all(struct request *rq)
{
	struct instance *in;

	LIST_FOREACH(in, &rq->instances, link) {
		if (in->detached)
			continue;
		in->detached = true;
		if (reaper_detach(rq->agent->reaper, in->loaded, true, on_detached, in))
			loader_detach(in->loaded, true); /* no memory for the job: better late than not at all */
		else
			rq->detaching++;
	}
}

static void on_ended(evutil_socket_t fd, short what, void *arg)
{
	struct request *rq = arg;

	rq->detaching--;
	request_advance(rq);
}

void request_end(struct request *rq, const char *reason, const char *fmt, ...)
{
	static const struct timeval at_once = { 0, 0 };
	va_list ap;

	if (rq->state == REQUEST_ENDING)
		return;
	va_start(ap, fmt);
	vsnprintf(rq->end_text, sizeof(rq->end_text), fmt, ap);
	va_end(ap);
	snprintf(rq->end_reason, sizeof(rq->end_reason), "%s", reason);
	rq->state = REQUEST_ENDING;
	jobs_cancel(rq);
	detach_all(rq);
	/* Never freed under the caller's feet: the last step runs from the loop. */
	rq->detaching++;
	if (event_base_once(rq->agent->base, -1, EV_TIMEOUT, on_ended, rq, &at_once))
		log_error("request", "stuck", "id=%lu", (unsigned long)rq->id);
}

/* What nobody reads need not be shipped; but events count towards a limit. */
static void mute(struct request *rq)
{
	struct instance *in;

	if (rq->args.limit)
		return;
	rq->muted = true;
	LIST_FOREACH(in, &rq->instances, link)
		if (in->loaded)
			loader_mute(in->loaded);
}

void request_client_gone(struct request *rq)
{
	bool keep = rq->args.keep && rq->state == REQUEST_RUNNING;

	rq->client = NULL;
	if (keep && rq->agent->uplink)
		uplink_adopt(rq->agent->uplink, rq);
	else if (keep)
		mute(rq);
	if (keep)
		log_info("request", rq->client ? "recorded" : "kept", "id=%lu", (unsigned long)rq->id);
	else
		request_end(rq, "hangup", "the requester is gone");
}

/* ---- while it runs ---- */

static uint64_t tick_ns(const struct request *rq)
{
	return request_recorded(rq) ? RECORDED_TICK_NS : rq->args.tick_ns;
}

static void schedule(struct request *rq, uint64_t now)
{
	uint64_t next = rq->started_ns + rq->args.ttl_ns, wait;
	struct timeval tv;

	if (rq->args.for_ns && rq->started_ns + rq->args.for_ns < next)
		next = rq->started_ns + rq->args.for_ns;
	if ((rq->verb == VERB_STAT || request_recorded(rq)) && rq->next_tick_ns < next)
		next = rq->next_tick_ns;
	wait = next > now ? (next - now) / 1000 + 1 : 0;
	tv = (struct timeval){ .tv_sec = (time_t)(wait / 1000000), .tv_usec = (suseconds_t)(wait % 1000000) };
	event_add(rq->timer, &tv);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct request *rq = arg;
	uint64_t now = now_ns(), age = now - rq->started_ns;

	if (rq->state != REQUEST_RUNNING)
		return;
	if (rq->args.for_ns && age >= rq->args.for_ns) {
		request_end(rq, "for", "the time asked for is over");
	} else if (age >= rq->args.ttl_ns) {
		request_end(rq, "ttl", "its time to live of %lu s is over", (unsigned long)(rq->args.ttl_ns / 1000000000ULL));
	} else {
		if (now >= rq->next_tick_ns) {
			request_send_stats(rq, now, false);
			rq->next_tick_ns += tick_ns(rq);
			if (rq->next_tick_ns < now)
				rq->next_tick_ns = now + tick_ns(rq);
		}
		schedule(rq, now);
	}
}

void request_tick_now(struct request *rq)
{
	rq->next_tick_ns = now_ns();
	schedule(rq, rq->next_tick_ns);
}

/* ---- starting ---- */

void request_failed(struct request *rq, const struct error *err, int64_t probe)
{
	if (rq->state == REQUEST_RUNNING) {
		request_notice(rq, "failed", "%s", err->text);
		return;
	}
	if (rq->state != REQUEST_STARTING)
		return;
	log_info("request", "refused", "id=%lu uid=%u text=\"%s\"", (unsigned long)rq->id, rq->uid, err->text);
	if (rq->client)
		client_reply_error(rq->client, rq->wire_id, err, probe);
	rq->client = NULL;
	request_end(rq, "refused", "%s", err->text);
}

void request_send_probe(struct request *rq, const struct instance *in)
{
	struct frame f;

	if (!rq->client)
		return;
	frame_begin(&f, &rq->client->out, WIRE_PROBE, 3);
	msgpack_pack_uint64(&f.pk, rq->wire_id);
	instance_pack_probe(in, &f);
	if (frame_end(&f))
		log_error("request", "probe-too-large", "id=%lu", (unsigned long)rq->id);
	client_flush(rq->client);
	pattern_send_names(rq, in);
}

static void send_started(struct request *rq)
{
	struct client *c = rq->client;
	struct instance *in;
	struct frame f;

	if (!c)
		return;
	client_reply_begin(c, &f, rq->wire_id, 1);
	pack_key_u64(&f.pk, "id", rq->id);
	frame_end(&f);
	LIST_FOREACH(in, &rq->instances, link)
		request_send_probe(rq, in);
}

void request_advance(struct request *rq)
{
	const struct instance *in;

	if (rq->state == REQUEST_ENDING) {
		if (!rq->detaching)
			finish(rq);
		return;
	}
	if (rq->state != REQUEST_STARTING || !LIST_EMPTY(&rq->jobs))
		return;
	if (LIST_EMPTY(&rq->instances)) {
		struct error err;

		error_set(&err, ESRCH, "the target is gone");
		request_failed(rq, &err, 0);
		return;
	}
	rq->timer = evtimer_new(rq->agent->base, on_timer, rq);
	if (!rq->timer) {
		struct error err;

		error_set(&err, ENOMEM, "out of memory");
		request_failed(rq, &err, 0);
		return;
	}
	rq->started_ns = now_ns();
	rq->next_tick_ns = rq->started_ns + tick_ns(rq);
	schedule(rq, rq->started_ns);
	send_started(rq);
	rq->state = REQUEST_RUNNING;
	stream_expect(rq->agent);
	LIST_FOREACH(in, &rq->instances, link)
		pattern_send_note(rq, in);
	if (request_everywhere(rq) && LIST_EMPTY(&rq->watched))
		request_notice(rq, "waiting", "no process maps %.400s; waiting", rq->args.target.text);
	log_info("request", "start", "id=%lu verb=%s uid=%u probe=\"%s\"", (unsigned long)rq->id, verb_names[rq->verb],
		 rq->uid, rq->args.probes[0]);
	guard_ends(rq); /* it may have been at work already while the last processes were being attached */
}

static int keep_modules(struct request *rq, struct error *err)
{
	for (uint32_t i = 0; i < rq->args.n_probes; i++) {
		struct spec *s = NULL;
		int rc = spec_parse(rq->args.probes[i], &s, err);

		if (rc)
			return rc;
		rq->module[i] = spec_file(s) ? strdup(spec_file(s)) : NULL;
		spec_free(s);
	}
	return 0;
}

bool request_everywhere(const struct request *rq)
{
	return rq->args.target.kind == TARGET_PATH && rq->uid == 0 && !rq->args.target.build[0];
}

/* Everything that the request covers now; later arrivals are watch.c's. */
static int cover_target(struct request *rq, struct error *err, int64_t *probe)
{
	struct process *all = NULL;
	size_t n = 0, allowed = 0;
	int rc;

	if (request_everywhere(rq)) {
		rc = cover_path(rq, err);
		if (rc)
			return rc;
	}
	rc = target_processes_built(&rq->args.target, rq->module, rq->args.n_probes, &all, &n, err);
	for (size_t i = 0; !rc && i < n; i++) {
		if (policy_may_probe(rq->uid, &all[i], err))
			continue;
		allowed++;
		rc = cover_process(rq, &all[i], err, probe);
		if (!rc && (rc = watch_add(rq, &all[i])) != 0)
			error_set(err, -rc, "cannot watch process %d: %s", all[i].pid, strerror(-rc));
		if (rc == -ESRCH && rq->args.target.kind != TARGET_PID)
			rc = 0; /* it has just ended; there are others, or there will be */
	}
	free(all);
	if (rc)
		return rc;
	if (n && !allowed)
		return -EPERM;
	if (!allowed && !request_everywhere(rq))
		return error_set(err, ESRCH, "no process of yours maps that file");
	return cover_start(rq, err);
}

void request_start(struct client *c, uint64_t wire_id, enum request_verb verb, const msgpack_object *args)
{
	struct agent *a = c->agent;
	struct request *rq = calloc(1, sizeof(*rq));
	struct error err = { 0 };
	int64_t probe = 0;
	int rc = 0;

	if (a->unusable.code) {
		err = a->unusable;
		rc = -err.code;
	} else if (a->n_requests >= a->opt.max_requests || a->stopping) {
		rc = error_set(&err, EAGAIN, "the agent has %u open requests, its limit", a->n_requests);
	} else if (request_of_client(c, wire_id)) {
		rc = error_set(&err, EEXIST, "request %lu is open already", (unsigned long)wire_id);
	} else if (!rq) {
		rc = error_set(&err, ENOMEM, "out of memory");
	}
	if (rc || !rq) {
		client_reply_error(c, wire_id, &err, 0);
		free(rq);
		return;
	}
	rq->agent = a;
	rq->client = c;
	rq->wire_id = wire_id;
	rq->id = ++a->next_request;
	rq->uid = c->uid;
	rq->verb = verb;
	LIST_INSERT_HEAD(&a->requests, rq, link);
	a->n_requests++;
	agent_tick_soon(a);
	reaper_prime(a->reaper);
	rc = request_args_read(a, args, &rq->args, &err, &probe);
	if (!rc)
		rc = keep_modules(rq, &err);
	if (!rc)
		rc = cover_target(rq, &err, &probe);
	if (rc)
		request_failed(rq, &err, probe);
	else
		request_advance(rq);
}

