/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /api/v1/live?request=ID[&errors=1]: records as they come, as server-sent events
 * (https://html.spec.whatwg.org/multipage/server-sent-events.html).  The page reads them with fetch, because an EventSource sends no
 * token.  For eyes, not for storage: what is too much for a reader, or for this stream's rate, is left out and counted.
 *
 *   event: call     data: a record as in /api/v1/calls
 *   event: left-out data: {"calls": n}       since the last one
 *   event: end      data: {"reason": text}   the request is over
 */
#include <errno.h>
#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>

#include "decoder.h"
#include "http_internal.h"
#include "record_json.h"
#include "text.h"

enum {
	DECODERS_MAX = 32,            /* runs of agents read at a time by one stream */
	CALLS_PER_SECOND = 500,
	BACKLOG_MAX = 1 << 20,
	HEARTBEAT_SECONDS = 10,       /* a comment, so that a peer that is gone is noticed */
};

struct live_stream {
	LIST_ENTRY(live_stream) link;
	struct call call;
	struct live_subscriber *subscriber;
	struct reader *reader;        /* of the loop's thread: short looks at probes only */
	struct decoder *decoder[DECODERS_MAX];
	struct event *tick;
	uint64_t request;
	bool errors_only, ended;
	uint64_t left_out, second_ns;
	unsigned this_second, ticks;
	char reason[32];
	struct buf text;
};

static size_t backlog(const struct live_stream *s)
{
	struct bufferevent *bev = evhttp_connection_get_bufferevent(evhttp_request_get_connection(s->call.req));

	return evbuffer_get_length(bufferevent_get_output(bev));
}

static void send_text(struct live_stream *s)
{
	struct evbuffer *chunk = s->text.failed ? NULL : evbuffer_new();

	if (chunk && s->text.len) {
		evbuffer_add(chunk, s->text.data, s->text.len);
		evhttp_send_reply_chunk(s->call.req, chunk);
	}
	if (chunk)
		evbuffer_free(chunk);
	buf_clear(&s->text);
}

/* ---- records ---- */

static struct decoder *decoder_of(struct live_stream *s, const struct live_item *item)
{
	int free_slot = -1;

	for (int i = 0; i < DECODERS_MAX; i++) {
		if (decoder_is_for(s->decoder[i], item->agent, item->run, item->request))
			return s->decoder[i];
		if (!s->decoder[i] && free_slot < 0)
			free_slot = i;
	}
	if (free_slot < 0) { /* the first one makes room: it was the first to come */
		decoder_free(s->decoder[0]);
		memmove(s->decoder, s->decoder + 1, (DECODERS_MAX - 1) * sizeof(s->decoder[0]));
		free_slot = DECODERS_MAX - 1;
	}
	reader_begin(s->reader, 200);
	s->decoder[free_slot] = decoder_load(s->reader, item->agent, item->run, item->request, &(struct error){ 0 });
	return s->decoder[free_slot];
}

static bool may_send(struct live_stream *s, uint64_t now)
{
	if (now - s->second_ns >= 1000000000) {
		s->second_ns = now;
		s->this_second = 0;
	}
	if (s->this_second >= CALLS_PER_SECOND || backlog(s) > BACKLOG_MAX)
		return false;
	s->this_second++;
	return true;
}

static void put_record(struct live_stream *s, const struct record *rec, const struct live_item *item)
{
	const struct agent *agent = agent_find(s->call.http->collector, item->agent);
	struct record shifted = *rec;
	struct buf host = { 0 };

	shifted.ts_ns += (uint64_t)(agent ? agent->offset_ns : 0);
	buf_str(&host, ",\"host\":");
	text_json_str(&host, item->host);
	buf_printf(&host, ",\"request\":%llu", (unsigned long long)item->request);
	buf_str(&s->text, "event: call\ndata: ");
	record_json(&shifted, &host, source_comm(rec->source, rec->pid), &s->text);
	buf_str(&s->text, "\n\n");
	buf_free(&host);
}

static void put_chunk(struct live_stream *s, const struct live_item *item)
{
	struct decoder *d = decoder_of(s, item);
	uint64_t now = mono_ns(), seen = 0;
	struct record rec;
	struct chunk k;

	if (d && !chunk_open(&k, &d->model, item->in, NULL)) {
		while (chunk_next(&k, &d->model, &rec, NULL) > 0) {
			seen++;
			if (s->errors_only && !rec.error)
				continue;
			if (may_send(s, now))
				put_record(s, &rec, item);
			else
				s->left_out++;
		}
		s->left_out += k.count > seen && k.len ? k.count - seen : 0;
	}
	send_text(s);
}

/* A subscriber must not go while it is being told: the tick sends it. */
static void end_later(struct live_stream *s, const struct live_item *item)
{
	char *reason = item->in->count > 2 ? object_text(&item->in->items[2], sizeof(s->reason) - 1) : NULL;

	s->ended = s->request != 0; /* a stream of all requests goes on */
	snprintf(s->reason, sizeof(s->reason), "%s", reason ? reason : "");
	free(reason);
}

static void on_item(const struct live_item *item, void *arg)
{
	struct live_stream *s = arg;
	struct decoder *d;

	if (s->ended)
		return;
	if (item->type == WIRE_CHUNK)
		put_chunk(s, item);
	else if (item->type == WIRE_END && !item->agent) /* of the whole request */
		end_later(s, item);
	else if ((d = item->type == WIRE_PROBE || item->type == WIRE_NOTICE || item->type == WIRE_FUNCTIONS ? decoder_of(s, item) : NULL))
		decoder_learn(d, item->in);
}

/* ---- life ---- */

static void stream_free(struct live_stream *s)
{
	live_unsubscribe(s->subscriber);
	reader_close(s->reader);
	for (int i = 0; i < DECODERS_MAX; i++)
		decoder_free(s->decoder[i]);
	if (s->tick)
		event_free(s->tick);
	buf_free(&s->text);
	s->call.http->streams--;
	LIST_REMOVE(s, link);
	free(s);
}

static void on_gone(struct evhttp_connection *evcon, void *arg)
{
	struct live_stream *s = arg;

	call_gone(&s->call);
	stream_free(s);
}

static void finish(struct live_stream *s)
{
	struct evhttp_request *req = s->call.req;

	evhttp_connection_set_closecb(evhttp_request_get_connection(req), NULL, NULL);
	stream_free(s);
	evhttp_send_reply_end(req);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct live_stream *s = arg;

	if (s->left_out)
		buf_printf(&s->text, "event: left-out\ndata: {\"calls\":%llu}\n\n", (unsigned long long)s->left_out);
	else if (++s->ticks % HEARTBEAT_SECONDS == 0)
		buf_str(&s->text, ": still here\n\n");
	s->left_out = 0;
	if (s->ended) {
		buf_str(&s->text, "event: end\ndata: {\"reason\":");
		text_json_str(&s->text, s->reason);
		buf_str(&s->text, "}\n\n");
	}
	send_text(s);
	if (s->ended)
		finish(s);
}

static int begin(struct live_stream *s, struct error *err)
{
	struct collector *c = s->call.http->collector;
	struct timeval second = { .tv_sec = 1 };
	const char *request = call_param(&s->call, "request"), *errors = call_param(&s->call, "errors");
	const char *end = request ? http_number(request, INT64_MAX, &s->request) : "";

	if (!end || *end || (request && !s->request))
		return error_set(err, EINVAL, "request is the number of one");
	s->errors_only = errors && strcmp(errors, "0");
	if (reader_open(c->store_path, &s->reader, err))
		return -err->code;
	s->tick = event_new(c->base, -1, EV_PERSIST, on_tick, s);
	s->subscriber = live_subscribe(c->live, s->request, on_item, s);
	return !s->tick || !s->subscriber || event_add(s->tick, &second) ? error_set(err, ENOMEM, "no memory") : 0;
}

void sse_live(struct call *call)
{
	struct live_stream *s = call->http->streams < HTTP_LIVE_MAX ? calloc(1, sizeof(*s)) : NULL;
	struct error err = { 0 };

	if (!s) {
		error_set(&err, EAGAIN, "too many live streams"), error_hint(&err, "close some");
		call_error(call, &err);
		return;
	}
	s->call = *call;
	call->http->streams++;
	LIST_INSERT_HEAD(&call->http->live, s, link);
	if (begin(s, &err)) {
		stream_free(s);
		call_error(call, &err);
		return;
	}
	TAILQ_INIT(&s->call.params);
	call_headers(call, "text/event-stream", "no-store");
	call->http->requests[2]++;
	evhttp_connection_set_timeout(evhttp_request_get_connection(call->req), 0);
	evhttp_send_reply_start(call->req, 200, NULL);
	evhttp_connection_set_closecb(evhttp_request_get_connection(call->req), on_gone, s);
}

/* The collector stops: they end like those whose request is over. */
void sse_stop(struct http *h)
{
	while (!LIST_EMPTY(&h->live))
		finish(LIST_FIRST(&h->live));
}
