/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent_internal.h"
#include "decode.h"

enum { SLOTS_SPARE = 16, SLOTS_OPEN = 128 };

/* Processes that are told apart: what is there now and some that may come. */
static uint32_t slots_for(const struct request *rq)
{
	const struct watched *w;
	uint32_t n = 0;

	if (rq->args.target.kind == TARGET_PID)
		return 2;
	if (rq->args.target.kind == TARGET_PATH)
		return SLOTS_OPEN;
	LIST_FOREACH(w, &rq->watched, link)
		n++;
	return 2 * n + SLOTS_SPARE;
}

/* An id whose place in the table is free. */
static int claim_id(struct agent *a, struct instance *in)
{
	for (int i = 0; i < PROBE_TABLE; i++) {
		uint32_t id = ++a->next_probe;

		if (!a->probe[id % PROBE_TABLE]) {
			a->probe[id % PROBE_TABLE] = in;
			in->id = id;
			return 0;
		}
	}
	return -ENOSPC;
}

/* Where the guard notes what it has seen of the counters. */
static int count_anew(struct instance *in, struct error *err)
{
	uint32_t n = loader_rows(in->loaded);

	in->last_calls = calloc(n, sizeof(*in->last_calls));
	in->tick_calls = is_pattern(&in->resolved) ? calloc(n, sizeof(*in->tick_calls)) : NULL;
	in->told = is_pattern(&in->resolved) ? calloc(in->resolved.n_functions, sizeof(*in->told)) : NULL;
	if (!in->last_calls || (is_pattern(&in->resolved) && (!in->tick_calls || !in->told)))
		return error_set(err, ENOMEM, "out of memory");
	return 0;
}

int instance_new(struct request *rq, struct resolved *r, int fd, struct instance **out, struct error *err)
{
	struct load_options opts = { .method = rq->agent->opt.method, .slots = slots_for(rq),
				     .open = rq->args.target.kind == TARGET_PATH && rq->uid == 0,
				     .sample = (uint32_t)rq->args.sample, .rate_per_s = (uint32_t)rq->args.rate, .uid = rq->uid };
	struct instance *in = calloc(1, sizeof(*in));
	struct stat st;
	int rc;

	if (!in || claim_id(rq->agent, in)) {
		free(in);
		return error_set(err, ENOSPC, "the agent has no room for one more probe");
	}
	in->rq = rq;
	in->detached = true; /* until there is something to detach */
	in->resolved = *r;
	resolved_moved(r); /* what it owned is the instance's now */
	in->n_unreadable = decode_unreadable(&in->resolved.layout);
	in->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	LIST_INSERT_HEAD(&rq->instances, in, link);
	if (in->fd < 0 || fstat(in->fd, &st))
		return error_set(err, ENOMEM, "out of memory or files");
	in->dev = st.st_dev;
	in->ino = st.st_ino;
	in->mtime = st.st_mtim;
	in->size = st.st_size;
	opts.probe = in->id;
	rc = loader_load(&in->resolved, rq->agent->rings, &opts, &in->loaded, err);
	if (!rc)
		rc = count_anew(in, err);
	in->detached = rc != 0;
	if (!rc && rq->muted)
		loader_mute(in->loaded);
	in->attached_ns = now_ns();
	*out = in;
	return rc;
}

int instance_attach(struct instance *in, pid_t pid, struct error *err)
{
	/* First the slot: an event of a process without one is ignored. */
	if (pid && loader_add_process(in->loaded, pid) < 0)
		return error_set(err, ENOSPC, "no room for one more process");
	return loader_attach(in->loaded, in->fd, in->resolved.offset, pid, err);
}

void instance_free(struct instance *in)
{
	struct agent *a = in->rq->agent;

	if (a->probe[in->id % PROBE_TABLE] == in)
		a->probe[in->id % PROBE_TABLE] = NULL;
	LIST_REMOVE(in, link);
	loader_free(in->loaded);
	resolved_free(&in->resolved);
	if (in->fd >= 0)
		close(in->fd);
	free(in->last_calls);
	free(in->tick_calls);
	free(in->told);
	free(in);
}

bool instance_is_for(const struct instance *in, uint32_t probe_index, uint64_t dev, uint64_t ino)
{
	return in->resolved.probe_index == probe_index && in->dev == dev && in->ino == ino;
}

/* An overwrite in place keeps the inode, but not these. */
bool instance_file_same(const struct instance *in, int fd)
{
	struct stat st;

	return !fstat(fd, &st) && st.st_size == in->size && st.st_mtim.tv_sec == in->mtime.tv_sec &&
	       st.st_mtim.tv_nsec == in->mtime.tv_nsec;
}

void instance_pack_probe(const struct instance *in, struct frame *f)
{
	const struct resolved *r = &in->resolved;
	bool call = r->plan.flags & PLAN_CALL;
	msgpack_packer *pk = &f->pk;

	msgpack_pack_map(pk, 15U + is_pattern(r) + r->may_be_errno);
	pack_key_u64(pk, "probe", in->id);
	pack_key_text(pk, "spec", in->rq->args.probes[r->probe_index]);
	pack_key_text(pk, "function", r->function);
	pack_key_text(pk, "signature", r->signature);
	pack_key_text(pk, "module", r->module);
	pack_key_text(pk, "build_id", r->build_id);
	pack_key_text(pk, "file", r->file);
	pack_key_u64(pk, "line", r->line);
	pack_key_text(pk, "site", r->site.text);
	pack_key_text(pk, "site_kind", site_kind_name(r->site.kind));
	pack_key_u64(pk, "cost_ns", in->rq->agent->costs.ns[r->site.kind][call]);
	pack_key(pk, "call");
	call ? msgpack_pack_true(pk) : msgpack_pack_false(pk);
	pack_key(pk, "has_error");
	r->has_error ? msgpack_pack_true(pk) : msgpack_pack_false(pk);
	pack_key(pk, "condition");
	r->has_condition ? msgpack_pack_true(pk) : msgpack_pack_false(pk);
	if (r->may_be_errno) {
		pack_key(pk, "errno");
		msgpack_pack_true(pk);
	}
	if (is_pattern(r))
		pack_key_u64(pk, "functions", r->n_functions);
	pack_key(pk, "fields");
	layout_pack_fields(&r->layout, f->out);
}

/* ---- rows of counters ---- */

struct named_count { const char *name; uint64_t value; };

enum { NAMED_COUNTS = 20 };

/*
 * A stat's records are the few failing calls a second that were asked for beside its counters: what is above that rate was asked to be left
 * out, as what is sampled. It is no loss.
 */
static uint32_t name_counts(const struct counts *c, const struct instance *own, bool stat, struct named_count out[NAMED_COUNTS])
{
	const struct named_count all[NAMED_COUNTS] = {
		{ "calls", c->calls }, { "returns", c->returns }, { "errors", c->errors }, { "matched", c->matched },
		{ "undecided", c->undecided }, { "shipped", c->shipped }, { "sampled", c->sampled + (stat ? c->dropped[DROP_RATE] : 0) },
		{ "too_deep", c->too_deep }, { "unwound", c->unwound }, { "stray", c->stray },
		{ "drop_ring", c->dropped[DROP_RING] }, { "drop_rate", stat ? 0 : c->dropped[DROP_RATE] },
		{ "drop_nomem", c->dropped[DROP_NOMEM] }, { "drop_client", own ? own->drop_client : 0 },
		{ "unread_fault", own ? own->unread_fault : 0 }, { "unread_place", own ? own->unread_place : 0 },
		{ "past_limit", own ? own->past_limit : 0 }, { "shown", own && request_recorded(own->rq) ? own->shown : 0 },
		{ "sum_ns", c->sum_ns }, { "max_ns", c->max_ns },
	};
	uint32_t n = 0;

	for (int i = 0; i < NAMED_COUNTS; i++)
		if (all[i].value)
			out[n++] = all[i];
	return n;
}

static void pack_histogram(const struct counts *c, msgpack_packer *pk)
{
	uint32_t used = 0;

	for (int i = 0; i < HIST_BUCKETS; i++)
		used += c->hist[i] != 0;
	pack_key(pk, "hist");
	msgpack_pack_array(pk, 2 * used);
	for (uint32_t i = 0; i < HIST_BUCKETS; i++) {
		if (!c->hist[i])
			continue;
		msgpack_pack_uint32(pk, i);
		msgpack_pack_uint64(pk, c->hist[i]);
	}
}

static const char *comm_of(const struct request *rq, pid_t pid)
{
	const struct watched *w;

	LIST_FOREACH(w, &rq->watched, link)
		if (w->process.pid == pid)
			return w->process.comm;
	for (size_t i = 0; i < rq->n_known; i++)
		if (rq->known[i].pid == pid)
			return rq->known[i].comm;
	return "";
}

static void pack_values(const struct error_values *v, msgpack_packer *pk)
{
	pack_key(pk, "error_values");
	msgpack_pack_array(pk, 2 * v->n);
	for (uint32_t i = 0; i < v->n; i++) {
		msgpack_pack_int64(pk, v->value[i].value);
		msgpack_pack_uint64(pk, v->value[i].count);
	}
}

void counts_pack(const struct counts *c, const struct instance *own, const struct error_values *values, bool stat, bool histogram,
		 msgpack_packer *pk)
{
	struct named_count named[NAMED_COUNTS];
	uint32_t n = name_counts(c, own, stat, named);

	msgpack_pack_map(pk, n + histogram + (values && values->n));
	if (values && values->n)
		pack_values(values, pk);
	for (uint32_t i = 0; i < n; i++)
		pack_key_u64(pk, named[i].name, named[i].value);
	if (histogram)
		pack_histogram(c, pk);
}

/* Slot 0 and the instance's own counts belong to no process: they are a row with pid 0. */
static void pack_row(struct instance *in, pid_t pid, const struct counts *c, const struct error_values *values, bool own,
		     msgpack_packer *pk)
{
	msgpack_pack_array(pk, 4);
	msgpack_pack_uint32(pk, in->id);
	msgpack_pack_int(pk, pid);
	pack_text(pk, pid ? comm_of(in->rq, pid) : "");
	counts_pack(c, own ? in : NULL, values, in->rq->verb == VERB_STAT, in->rq->verb == VERB_STAT || request_recorded(in->rq), pk);
}

/* By slot. */
struct slot_pids { pid_t *pid; uint32_t n; };

static void note_pid(pid_t pid, uint32_t slot, void *arg)
{
	struct slot_pids *s = arg;

	if (slot < s->n)
		s->pid[slot] = pid;
}

/* Rows that are being packed: all, or in portions. */
struct rows {
	struct buf out;
	msgpack_packer pk;
	uint32_t n;
	size_t portion;               /* 0: all */
	void (*emit)(uint32_t n, const struct buf *rows, void *arg);
	void *arg;
};

/* The slots that a row is of. */
struct slot_range { uint32_t first, last; };

static void add_row(struct rows *r, struct instance *in, pid_t pid, const struct counts *c, struct slot_range slots, bool own)
{
	struct error_values values;

	values.n = loader_values(in->loaded, slots.first, slots.last, values.value, ERROR_VALUES_MAX);
	pack_row(in, pid, c, &values, own, &r->pk);
	r->n++;
	if (r->portion && r->out.len >= r->portion) {
		r->emit(r->n, &r->out, r->arg);
		buf_clear(&r->out);
		r->n = 0;
	}
}

/* What belongs to no process, and what to several. A collector knows rows by their pid: it gets one. */
static void add_shared(struct rows *r, struct instance *in)
{
	uint32_t last = loader_slots(in->loaded) - 1;
	bool shares = loader_shares_last(in->loaded), merge = request_recorded(in->rq);
	struct counts none, several;

	if (loader_counts(in->loaded, 0, &none) || (shares && loader_counts(in->loaded, last, &several)))
		return;
	if (shares && merge)
		counts_add(&none, &several);
	/* Slot 0 is of no process: it has no values. */
	add_row(r, in, 0, &none, shares && merge ? (struct slot_range){ last, last } : (struct slot_range){ 0, 0 }, true);
	if (shares && !merge)
		add_row(r, in, 0, &several, (struct slot_range){ last, last }, false);
}

static void pack_by_process(struct instance *in, struct rows *r)
{
	struct slot_pids s = { .n = loader_slots(in->loaded) };
	struct counts c;

	s.pid = calloc(s.n, sizeof(*s.pid));
	if (!s.pid)
		return;
	loader_each_process(in->loaded, note_pid, &s);
	add_shared(r, in);
	for (uint32_t slot = 1; slot < s.n - loader_shares_last(in->loaded); slot++)
		if (s.pid[slot] && !loader_counts(in->loaded, slot, &c))
			add_row(r, in, s.pid[slot], &c, (struct slot_range){ slot, slot }, false);
	free(s.pid);
}

static void pack_merged(struct instance *in, struct rows *r)
{
	struct counts sum = { 0 }, c;

	for (uint32_t slot = 0; slot < loader_slots(in->loaded); slot++)
		if (!loader_counts(in->loaded, slot, &c))
			counts_add(&sum, &c);
	add_row(r, in, 0, &sum, (struct slot_range){ 0, UINT32_MAX }, true);
}

static bool read_ahead(const struct instance *in)
{
	if (in->loaded && loader_read_values(in->loaded))
		return false;
	return in->loaded && !(is_pattern(&in->resolved) && loader_read(in->loaded));
}

void rows_read(struct request *rq)
{
	struct instance *in;

	LIST_FOREACH(in, &rq->instances, link)
		in->readable = read_ahead(in);
}

void rows_pack(const struct request *rq, bool detail, msgpack_packer *pk)
{
	struct rows r = { 0 };
	struct instance *in;

	/* Packed aside: their number is known afterwards only. */
	pack_into(&r.pk, &r.out);
	LIST_FOREACH(in, &rq->instances, link)
		if (in->readable)
			detail ? pack_by_process(in, &r) : pack_merged(in, &r);
	msgpack_pack_array(pk, r.n);
	buf_add(pk->data, r.out.data, r.out.len);
	buf_free(&r.out);
}

void rows_each(const struct request *rq, size_t bytes, void (*emit)(uint32_t n, const struct buf *rows, void *arg), void *arg)
{
	struct rows r = { .portion = bytes, .emit = emit, .arg = arg };
	struct instance *in;

	pack_into(&r.pk, &r.out);
	LIST_FOREACH(in, &rq->instances, link)
		if (in->readable)
			pack_by_process(in, &r);
	if (r.n)
		emit(r.n, &r.out, arg);
	buf_free(&r.out);
}

void rows_totals(struct request *rq, uint64_t *calls, uint64_t *shipped)
{
	struct instance *in;
	struct counts c;

	*calls = *shipped = 0;
	LIST_FOREACH(in, &rq->instances, link) {
		if (in->loaded && is_pattern(&in->resolved))
			loader_read(in->loaded);
		for (uint32_t slot = 0; in->loaded && slot < loader_slots(in->loaded); slot++) {
			if (loader_counts(in->loaded, slot, &c))
				continue;
			*calls += c.calls;
			*shipped += c.shipped;
		}
	}
}
