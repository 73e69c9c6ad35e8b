/* SPDX-License-Identifier: Apache-2.0 */
/* What a client is told of a pattern's functions: their names once, then the counts of those that were called; in pieces. */
#include <string.h>

#include "agent_internal.h"

enum { PIECE_BYTES = 512 << 10 };   /* of one frame, below WIRE_FRAME_MAX by more than any row */

/* As many as a frame takes, from number `first` on. -> how many */
static uint32_t pack_names(const struct instance *in, uint32_t first, struct frame *f)
{
	const struct resolved *r = &in->resolved;
	uint32_t end = first;
	size_t bytes = 0;

	while (end < r->n_functions && bytes < PIECE_BYTES)
		bytes += strlen(resolved_function_name(r, end++));
	msgpack_pack_array(&f->pk, end - first);
	for (uint32_t i = first; i < end; i++)
		pack_text(&f->pk, resolved_function_name(r, i));
	return end - first;
}

void pattern_send_names(struct request *rq, const struct instance *in)
{
	uint32_t at = 0;

	while (rq->client && at < in->resolved.n_functions) {
		struct frame f;

		frame_begin(&f, &rq->client->out, WIRE_FUNCTIONS, 5);
		msgpack_pack_uint64(&f.pk, rq->wire_id);
		msgpack_pack_uint32(&f.pk, in->id);
		msgpack_pack_uint32(&f.pk, at);
		at += pack_names(in, at, &f);
		frame_end(&f);
		client_flush(rq->client);
	}
}

void pattern_send_note(struct request *rq, const struct instance *in)
{
	if (in->resolved.note[0])
		request_notice(rq, "pattern", "%s", in->resolved.note);
}

/* ---- counts ---- */

/* Rows that wait for their frame: their number stands before them. */
struct piece {
	struct request *rq;
	const struct instance *in;
	pid_t pid;
	struct buf rows;
	msgpack_packer pk;
	uint32_t n;
};

static void send_piece(struct piece *p)
{
	struct client *c = p->rq->client;
	struct frame f;

	if (!p->n)
		return;
	frame_begin(&f, &c->out, WIRE_FUNCTION_STATS, 3);
	msgpack_pack_uint64(&f.pk, p->rq->wire_id);
	msgpack_pack_array(&f.pk, p->n);
	buf_add(&c->out, p->rows.data, p->rows.len);
	frame_end(&f);
	client_flush(c);
	buf_clear(&p->rows);
	p->n = 0;
}

static void add_row(uint32_t function, uint32_t row, const struct counts *c, void *arg)
{
	struct piece *p = arg;

	if (function >= p->in->resolved.n_functions)   /* the process as a whole: it is in the sum */
		return;
	msgpack_pack_array(&p->pk, 4);
	msgpack_pack_uint32(&p->pk, p->in->id);
	msgpack_pack_int(&p->pk, p->pid);
	msgpack_pack_uint32(&p->pk, function);
	counts_pack(c, NULL, NULL, p->rq->verb == VERB_STAT, &p->pk);
	p->n++;
	if (p->rows.len >= PIECE_BYTES)
		send_piece(p);
}

static void add_process(pid_t pid, uint32_t slot, void *arg)
{
	struct piece *p = arg;

	/* Those that share the last slot are no process. */
	if (slot == loader_slots(p->in->loaded) - 1 && loader_shares_last(p->in->loaded))
		return;
	p->pid = pid;
	loader_each_function(p->in->loaded, slot, p->rq->verb == VERB_STAT, add_row, p);
}

void pattern_send_stats(struct request *rq)
{
	struct piece p = { .rq = rq };

	if (!rq->client)
		return;
	pack_into(&p.pk, &p.rows);
	LIST_FOREACH(p.in, &rq->instances, link) {
		struct loaded *l = p.in->loaded;

		if (!l || !is_pattern(&p.in->resolved) || loader_read(l))
			continue;
		loader_each_process(l, add_process, &p);
		p.pid = 0;
		if (loader_shares_last(l))
			loader_each_function(l, loader_slots(l) - 1, rq->verb == VERB_STAT, add_row, &p);
	}
	send_piece(&p);
	buf_free(&p.rows);
}
