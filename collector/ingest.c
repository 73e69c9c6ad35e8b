/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ingest_internal.h"
#include "log.h"
#include "text.h"

#define SET_BACK_AGAIN_NS (60ULL * 1000000000)   /* between two lines of the log about one connection */

int malformed(struct error *err, const char *what)
{
	return error_set(err, EPROTO, "a malformed %s", what);
}

/* ---- life ---- */

struct ingest *ingest_new(struct store *s, struct live *l, struct collector_counts *counts)
{
	struct ingest *g = calloc(1, sizeof(*g));

	if (g)
		g->inflater = inflater_new();
	if (!g || !g->inflater) {
		free(g);
		return NULL;
	}
	g->store = s;
	g->live = l;
	g->counts = counts;
	return g;
}

void ingest_free(struct ingest *g)
{
	struct stream *st;

	if (!g)
		return;
	while ((st = LIST_FIRST(&g->streams)))
		ingest_close(st);
	inflater_free(g->inflater);
	free(g->chunk_probe);
	free(g);
}

static void known_free(struct known_probe *p)
{
	idmap_free(&p->function);
	free(p);
}

void stream_forget(struct stream *st)
{
	for (uint32_t i = 0; i < st->n_probes; i++)
		known_free(st->probe[i]);
	free(st->probe);
	st->probe = NULL;
	st->n_probes = st->cap_probes = 0;
	idmap_free(&st->probe_of);
	idmap_free(&st->process_of);
}

static void stream_free(struct stream *st)
{
	stream_forget(st);
	free(st->serves);
	free(st->host);
	free(st);
}

static struct stream *stream_new(struct ingest *g, const struct ingest_hello *h)
{
	struct stream *st = calloc(1, sizeof(*st));

	if (!st)
		return NULL;
	st->ingest = g;
	st->hello_run = h->run;
	st->host = strdup(h->host);
	st->serves = calloc(h->n_serves ? h->n_serves : 1, sizeof(*st->serves));
	if (!st->host || !st->serves) {
		stream_free(st);
		return NULL;
	}
	if (h->n_serves)
		memcpy(st->serves, h->serves, h->n_serves * sizeof(*st->serves));
	st->n_serves = h->n_serves;
	return st;
}

/* Entries of an older run may still lie in the agent's spool: the run is the entries', and what ran before ends when RUN comes. */
static int load(struct stream *st, const struct ingest_hello *h, uint64_t now_ns, struct error *err)
{
	struct store_agent known = { 0 };
	int rc = store_agent(st->ingest->store, h->uid, h->host, h->program, now_ns, &known, err);

	if (!rc && h->subject[0])
		rc = store_agent_bind(st->ingest->store, known.id, h->subject, err);
	if (rc)
		return rc;
	st->agent = known.id;
	st->offset_ns = known.offset_ns;
	st->acked = st->durable = known.acked;
	st->run = known.run;
	st->restarted = known.run && known.run != h->run;
	if (h->next <= known.acked)
		log_warn("ingest", "sequence-went-back", "agent=%s next=%lu acked=%lu", h->uid, (unsigned long)h->next,
			 (unsigned long)known.acked);
	return 0;
}

int ingest_open(struct ingest *g, const struct ingest_hello *h, uint64_t now_ns, struct stream **out, struct error *err)
{
	struct stream *st = stream_new(g, h);
	int rc = st ? load(st, h, now_ns, err) : error_set(err, ENOMEM, "no memory for an agent");

	if (!st)
		return rc;
	if (rc) {
		stream_free(st);
		return rc;
	}
	LIST_INSERT_HEAD(&g->streams, st, link);
	*out = st;
	return 0;
}

static int put_acked(struct stream *st, struct error *err)
{
	return st->dirty ? store_agent_acked(st->ingest->store, st->agent, st->acked, st->seen_ns, err) : 0;
}

/* What it has put stays in the transaction. */
void ingest_close(struct stream *st)
{
	if (!st)
		return;
	put_acked(st, NULL);
	LIST_REMOVE(st, link);
	stream_free(st);
}

int64_t stream_agent(const struct stream *st)
{
	return st->agent;
}

uint64_t stream_run(const struct stream *st)
{
	return st->run;
}

uint64_t stream_acked(const struct stream *st)
{
	return st->durable;
}

bool stream_restarted(const struct stream *st)
{
	return st->restarted;
}

/* ---- what the parts share ---- */

int taken_request(const struct taken *t, uint64_t *request, struct error *err)
{
	struct stream *st = t->st;
	uint64_t id;
	int rc = 0;

	if (t->in->count < 2 || !object_u64(&t->in->items[1], &id))
		return malformed(err, "frame: it has no request");
	if (!id || st->wire_id != id || !st->request) {
		st->wire_id = id;
		rc = store_request_find(st->ingest->store, st->agent, id, &st->request, err);
	}
	*request = st->request;
	return rc < 0 ? rc : 0;
}

void taken_orphan(const struct taken *t)
{
	t->st->ingest->counts->orphans++;
}

/* Times of a run rise. Going on where it was is nearer to the truth than an hour ago, until the next connection measures the clock anew. */
static int64_t clock_set_back(struct stream *st, int64_t at, uint64_t now_ns)
{
	int64_t back = (int64_t)st->heard_ns - at;

	st->ingest->counts->clock_jumps++;
	if (!st->set_back_ns || now_ns - st->set_back_ns >= SET_BACK_AGAIN_NS) {   /* an agent can say so in each frame */
		log_warn("ingest", "agent-clock-was-set", "host=\"%s\" seconds=-%.0f", st->host, (double)back / 1e9);
		st->set_back_ns = now_ns;
	}
	st->offset_ns += back;
	return (int64_t)st->heard_ns;
}

uint64_t taken_time(const struct taken *t, uint64_t agent_ns)
{
	struct stream *st = t->st;
	int64_t at;

	if (agent_ns > INT64_MAX || __builtin_add_overflow((int64_t)agent_ns, st->offset_ns, &at) || at < 0 ||
	    (uint64_t)at > t->now_ns + FUTURE_NS) {
		st->ingest->counts->wrong_times++;
		return t->now_ns;
	}
	if ((uint64_t)at + FUTURE_NS < st->heard_ns)
		at = clock_set_back(st, at, t->now_ns);
	if ((uint64_t)at > st->heard_ns)
		st->heard_ns = (uint64_t)at;
	return (uint64_t)at;
}

void taken_publish(const struct taken *t, uint64_t request)
{
	struct live_item item = {
		.type = t->in->type, .request = request, .agent = t->st->agent, .host = t->st->host, .run = t->st->run,
		.past = t->st->run != t->st->hello_run, .in = t->in, .frame = t->frame, .len = t->len,
	};

	live_publish(t->st->ingest->live, &item);
}

/* ---- probes and processes of a stream ---- */

int stream_add_probe(struct stream *st, uint32_t number, const struct store_known *is, struct error *err)
{
	struct known_probe *p;

	if (st->n_probes == STREAM_PROBES_MAX)
		return error_set(err, EPROTO, "more than %d probes", STREAM_PROBES_MAX);
	if (st->n_probes == st->cap_probes) {
		uint32_t cap = st->cap_probes ? 2 * st->cap_probes : 64;
		struct known_probe **more = realloc(st->probe, cap * sizeof(struct known_probe *));

		if (!more)
			return error_set(err, ENOMEM, "no memory for a probe");
		st->probe = more;
		st->cap_probes = cap;
	}
	p = calloc(1, sizeof(*p));
	if (!p || idmap_set(&st->probe_of, number, p)) {
		free(p);
		return error_set(err, ENOMEM, "no memory for a probe");
	}
	p->is = *is;
	st->probe[st->n_probes++] = p;
	return 0;
}

struct known_probe *stream_probe(struct stream *st, uint32_t number)
{
	struct known_probe *p = idmap_get(&st->probe_of, number);
	struct store_known is;

	if (p)
		return p;
	if (store_probe_find(st->ingest->store, st->agent, st->run, number, &is) <= 0 || stream_add_probe(st, number, &is, NULL))
		return NULL;
	return idmap_get(&st->probe_of, number);
}

/* FNV-1a; never 0, so that it can stand in a map of pointers. */
static uintptr_t hash_of(const char *data, size_t len)
{
	uint64_t h = 0xcbf29ce484222325ULL;

	for (size_t i = 0; i < len; i++)
		h = (h ^ (unsigned char)data[i]) * 0x100000001b3ULL;
	return (uintptr_t)(h | 1);
}

/* Each STATS names all processes again: only what is new is written. */
int stream_process(struct stream *st, uint32_t pid, const msgpack_object *comm, struct error *err)
{
	struct buf safe = { 0 };
	uintptr_t hash;
	int rc;

	if (comm->type != MSGPACK_OBJECT_STR || !comm->via.str.size || comm->via.str.size > INGEST_TEXT_MAX)
		return 0;
	hash = hash_of(comm->via.str.ptr, comm->via.str.size);
	if ((uintptr_t)idmap_get(&st->process_of, pid) == hash || st->process_of.n >= STREAM_PROCESSES_MAX)
		return 0;
	text_escape(&safe, comm->via.str.ptr, comm->via.str.size, 0);
	rc = safe.failed || idmap_set(&st->process_of, pid, (void *)hash) ? error_set(err, ENOMEM, "no memory for a process") : 0;
	if (!rc)
		rc = store_process(st->ingest->store, st->agent, st->run, pid, buf_text(&safe), err);
	buf_free(&safe);
	return rc;
}

/* ---- entries ---- */

static int (*const takers[WIRE_TYPES])(const struct taken *t, struct error *err) = {
	[WIRE_REPLY] = ingest_reply, [WIRE_PROBE] = ingest_probe, [WIRE_CHUNK] = ingest_chunk, [WIRE_STATS] = ingest_stats,
	[WIRE_NOTICE] = ingest_notice, [WIRE_END] = ingest_end, [WIRE_RUN] = ingest_run, [WIRE_OPENED] = ingest_opened,
	[WIRE_LOSS] = ingest_loss, [WIRE_FUNCTIONS] = ingest_functions, [WIRE_FUNCTION_STATS] = ingest_function_stats,
};

static int take(struct taken *t, struct error *err)
{
	struct frame_in in;
	int rc = frame_read(t->frame, t->len, &in, err);

	if (rc)
		return rc;
	t->in = &in;
	t->read = true;
	if (takers[in.type])
		rc = takers[in.type](t, err);
	else
		rc = error_set(err, EPROTO, "an entry of type %d", in.type);
	frame_in_free(&in);
	t->in = NULL;
	return rc;
}

static bool is_refused(int rc)
{
	return rc == -EPROTO || rc == -EMSGSIZE || rc == -EEXIST;
}

/* It would come again with each connection: it is kept as a loss instead. */
static int keep_refusal(const struct taken *t, int rc, struct error *err)
{
	uint64_t request = t->read ? t->st->request : 0;
	int failed = store_loss(t->st->ingest->store, t->st->agent, request, t->now_ns, 0, "refused", err);

	return failed ? failed : rc == -EMSGSIZE ? rc : -EPROTO;
}

int ingest_entry(struct stream *st, uint64_t sequence, const void *frame, size_t len, uint64_t now_ns, struct error *err)
{
	struct taken t = { .st = st, .sequence = sequence, .now_ns = now_ns, .frame = frame, .len = len };
	struct collector_counts *counts = st->ingest->counts;
	struct error why = { 0 };
	int rc;

	if (sequence <= st->acked) {
		counts->duplicates++;
		return 0;
	}
	if (sequence > INT64_MAX)
		return malformed(err, "ENTRY: its sequence");
	rc = st->lost ? error_set(&why, EIO, "the store did not take in what came") : take(&t, &why);
	if (is_refused(rc))
		rc = keep_refusal(&t, rc, &why);
	if (!rc && store_spoiled(st->ingest->store))
		rc = error_set(&why, EIO, "the store cannot be read");
	if (rc && err)
		*err = why;
	if (rc && !is_refused(rc)) {
		store_spoil(st->ingest->store);
		return rc;
	}
	counts->entries++;
	counts->gaps += sequence - st->acked - 1;
	st->ingest->pending += len;
	st->acked = sequence;
	st->seen_ns = now_ns;
	st->dirty = true;
	return rc;
}

int ingest_clock(struct stream *st, int64_t offset_ns, uint64_t delay_ns, struct error *err)
{
	int rc = store_agent_clock(st->ingest->store, st->agent, offset_ns, delay_ns, err);

	if (!rc)
		st->offset_ns = offset_ns;
	st->heard_ns = 0;
	return rc;
}

int ingest_clock_jumped(struct ingest *g, int64_t jump_ns, struct error *err)
{
	struct stream *st;
	int rc = 0;

	LIST_FOREACH(st, &g->streams, link) {
		st->offset_ns += jump_ns;
		st->heard_ns = 0;
		if (!rc)
			rc = store_agent_offset(g->store, st->agent, st->offset_ns, err);
	}
	return rc;
}

/* ---- commits ---- */

size_t ingest_pending(const struct ingest *g)
{
	return g->pending;
}

static int put_all_acked(struct ingest *g, struct error *err)
{
	struct stream *st;
	int rc = 0;

	LIST_FOREACH(st, &g->streams, link)
		if (!rc)
			rc = put_acked(st, err);
	return rc;
}

/* What streams have learned since may not be so: they take nothing in any more. */
static void roll_back(struct ingest *g)
{
	struct stream *st;

	store_rollback(g->store);
	g->counts->commit_failures++;
	LIST_FOREACH(st, &g->streams, link) {
		st->lost = true;
		st->dirty = false;
	}
}

static void count_commit(struct collector_counts *counts, uint64_t took)
{
	counts->commits++;
	counts->commit_ns += took;
	if (took > counts->commit_max_ns)
		counts->commit_max_ns = took;
}

int ingest_commit(struct ingest *g, struct error *err)
{
	uint64_t began = mono_ns();
	struct stream *st;
	int rc = put_all_acked(g, err);

	if (!rc)
		rc = store_commit(g->store, err);
	g->pending = 0;
	if (rc) {
		roll_back(g);
		return rc;
	}
	LIST_FOREACH(st, &g->streams, link) {
		st->durable = st->acked;
		st->dirty = false;
	}
	count_commit(g->counts, mono_ns() - began);
	return 0;
}
