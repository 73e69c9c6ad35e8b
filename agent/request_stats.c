/* SPDX-License-Identifier: Apache-2.0 */
/* What a request tells of its counters: at each tick, and at its end. */
#include "agent_internal.h"
#include "log.h"

enum { STATS_FRAME_BYTES = 256 << 10 };

/* ---- for a collector: in several frames if there are many ---- */

struct parts { struct request *rq; uint64_t wall_ns; };

static void send_part(uint32_t n, const struct buf *rows, void *arg)
{
	const struct parts *p = arg;
	struct client *c = p->rq->client;
	struct frame f;

	frame_begin(&f, &c->out, WIRE_STATS, 4);
	msgpack_pack_uint64(&f.pk, p->rq->wire_id);
	msgpack_pack_uint64(&f.pk, p->wall_ns);
	msgpack_pack_array(&f.pk, n);
	buf_add(&c->out, rows->data, rows->len);
	if (frame_end(&f))
		log_error("request", "lost-counters", "id=%lu rows=%u", (unsigned long)p->rq->id, n);
	client_flush(c);
	c->stats_part++;
}

static void send_parts(struct request *rq, uint64_t now, bool last)
{
	struct parts p = { .rq = rq, .wall_ns = now + wall_offset_ns() };

	rows_read(rq);
	pattern_send_stats(rq, p.wall_ns, last);
	rq->client->stats_part = 0;
	rows_each(rq, STATS_FRAME_BYTES, send_part, &p);
	rq->client->stats_part = 0;
}

/* ---- for anybody ---- */

void request_send_stats(struct request *rq, uint64_t now, bool last)
{
	uint64_t wall_ns = now + wall_offset_ns();
	struct client *c = rq->client;
	struct frame f;

	if (request_recorded(rq)) {
		send_parts(rq, now, last);
		return;
	}
	if (!c || rq->verb != VERB_STAT || client_backlog(c) > CLIENT_BACKLOG_MAX)
		return;
	rows_read(rq);
	pattern_send_stats(rq, wall_ns, false);
	for (int detail = 1; detail >= 0; detail--) {
		frame_begin(&f, &c->out, WIRE_STATS, 4);
		msgpack_pack_uint64(&f.pk, rq->wire_id);
		msgpack_pack_uint64(&f.pk, wall_ns);
		rows_pack(rq, detail, &f.pk);
		if (!frame_end(&f))
			break;
	}
	client_flush(c);
}

/* What the rows of END say: as much as fits into a frame, for END itself must arrive. */
enum end_detail { END_BY_PROCESS, END_BY_PROBE, END_BARE, END_DETAILS };

static int pack_end(const struct request *rq, enum end_detail detail, struct buf *out)
{
	struct frame f;

	frame_begin(&f, out, WIRE_END, 5);
	msgpack_pack_uint64(&f.pk, rq->wire_id);
	pack_text(&f.pk, rq->end_reason);
	pack_text(&f.pk, rq->end_text);
	if (detail == END_BARE)
		msgpack_pack_array(&f.pk, 0);
	else
		rows_pack(rq, detail == END_BY_PROCESS, &f.pk);
	return frame_end(&f);
}

/* A collector takes differences of rows, so it gets rows of processes or none: its last STATS said it all. */
void request_send_end(struct request *rq)
{
	enum end_detail detail = END_BY_PROCESS;

	if (!rq->client)
		return;
	if (!request_recorded(rq)) {
		rows_read(rq);
		pattern_send_stats(rq, now_ns() + wall_offset_ns(), true);
	}
	while (detail < END_DETAILS && pack_end(rq, detail, &rq->client->out))
		detail = request_recorded(rq) && detail < END_BARE ? END_BARE : detail + 1;
	client_flush(rq->client);
}
