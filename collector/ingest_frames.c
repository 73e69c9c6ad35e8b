/* SPDX-License-Identifier: Apache-2.0 */
/* What a request told besides records and counters, and what an agent tells of itself. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ingest_internal.h"
#include "log.h"
#include "model.h"
#include "target_text.h"
#include "text.h"

bool taken_text(const msgpack_object *o, struct buf *out)
{
	if (!o || o->type != MSGPACK_OBJECT_STR || o->via.str.size > INGEST_TEXT_MAX)
		return false;
	text_escape(out, o->via.str.ptr, o->via.str.size, 0);
	return !out->failed;
}

/* ---- PROBE ---- */

static int put_probe(const struct taken *t, uint64_t request, const struct probe *p, struct error *err)
{
	const msgpack_object *map = &t->in->items[2];
	struct buf site_kind = { 0 };
	uint64_t cost_ns = 0;
	struct store_known is = { .request = request, .fields = p->n_fields, .functions = p->n_functions };
	int rc;

	taken_text(map_get(map, "site_kind"), &site_kind);
	object_u64(map_get(map, "cost_ns"), &cost_ns);
	struct store_probe sp = {
		.request = request, .agent = t->st->agent, .run = t->st->run, .number = p->id, .spec = p->spec, .function = p->function,
		.module = p->module, .build_id = p->build_id, .file = p->file, .site_kind = buf_text(&site_kind), .line = p->line,
		.cost_ns = cost_ns, .fields = p->n_fields, .functions = p->n_functions, .frame = t->frame, .frame_len = t->len,
	};
	rc = store_probe(t->st->ingest->store, &sp, t->now_ns, &is.id, err);
	if (!rc)
		rc = stream_add_probe(t->st, p->id, &is, err);
	buf_free(&site_kind);
	return rc;
}

/* A model of its own looks at it: shapes that it cannot read nobody can. */
int ingest_probe(const struct taken *t, struct error *err)
{
	struct model m;
	uint64_t request;
	int rc = taken_request(t, &request, err);

	if (rc)
		return rc;
	if (!request) {
		taken_orphan(t);
		return 0;
	}
	rc = model_init(&m) ? error_set(err, ENOMEM, "no memory for a probe") : model_probe(&m, t->in, err);
	if (!rc && (stream_probe(t->st, m.probe[0]->id) || t->st->n_probes == STREAM_PROBES_MAX))
		rc = malformed(err, "PROBE: its number is taken, or there are too many");
	if (!rc)
		rc = put_probe(t, request, m.probe[0], err);
	model_free(&m);
	if (!rc)
		taken_publish(t, request);
	return rc;
}

/* ---- REPLY, NOTICE ---- */

/* The answer to a trace or stat: it runs, or why not. */
int ingest_reply(const struct taken *t, struct error *err)
{
	struct buf text = { 0 };
	uint64_t request;
	bool ok = false;
	int rc = taken_request(t, &request, err);

	if (!rc && (t->in->count < 4 || !object_bool(&t->in->items[2], &ok)))
		rc = malformed(err, "REPLY");
	if (!rc && !ok && !taken_text(map_get(&t->in->items[3], "text"), &text))
		rc = malformed(err, "REPLY: it does not say why");
	if (!rc && !request)
		taken_orphan(t);
	if (!rc && request)
		rc = store_request_agent(t->st->ingest->store, request, t->st->agent, ok ? "running" : "refused", "",
					 buf_text(&text), t->now_ns, err);
	if (!rc && request)
		taken_publish(t, request);
	buf_free(&text);
	return rc;
}

static int put_notice(const struct taken *t, uint64_t request, const char *code, struct error *err)
{
	const msgpack_object *what = &t->in->items[3];
	struct buf text = { 0 };
	uint64_t pid;
	int rc = 0;

	if (!strcmp(code, "process")) {
		if (!object_u64(map_get(what, "pid"), &pid) || pid > UINT32_MAX || !map_get(what, "comm"))
			return malformed(err, "NOTICE of a process");
		return stream_process(t->st, (uint32_t)pid, map_get(what, "comm"), err);
	}
	if (!strcmp(code, "removed"))   /* "guard" has told */
		return 0;
	if (!taken_text(what->type == MSGPACK_OBJECT_MAP ? map_get(what, "text") : what, &text))
		rc = malformed(err, "NOTICE");
	if (!rc)
		rc = store_notice(t->st->ingest->store, t->st->agent, request, t->st->heard_ns ? t->st->heard_ns : t->now_ns,
				  code, buf_text(&text), err);
	buf_free(&text);
	return rc;
}

int ingest_notice(const struct taken *t, struct error *err)
{
	struct buf code = { 0 };
	uint64_t request;
	int rc = taken_request(t, &request, err);

	if (!rc && (t->in->count < 4 || !taken_text(&t->in->items[2], &code)))
		rc = malformed(err, "NOTICE");
	if (!rc)
		rc = put_notice(t, request, buf_text(&code), err);
	if (!rc && request)
		taken_publish(t, request);
	buf_free(&code);
	return rc;
}

/* ---- RUN, OPENED, LOSS ---- */

int ingest_run(const struct taken *t, struct error *err)
{
	struct stream *st = t->st;
	uint64_t run, ns;
	bool last;
	int rc;

	if (t->in->count < 3 || !object_u64(&t->in->items[1], &run) || !object_u64(&t->in->items[2], &ns) || !run)
		return malformed(err, "RUN");
	taken_time(t, ns);
	if (run == st->run)
		return 0;
	/* What the agent says it still serves it says of its last run. */
	last = run == st->hello_run;
	rc = store_agent_restarted(st->ingest->store, st->agent, run, st->serves, last ? st->n_serves : 0, t->now_ns, err);
	if (rc)
		return rc;
	stream_forget(st);
	st->run = run;
	return 0;
}

static void add_probes(const msgpack_object *list, struct buf *json)
{
	buf_char(json, '[');
	for (uint32_t i = 0; i < list->via.array.size; i++) {
		const msgpack_object *o = &list->via.array.ptr[i];

		if (i)
			buf_char(json, ',');
		text_json(json, o->type == MSGPACK_OBJECT_STR ? o->via.str.ptr : "",
			  o->type == MSGPACK_OBJECT_STR ? o->via.str.size : 0, false);
	}
	buf_char(json, ']');
}

/* The texts of an OPENED; frees are the caller's. */
struct opened {
	struct buf verb, target, service, probes, who;
};

static int read_opened(const msgpack_object *map, struct opened *o, struct error *err)
{
	const msgpack_object *probes = map_get(map, "probes");
	uint64_t uid;

	if (!taken_text(map_get(map, "verb"), &o->verb) || !object_u64(map_get(map, "uid"), &uid) || !probes ||
	    probes->type != MSGPACK_OBJECT_ARRAY || target_text(map_get(map, "target"), &o->target, &o->service))
		return malformed(err, "OPENED");
	add_probes(probes, &o->probes);
	buf_printf(&o->who, "uid %lu", (unsigned long)uid);
	return o->verb.failed || o->target.failed || o->service.failed || o->probes.failed || o->who.failed ?
	       error_set(err, ENOMEM, "no memory for a request") : 0;
}

static int put_opened(const struct taken *t, uint64_t wire_id, const struct opened *o, uint64_t *request, struct error *err)
{
	struct store_request r = {
		.wire_id = wire_id, .agent = t->st->agent, .verb = buf_text(&o->verb), .target = buf_text(&o->target),
		.service = buf_text(&o->service), .probes_json = buf_text(&o->probes), .who = buf_text(&o->who), .keep = true,
		.opened_ns = t->st->heard_ns ? t->st->heard_ns : t->now_ns,
	};
	int rc = store_request_open(t->st->ingest->store, &r, err);

	if (!rc)
		rc = store_request_agent(t->st->ingest->store, r.id, t->st->agent, "running", "", "", t->now_ns, err);
	*request = r.id;
	return rc;
}

int ingest_opened(const struct taken *t, struct error *err)
{
	struct opened o = { 0 };
	uint64_t request;
	int rc = taken_request(t, &request, err);

	if (!rc && (t->in->count < 3 || t->st->wire_id < WIRE_LOCAL_REQUEST || t->st->wire_id > INT64_MAX || request))
		rc = malformed(err, "OPENED: not a new number of an agent's own");
	if (!rc)
		rc = read_opened(&t->in->items[2], &o, err);
	if (!rc)
		rc = put_opened(t, t->st->wire_id, &o, &request, err);
	if (!rc)
		taken_publish(t, request);
	buf_free(&o.verb);
	buf_free(&o.target);
	buf_free(&o.service);
	buf_free(&o.probes);
	buf_free(&o.who);
	return rc;
}

int ingest_loss(const struct taken *t, struct error *err)
{
	struct buf reason = { 0 };
	uint64_t request, records = 0;
	int rc = taken_request(t, &request, err);

	if (!rc && (t->in->count < 4 || !object_u64(&t->in->items[2], &records) || !taken_text(&t->in->items[3], &reason)))
		rc = malformed(err, "LOSS");
	if (!rc)
		rc = store_loss(t->st->ingest->store, t->st->agent, request, t->now_ns, records, buf_text(&reason), err);
	if (!rc)
		t->st->ingest->counts->lost_records += records;
	if (!rc && request)
		taken_publish(t, request);
	buf_free(&reason);
	return rc;
}
