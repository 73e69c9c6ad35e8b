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

int model_malformed(struct error *err, const char *what)
{
	return error_set(err, EPROTO, "the agent sent a malformed %s", what);
}

int model_no_memory(struct error *err)
{
	return error_set(err, ENOMEM, "no memory for what the agent sends");
}

/* Text that is safe to print; "" if there is none. NULL: no memory. */
char *safe_text(const msgpack_object *o)
{
	char *raw = object_text(o, TEXT_MAX);
	struct buf safe = { 0 };

	if (raw)
		text_safe(&safe, raw);
	free(raw);
	if (safe.failed) {
		buf_free(&safe);
		return NULL;
	}
	return safe.data ? safe.data : strdup("");
}

/* Makes room for one more pointer in an array whose size goes in powers of two. */
int model_room(void *array, uint32_t n, uint32_t max)
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

	if (model_room(&m->source, m->n_sources, MODEL_SOURCES_MAX) < 0)
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

int model_no_source(struct error *err)
{
	return error_set(err, EPROTO, "frames come from too many sources, or from none");
}

/* ---- probes ---- */

static int unpack_field(struct field *f, const msgpack_object *o, struct error *err)
{
	const msgpack_object *part = o->via.array.ptr;
	uint64_t role;

	if (o->type != MSGPACK_OBJECT_ARRAY || o->via.array.size != 3 || !object_u64(&part[1], &role) || role > 1)
		return model_malformed(err, "field");
	f->at_return = role == 1;
	f->name = safe_text(&part[0]);
	if (!f->name)
		return model_no_memory(err);
	return shape_unpack(&part[2], &f->shape, err);
}

static int unpack_fields(struct probe *p, const msgpack_object *list, struct error *err)
{
	uint32_t n;

	if (!list || list->type != MSGPACK_OBJECT_ARRAY || list->via.array.size > MODEL_FIELDS_MAX)
		return model_malformed(err, "list of fields");
	n = list->via.array.size;
	p->field = calloc(n ? n : 1, sizeof(*p->field));
	if (!p->field)
		return model_no_memory(err);
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
		return model_malformed(err, "probe");
	p->id = (uint32_t)id;
	p->spec = safe_text(map_get(map, "spec"));
	p->function = safe_text(map_get(map, "function"));
	p->module = safe_text(map_get(map, "module"));
	p->build_id = safe_text(map_get(map, "build_id"));
	p->file = safe_text(map_get(map, "file"));
	if (!p->spec || !p->function || !p->module || !p->build_id || !p->file)
		return model_no_memory(err);
	object_u64(map_get(map, "line"), &p->line);
	object_bool(map_get(map, "call"), &p->call);
	object_bool(map_get(map, "condition"), &p->condition);
	object_bool(map_get(map, "has_error"), &p->has_error);
	object_bool(map_get(map, "errno"), &p->may_be_errno);
	rc = model_make_functions(p, map_get(map, "functions"));
	if (rc)
		return rc == -ENOMEM ? model_no_memory(err) : model_malformed(err, "number of functions");
	prepare_json(p);
	return unpack_fields(p, map_get(map, "fields"), err);
}

enum { PROBE_ELEMENTS = 3 };

/* Into the source's map and the model's list. */
static int probe_add(struct model *m, struct source *s, struct probe *p, struct error *err)
{
	if (idmap_get(&s->probe_of, p->id))
		return model_malformed(err, "probe: its id is taken");
	if (model_room(&m->probe, m->n_probes, MODEL_PROBES_MAX) < 0 || idmap_set(&s->probe_of, p->id, p) < 0)
		return model_no_memory(err);
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
		return model_no_source(err);
	p = calloc(1, sizeof(*p));
	if (!p)
		return model_no_memory(err);
	rc = in->count < PROBE_ELEMENTS ? model_malformed(err, "probe") : unpack_probe(p, &in->items[2], err);
	if (!rc)
		rc = probe_add(m, s, p, err);
	if (rc)
		probe_free(p);
	return rc;
}

/* ---- processes ---- */

int model_learn_comm(struct model *m, struct source *s, uint32_t pid, const msgpack_object *comm)
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
	if (m->n_processes >= MODEL_PROCESSES_MAX || model_room(&s->process, s->n_processes, MODEL_PROCESSES_MAX) < 0) {
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
	return model_learn_comm(m, s, (uint32_t)pid, comm);
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

enum { NOTICE_ELEMENTS = 4 };

int model_notice(struct model *m, const struct frame_in *in)
{
	struct source *s;

	if (in->count < NOTICE_ELEMENTS || in->items[3].type != MSGPACK_OBJECT_MAP)
		return 0;
	s = model_source(m, in, NOTICE_ELEMENTS);
	if (!s)
		return -EPROTO;
	if (object_is(&in->items[2], "process"))
		return learn_process(m, s, &in->items[3]);
	return object_is(&in->items[2], "source") ? learn_host(s, &in->items[3]) : 0;
}

const char *source_comm(const struct source *s, uint32_t pid)
{
	const struct process *p = s ? idmap_get(&s->process_of, pid) : NULL;

	return p && p->comm[0] ? p->comm : "?";
}
