/* SPDX-License-Identifier: Apache-2.0 */
/* What is said over the connection. The collector is bounded like any peer: what is no frame, or out of place, ends it. */
#include <errno.h>
#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "uplink_internal.h"

enum { INPUT_MAX = WIRE_FRAME_MAX + 4 };

static void out_flush(struct uplink *u)
{
	if (u->out.failed)
		link_drop(u, "out of memory");
	else if (u->bev && u->out.len)
		bufferevent_write(u->bev, u->out.data, u->out.len);
	buf_clear(&u->out);
}

static uint64_t wall_now(void)
{
	return now_ns() + wall_offset_ns();
}

/* ---- the beginning ---- */

static bool is_the_collectors(const struct uplink *u, const struct request *rq)
{
	return rq->client == &u->client && rq->wire_id < WIRE_LOCAL_REQUEST;
}

/* Those that run, and those whose END is still on its way: it must not send them once more. */
static void pack_requests(struct uplink *u, msgpack_packer *pk)
{
	const struct request *rq;
	const struct pending *p;
	uint32_t n = u->n_ended;

	LIST_FOREACH(rq, &u->agent->requests, link)
		n += is_the_collectors(u, rq);
	TAILQ_FOREACH(p, &u->pending, link)
		n += p->e.type == WIRE_END;
	pack_key(pk, "requests");
	msgpack_pack_array(pk, n);
	LIST_FOREACH(rq, &u->agent->requests, link)
		if (is_the_collectors(u, rq))
			msgpack_pack_uint64(pk, rq->wire_id);
	for (uint32_t i = 0; i < u->n_ended; i++)
		msgpack_pack_uint64(pk, u->ended[i].request);
	TAILQ_FOREACH(p, &u->pending, link)
		if (p->e.type == WIRE_END)
			msgpack_pack_uint64(pk, p->e.request);
}

void talk_hello(struct uplink *u)
{
	struct spool_status st;
	struct frame f;

	spool_status(u->spool, &st);
	u->hello_ns = wall_now();
	frame_begin(&f, &u->out, WIRE_HELLO, 5);
	msgpack_pack_int(&f.pk, WIRE_VERSION);
	pack_text(&f.pk, "plumbd " PLUMB_VERSION);
	pack_text(&f.pk, u->agent->host);
	msgpack_pack_map(&f.pk, 5);
	pack_key_text(&f.pk, "agent", spool_agent(u->spool));
	pack_key_u64(&f.pk, "run", u->run);
	pack_key_u64(&f.pk, "wall_ns", u->hello_ns);
	pack_key_u64(&f.pk, "next", st.next);
	pack_requests(u, &f.pk);
	frame_end(&f);
	out_flush(u);
}

/* RFC 5905, section 8: offset and round trip from the four times of one exchange. */
static void send_clock(struct uplink *u, uint64_t received_ns, uint64_t sent_ns)
{
	uint64_t back_ns = wall_now();
	int64_t there = (int64_t)(received_ns - u->hello_ns), back = (int64_t)(sent_ns - back_ns);
	int64_t delay = (int64_t)(back_ns - u->hello_ns) - (int64_t)(sent_ns - received_ns);
	struct frame f;

	u->offset_ns = there / 2 + back / 2;
	frame_begin(&f, &u->out, WIRE_CLOCK, 3);
	msgpack_pack_int64(&f.pk, u->offset_ns);
	msgpack_pack_int64(&f.pk, delay > 0 ? delay : 0);
	frame_end(&f);
	out_flush(u);
}

static void take_ack(struct uplink *u, uint64_t sequence)
{
	while (u->n_flight && u->flight[u->flight_first].sequence <= sequence) {
		u->flight_bytes -= u->flight[u->flight_first].bytes;
		u->flight_first = (u->flight_first + 1) % FLIGHT_ENTRIES;
		u->n_flight--;
	}
	u->acked_at_ns = now_ns();
	spool_ack(u->spool, sequence);
	ended_forget(u, sequence);
}

static int on_welcome(struct uplink *u, const struct frame_in *in, struct error *err)
{
	const msgpack_object *map = in->count > 4 ? &in->items[4] : NULL;
	uint64_t version = 0, acked, received_ns, sent_ns;
	struct spool_status st;

	if (in->count < 5 || !object_u64(&in->items[1], &version) || version != WIRE_VERSION)
		return error_set(err, EPROTO, "it speaks version %lu, not %d", (unsigned long)version, WIRE_VERSION);
	if (!object_u64(map_get(map, "acked"), &acked) || !object_u64(map_get(map, "received_ns"), &received_ns) ||
	    !object_u64(map_get(map, "sent_ns"), &sent_ns))
		return error_set(err, EPROTO, "malformed WELCOME");
	spool_status(u->spool, &st);
	if (acked >= st.next) {
		log_warn("uplink", "ahead", "collector_has=%lu next=%lu effect=\"sequences go on above\"", (unsigned long)acked,
			 (unsigned long)st.next);
		spool_skip_to(u->spool, acked);
	} else if (acked < st.acked) {
		log_warn("uplink", "behind", "collector_has=%lu acked=%lu effect=\"it has lost what it had acknowledged\"",
			 (unsigned long)acked, (unsigned long)st.acked);
	}
	take_ack(u, acked);
	spool_seek(u->spool, acked);
	link_up(u);
	send_clock(u, received_ns, sent_ns);
	return 0;
}

/* ---- requests ---- */

/* It runs already: the connection broke before the collector heard of it. */
static void confirm(struct uplink *u, const struct request *rq)
{
	struct buf out = { 0 };
	struct frame f;

	if (rq->state == REQUEST_STARTING)   /* the answer will come */
		return;
	frame_begin(&f, &out, WIRE_REPLY, 4);
	msgpack_pack_uint64(&f.pk, rq->wire_id);
	msgpack_pack_true(&f.pk);
	msgpack_pack_map(&f.pk, 1);
	pack_key_u64(&f.pk, "id", rq->id);
	if (!frame_end(&f))
		uplink_spool(u, out.data + 4, out.len - 4);
	buf_free(&out);
}

static int dispatch(struct uplink *u, uint64_t id, const char *verb, const msgpack_object *args, struct error *err)
{
	bool data = !strcmp(verb, "trace") || !strcmp(verb, "stat");
	const struct request *rq = data ? request_of_client(&u->client, id) : NULL;

	if (id >= WIRE_LOCAL_REQUEST)
		return error_set(err, EPROTO, "a request with an id of the agent's own");
	if (rq) {
		confirm(u, rq);
	} else if (!data || !ended_has(u, id)) {
		u->starting = data ? id : 0;
		verb_dispatch(&u->client, id, verb, args);
		u->starting = 0;
	}
	return 0;
}

static int on_request(struct uplink *u, const struct frame_in *in, struct error *err)
{
	uint64_t id;
	char *verb = in->count == 4 ? object_text(&in->items[2], 32) : NULL;
	int rc;

	if (!verb || !object_u64(&in->items[1], &id) || !id)
		rc = error_set(err, EPROTO, "malformed REQUEST");
	else
		rc = dispatch(u, id, verb, &in->items[3], err);
	free(verb);
	return rc;
}

/* ---- receiving ---- */

/* Said before it closes the connection: why. */
static int on_refusal(const struct frame_in *in, struct error *err)
{
	char *text = in->count == 4 ? object_text(map_get(&in->items[3], "text"), 300) : NULL;

	error_set(err, ECONNREFUSED, "it refuses: %s", text ? text : "for no reason that it tells");
	free(text);
	return -err->code;
}

static int on_frame(struct uplink *u, const struct frame_in *in, struct error *err)
{
	uint64_t sequence;

	if (in->type == WIRE_REPLY)
		return on_refusal(in, err);
	if (u->state == LINK_GREETING && in->type == WIRE_WELCOME)
		return on_welcome(u, in, err);
	if (u->state == LINK_UP && in->type == WIRE_REQUEST)
		return on_request(u, in, err);
	if (u->state != LINK_UP || in->type != WIRE_ACK || in->count < 2 || !object_u64(&in->items[1], &sequence))
		return error_set(err, EPROTO, "unexpected frame of type %d", in->type);
	if (!u->n_flight || sequence > u->flight[(u->flight_first + u->n_flight - 1) % FLIGHT_ENTRIES].sequence) {
		struct spool_status st;

		spool_status(u->spool, &st);
		if (sequence > st.acked)
			return error_set(err, EPROTO, "it acknowledges %lu, which was not sent", (unsigned long)sequence);
	}
	take_ack(u, sequence);
	u->backoff_ms = 0;
	return 0;
}

void talk_read(struct bufferevent *bev, void *arg)
{
	struct uplink *u = arg;
	struct evbuffer *input = bufferevent_get_input(bev);

	while (u->bev == bev) {
		size_t len = evbuffer_get_length(input);
		struct error err = { 0 };
		struct frame_in in;
		int used, rc;

		used = len ? frame_take(evbuffer_pullup(input, (ssize_t)(len < INPUT_MAX ? len : INPUT_MAX)), len < INPUT_MAX ? len : INPUT_MAX, &in, &err) : 0;
		if (!used)
			break;
		if (used > 0)
			evbuffer_drain(input, (size_t)used);
		rc = used > 0 ? on_frame(u, &in, &err) : used;
		if (used > 0)
			frame_in_free(&in);
		if (rc < 0)
			link_drop(u, "%s", err.text);
	}
	talk_send(u);
}

/* ---- sending ---- */

static bool may_send(const struct uplink *u)
{
	return u->state == LINK_UP && u->n_flight < FLIGHT_ENTRIES && u->flight_bytes < FLIGHT_BYTES &&
	       evbuffer_get_length(bufferevent_get_output(u->bev)) < UNSENT_BYTES;
}

static void send_entry(struct uplink *u, const struct spool_entry *e)
{
	struct flight *f = &u->flight[(u->flight_first + u->n_flight) % FLIGHT_ENTRIES];
	struct frame frame;

	if (!u->n_flight)
		u->acked_at_ns = now_ns(); /* its time begins now */
	*f = (struct flight){ .sequence = e->sequence, .bytes = (uint32_t)e->len };
	u->n_flight++;
	u->flight_bytes += e->len;
	frame_begin(&frame, &u->out, WIRE_ENTRY, 3);
	msgpack_pack_uint64(&frame.pk, e->sequence);
	msgpack_pack_bin(&frame.pk, e->len);
	msgpack_pack_bin_body(&frame.pk, e->frame, e->len);
	frame_end(&frame);
	out_flush(u);
}

void talk_send(struct uplink *u)
{
	struct spool_entry e;
	int rc = 1;

	while (may_send(u) && (rc = spool_read(u->spool, &e)) > 0)
		send_entry(u, &e);
	if (rc < 0 && now_ns() - u->read_failed_ns > 10ULL * 1000000000) {
		u->read_failed_ns = now_ns();
		log_error("uplink", "unreadable", "reason=\"the spool: %s\"", strerror(-rc));
	}
}
