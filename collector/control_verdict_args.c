/* SPDX-License-Identifier: Apache-2.0 */
/* What the verb "verdict" says: hostile, bounded, and checked before anything of it is stored. */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "control_internal.h"

void verdict_said_free(struct verdict_said *s)
{
	free(s->state);
	free(s->title);
	free(s->service);
	free(s->reason);
	free(s->report);
}

static int bad(struct error *err, const char *what)
{
	return error_set(err, EINVAL, "%s is missing, or not what it may be", what);
}

static bool is_state(const char *text)
{
	static const char *const states[] = { "RUNNING", "PASS", "FAIL", "INCONCLUSIVE" };

	for (size_t i = 0; text && i < sizeof(states) / sizeof(states[0]); i++)
		if (!strcmp(states[i], text))
			return true;
	return false;
}

static int read_texts(const msgpack_object *args, struct verdict_said *out, struct error *err)
{
	const struct { const char *key; char **to; size_t max; } texts[] = {
		{ "state", &out->state, 16 }, { "title", &out->title, VERDICT_TITLE_MAX }, { "service", &out->service, VERDICT_SERVICE_MAX },
		{ "reason", &out->reason, VERDICT_REASON_MAX },
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		const msgpack_object *o = map_get(args, texts[i].key);

		if (!o || o->type == MSGPACK_OBJECT_NIL)
			continue;
		*texts[i].to = object_text(o, texts[i].max);
		if (!*texts[i].to) {
			bad(err, texts[i].key);
			return error_hint(err, "a text of at most %zu bytes", texts[i].max);
		}
	}
	return is_state(out->state) ? 0 : error_hint((bad(err, "state"), err), "RUNNING, PASS, FAIL or INCONCLUSIVE");
}

/* It is kept as jansson writes it: valid UTF-8, no key twice. */
static int read_report(const msgpack_object *o, struct verdict_said *out, struct error *err)
{
	bool is_bin = o && o->type == MSGPACK_OBJECT_BIN;
	json_error_t why;
	json_t *json;

	if (!o || o->type == MSGPACK_OBJECT_NIL)
		return 0;
	if (!is_bin && o->type != MSGPACK_OBJECT_STR)
		return bad(err, "report");
	if ((is_bin ? o->via.bin.size : o->via.str.size) > VERDICT_REPORT_MAX)
		return error_set(err, EMSGSIZE, "the report is larger than %d KiB", VERDICT_REPORT_MAX >> 10);
	json = is_bin ? json_loadb(o->via.bin.ptr, o->via.bin.size, JSON_REJECT_DUPLICATES, &why) :
			json_loadb(o->via.str.ptr, o->via.str.size, JSON_REJECT_DUPLICATES, &why);
	if (!json_is_object(json)) {
		error_set(err, EINVAL, "the report is no JSON object: %s", json ? "it is something else" : why.text);
		json_decref(json);
		return -EINVAL;
	}
	out->report = json_dumps(json, JSON_COMPACT);
	json_decref(json);
	return out->report ? 0 : error_set(err, ENOMEM, "out of memory");
}

static int read_record(const msgpack_object *args, struct verdict_said *out, struct error *err)
{
	const msgpack_object *record = map_get(args, "record"), *at = map_get(args, "at");

	if (at && !object_u64(at, &out->v.record_at))
		return bad(err, "at");
	if (!record || record->type == MSGPACK_OBJECT_NIL)
		return 0;
	if (record->type != MSGPACK_OBJECT_BIN)
		return bad(err, "record");
	out->v.record = record->via.bin.ptr;
	out->v.record_len = record->via.bin.size;
	if (out->v.record_at > VERDICT_RECORD_MAX || out->v.record_len > VERDICT_RECORD_MAX - out->v.record_at)
		return error_set(err, EMSGSIZE, "the record is larger than %d MiB", VERDICT_RECORD_MAX >> 20);
	return 0;
}

int verdict_said_read(const msgpack_object *args, struct verdict_said *out, struct error *err)
{
	const msgpack_object *id = map_get(args, "id");
	uint64_t number = 0;
	int rc;

	if (args->type != MSGPACK_OBJECT_MAP)
		return bad(err, "the arguments");
	if (id && (!object_u64(id, &number) || number > INT64_MAX))
		return bad(err, "id");
	rc = read_texts(args, out, err);
	if (!rc)
		rc = read_report(map_get(args, "report"), out, err);
	if (!rc)
		rc = read_record(args, out, err);
	if (!rc && !number && (!out->title || !out->title[0]))
		rc = bad(err, "title");
	out->v.id = (int64_t)number;
	out->v.state = out->state;
	out->v.title = out->title;
	out->v.service = out->service;
	out->v.reason = out->reason;
	out->v.report = out->report;
	return rc;
}
