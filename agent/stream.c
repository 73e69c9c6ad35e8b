/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events from the rings to the clients.  While there is traffic the rings are polled, the faster the fuller they are,
 * and a ring that fills between two polls wakes the agent; after two empty polls it asks to be woken by the next event.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent_internal.h"
#include "decode.h"
#include "uplink.h"

/* Records for a collector are collected this long at most. */
#define CHUNK_WAIT_NS 200000000ULL

enum {
	POLL_BUSY_MS = 1,
	POLL_MS = 10,
	POLL_QUIET_MS = 50,
	QUIET_EVENTS = 200,      /* per poll: fewer are polled at leisure */
	BATCH_EVENTS = 1 << 16,  /* at most, before the loop looks at its other work */
	DRAIN_NAP_US = 200,
	DRAIN_NS = 100000000,    /* all rings, full, take less */
	HELD_BYTES_MAX = 448 << 10, /* of events that come before the answer to the request; they become one frame */
};

static void send_process(struct request *rq, const struct known_process *k)
{
	struct frame f;

	frame_begin(&f, &rq->client->out, WIRE_NOTICE, 4);
	msgpack_pack_uint64(&f.pk, rq->wire_id);
	pack_text(&f.pk, "process");
	msgpack_pack_map(&f.pk, 2);
	pack_key_u64(&f.pk, "pid", (uint64_t)k->pid);
	pack_key_text(&f.pk, "comm", k->comm);
	frame_end(&f);
	client_flush(rq->client);
}

/* Records carry pids only: the client is told each process's name once. */
static void know_process(struct request *rq, pid_t pid)
{
	struct known_process *k;

	if (rq->n_known && rq->known[rq->last_known].pid == pid && rq->known[rq->last_known].sent)
		return;
	k = watch_know(rq, pid, NULL);
	if (!k)
		return;
	rq->last_known = (size_t)(k - rq->known);
	if (!k->sent && rq->state != REQUEST_STARTING) {
		send_process(rq, k);
		k->sent = true;
	}
}

/* The processes whose events were held back with the first chunk. */
static void send_held_processes(struct request *rq)
{
	for (size_t i = 0; i < rq->n_known; i++) {
		if (!rq->known[i].sent)
			send_process(rq, &rq->known[i]);
		rq->known[i].sent = true;
	}
}

void stream_introduce(struct request *rq)
{
	for (size_t i = 0; i < rq->n_known; i++)
		rq->known[i].sent = false;
	send_held_processes(rq);
}

/* For a collector they are made small, for a terminal that is not worth it. */
static int pack_records(struct request *rq, struct frame *f, struct buf *scratch)
{
	enum wire_codec codec = WIRE_CODEC_NONE;
	const struct buf *records = &rq->chunk;

	if (records->failed)
		return -ENOMEM;
	if (request_recorded(rq)) {
		int rc = uplink_pack(rq->client->uplink, records, scratch, &codec);

		if (rc)
			return rc;
		records = scratch;
	}
	msgpack_pack_int(&f->pk, codec);
	msgpack_pack_bin(&f->pk, records->len);
	msgpack_pack_bin_body(&f->pk, records->data, records->len);
	return frame_end(f);
}

static int send_chunk(struct request *rq)
{
	struct client *c = rq->client;
	struct buf scratch = { 0 };
	struct frame f;
	int rc;

	if (!c)
		return -ENOTCONN;
	if (!rq->sequence)
		send_held_processes(rq);
	frame_begin(&f, &c->out, WIRE_CHUNK, 7);
	msgpack_pack_uint64(&f.pk, rq->wire_id);
	msgpack_pack_uint64(&f.pk, ++rq->sequence);
	msgpack_pack_uint64(&f.pk, rq->chunk_base_ns + wall_offset_ns());
	msgpack_pack_uint32(&f.pk, rq->chunk_records);
	rc = pack_records(rq, &f, &scratch);
	if (rc)
		buf_clear(&c->out);
	buf_free(&scratch);
	return rc ? rc : client_flush(c);
}

/* Every record was sent, or is told to be dropped. */
static void count_chunk(struct request *rq, bool sent)
{
	struct instance *in;

	LIST_FOREACH(in, &rq->instances, link) {
		if (!sent)
			in->drop_client += in->held;
		else if (!request_recorded(rq))
			in->shown += in->held;
		in->held = 0;
	}
}

static bool may_wait(const struct request *rq)
{
	return request_recorded(rq) && rq->chunk.len < CHUNK_BYTES && now_ns() - rq->chunk_since_ns < CHUNK_WAIT_NS;
}

void stream_flush(struct request *rq, bool now)
{
	if (rq->state == REQUEST_STARTING) /* some places are attached, others not yet: the answer comes first */
		return;
	if (!rq->chunk_records || (!now && may_wait(rq)))
		return;
	count_chunk(rq, !send_chunk(rq));
	rq->chunk_records = 0;
	buf_clear(&rq->chunk);
}

static void take_event(const struct event *ev, size_t len, void *arg)
{
	struct agent *a = arg;
	struct instance *in = a->probe[ev->probe % PROBE_TABLE];
	struct request *rq;

	if (!in || in->id != ev->probe || len < in->resolved.plan.event_bytes)
		return;
	rq = in->rq;
	if (rq->args.limit && rq->delivered >= rq->args.limit) {
		in->past_limit++;
		return;
	}
	if (!rq->client || client_backlog(rq->client) > CLIENT_BACKLOG_MAX ||
	    (rq->state == REQUEST_STARTING && rq->chunk.len > HELD_BYTES_MAX)) {
		in->drop_client++;
		rq->delivered += !rq->client; /* a limit ends a kept request as well */
		return;
	}
	know_process(rq, (pid_t)ev->pid);
	if (!rq->chunk_records) {
		rq->chunk_base_ns = ev->ts_ns;
		rq->chunk_since_ns = now_ns();
	}
	in->unread_fault += decode_event(&in->resolved.layout, ev, rq->chunk_base_ns, &rq->chunk);
	in->unread_place += in->n_unreadable;
	in->held++;
	rq->chunk_records++;
	rq->delivered++;
	if (rq->chunk.len >= CHUNK_BYTES)
		stream_flush(rq, false);
}

static size_t take_batch(struct agent *a)
{
	size_t n = rings_consume(a->rings, take_event, a, BATCH_EVENTS);
	struct request *rq, *next;

	for (rq = LIST_FIRST(&a->requests); rq; rq = next) {
		next = LIST_NEXT(rq, link);
		stream_flush(rq, false);
		if (rq->args.limit && rq->delivered >= rq->args.limit && rq->state == REQUEST_RUNNING)
			request_end(rq, "limit", "the number of calls asked for was shown");
	}
	return n;
}

static void poll_again(struct agent *a, unsigned ms)
{
	struct timeval tv = { .tv_usec = ms * 1000 };

	event_add(a->ring_timer, &tv);
}

/*
 * Takes what is in the rings now, not what others add meanwhile.  A record that its task, preempted, has not finished hides
 * those behind it: worth a moment.  Taking events withdraws the wish to be woken, so the polling starts anew.
 */
void stream_drain(struct agent *a)
{
	uint64_t until = now_ns() + DRAIN_NS;

	rings_mark(a->rings);
	while (!rings_reached(a->rings) && now_ns() < until)
		if (!take_batch(a))
			usleep(DRAIN_NAP_US);
	event_add(a->ring_wake, NULL);
	a->quiet_polls = 0;
	poll_again(a, POLL_MS);
}

static bool holds_events(const struct agent *a)
{
	const struct request *rq;

	LIST_FOREACH(rq, &a->requests, link)
		if (rq->chunk_records)
			return true;
	return false;
}

/* By the next event, unless one is there that is being written. */
static void be_woken(struct agent *a)
{
	if (!rings_arm(a->rings))
		poll_again(a, POLL_BUSY_MS);
}

static void on_poll(evutil_socket_t fd, short what, void *arg)
{
	struct agent *a = arg;
	size_t n;

	if (what & EV_READ)
		rings_heard(a->rings);
	n = take_batch(a);
	event_add(a->ring_wake, NULL);
	if (n || holds_events(a)) {
		a->quiet_polls = 0;
		poll_again(a, n < QUIET_EVENTS ? POLL_QUIET_MS : n < 10 * QUIET_EVENTS ? POLL_MS : POLL_BUSY_MS);
	} else if (++a->quiet_polls < 2) {
		poll_again(a, POLL_QUIET_MS);
	} else {
		be_woken(a);
	}
}

void stream_expect(struct agent *a)
{
	event_add(a->ring_wake, NULL);
	be_woken(a);
}

int stream_start(struct agent *a, struct error *err)
{
	a->ring_timer = evtimer_new(a->base, on_poll, a);
	a->ring_wake = event_new(a->base, rings_epoll_fd(a->rings), EV_READ, on_poll, a);
	if (!a->ring_timer || !a->ring_wake)
		return error_set(err, ENOMEM, "out of memory");
	poll_again(a, POLL_MS);
	return 0;
}

void stream_stop(struct agent *a)
{
	if (a->ring_timer)
		event_free(a->ring_timer);
	if (a->ring_wake)
		event_free(a->ring_wake);
}
