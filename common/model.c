/* SPDX-License-Identifier: Apache-2.0 */
#include "model.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "inflate.h"
#include "model_internal.h"
#include "text.h"

enum { TEXT_MAX = 8192, ZONE_BYTES = 64 * 1024 };

int model_init(struct model *m)
{
	memset(m, 0, sizeof(*m));
	m->has_zone = msgpack_zone_init(&m->zone, ZONE_BYTES);
	return m->has_zone ? 0 : -ENOMEM;
}

static void probe_free(struct probe *p)
{
	if (!p)
		return;
	for (uint32_t i = 0; i < p->n_fields; i++) {
		free(p->field[i].name);
		shape_free(p->field[i].shape);
	}
	free(p->field);
	free(p->spec);
	free(p->function);
	free(p->module);
	free(p->build_id);
	free(p->file);
	buf_free(&p->json);
	buf_free(&p->json_rest);
	model_free_functions(p);
	free(p);
}

static void source_free(struct source *s)
{
	for (uint32_t i = 0; i < s->n_processes; i++) {
		free(s->process[i]->comm);
		free(s->process[i]);
	}
	for (uint32_t i = 0; i < s->n_rows; i++)
		free(s->row[i]);
	free(s->process);
	free(s->row);
	idmap_free(&s->probe_of);
	idmap_free(&s->process_of);
	free(s->host);
	free(s);
}

void model_free(struct model *m)
{
	for (uint32_t i = 0; i < m->n_probes; i++)
		probe_free(m->probe[i]);
	for (uint32_t i = 0; i < m->n_sources; i++)
		source_free(m->source[i]);
	free(m->probe);
	free(m->source);
	idmap_free(&m->source_of);
	inflater_free(m->inflater);
	if (m->has_zone)
		msgpack_zone_destroy(&m->zone);
}

static int malformed(struct error *err, const char *what)
{
	return error_set(err, EPROTO, "the agent sent a malformed %s", what);
}

static int no_memory(struct error *err)
{
	return error_set(err, ENOMEM, "no memory for what the agent sends");
}

/* Text that is safe to print; "" if there is none. NULL: no memory. */
char *safe_text(const msgpack_object *o)
{
	char *raw = object_text(o, TEXT_MAX);
	struct buf safe = { 0 };

	if (raw)
		text_escape(&safe, raw, strlen(raw), 0);
	free(raw);
	if (safe.failed) {
		buf_free(&safe);
		return NULL;
	}
	return safe.data ? safe.data : strdup("");
}

/* Makes room for one more pointer in an array whose size goes in powers of two. */
static int room(void *array, uint32_t n, uint32_t max)
{
	void **now = *(void ***)array, **more;

	if (n >= max)
		return -ENOSPC;
	if (n & (n - 1))
		return 0;
	more = realloc(now, (n ? 2 * (size_t)n : 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	*(void ***)array = more;
	return 0;
}

/* ---- sources ---- */

static struct source *source_add(struct model *m, uint32_t number)
{
	struct source *s;

	if (room(&m->source, m->n_sources, MODEL_SOURCES_MAX) < 0)
		return NULL;
	s = calloc(1, sizeof(*s));
	if (!s || idmap_set(&m->source_of, number, s) < 0) {
		free(s);
		return NULL;
	}
	s->number = number;
	m->source[m->n_sources++] = s;
	return s;
}

struct source *model_source(struct model *m, const struct frame_in *in, uint32_t n)
{
	uint64_t number = 0;
	struct source *s;

	if (in->count > n && (!object_u64(&in->items[n], &number) || number > UINT32_MAX))
		return NULL;
	s = idmap_get(&m->source_of, (uint32_t)number);
	return s ? s : source_add(m, (uint32_t)number);
}

static int no_source(struct error *err)
{
	return error_set(err, EPROTO, "frames come from too many sources, or from none");
}

/* ---- probes ---- */

static int unpack_field(struct field *f, const msgpack_object *o, struct error *err)
{
	const msgpack_object *part = o->via.array.ptr;
	uint64_t role;

	if (o->type != MSGPACK_OBJECT_ARRAY || o->via.array.size != 3 || !object_u64(&part[1], &role) || role > 1)
		return malformed(err, "field");
	f->at_return = role == 1;
	f->name = safe_text(&part[0]);
	if (!f->name)
		return no_memory(err);
	return shape_unpack(&part[2], &f->shape, err);
}

static int unpack_fields(struct probe *p, const msgpack_object *list, struct error *err)
{
	uint32_t n;

	if (!list || list->type != MSGPACK_OBJECT_ARRAY || list->via.array.size > MODEL_FIELDS_MAX)
		return malformed(err, "list of fields");
	n = list->via.array.size;
	p->field = calloc(n ? n : 1, sizeof(*p->field));
	if (!p->field)
		return no_memory(err);
	p->n_fields = n;
	for (uint32_t i = 0; i < n; i++) {
		int rc = unpack_field(&p->field[i], &list->via.array.ptr[i], err);

		if (rc)
			return rc;
	}
	return 0;
}

static void prepare_json(struct probe *p)
{
	struct buf *rest = p->n_functions ? &p->json_rest : &p->json;

	buf_str(&p->json, "\"probe\":");
	text_json_str(&p->json, p->spec);
	buf_str(&p->json, ",\"function\":");
	if (!p->n_functions)
		text_json_str(&p->json, p->function);
	buf_str(rest, ",\"build_id\":");
	text_json_str(rest, p->build_id);
}

static int unpack_probe(struct probe *p, const msgpack_object *map, struct error *err)
{
	uint64_t id = 0;
	int rc;

	if (!object_u64(map_get(map, "probe"), &id) || id > UINT32_MAX)
		return malformed(err, "probe");
	p->id = (uint32_t)id;
	p->spec = safe_text(map_get(map, "spec"));
	p->function = safe_text(map_get(map, "function"));
	p->module = safe_text(map_get(map, "module"));
	p->build_id = safe_text(map_get(map, "build_id"));
	p->file = safe_text(map_get(map, "file"));
	if (!p->spec || !p->function || !p->module || !p->build_id || !p->file)
		return no_memory(err);
	object_u64(map_get(map, "line"), &p->line);
	object_bool(map_get(map, "call"), &p->call);
	object_bool(map_get(map, "condition"), &p->condition);
	object_bool(map_get(map, "has_error"), &p->has_error);
	rc = model_make_functions(p, map_get(map, "functions"));
	if (rc)
		return rc == -ENOMEM ? no_memory(err) : malformed(err, "number of functions");
	prepare_json(p);
	return unpack_fields(p, map_get(map, "fields"), err);
}

enum { PROBE_ELEMENTS = 3 };

/* Into the source's map and the model's list. */
static int probe_add(struct model *m, struct source *s, struct probe *p, struct error *err)
{
	if (idmap_get(&s->probe_of, p->id))
		return malformed(err, "probe: its id is taken");
	if (room(&m->probe, m->n_probes, MODEL_PROBES_MAX) < 0 || idmap_set(&s->probe_of, p->id, p) < 0)
		return no_memory(err);
	p->source = s;
	m->probe[m->n_probes++] = p;
	return 0;
}

int model_probe(struct model *m, const struct frame_in *in, struct error *err)
{
	struct source *s = model_source(m, in, PROBE_ELEMENTS);
	struct probe *p;
	int rc;

	if (!s)
		return no_source(err);
	p = calloc(1, sizeof(*p));
	if (!p)
		return no_memory(err);
	rc = in->count < PROBE_ELEMENTS ? malformed(err, "probe") : unpack_probe(p, &in->items[2], err);
	if (!rc)
		rc = probe_add(m, s, p, err);
	if (rc)
		probe_free(p);
	return rc;
}

/* ---- processes ---- */

static int learn_comm(struct model *m, struct source *s, uint32_t pid, const msgpack_object *comm)
{
	struct process *p = idmap_get(&s->process_of, pid);
	char *text = safe_text(comm);

	if (!text)
		return -ENOMEM;
	if (!text[0]) {   /* a name that the agent does not know takes none away */
		free(text);
		return 0;
	}
	if (p) {
		free(p->comm);
		p->comm = text;
		return 0;
	}
	if (m->n_processes >= MODEL_PROCESSES_MAX || room(&s->process, s->n_processes, MODEL_PROCESSES_MAX) < 0) {
		free(text);
		return 0;   /* its records show "?" */
	}
	p = calloc(1, sizeof(*p));
	if (!p || idmap_set(&s->process_of, pid, p) < 0) {
		free(p);
		free(text);
		return -ENOMEM;
	}
	p->pid = pid;
	p->comm = text;
	s->process[s->n_processes++] = p;
	m->n_processes++;
	return 0;
}

static int learn_process(struct model *m, struct source *s, const msgpack_object *o)
{
	const msgpack_object *comm = map_get(o, "comm");
	uint64_t pid;

	if (!object_u64(map_get(o, "pid"), &pid) || pid > UINT32_MAX || !comm)
		return -EPROTO;
	return learn_comm(m, s, (uint32_t)pid, comm);
}

static int learn_host(struct source *s, const msgpack_object *o)
{
	char *host = safe_text(map_get(o, "host"));

	if (!host)
		return -ENOMEM;
	free(s->host);
	s->host = host;
	s->quiet = s->missing = false;
	return 0;
}

static bool text_is(const msgpack_object *o, const char *text)
{
	return o->type == MSGPACK_OBJECT_STR && o->via.str.size == strlen(text) && memcmp(o->via.str.ptr, text, o->via.str.size) == 0;
}

enum { NOTICE_ELEMENTS = 4 };

int model_notice(struct model *m, const struct frame_in *in)
{
	struct source *s;

	if (in->count < NOTICE_ELEMENTS || in->items[3].type != MSGPACK_OBJECT_MAP)
		return 0;
	s = model_source(m, in, NOTICE_ELEMENTS);
	if (!s)
		return -EPROTO;
	if (text_is(&in->items[2], "process"))
		return learn_process(m, s, &in->items[3]);
	return text_is(&in->items[2], "source") ? learn_host(s, &in->items[3]) : 0;
}

const char *source_comm(const struct source *s, uint32_t pid)
{
	const struct process *p = s ? idmap_get(&s->process_of, pid) : NULL;

	return p && p->comm[0] ? p->comm : "?";
}

/* ---- counters ---- */

#define COUNT(key, member) { key, offsetof(struct tally, member) }
static const struct {
	const char *key;
	size_t offset;
} count_keys[] = {
	COUNT("calls", c.calls), COUNT("returns", c.returns), COUNT("errors", c.errors), COUNT("matched", c.matched),
	COUNT("undecided", c.undecided), COUNT("sampled", c.sampled), COUNT("shipped", c.shipped),
	COUNT("unread_fault", unread), COUNT("unread_place", unplaced), COUNT("too_deep", c.too_deep), COUNT("unwound", c.unwound), COUNT("stray", c.stray), COUNT("drop_ring", c.dropped[DROP_RING]),
	COUNT("drop_rate", c.dropped[DROP_RATE]), COUNT("drop_nomem", c.dropped[DROP_NOMEM]), COUNT("drop_client", drop_client),
	COUNT("past_limit", past_limit), COUNT("shown", shown),
	COUNT("sum_ns", c.sum_ns), COUNT("max_ns", c.max_ns),
};
enum { N_COUNT_KEYS = sizeof(count_keys) / sizeof(count_keys[0]) };

static uint64_t *tally_field(struct tally *t, int i)
{
	return (uint64_t *)(void *)((char *)t + count_keys[i].offset);
}

static void add_error_value(struct tally *t, int64_t value, uint64_t count)
{
	for (uint32_t i = 0; i < t->n_error_values; i++) {
		if (t->error_value[i].value == value) {
			t->error_value[i].count += count;
			return;
		}
	}
	if (t->n_error_values < ERROR_VALUES_MAX)
		t->error_value[t->n_error_values++] = (struct value_count){ value, count };
}

void tally_add(struct tally *to, const struct tally *more)
{
	uint64_t max = to->c.max_ns > more->c.max_ns ? to->c.max_ns : more->c.max_ns;

	for (int i = 0; i < N_COUNT_KEYS; i++)
		*tally_field(to, i) += *(const uint64_t *)(const void *)((const char *)more + count_keys[i].offset);
	to->c.max_ns = max;
	for (int i = 0; i < HIST_BUCKETS; i++)
		to->c.hist[i] += more->c.hist[i];
	for (uint32_t i = 0; i < more->n_error_values; i++)
		add_error_value(to, more->error_value[i].value, more->error_value[i].count);
}

static void source_sum(const struct source *s, const struct probe *only, struct tally *out)
{
	for (uint32_t i = 0; i < s->n_rows; i++)
		if (s->row[i]->snapshot == s->snapshot && (!only || s->row[i]->probe == only->id))
			tally_add(out, &s->row[i]->now);
}

void model_sum(const struct model *m, const struct probe *only, struct tally *out)
{
	memset(out, 0, sizeof(*out));
	for (uint32_t i = 0; i < m->n_sources; i++)
		if (!only || only->source == m->source[i])
			source_sum(m->source[i], only, out);
}

static int unpack_hist(struct counts *c, const msgpack_object *list)
{
	const msgpack_object *at;

	if (!list)
		return 0;
	if (list->type != MSGPACK_OBJECT_ARRAY || list->via.array.size % 2)
		return -EPROTO;
	at = list->via.array.ptr;
	for (uint32_t i = 0; i < list->via.array.size; i += 2) {
		uint64_t bucket, n;

		if (!object_u64(&at[i], &bucket) || bucket >= HIST_BUCKETS || !object_u64(&at[i + 1], &n))
			return -EPROTO;
		c->hist[bucket] = n;
	}
	return 0;
}

static int unpack_error_values(struct tally *t, const msgpack_object *list)
{
	if (!list)
		return 0;
	if (list->type != MSGPACK_OBJECT_ARRAY || list->via.array.size % 2 || list->via.array.size > 2 * ERROR_VALUES_MAX)
		return -EPROTO;
	for (uint32_t i = 0; i < list->via.array.size; i += 2) {
		int64_t value;
		uint64_t count;

		if (!object_i64(&list->via.array.ptr[i], &value) || !object_u64(&list->via.array.ptr[i + 1], &count))
			return -EPROTO;
		add_error_value(t, value, count);
	}
	return 0;
}

int tally_unpack(struct tally *t, const msgpack_object *map)
{
	memset(t, 0, sizeof(*t));
	if (map->type != MSGPACK_OBJECT_MAP)
		return -EPROTO;
	for (int i = 0; i < N_COUNT_KEYS; i++)
		object_u64(map_get(map, count_keys[i].key), tally_field(t, i));
	if (unpack_error_values(t, map_get(map, "error_values")))
		return -EPROTO;
	return unpack_hist(&t->c, map_get(map, "hist"));
}

static bool row_is(const struct row *r, uint32_t probe, uint32_t pid)
{
	return r->probe == probe && r->pid == pid;
}

static struct row *row_add(struct model *m, struct source *s, uint32_t probe, uint32_t pid)
{
	struct row *r;

	if (m->n_rows >= MODEL_ROWS_MAX || room(&s->row, s->n_rows, MODEL_ROWS_MAX) < 0)
		return NULL;
	r = calloc(1, sizeof(*r));
	if (!r)
		return NULL;
	r->probe = probe;
	r->pid = pid;
	s->row[s->n_rows++] = r;
	m->n_rows++;
	return r;
}

/* Snapshots list their rows in the same order, so the row after the last one found is tried first. */
static struct row *find_row(struct model *m, struct source *s, uint32_t probe, uint32_t pid)
{
	for (uint32_t i = 0; i < s->n_rows; i++) {
		uint32_t at = (s->next_row + i) % s->n_rows;

		if (row_is(s->row[at], probe, pid)) {
			s->next_row = at + 1;
			return s->row[at];
		}
	}
	return row_add(m, s, probe, pid);
}

/* Several rows of one snapshot may name no process (pid 0): they add up. */
static void row_take(const struct source *s, struct row *row, const struct tally *t)
{
	if (row->snapshot != s->snapshot)
		memset(&row->now, 0, sizeof(row->now));
	row->snapshot = s->snapshot;
	tally_add(&row->now, t);
}

static int unpack_row(struct model *m, struct source *s, const msgpack_object *o, struct error *err)
{
	const msgpack_object *part = o->via.array.ptr;
	uint64_t probe, pid;
	struct tally t;
	struct row *row;

	if (o->type != MSGPACK_OBJECT_ARRAY || o->via.array.size < 4 || !object_u64(&part[0], &probe) || probe > UINT32_MAX ||
	    !object_u64(&part[1], &pid) || pid > UINT32_MAX)
		return malformed(err, "row of counters");
	row = find_row(m, s, (uint32_t)probe, (uint32_t)pid);
	if (!row || (pid && learn_comm(m, s, (uint32_t)pid, &part[2]) < 0))
		return no_memory(err);
	if (tally_unpack(&t, &part[3]) < 0)
		return malformed(err, "row of counters");
	row_take(s, row, &t);
	return 0;
}

int model_stats(struct model *m, const struct frame_in *in, struct error *err)
{
	const uint32_t at = in->type == WIRE_END ? 4 : 3;
	const msgpack_object *rows = in->count > at ? &in->items[at] : NULL;
	struct source *s;

	if (!rows || rows->type != MSGPACK_OBJECT_ARRAY)
		return malformed(err, "table of counters");
	s = model_source(m, in, at + 1);
	if (!s)
		return no_source(err);
	s->snapshot++;
	for (uint32_t i = 0; i < rows->via.array.size; i++) {
		int rc = unpack_row(m, s, &rows->via.array.ptr[i], err);

		if (rc)
			return rc;
	}
	return 0;
}
