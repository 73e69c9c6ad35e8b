/* SPDX-License-Identifier: Apache-2.0 */
/* The records of a CHUNK. Their objects live in one zone that is cleared per record: no allocation once it has grown. */
#include <errno.h>
#include <string.h>

#include "inflate.h"
#include "model.h"

static int malformed(struct error *err, const char *why)
{
	return error_set(err, EPROTO, "the agent sent malformed records: %s", why);
}

static int inflate_records(struct chunk *k, struct model *m, uint64_t codec, struct error *err)
{
	int rc;

	if (!m->inflater)
		m->inflater = inflater_new();
	rc = m->inflater ? inflater_records(m->inflater, codec, k->data, k->len, CHUNK_RAW_MAX, &k->data, &k->len) : -ENOMEM;
	if (rc == -ENOMEM)
		return error_set(err, ENOMEM, "no memory for a chunk");
	return rc ? malformed(err, rc == -EMSGSIZE ? "a chunk that is too large" : "a chunk that cannot be inflated") : 0;
}

enum { CHUNK_ELEMENTS = 7 };

int chunk_open(struct chunk *k, struct model *m, const struct frame_in *in, struct error *err)
{
	const msgpack_object *o = in->items;
	uint64_t codec;

	memset(k, 0, sizeof(*k));
	if (in->count < CHUNK_ELEMENTS || !object_u64(&o[3], &k->base_ns) || !object_u64(&o[4], &k->count) || !object_u64(&o[5], &codec) ||
	    o[6].type != MSGPACK_OBJECT_BIN)
		return malformed(err, "a chunk's head");
	k->source = model_source(m, in, CHUNK_ELEMENTS);
	if (!k->source)
		return malformed(err, "a chunk of no source");
	k->data = o[6].via.bin.ptr;
	k->len = o[6].via.bin.size;
	return codec == WIRE_CODEC_NONE ? 0 : inflate_records(k, m, codec, err);
}

/* [probe, delta, pid, tid, flags, duration, values...] */
enum { AT_PROBE, AT_DELTA, AT_PID, AT_TID, AT_FLAGS, AT_DURATION, AT_VALUES };

static int read_head(const msgpack_object_array *a, const struct chunk *k, struct record *r)
{
	uint64_t head[AT_VALUES];

	if (a->size < AT_VALUES)
		return -EPROTO;
	for (int i = 0; i < AT_VALUES; i++)
		if (i != AT_DELTA && !object_u64(&a->ptr[i], &head[i]))
			return -EPROTO;
	int64_t delta;

	if (!object_i64(&a->ptr[AT_DELTA], &delta))
		return -EPROTO;
	if (head[AT_PROBE] > UINT32_MAX || head[AT_PID] > UINT32_MAX || head[AT_TID] > UINT32_MAX)
		return -EPROTO;
	r->probe = idmap_get(&k->source->probe_of, (uint32_t)head[AT_PROBE]);
	if (!r->probe || a->size != AT_VALUES + r->probe->n_fields)
		return -EPROTO;
	r->source = k->source;
	r->ts_ns = k->base_ns + (uint64_t)delta;   /* a call that began before the chunk has a negative delta */
	r->pid = (uint32_t)head[AT_PID];
	r->tid = (uint32_t)head[AT_TID];
	r->returned = head[AT_FLAGS] & EVENT_RETURN;
	r->error = head[AT_FLAGS] & EVENT_ERROR;
	r->duration_ns = head[AT_DURATION];
	r->value = a->ptr + AT_VALUES;
	if (r->probe->n_functions) { /* its first field */
		uint64_t function;

		if (!r->probe->n_fields || !object_u64(&r->value[0], &function) || function >= r->probe->n_functions)
			return -EPROTO;
		r->function = (uint32_t)function;
	}
	return 0;
}

int chunk_next(struct chunk *k, struct model *m, struct record *r, struct error *err)
{
	msgpack_object o;
	ssize_t n;

	if (k->len == 0)
		return 0;
	msgpack_zone_clear(&m->zone);
	n = pack_take(k->data, k->len, &m->zone, &o);
	if (n == -ENOMEM)
		return error_set(err, ENOMEM, "no memory for a record");
	if (n <= 0 || o.type != MSGPACK_OBJECT_ARRAY)
		return malformed(err, n == 0 ? "the last one is cut" : "not a record");
	if (read_head(&o.via.array, k, r) < 0)
		return malformed(err, "one does not fit its probe");
	k->data += n;
	k->len -= (size_t)n;
	return 1;
}
