/* SPDX-License-Identifier: Apache-2.0 */
/* What agents send for a trace or stat: what it means for the request, and how it goes on to the client. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control_internal.h"

enum { REPLY_PAYLOAD = 3, CHUNK_BASE = 3, CHUNK_COUNT = 4, STATS_TIME = 2, STATS_ROWS = 3, END_REASON = 2, END_TEXT = 3, END_ROWS = 4 };

/* ---- to the client ---- */

static void send_frame(struct request *r, struct frame *f)
{
	if (frame_end(f) == 0)
		session_flush(r->client->session);
}

static struct frame begin(struct request *r, enum wire_type type, unsigned n)
{
	struct frame f;

	frame_begin(&f, &r->client->session->out, type, n);
	msgpack_pack_uint64(&f.pk, r->wire_id);
	return f;
}

static void tell_source(struct request *r, const struct part *p, const char *agent)
{
	struct frame f = begin(r, WIRE_NOTICE, 5);

	pack_text(&f.pk, "source");
	msgpack_pack_map(&f.pk, 2);
	pack_key_text(&f.pk, "host", p->host);
	pack_key_text(&f.pk, "agent", agent);
	msgpack_pack_uint32(&f.pk, p->source);
	send_frame(r, &f);
}

/* Numbers of probes begin anew with each run of an agent: that is another source. */
static void know_source(struct request *r, struct part *p, uint64_t run)
{
	const struct agent *a = agent_find(r->control->collector, p->agent);

	if (p->source && p->run == run)
		return;
	if (p->source)
		request_tell(r, p, "away", "its agent was started again");
	p->source = ++r->next_source;
	p->run = run;
	tell_source(r, p, a ? a->uid : "");
}

void request_tell(struct request *r, struct part *p, const char *code, const char *text)
{
	struct frame f;

	if (!r->client || !p->source)
		return;
	f = begin(r, WIRE_NOTICE, 5);
	pack_text(&f.pk, code);
	pack_text(&f.pk, text);
	msgpack_pack_uint32(&f.pk, p->source);
	send_frame(r, &f);
}

void request_tell_end(struct request *r, struct part *p)
{
	struct frame f;

	if (!r->client || !p->source)
		return;
	f = begin(r, WIRE_NOTICE, 5);
	pack_text(&f.pk, "end");
	msgpack_pack_map(&f.pk, 2);
	pack_key_text(&f.pk, "reason", p->reason);
	pack_key_text(&f.pk, "text", p->text);
	msgpack_pack_uint32(&f.pk, p->source);
	send_frame(r, &f);
}

void request_accepted(struct request *r)
{
	struct frame f;

	if (!r->client)
		return;
	session_reply_begin(r->client->session, &f, r->wire_id, 1);
	pack_key_u64(&f.pk, "id", r->id);
	send_frame(r, &f);
}

static void tell_left_out(struct request *r)
{
	struct frame f;
	char text[160];

	if (!r->left_out)
		return;
	snprintf(text, sizeof(text), "%lu calls are not shown: they came faster than they were taken; the collector has them",
		 (unsigned long)r->left_out);
	f = begin(r, WIRE_NOTICE, 4);
	pack_text(&f.pk, "loss");
	pack_text(&f.pk, text);
	send_frame(r, &f);
}

void request_send_end(struct request *r)
{
	struct frame f;

	tell_left_out(r);
	f = begin(r, WIRE_END, 5);
	pack_text(&f.pk, r->reason);
	pack_text(&f.pk, r->text);
	msgpack_pack_array(&f.pk, 0);
	send_frame(r, &f);
}

/* The frame with the client's number, the collector's clock and the source. */
static void forward(struct request *r, const struct part *p, const struct frame_in *in, uint32_t time_at)
{
	const struct agent *a = agent_find(r->control->collector, p->agent);
	struct frame f = begin(r, in->type, in->count + 1);
	uint64_t ns;

	for (uint32_t i = 2; i < in->count; i++) {
		if (i == time_at && a && object_u64(&in->items[i], &ns))
			msgpack_pack_uint64(&f.pk, ns + (uint64_t)a->offset_ns);
		else
			msgpack_pack_object(&f.pk, in->items[i]);
	}
	msgpack_pack_uint32(&f.pk, p->source);
	send_frame(r, &f);
}

/* ---- what it means ---- */

static void keep_refusal(struct request *r, const msgpack_object *payload)
{
	int64_t col = 0, len = 0;
	uint64_t code = 0;

	if (r->refusal.code)
		return;
	object_u64(map_get(payload, "code"), &code);
	r->refusal.code = code > 0 && code < 4096 ? (int)code : EINVAL;
	object_copy_text(r->refusal.text, sizeof(r->refusal.text), map_get(payload, "text"));
	object_copy_text(r->refusal.hint, sizeof(r->refusal.hint), map_get(payload, "hint"));
	if (object_i64(map_get(payload, "col"), &col) && object_i64(map_get(payload, "len"), &len) && col > 0 && col < INT16_MAX)
		error_at(&r->refusal, (int)col, len > 0 && len < INT16_MAX ? (int)len : 1);
	r->refusal_probe = -1;
	object_i64(map_get(payload, "probe"), &r->refusal_probe);
}

/* The reason with its hint, for whoever looks on; before the start it is kept for the answer. */
static void tell_refusal(struct request *r, struct part *p, const struct live_item *item)
{
	struct frame f;

	if (!r->client || r->state != REQUEST_RUNNING)
		return;
	know_source(r, p, item->run);
	f = begin(r, WIRE_NOTICE, 5);
	pack_text(&f.pk, "refused");
	msgpack_pack_object(&f.pk, item->in->items[REPLY_PAYLOAD]);
	msgpack_pack_uint32(&f.pk, p->source);
	send_frame(r, &f);
}

static void on_refused(struct request *r, struct part *p, const struct live_item *item)
{
	const msgpack_object *payload = &item->in->items[REPLY_PAYLOAD];
	uint64_t code = 0;

	object_u64(map_get(payload, "code"), &code);
	object_copy_text(p->text, sizeof(p->text), map_get(payload, "text"));
	if (code == ESRCH) {
		p->state = PART_ABSENT;
		p->again_ns = mono_ns() + ASK_AGAIN_NS;
		return;
	}
	p->state = PART_REFUSED;
	r->refused_any = true;
	keep_refusal(r, payload);
	tell_refusal(r, p, item);
}

static void tell_earlier_refusals(struct request *r)
{
	struct part *p;

	LIST_FOREACH(p, &r->parts, link) {
		struct frame f;

		if (p->state != PART_REFUSED || p->source)
			continue;
		know_source(r, p, 0);
		f = begin(r, WIRE_NOTICE, 5);
		pack_text(&f.pk, "refused");
		msgpack_pack_map(&f.pk, 2);
		pack_key_text(&f.pk, "text", p->text);
		pack_key_text(&f.pk, "hint", strcmp(p->text, r->refusal.text) ? "" : r->refusal.hint);   /* one is kept */
		msgpack_pack_uint32(&f.pk, p->source);
		send_frame(r, &f);
	}
}

static void on_reply(struct request *r, struct part *p, const struct live_item *item)
{
	bool ok = false, starting = r->state == REQUEST_STARTING;

	if (item->in->count < 4 || p->state == PART_RUNNING)
		return;
	ok = object_bool(&item->in->items[2], &ok) && ok;
	if (item->past) {   /* the run that is connected has been asked, and will answer itself */
		p->has_run |= ok;
		return;
	}
	if (!ok) {
		on_refused(r, p, item);
	} else {
		p->state = PART_RUNNING;
		p->has_run = true;
		if (!r->started_ns)
			r->started_ns = mono_ns();
		if (r->state >= REQUEST_STOPPING) {   /* it was on its way when the end was asked for */
			struct agent *a = agent_find(r->control->collector, p->agent);

			if (a)
				agent_stop_request(a, r->agents_id);
		}
	}
	if (starting)
		request_advance(r);
}

/* What ends a part for good, and what may come back. That an earlier run was shut down is nothing new: the next one has been asked. */
static void on_end(struct request *r, struct part *p, const struct live_item *item)
{
	static const struct { const char *reason; enum part_state state; } again[] = {
		{ "gone", PART_ABSENT }, { "shutdown", PART_NEW }, { "hangup", PART_NEW },
	};

	const struct frame_in *in = item->in;
	enum part_state state = PART_ENDED;

	if (in->count < 5)
		return;
	object_copy_text(p->reason, sizeof(p->reason), &in->items[END_REASON]);
	object_copy_text(p->text, sizeof(p->text), &in->items[END_TEXT]);
	for (size_t i = 0; i < sizeof(again) / sizeof(again[0]); i++)
		if (strcmp(again[i].reason, p->reason) == 0)
			state = again[i].state;
	if (item->past && state != PART_ENDED)
		return;
	p->state = r->state == REQUEST_RUNNING ? state : PART_ENDED;
	p->again_ns = mono_ns() + ASK_AGAIN_NS;
	request_tell_end(r, p);
}

static void take_sums(struct part *p, const msgpack_object *rows)
{
	if (rows->type != MSGPACK_OBJECT_ARRAY || !rows->via.array.size)
		return;
	p->calls = p->shipped = 0;
	for (uint32_t i = 0; i < rows->via.array.size; i++) {
		const msgpack_object *row = &rows->via.array.ptr[i];
		uint64_t n;

		if (row->type != MSGPACK_OBJECT_ARRAY || row->via.array.size < 4)
			continue;
		if (object_u64(map_get(&row->via.array.ptr[3], "calls"), &n))
			p->calls += n;
		if (object_u64(map_get(&row->via.array.ptr[3], "shipped"), &n))
			p->shipped += n;
	}
}

/* END's rows go on as counters: END itself comes once, of all. */
static void forward_last_counters(struct request *r, const struct part *p, const msgpack_object *rows)
{
	struct frame f;

	if (rows->type != MSGPACK_OBJECT_ARRAY || !rows->via.array.size)
		return;   /* too many for the frame: what STATS told last stays */
	f = begin(r, WIRE_STATS, 5);
	msgpack_pack_uint64(&f.pk, wall_ns());
	msgpack_pack_object(&f.pk, *rows);
	msgpack_pack_uint32(&f.pk, p->source);
	send_frame(r, &f);
}

/* ---- calls ---- */

static bool is_watched(const struct request *r)
{
	return r->client && r->state != REQUEST_STARTING;
}

static void on_chunk(struct request *r, struct part *p, const struct frame_in *in)
{
	uint64_t count = 0;

	if (in->count < 7 || !object_u64(&in->items[CHUNK_COUNT], &count))
		return;
	r->records += count;
	if (is_watched(r) && session_backlog(r->client->session) > CLIENT_BACKLOG_MAX)
		r->left_out += count;
	else if (is_watched(r))
		forward(r, p, in, CHUNK_BASE);
	if (r->limit && r->records >= r->limit)
		request_stop(r, "limit", "the number of calls asked for was shown");
}

void request_on_live(const struct live_item *item, void *arg)
{
	const struct frame_in *in = item->in;
	struct request *r = arg;
	struct part *p = item->agent ? request_part(r, item->agent, item->host) : NULL;

	if (!p)
		return;
	if (item->type == WIRE_REPLY) {
		on_reply(r, p, item);   /* may free the request */
		return;
	}
	if (is_watched(r)) {
		if (!p->source)
			tell_earlier_refusals(r);
		know_source(r, p, item->run);
	}
	switch (item->type) {
	case WIRE_CHUNK:
		on_chunk(r, p, in);
		break;
	case WIRE_STATS:
		if (in->count < 4)
			break;
		take_sums(p, &in->items[STATS_ROWS]);
		if (is_watched(r))
			forward(r, p, in, STATS_TIME);
		break;
	case WIRE_FUNCTION_STATS:
		if (is_watched(r))
			forward(r, p, in, STATS_TIME);
		break;
	case WIRE_PROBE:
	case WIRE_NOTICE:
	case WIRE_FUNCTIONS:
		if (is_watched(r))
			forward(r, p, in, 0);
		break;
	case WIRE_END:
		if (in->count > END_ROWS && is_watched(r))
			forward_last_counters(r, p, &in->items[END_ROWS]);
		if (in->count > END_ROWS)
			take_sums(p, &in->items[END_ROWS]);
		on_end(r, p, item);
		request_advance(r);   /* may free the request */
		break;
	default:
		break;
	}
}
