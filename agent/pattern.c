/* SPDX-License-Identifier: Apache-2.0 */
/* What a client is told of a pattern's functions: their names once, then the counts of those that were called since; in pieces. */
#include <string.h>

#include "agent_internal.h"

enum {
	PIECE_BYTES = 512 << 10,     /* of one frame, below WIRE_FRAME_MAX by more than any row */
	RECORDED_ROWS_MAX = 2048,    /* what a collector gets, which keeps it: of the functions that were called first */
	TELL_ALL_EVERY = 60,         /* ticks: what was lost on the way is made up for */
};

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

	rq->patterns_told = TELL_ALL_EVERY;   /* somebody else may hear it now */
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
	struct instance *in;
	uint64_t wall_ns;
	bool all;
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
	frame_begin(&f, &c->out, WIRE_FUNCTION_STATS, 4);
	msgpack_pack_uint64(&f.pk, p->rq->wire_id);
	msgpack_pack_uint64(&f.pk, p->wall_ns);
	msgpack_pack_array(&f.pk, p->n);
	buf_add(&c->out, p->rows.data, p->rows.len);
	frame_end(&f);
	client_flush(c);
	buf_clear(&p->rows);
	p->n = 0;
}

/* The process as a whole has no function: it is in the sum. A collector keeps a bounded number; rows are given to functions in the order of
 * their first calls. */
static bool is_told(const struct piece *p, uint32_t function, uint32_t row)
{
	return function < p->in->resolved.n_functions &&
	       (!request_recorded(p->rq) || row < loader_slots(p->in->loaded) + RECORDED_ROWS_MAX);
}

static void note_activity(uint32_t function, uint32_t row, const struct counts *c, void *arg)
{
	const struct piece *p = arg;
	const __u64 *word = (const __u64 *)(const void *)c;

	for (size_t i = 0; is_told(p, function, row) && i < sizeof(struct function_counts) / sizeof(*word); i++)
		p->in->told[function].now += word[i];
}

static void add_row(uint32_t function, uint32_t row, const struct counts *c, void *arg)
{
	struct piece *p = arg;

	if (!is_told(p, function, row) || (!p->all && p->in->told[function].now == p->in->told[function].before))
		return;
	msgpack_pack_array(&p->pk, 4);
	msgpack_pack_uint32(&p->pk, p->in->id);
	msgpack_pack_int(&p->pk, p->pid);
	msgpack_pack_uint32(&p->pk, function);
	counts_pack(c, NULL, NULL, p->rq->verb == VERB_STAT, p->rq->verb == VERB_STAT, &p->pk);
	p->n++;
	if (p->rows.len >= PIECE_BYTES)
		send_piece(p);
}

/* Those that share the last slot are no process. */
static bool is_shared(const struct piece *p, uint32_t slot)
{
	return slot == loader_slots(p->in->loaded) - 1 && loader_shares_last(p->in->loaded);
}

static void note_process(pid_t pid, uint32_t slot, void *arg)
{
	struct piece *p = arg;

	if (!is_shared(p, slot))
		loader_each_function(p->in->loaded, slot, false, note_activity, p);
}

static void add_process(pid_t pid, uint32_t slot, void *arg)
{
	struct piece *p = arg;

	if (is_shared(p, slot))
		return;
	p->pid = pid;
	loader_each_function(p->in->loaded, slot, p->rq->verb == VERB_STAT, add_row, p);
}

static void each_slot(struct piece *p, void (*process)(pid_t pid, uint32_t slot, void *arg), bool histograms, loader_function_visit *shared)
{
	struct loaded *l = p->in->loaded;

	loader_each_process(l, process, p);
	p->pid = 0;
	if (loader_shares_last(l))
		loader_each_function(l, loader_slots(l) - 1, histograms, shared, p);
}

static void add_instance(struct piece *p)
{
	struct told *told = p->in->told;

	for (uint32_t i = 0; i < p->in->resolved.n_functions; i++)
		told[i] = (struct told){ .before = told[i].now };
	each_slot(p, note_process, false, note_activity);
	each_slot(p, add_process, p->rq->verb == VERB_STAT, add_row);
}

void pattern_send_stats(struct request *rq, uint64_t wall_ns, bool all)
{
	struct piece p = { .rq = rq, .wall_ns = wall_ns, .all = all || ++rq->patterns_told >= TELL_ALL_EVERY };

	if (!rq->client)
		return;
	if (p.all)
		rq->patterns_told = 0;
	pack_into(&p.pk, &p.rows);
	LIST_FOREACH(p.in, &rq->instances, link)
		if (p.in->readable && is_pattern(&p.in->resolved))
			add_instance(&p);
	send_piece(&p);
	buf_free(&p.rows);
}
