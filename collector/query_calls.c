/* SPDX-License-Identifier: Apache-2.0 */
/* The newest calls, and the commonest arguments among them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "query_internal.h"
#include "record_json.h"
#include "records.h"
#include "text.h"

enum { CALLS_DEFAULT = 100, CALL_CHUNKS_MAX = 400, TOP_CHUNKS_MAX = 2000, TOP_RECORDS_MAX = 200000,
       TOP_VALUES_MAX = 4096, TOP_SLOTS = 2 * TOP_VALUES_MAX, TOP_SHOWN = 10, TOP_TEXT_MAX = 200, TOP_DEPTH = 4 };

/* ---- calls ---- */

struct call { uint64_t ts_ns; size_t at, len; };

/* The newest `max` calls. A chunk is in the order of time, the chunks come newest first and may overlap. */
struct calls {
	struct call *call;
	uint32_t n, max;
	bool more;
	struct buf text;
	uint64_t oldest_ns;          /* when it is full: of those that are kept */
};

static int by_time(const void *a, const void *b)
{
	const struct call *x = a, *y = b;

	return x->ts_ns < y->ts_ns ? 1 : x->ts_ns > y->ts_ns ? -1 : x->at < y->at ? 1 : -1;
}

/* Room for twice as many as are wanted: only then the older half is dropped. */
static int make_room(struct calls *c)
{
	struct buf kept = { 0 };

	if (c->n < 2 * c->max)
		return 0;
	qsort(c->call, c->n, sizeof(*c->call), by_time);
	c->n = c->max;
	c->more = true;
	c->oldest_ns = c->call[c->n - 1].ts_ns;
	for (uint32_t i = 0; i < c->n; i++) {
		size_t at = kept.len;

		buf_add(&kept, c->text.data + c->call[i].at, c->call[i].len);
		c->call[i].at = at;
	}
	buf_free(&c->text);
	c->text = kept;
	return kept.failed ? -ENOMEM : 0;
}

static int keep_call(const struct record *rec, const struct record_place *place, void *arg)
{
	struct calls *c = arg;
	struct record shifted = *rec;
	struct buf host = { 0 };
	size_t at = c->text.len;

	shifted.ts_ns += (uint64_t)place->offset_ns;
	if (shifted.ts_ns < c->oldest_ns) {
		c->more = true;
		return 0;
	}
	buf_str(&host, ",\"host\":");
	text_json_str(&host, place->host);
	buf_printf(&host, ",\"request\":%llu", (unsigned long long)place->request);
	record_json(&shifted, &host, place->comm, &c->text);
	buf_free(&host);
	c->call[c->n++] = (struct call){ shifted.ts_ns, at, c->text.len - at };
	return c->text.failed ? -ENOMEM : make_room(c);
}

static void put_calls(struct calls *c, uint32_t broken, struct buf *out)
{
	qsort(c->call, c->n, sizeof(*c->call), by_time);
	buf_str(out, "{\"calls\":[");
	for (uint32_t i = 0; i < c->n && i < c->max; i++) {
		if (i)
			buf_char(out, ',');
		buf_add(out, c->text.data + c->call[i].at, c->call[i].len);
	}
	buf_printf(out, "],\"more\":%s,\"broken_chunks\":%u}", c->more || c->n > c->max ? "true" : "false", broken);
}

int query_calls(struct reader *r, const struct query *q, struct buf *out, struct error *err)
{
	struct calls c = { .max = q->limit ? q->limit : CALLS_DEFAULT };
	uint32_t broken = 0;
	bool more = false;
	int rc;

	if (c.max > QUERY_CALLS_MAX)
		c.max = QUERY_CALLS_MAX;
	c.call = calloc(2 * c.max + 1, sizeof(*c.call));
	rc = c.call ? records_each(r, q, CALL_CHUNKS_MAX, keep_call, &c, &more, &broken, err) : -ENOMEM;
	c.more |= more;
	if (!rc)
		put_calls(&c, broken, out);
	if (!rc && out->failed)
		rc = -ENOMEM;
	free(c.call);
	buf_free(&c.text);
	return rc == -ENOMEM ? error_set(err, ENOMEM, "no memory for an answer") : rc;
}

/* ---- the commonest values ---- */

/* One value of one field. Owns its texts. */
struct value { char *field, *json; uint64_t calls; };

struct top {
	struct value *value;
	uint32_t n;
	uint32_t slot[TOP_SLOTS];    /* hash -> index + 1 */
	uint64_t calls, rest;        /* rest: values that had no room */
	struct buf scratch;
};

/* FNV-1a, http://www.isthe.com/chongo/tech/comp/fnv/ */
static uint32_t hash(const char *a, const char *b)
{
	uint32_t h = 2166136261u;

	for (; *a; a++)
		h = (h ^ (unsigned char)*a) * 16777619u;
	h = (h ^ 0xff) * 16777619u;
	for (; *b; b++)
		h = (h ^ (unsigned char)*b) * 16777619u;
	return h;
}

/* The slot of a value, or the free one where it belongs: there are twice as many slots as values. */
static uint32_t *value_slot(struct top *t, const char *field, const char *json)
{
	uint32_t at = hash(field, json) % TOP_SLOTS;

	while (t->slot[at] && (strcmp(t->value[t->slot[at] - 1].json, json) || strcmp(t->value[t->slot[at] - 1].field, field)))
		at = (at + 1) % TOP_SLOTS;
	return &t->slot[at];
}

static int count_value(struct top *t, const char *field)
{
	const char *json = buf_text(&t->scratch);
	uint32_t *slot = value_slot(t, field, json);
	struct value *v;

	if (*slot) {
		t->value[*slot - 1].calls++;
		return 0;
	}
	if (t->n == TOP_VALUES_MAX) {
		t->rest++;
		return 0;
	}
	v = &t->value[t->n];
	*v = (struct value){ strdup(field), strdup(json), 1 };
	*slot = ++t->n;
	return v->field && v->json ? 0 : -ENOMEM;
}

/* Structures are taken apart: their members are what differs. */
static int count_shape(struct top *t, const char *name, const struct shape *s, const msgpack_object *value, int depth)
{
	const msgpack_object_array *members = value->type == MSGPACK_OBJECT_ARRAY ? &value->via.array : NULL;
	int rc = 0;

	if (s->kind == SHAPE_POINTER && members && members->size == 2 && s->n_children == 1)
		return depth ? count_shape(t, name, s->child[0].shape, &members->ptr[1], depth - 1) : 0;
	if ((s->kind == SHAPE_STRUCT || s->kind == SHAPE_UNION) && members && members->size == s->n_children) {
		for (uint32_t i = 0; !rc && depth && i < s->n_children; i++) {
			struct buf member = { 0 };

			buf_printf(&member, "%s.%s", name, s->child[i].name);
			rc = member.failed ? -ENOMEM : count_shape(t, buf_text(&member), s->child[i].shape, &members->ptr[i], depth - 1);
			buf_free(&member);
		}
		return rc;
	}
	buf_clear(&t->scratch);
	shape_json(s, value, &t->scratch);
	return t->scratch.failed ? -ENOMEM : t->scratch.len > TOP_TEXT_MAX ? 0 : count_value(t, name);
}

/* The first field of a pattern is the function's number. */
static int count_function(struct top *t, const struct record *rec)
{
	buf_clear(&t->scratch);
	text_json_str(&t->scratch, probe_function(rec->probe, rec->function));
	return t->scratch.failed ? -ENOMEM : t->scratch.len > TOP_TEXT_MAX ? 0 : count_value(t, "$function");
}

static int count_record(const struct record *rec, const struct record_place *place, void *arg)
{
	struct top *t = arg;
	int rc = 0;

	t->calls++;
	if (rec->probe->n_functions)
		rc = count_function(t, rec);
	for (uint32_t i = rec->probe->n_functions ? 1 : 0; !rc && i < rec->probe->n_fields; i++)
		if (!rec->probe->field[i].at_return || rec->returned)
			rc = count_shape(t, rec->probe->field[i].name, rec->probe->field[i].shape, &rec->value[i], TOP_DEPTH);
	return rc ? rc : t->calls >= TOP_RECORDS_MAX;
}

static int by_calls(const void *a, const void *b)
{
	const struct value *x = a, *y = b;
	int fields = strcmp(x->field, y->field);

	return fields ? fields : x->calls < y->calls ? 1 : x->calls > y->calls ? -1 : strcmp(x->json, y->json);
}

/* {"fields":[{"name":..,"values":[{"value":..,"calls":n},...],"distinct":n}],"calls":n} */
static void put_top(struct top *t, uint32_t limit, bool more, struct buf *out)
{
	qsort(t->value, t->n, sizeof(*t->value), by_calls);
	buf_str(out, "{\"fields\":[");
	for (uint32_t i = 0, end; i < t->n; i = end) {
		for (end = i; end < t->n && !strcmp(t->value[end].field, t->value[i].field);)
			end++;
		buf_str(out, i ? ",{\"name\":" : "{\"name\":");
		text_json_str(out, t->value[i].field);
		buf_printf(out, ",\"distinct\":%u,\"values\":[", end - i);
		for (uint32_t k = i; k < end && k < i + limit; k++)
			buf_printf(out, "%s{\"value\":%s,\"calls\":%llu}", k > i ? "," : "", t->value[k].json, (unsigned long long)t->value[k].calls);
		buf_str(out, "]}");
	}
	buf_printf(out, "],\"calls\":%llu,\"uncounted\":%llu,\"more\":%s}", (unsigned long long)t->calls, (unsigned long long)t->rest,
		   more ? "true" : "false");
}

static void top_free(struct top *t)
{
	if (!t)
		return;
	for (uint32_t i = 0; t->value && i < t->n; i++) {
		free(t->value[i].field);
		free(t->value[i].json);
	}
	free(t->value);
	buf_free(&t->scratch);
	free(t);
}

int query_top(struct reader *r, const struct query *q, struct buf *out, struct error *err)
{
	struct top *t = calloc(1, sizeof(*t));
	uint32_t broken = 0;
	bool more = false;
	int rc = -ENOMEM;

	if (t)
		t->value = calloc(TOP_VALUES_MAX, sizeof(*t->value));
	if (t && t->value)
		rc = records_each(r, q, TOP_CHUNKS_MAX, count_record, t, &more, &broken, err);
	if (!rc) {
		put_top(t, q->limit ? q->limit : TOP_SHOWN, more || t->calls >= TOP_RECORDS_MAX, out);
		rc = out->failed ? -ENOMEM : 0;
	}
	top_free(t);
	return rc == -ENOMEM ? error_set(err, ENOMEM, "no memory for an answer") : rc;
}
