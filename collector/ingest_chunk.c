/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CHUNKs: a million records a second go through here.  Of a record only its head is read; its values are measured (of columns: they
 * were checked as a whole), so that who reads the chunk later finds whole records that fit their probes.  Nothing is allocated per record.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "columns.h"
#include "ingest_internal.h"
#include "model.h"

/* What is known of a chunk before and after its records were looked at. */
struct walk {
	const struct taken *t;
	uint64_t request, base_ns, count;
	const uint8_t *at, *end;       /* records, or ... */
	const struct columns_head *head;
	size_t n_heads;                /* ... what columns say of them */
	int64_t first_ns, last_ns;     /* the collector's clock */
	uint64_t records;
	uint32_t n_probes;
	struct known_probe *last;      /* of the record before */
	uint32_t last_number;
	bool orphan;
};

/* ---- reading a record's head ---- */

static uint64_t big_endian(const uint8_t *p, unsigned n)
{
	uint64_t v = 0;

	while (n--)
		v = v << 8 | *p++;
	return v;
}

/* An integer at *p, which has been measured; *p goes behind it. */
static bool read_i64(const uint8_t **p, int64_t *v)
{
	uint8_t lead = *(*p)++;
	uint64_t bits;
	unsigned n;

	if (lead < 0x80 || lead >= 0xe0) {
		*v = lead < 0x80 ? lead : lead - 256;
		return true;
	}
	if (lead < 0xcc || lead > 0xd3)
		return false;
	n = 1U << (lead & 3);
	bits = big_endian(*p, n);
	*p += n;
	*v = lead == 0xd0 ? (int8_t)bits : lead == 0xd1 ? (int16_t)bits : lead == 0xd2 ? (int32_t)bits : (int64_t)bits;
	return lead != 0xcf || *v >= 0;
}

static bool read_u64(const uint8_t **p, uint64_t *v)
{
	int64_t i;

	if (**p == 0xcf) {
		*v = big_endian(*p + 1, 8);
		*p += 9;
		return true;
	}
	*v = 0;
	if (!read_i64(p, &i) || i < 0)
		return false;
	*v = (uint64_t)i;
	return true;
}

static bool read_array(const uint8_t **p, uint64_t *n)
{
	uint8_t lead = *(*p)++;

	if (lead >= 0x90 && lead < 0xa0) {
		*n = lead & 15U;
		return true;
	}
	if (lead != 0xdc && lead != 0xdd)
		return false;
	*n = big_endian(*p, lead == 0xdc ? 2 : 4);
	*p += lead == 0xdc ? 2 : 4;
	return true;
}

enum { HEAD_VALUES = 6 };

static bool read_u32(const uint8_t **p, uint32_t *v)
{
	uint64_t wide;
	bool is = read_u64(p, &wide) && wide <= UINT32_MAX;

	*v = is ? (uint32_t)wide : 0;
	return is;
}

static bool read_head(const uint8_t *p, struct columns_head *h)
{
	uint64_t values, duration;
	uint32_t id;

	if (!read_array(&p, &values) || values < HEAD_VALUES || values > UINT32_MAX)
		return false;
	h->values = (uint32_t)values - HEAD_VALUES;
	return read_u32(&p, &h->probe) && read_i64(&p, &h->delta) && read_u32(&p, &id) && read_u32(&p, &id) && read_u64(&p, &h->flags) &&
	       read_u64(&p, &duration);
}

/* ---- what a record adds to its chunk ---- */

/* The collector's time. False: no time that there is. */
static bool record_time(const struct walk *w, int64_t delta, int64_t *at)
{
	return !__builtin_add_overflow((int64_t)w->base_ns, delta, at) && !__builtin_add_overflow(*at, w->t->st->offset_ns, at) && *at >= 0;
}

static int slot_of(struct walk *w, struct known_probe *p, struct error *err)
{
	struct ingest *g = w->t->st->ingest;

	if (p->chunk == g->chunk)
		return 0;
	if (w->n_probes == g->cap_chunk_probes) {
		uint32_t cap = g->cap_chunk_probes ? 2 * g->cap_chunk_probes : 64;
		struct store_chunk_probe *more = realloc(g->chunk_probe, cap * sizeof(*more));

		if (!more)
			return error_set(err, ENOMEM, "no memory for a chunk");
		g->chunk_probe = more;
		g->cap_chunk_probes = cap;
	}
	p->chunk = g->chunk;
	p->slot = w->n_probes++;
	g->chunk_probe[p->slot] = (struct store_chunk_probe){ .probe = p->is.id, .first_ns = UINT64_MAX };
	return 0;
}

static struct known_probe *find_probe(struct walk *w, uint32_t number)
{
	if (!w->last || w->last_number != number) {
		w->last = stream_probe(w->t->st, number);
		w->last_number = number;
	}
	return w->last;
}

static int add_record(struct walk *w, const struct columns_head *h, struct error *err)
{
	struct known_probe *p = find_probe(w, h->probe);
	struct store_chunk_probe *c;
	int64_t at;
	int rc;

	if (!p) {
		w->orphan = true;
		return 0;
	}
	if (p->is.request != w->request || h->values != p->is.fields)
		return malformed(err, "record: it does not fit its probe");
	if (!record_time(w, h->delta, &at))
		return malformed(err, "record: its time");
	rc = slot_of(w, p, err);
	if (rc)
		return rc;
	c = &w->t->st->ingest->chunk_probe[p->slot];
	c->records++;
	c->errors += h->flags & EVENT_ERROR ? 1 : 0;
	if ((uint64_t)at < c->first_ns)
		c->first_ns = (uint64_t)at;
	if (at < w->first_ns)
		w->first_ns = at;
	if (at > w->last_ns)
		w->last_ns = at;
	return 0;
}

static int walk_rows(struct walk *w, struct error *err)
{
	int rc = 0;

	while (w->at < w->end && !rc) {
		ssize_t n = pack_measure(w->at, (size_t)(w->end - w->at));
		struct columns_head h;

		if (n <= 0 || !read_head(w->at, &h))
			return malformed(err, n == 0 ? "chunk: its last record is cut" : "record");
		rc = add_record(w, &h, err);
		w->at += n;
		w->records++;
	}
	return rc;
}

static int walk_records(struct walk *w, struct error *err)
{
	int rc;

	w->t->st->ingest->chunk++;
	rc = walk_rows(w, err);
	for (size_t i = 0; i < w->n_heads && !rc; i++, w->records++)
		rc = add_record(w, &w->head[i], err);
	if (!rc && w->records != w->count)
		return error_set(err, EPROTO, "a chunk of %lu records that says %lu", (unsigned long)w->records,
				 (unsigned long)w->count);
	return rc;
}

/* ---- the chunk ---- */

/* Columns are not made rows again for this. */
static int open_columns(struct walk *w, const msgpack_object_bin *bytes)
{
	struct ingest *g = w->t->st->ingest;
	struct columns_reader *reader;
	int rc = inflater_columns(g->inflater, bytes->ptr, bytes->size, CHUNK_RAW_MAX, &reader);

	return rc ? rc : columns_heads(reader, &w->head, &w->n_heads);
}

static int open_rows(struct walk *w, uint64_t codec, const msgpack_object_bin *bytes)
{
	struct ingest *g = w->t->st->ingest;
	const char *data;
	size_t len;
	int rc = inflater_records(g->inflater, codec, bytes->ptr, bytes->size, CHUNK_RAW_MAX, &data, &len);

	if (rc)
		return rc;
	w->at = (const uint8_t *)data;
	w->end = w->at + len;
	return 0;
}

static int open_bytes(struct walk *w, uint64_t codec, const msgpack_object_bin *bytes, struct error *err)
{
	int rc = codec == WIRE_CODEC_COLUMNS ? open_columns(w, bytes) : open_rows(w, codec, bytes);

	if (rc == -EMSGSIZE)
		return error_set(err, EMSGSIZE, "a chunk of %u bytes that inflates to more than %d", bytes->size, CHUNK_RAW_MAX);
	if (rc == -ENOMEM)
		return error_set(err, ENOMEM, "no memory to inflate a chunk");
	return rc ? malformed(err, "chunk: it does not inflate") : 0;
}

static int open_chunk(struct walk *w, struct error *err)
{
	const msgpack_object *o = w->t->in->items;
	uint64_t codec;

	if (w->t->in->count < 7 || !object_u64(&o[3], &w->base_ns) || w->base_ns > INT64_MAX || !object_u64(&o[4], &w->count) ||
	    w->count > UINT32_MAX || !object_u64(&o[5], &codec) || o[6].type != MSGPACK_OBJECT_BIN)
		return malformed(err, "CHUNK");
	w->first_ns = INT64_MAX;
	w->last_ns = 0;
	return open_bytes(w, codec, &o[6].via.bin, err);
}

static int put_chunk(const struct walk *w, struct error *err)
{
	const struct stream *st = w->t->st;
	struct store_chunk c = {
		.agent = st->agent, .sequence = w->t->sequence, .run = st->run, .request = w->request,
		.first_ns = (uint64_t)w->first_ns, .last_ns = (uint64_t)w->last_ns, .received_ns = w->t->now_ns, .offset_ns = st->offset_ns,
		.records = (uint32_t)w->records, .frame = w->t->frame, .frame_len = w->t->len,
		.probe = st->ingest->chunk_probe, .n_probes = w->n_probes,
	};

	return store_chunk(st->ingest->store, &c, err);
}

/* Records of probes that the store does not know can never be read: they are a loss, but not the agent's fault. */
static int put_orphans(const struct walk *w, struct error *err)
{
	taken_orphan(w->t);
	return store_loss(w->t->st->ingest->store, w->t->st->agent, w->request, w->t->now_ns, w->records, "unknown-probe", err);
}

int ingest_chunk(const struct taken *t, struct error *err)
{
	struct collector_counts *counts = t->st->ingest->counts;
	struct walk w = { .t = t };
	int rc = taken_request(t, &w.request, err);

	if (!rc)
		rc = open_chunk(&w, err);
	if (!rc)
		rc = walk_records(&w, err);
	if (rc || !w.records)
		return rc;
	if (w.orphan)
		return put_orphans(&w, err);
	rc = put_chunk(&w, err);
	if (rc)
		return rc;
	counts->chunks++;
	counts->records += w.records;
	counts->chunk_bytes += t->len;
	taken_publish(t, w.request);
	return 0;
}
