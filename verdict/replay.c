/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a stored verdict: its bytes are as hostile as anything that comes over a socket. */
#include "replay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "frame.h"

enum { NOTE_MAX = 64 << 10 };

/* One arm of a tick and what its pointers point to. */
struct arm_data {
	struct arm_tick tick;
	__u64 hist[HIST_BUCKETS];
	uint64_t lines[CLAIM_LINES];
	struct watched watched[CLAIM_WATCHED];
	struct error_value values[CLAIM_VALUES];
};

/* Owns the verdict until it is handed out. */
struct reader {
	struct verdict *verdict;
	struct claim claim;
	struct arm_data base, cand;
	struct error *err;
};

/* ---- values ---- */

static bool get_double(const msgpack_object *o, double *out)
{
	uint64_t u;

	if (o && (o->type == MSGPACK_OBJECT_FLOAT64 || o->type == MSGPACK_OBJECT_FLOAT32)) {
		*out = o->via.f64;
		return true;
	}
	if (!object_u64(o, &u))
		return false;
	*out = (double)u;
	return true;
}

static bool get_u32(const msgpack_object *o, uint32_t *out)
{
	uint64_t u;

	if (!object_u64(o, &u) || u > UINT32_MAX)
		return false;
	*out = (uint32_t)u;
	return true;
}

static bool get_text(const msgpack_object *o, char *out, size_t size)
{
	if (!o || o->type != MSGPACK_OBJECT_STR || o->via.str.size >= size || memchr(o->via.str.ptr, '\0', o->via.str.size))
		return false;
	memcpy(out, o->via.str.ptr, o->via.str.size);
	out[o->via.str.size] = '\0';
	return true;
}

static const msgpack_object_array *get_array(const msgpack_object *o)
{
	return o && o->type == MSGPACK_OBJECT_ARRAY ? &o->via.array : NULL;
}

/* ---- the claim ---- */

static bool take_names(const msgpack_object *o, char names[][CLAIM_NAME], uint32_t *n, uint32_t max)
{
	const msgpack_object_array *a = get_array(o);

	if (!a || a->size > max)
		return false;
	*n = a->size;
	for (uint32_t i = 0; i < a->size; i++)
		if (!get_text(&a->ptr[i], names[i], CLAIM_NAME))
			return false;
	return true;
}

static bool take_guard(const msgpack_object *o, struct guard *g)
{
	const msgpack_object_array *a = get_array(o);
	uint32_t kind;

	if (!a || a->size != 7 || !get_u32(&a->ptr[0], &kind) || kind >= GUARD_KINDS)
		return false;
	g->kind = (enum guard_kind)kind;
	return get_double(&a->ptr[1], &g->margin) && get_double(&a->ptr[2], &g->quantile) && get_double(&a->ptr[3], &g->floor) &&
	       get_u32(&a->ptr[4], &g->watched) && get_u32(&a->ptr[5], &g->most_per) &&
	       object_bool(&a->ptr[6], &g->optional);
}

static bool take_guards(const msgpack_object *o, struct claim *c)
{
	const msgpack_object_array *a = get_array(o);

	if (!a || a->size > CLAIM_GUARDS)
		return false;
	c->guards = a->size;
	for (uint32_t i = 0; i < a->size; i++)
		if (!take_guard(&a->ptr[i], &c->guard[i]))
			return false;
	return true;
}

/* 0 is never written. */
static bool take_optional(const msgpack_object *o, uint32_t *to)
{
	return !o || (get_u32(o, to) && *to);
}

static bool take_claim(const msgpack_object *map, struct claim *c)
{
	uint32_t arms, expect;

	if (!get_u32(map_get(map, "arms"), &arms) || arms > ARMS_BY_TIME || !get_u32(map_get(map, "expect"), &expect) ||
	    expect > EXPECT_RATIO)
		return false;
	c->arms = (enum claim_arms)arms;
	c->expect = (enum claim_expect)expect;
	return get_text(map_get(map, "function"), c->function, CLAIM_NAME) &&
	       get_text(map_get(map, "trigger"), c->trigger, CLAIM_NAME) && get_double(map_get(map, "factor"), &c->factor) &&
	       get_double(map_get(map, "alpha"), &c->alpha) && object_u64(map_get(map, "min_triggers"), &c->min_triggers) &&
	       get_u32(map_get(map, "together"), &c->together) && object_u64(map_get(map, "min_line_hits"), &c->min_line_hits) &&
	       get_double(map_get(map, "lost_limit"), &c->lost_limit) &&
	       get_double(map_get(map, "unpaired_limit"), &c->unpaired_limit) &&
	       object_u64(map_get(map, "warmup_calls"), &c->warmup_calls) &&
	       object_u64(map_get(map, "deadline_ns"), &c->deadline_ns) &&
	       take_names(map_get(map, "lines"), c->line, &c->lines, CLAIM_LINES) && take_optional(map_get(map, "lines_shared"), &c->lines_shared) &&
	       take_optional(map_get(map, "lines_any"), &c->lines_any) &&
	       take_names(map_get(map, "watched"), c->watched_name, &c->watched, CLAIM_WATCHED) &&
	       take_guards(map_get(map, "guards"), c);
}

/* ---- a tick ---- */

static bool is_nil(const msgpack_object *o)
{
	return o->type == MSGPACK_OBJECT_NIL;
}

static bool take_hist(const msgpack_object *o, struct arm_data *d)
{
	const msgpack_object_array *a = get_array(o);

	if (is_nil(o))
		return true;
	if (!a || a->size % 2)
		return false;
	memset(d->hist, 0, sizeof(d->hist));
	for (uint32_t i = 0; i < a->size; i += 2) {
		uint64_t count;
		uint32_t bucket;

		if (!get_u32(&a->ptr[i], &bucket) || bucket >= HIST_BUCKETS || !object_u64(&a->ptr[i + 1], &count))
			return false;
		d->hist[bucket] = count;
	}
	d->tick.hist = d->hist;
	return true;
}

static bool take_lines(const msgpack_object *o, const struct claim *c, struct arm_data *d)
{
	const msgpack_object_array *a = get_array(o);

	if (is_nil(o))
		return true;
	if (!a || a->size != c->lines)
		return false;
	for (uint32_t i = 0; i < a->size; i++)
		if (!object_u64(&a->ptr[i], &d->lines[i]))
			return false;
	d->tick.line_hits = d->lines;
	return true;
}

static bool take_watched(const msgpack_object *o, const struct claim *c, struct arm_data *d)
{
	const msgpack_object_array *a = get_array(o);

	if (is_nil(o))
		return true;
	if (!a || a->size != 2 * c->watched)
		return false;
	for (uint32_t i = 0; i < c->watched; i++)
		if (!object_u64(&a->ptr[2 * i], &d->watched[i].calls) || !object_u64(&a->ptr[2 * i + 1], &d->watched[i].per))
			return false;
	d->tick.watched = d->watched;
	return true;
}

static bool take_values(const msgpack_object *o, struct arm_data *d)
{
	const msgpack_object_array *a = get_array(o);

	if (!a || a->size % 3 || a->size / 3 > CLAIM_VALUES)
		return false;
	d->tick.values = d->values;
	d->tick.n_values = a->size / 3;
	for (uint32_t i = 0; i < d->tick.n_values; i++) {
		struct error_value *v = &d->values[i];

		if (!get_u32(&a->ptr[3 * i], &v->where) || !object_i64(&a->ptr[3 * i + 1], &v->value) ||
		    !object_u64(&a->ptr[3 * i + 2], &v->count))
			return false;
	}
	return true;
}

static bool take_arm(const msgpack_object *o, const struct claim *c, struct arm_data *d)
{
	const msgpack_object_array *a = get_array(o);
	struct arm_tick *t = &d->tick;
	uint64_t *const counts[] = { &t->span_ns,        &t->calls,           &t->errors, &t->triggers,
				     &t->trigger_errors, &t->trigger_unknown, &t->lost,   &t->unpaired };

	memset(t, 0, sizeof(*t));
	if (!a || a->size != 18)
		return false;
	for (unsigned i = 0; i < 8; i++)
		if (!object_u64(&a->ptr[i], counts[i]))
			return false;
	return get_u32(&a->ptr[8], &t->processes) && get_double(&a->ptr[9], &t->probe_ns) &&
	       get_text(&a->ptr[10], t->site_kind, CLAIM_SITE) && take_hist(&a->ptr[11], d) && take_lines(&a->ptr[12], c, d) &&
	       take_watched(&a->ptr[13], c, d) && take_values(&a->ptr[14], d) &&
	       get_double(&a->ptr[15], &t->probe_most_ns) && get_u32(&a->ptr[16], &t->unseen) && get_u32(&a->ptr[17], &t->died);
}

/* ---- the stream ---- */

static int damaged(const struct reader *r, const char *what)
{
	return error_set(r->err, EPROTO, "the stored verdict is damaged: %s", what);
}

static int begin(struct reader *r, const msgpack_object_array *a)
{
	char name[32];
	uint64_t version;

	if (a->size != 3 || !get_text(&a->ptr[0], name, sizeof(name)) || strcmp(name, "plumb-verdict") != 0 ||
	    !object_u64(&a->ptr[1], &version))
		return error_set(r->err, EPROTO, "this is not a stored verdict");
	if (version != VERDICT_VERSION)
		return error_set(r->err, EPROTO, "the verdict was stored by version %llu of the rules; this is version %d",
				 (unsigned long long)version, VERDICT_VERSION);
	if (!take_claim(&a->ptr[2], &r->claim))
		return damaged(r, "its claim cannot be read");
	r->verdict = verdict_new(&r->claim, r->err);
	return r->verdict ? 0 : -EINVAL;
}

static int step(struct reader *r, const msgpack_object_array *a)
{
	char reason[512];
	uint32_t what;

	if (a->size < 2 || !get_u32(&a->ptr[0], &what))
		return damaged(r, "an entry has no kind");
	switch (what) {
	case 0:
		if (a->size != 3 || !take_arm(&a->ptr[1], &r->claim, &r->base) || !take_arm(&a->ptr[2], &r->claim, &r->cand))
			return damaged(r, "a tick cannot be read");
		return verdict_tick(r->verdict, &r->base.tick, &r->cand.tick, r->err);
	case 1:
		if (!get_text(&a->ptr[1], reason, sizeof(reason)))
			return damaged(r, "its end cannot be read");
		verdict_end(r->verdict, reason);
		return 0;
	case 2:
		return 0;
	default:
		return damaged(r, "an entry of an unknown kind");
	}
}

/* Takes one entry: its bytes, or -EPROTO. */
static ssize_t take_entry(const char *data, size_t len, msgpack_zone *zone, const msgpack_object_array **a, msgpack_object *o,
			  struct error *err)
{
	ssize_t n = pack_take(data, len, zone, o);

	*a = n > 0 ? get_array(o) : NULL;
	if (*a)
		return n;
	return error_set(err, n == -ENOMEM ? ENOMEM : EPROTO, "the stored verdict is damaged: %s",
			 n == 0 ? "it ends in the middle of an entry" : "an entry is not an array");
}

static int read_all(struct reader *r, const char *data, size_t len)
{
	msgpack_zone zone;
	int rc = 0;

	if (!msgpack_zone_init(&zone, MSGPACK_ZONE_CHUNK_SIZE))
		return error_set(r->err, ENOMEM, "no memory to read a verdict");
	for (size_t at = 0; !rc && at < len;) {
		const msgpack_object_array *a;
		msgpack_object o;
		ssize_t n = take_entry(data + at, len - at, &zone, &a, &o, r->err);

		if (!a)
			rc = n < 0 ? (int)n : -EPROTO;
		else
			rc = r->verdict ? step(r, a) : begin(r, a);
		at += n > 0 ? (size_t)n : 0;
		msgpack_zone_clear(&zone);
	}
	msgpack_zone_destroy(&zone);
	return rc;
}

static void tell_note(const msgpack_object_array *a, verdict_note_fn each, void *arg)
{
	uint32_t what;
	char *key, *value;

	if (a->size != 3 || !get_u32(&a->ptr[0], &what) || what != 2)
		return;
	key = object_text(&a->ptr[1], NOTE_MAX);
	value = object_text(&a->ptr[2], NOTE_MAX);
	if (key && value)
		each(arg, key, value);
	free(key);
	free(value);
}

int verdict_notes(const void *data, size_t len, verdict_note_fn each, void *arg, struct error *err)
{
	msgpack_zone zone;
	ssize_t n = 0;

	if (!msgpack_zone_init(&zone, MSGPACK_ZONE_CHUNK_SIZE))
		return error_set(err, ENOMEM, "no memory to read a verdict");
	for (size_t at = 0; n >= 0 && at < len; at += n > 0 ? (size_t)n : 0) {
		const msgpack_object_array *a;
		msgpack_object o;

		n = take_entry((const char *)data + at, len - at, &zone, &a, &o, err);
		if (a)
			tell_note(a, each, arg);
		msgpack_zone_clear(&zone);
	}
	msgpack_zone_destroy(&zone);
	return n < 0 ? (int)n : 0;
}

struct verdict *verdict_replay(const void *data, size_t len, struct error *err)
{
	struct reader *r = calloc(1, sizeof(*r));
	struct verdict *v = NULL;
	int rc;

	if (!r) {
		error_set(err, ENOMEM, "no memory to read a verdict");
		return NULL;
	}
	r->err = err;
	rc = read_all(r, data, len);
	if (!rc && !r->verdict)
		rc = error_set(err, EPROTO, "the stored verdict is empty");
	if (rc)
		verdict_free(r->verdict);
	else
		v = r->verdict;
	free(r);
	return v;
}
