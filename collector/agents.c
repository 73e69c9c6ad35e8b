/* SPDX-License-Identifier: Apache-2.0 */
/* Connected agents. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collector_internal.h"
#include "ingest.h"
#include "log.h"

enum { UID_DIGITS = 32, COMMIT_BYTES = 4 << 20 };

/* Offsets are added to times: both together stay numbers. 100 years. */
#define OFFSET_MAX_NS (100LL * 365 * 86400 * 1000000000)

/* ---- HELLO ---- */

/* What is read of a HELLO; owns its texts. */
struct hello {
	char *uid;
	uint64_t run, next;
	uint64_t *serves;
	size_t n_serves;
};

static bool is_uid(const char *text)
{
	size_t n = 0;

	while (isdigit((unsigned char)text[n]) || (text[n] >= 'a' && text[n] <= 'f'))
		n++;
	return n == UID_DIGITS && !text[n];
}

static int read_serves(const msgpack_object *list, struct hello *h)
{
	if (!list || list->type != MSGPACK_OBJECT_ARRAY || list->via.array.size > AGENT_REQUESTS_MAX)
		return -EPROTO;
	h->serves = calloc(list->via.array.size + 1, sizeof(*h->serves));
	if (!h->serves)
		return -ENOMEM;
	for (uint32_t i = 0; i < list->via.array.size; i++)
		if (!object_u64(&list->via.array.ptr[i], &h->serves[h->n_serves++]))
			return -EPROTO;
	return 0;
}

static int read_hello(const msgpack_object *map, struct hello *h, struct error *err)
{
	h->uid = object_text(map_get(map, "agent"), UID_DIGITS);
	if (!h->uid || !is_uid(h->uid))
		return error_set(err, EPROTO, "malformed HELLO: an agent has a name of %d hex digits", UID_DIGITS);
	if (!object_u64(map_get(map, "run"), &h->run) || !h->run || !object_u64(map_get(map, "next"), &h->next) ||
	    read_serves(map_get(map, "requests"), h))
		return error_set(err, EPROTO, "malformed HELLO of an agent");
	return 0;
}

/* ---- life ---- */

static struct agent *find_uid(struct collector *c, const char *uid)
{
	struct agent *a;

	LIST_FOREACH(a, &c->agents, link)
		if (!strcmp(a->uid, uid))
			return a;
	return NULL;
}

struct agent *agent_find(struct collector *c, int64_t id)
{
	struct agent *a;

	LIST_FOREACH(a, &c->agents, link)
		if (a->id == id)
			return a;
	return NULL;
}

/*
 * A run that comes back after another run of the same agent has taken its place has not ended: these are two agents with one
 * spool's copies. They would use the same sequences, and what one sends would be taken for what the other has sent.
 */
static int check_single(struct collector *c, const struct hello *h, struct error *err)
{
	const struct agent *other = find_uid(c, h->uid);

	if (!other || other->run == h->run || other->replaced_run != h->run)
		return 0;
	return error_set(err, EEXIST, "another agent, on host %s, has the same identity: one's spool is a copy of the other's; give it an empty one",
			 other->host);
}

/* Whoever has a certificate of this CA could else send in the name of any agent. Without TLS there is nothing to go by. */
static int check_subject(struct session *s, const struct hello *h, enum refusal *why, struct error *err)
{
	struct store_subject bound;
	int rc;

	_Static_assert(sizeof(bound.text) >= sizeof(s->subject), "each subject is kept whole");

	if (!s->collector->tls)
		return 0;
	*why = REFUSED_TLS;
	if (!s->subject[0])
		return error_set(err, EACCES, "an agent needs a certificate of its own");
	rc = store_agent_subject(s->collector->store, h->uid, &bound, err);
	if (rc) {
		*why = REFUSED_STORE;
		return rc;
	}
	if (!bound.text[0] || !strcmp(bound.text, s->subject))
		return 0;
	log_warn("agents", "not-its-certificate", "agent=%s host=\"%s\" peer=%s subject=\"%s\" bound=\"%s\"", h->uid, s->host, s->peer,
		 s->subject, bound.text);
	return error_set(err, EACCES, "agent %s belongs to a certificate with another subject than %.200s; plumb-collector agent unbind lets go of it",
			 h->uid, s->subject);
}

/* An agent whose line was cut comes back before the old connection is known to be dead. -> the run that is replaced by another */
static uint64_t replace(struct collector *c, const struct session *by, const struct hello *h)
{
	struct agent *old = find_uid(c, h->uid);
	uint64_t run;

	if (!old)
		return 0;
	run = old->run == h->run ? old->replaced_run : old->run;
	log_info("agents", "replaced", "agent=%s peer=%s by=%s", h->uid, old->session->peer, by->peer);
	session_close(old->session);
	return run;
}

static struct agent *agent_new(struct session *s, const struct hello *h, struct stream *st)
{
	struct agent *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	a->collector = s->collector;
	a->session = s;
	a->stream = st;
	a->id = stream_agent(st);
	a->run = h->run;
	a->connected_ns = s->received_ns;
	snprintf(a->uid, sizeof(a->uid), "%s", h->uid);
	snprintf(a->host, sizeof(a->host), "%s", s->host);
	snprintf(a->program, sizeof(a->program), "%s", s->program);
	LIST_INSERT_HEAD(&s->collector->agents, a, link);
	s->collector->n_agents++;
	s->agent = a;
	s->kind = SESSION_AGENT;
	return a;
}

/* Several machines under one name: what one of them does is taken for the other's by everybody who reads. */
static void warn_of_namesake(const struct agent *a)
{
	const struct agent *other;

	LIST_FOREACH(other, &a->collector->agents, link) {
		if (other == a || strcmp(other->host, a->host) != 0)
			continue;
		log_warn("agents", "same-host", "host=\"%s\" agent=%s peer=%s other=%s other_peer=%s advice=\"give each its own --host\"", a->host,
			 a->uid, a->session->peer, other->uid, other->session->peer);
		return;
	}
}

/* What the agent was told is stored must be: another connection of it may have put more. */
static int greet(struct session *s, const struct hello *h, struct error *err)
{
	struct collector *c = s->collector;
	struct ingest_hello hello = {
		.uid = h->uid, .host = s->host, .program = s->program, .subject = s->subject, .run = h->run, .next = h->next, .serves = h->serves, .n_serves = h->n_serves,
	};
	struct stream *st = NULL;
	struct agent *a;
	uint64_t replaced = replace(c, s, h);
	int rc;

	rc = ingest_open(c->ingest, &hello, s->received_ns, &st, err);
	if (rc) {
		collector_commit(c, NULL);
		return rc;
	}
	a = agent_new(s, h, st);
	if (!a) {
		ingest_close(st);
		return error_set(err, ENOMEM, "no memory for an agent");
	}
	a->replaced_run = replaced;
	a->acked_sent = stream_acked(st);   /* WELCOME will say it: no ACK comes before */
	if (collector_commit(c, err))
		return -EIO;
	c->counts.agent_connections++;
	session_welcome(s, a->acked_sent);
	log_info("agents", "connected", "agent=%s host=\"%s\" program=\"%s\" peer=%s acked=%lu", a->uid, a->host, a->program,
		 s->peer,
		 (unsigned long)a->acked_sent);
	warn_of_namesake(a);
	control_agent_up(a, stream_restarted(st), h->serves, h->n_serves);
	return 0;
}

int agent_hello(struct session *s, const msgpack_object *map, enum refusal *why, struct error *err)
{
	struct hello h = { 0 };
	int rc;

	rc = read_hello(map, &h, err);
	if (!rc)
		rc = check_subject(s, &h, why, err);
	if (!rc)
		*why = REFUSED_PROTOCOL;
	if (!rc)
		rc = check_single(s->collector, &h, err);
	if (!rc) {
		*why = REFUSED_STORE;
		rc = greet(s, &h, err);
	}
	free(h.uid);
	free(h.serves);
	return rc;
}

void agent_down(struct agent *a)
{
	log_info("agents", "disconnected", "agent=%s host=\"%s\" run=%lu", a->uid, a->host, (unsigned long)a->run);
	control_agent_down(a);
	store_agent_seen(a->collector->store, stream_agent(a->stream), wall_ns(), NULL);
	ingest_close(a->stream);
	LIST_REMOVE(a, link);
	a->collector->n_agents--;
	free(a);
}

/* ---- what it sends ---- */

static int on_entry(struct agent *a, const struct frame_in *in, enum refusal *why, struct error *err)
{
	struct collector *c = a->collector;
	uint64_t sequence;
	int rc;

	if (in->count < 3 || !object_u64(&in->items[1], &sequence) || in->items[2].type != MSGPACK_OBJECT_BIN)
		return error_set(err, EPROTO, "malformed ENTRY");
	rc = ingest_entry(a->stream, sequence, in->items[2].via.bin.ptr, in->items[2].via.bin.size, wall_ns(), err);
	*why = rc == -EMSGSIZE ? REFUSED_BOMB : rc == -EPROTO ? REFUSED_ENTRY : REFUSED_STORE;
	if ((rc && *why == REFUSED_STORE) || (!rc && ingest_pending(c->ingest) >= COMMIT_BYTES))
		collector_commit(c, rc ? NULL : err);
	return rc;
}

static int on_clock(struct agent *a, const struct frame_in *in, enum refusal *why, struct error *err)
{
	int64_t offset;
	uint64_t delay;
	int rc;

	if (in->count < 3 || !object_i64(&in->items[1], &offset) || !object_u64(&in->items[2], &delay) ||
	    offset > OFFSET_MAX_NS ||
	    offset < -OFFSET_MAX_NS)
		return error_set(err, EPROTO, "malformed CLOCK");
	a->offset_ns = offset;
	a->delay_ns = delay;
	rc = ingest_clock(a->stream, offset, delay, err);
	*why = REFUSED_STORE;
	if (rc)
		collector_commit(a->collector, NULL);
	return rc;
}

int agent_frame(struct agent *a, const struct frame_in *in, enum refusal *why, struct error *err)
{
	switch (in->type) {
	case WIRE_ENTRY:
		return on_entry(a, in, why, err);
	case WIRE_CLOCK:
		return on_clock(a, in, why, err);
	case WIRE_REPLY:
		control_reply(a, in);
		return 0;
	default:
		return error_set(err, EPROTO, "unexpected frame of type %d from an agent", in->type);
	}
}

/* ---- what it is told ---- */

void agents_ack(struct collector *c)
{
	struct agent *a;

	LIST_FOREACH(a, &c->agents, link) {
		uint64_t acked = stream_acked(a->stream);
		struct frame f;

		if (acked == a->acked_sent)
			continue;
		frame_begin(&f, &a->session->out, WIRE_ACK, 2);
		msgpack_pack_uint64(&f.pk, acked);
		frame_end(&f);
		session_flush(a->session);
		a->acked_sent = acked;
	}
}

void agents_clock_jumped(struct collector *c, int64_t jump_ns)
{
	struct agent *a;

	LIST_FOREACH(a, &c->agents, link)
		a->offset_ns += jump_ns;
}

void agents_drop(struct collector *c, const char *why)
{
	struct agent *a, *next;

	for (a = LIST_FIRST(&c->agents); a; a = next) {
		next = LIST_NEXT(a, link);
		session_refuse(a->session, REFUSED_STORE, "%s", why);
	}
}
