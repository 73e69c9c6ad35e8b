/* SPDX-License-Identifier: Apache-2.0 */
/* Opening and removing traces and stats over HTTP: JSON in, the frames of wire.h inside. */
#include <errno.h>
#include <event2/buffer.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "http_internal.h"
#include "inside.h"

enum { REQUEST_ID = 1 };

/* Waits for the answer of control. Freed when it is sent, or when the peer is gone. */
struct asking {
	struct call call;
	struct inside *inside;
	int status;                   /* of success */
	uint64_t id;                  /* what was removed */
};

static void asking_free(struct asking *a)
{
	inside_free(a->inside);
	free(a);
}

static void on_gone(struct evhttp_connection *evcon, void *arg)
{
	struct asking *a = arg;

	call_gone(&a->call);
	asking_free(a);
}

/* ---- the answer ---- */

void api_read_refusal(const msgpack_object *payload, struct error *err)
{
	char *text = object_text(map_get(payload, "text"), sizeof(err->text) - 1), *hint = object_text(map_get(payload, "hint"), sizeof(err->hint) - 1);
	uint64_t code = 0, col = 0, len = 0;

	object_u64(map_get(payload, "code"), &code);
	object_u64(map_get(payload, "col"), &col);
	object_u64(map_get(payload, "len"), &len);
	error_set(err, code && code < 4096 ? (int)code : EINVAL, "%s", text ? text : "it was refused");
	error_hint(err, "%s", hint ? hint : "");
	if (col && col < INT32_MAX && len < INT32_MAX)
		error_at(err, (int)col, (int)len);
	free(text);
	free(hint);
}

/* Whoever reads next finds what was done: questions see what is committed. */
static void send_id(struct asking *a, uint64_t id)
{
	char text[64];

	collector_commit(a->call.http->collector, NULL);
	snprintf(text, sizeof(text), "{\"id\":%llu}", (unsigned long long)id);
	call_json(&a->call, a->status, text, strlen(text));
}

static void on_frame(const struct frame_in *in, const void *raw, size_t raw_len, void *arg)
{
	struct asking *a = arg;
	struct error err = { 0 };
	uint64_t id = a->id;
	bool ok = false;

	if (in && (in->type != WIRE_REPLY || in->count < 4))
		return;
	evhttp_connection_set_closecb(evhttp_request_get_connection(a->call.req), NULL, NULL);
	if (!in)
		error_set(&err, EAGAIN, "the collector is stopping");
	else if (!object_bool(&in->items[2], &ok) || !ok)
		api_read_refusal(&in->items[3], &err);
	if (!in || err.code) {
		call_error(&a->call, &err);
	} else {
		object_u64(map_get(&in->items[3], "id"), &id);
		send_id(a, id);
	}
	asking_free(a);
}

void api_ask(struct call *call, struct buf *frame, int status, uint64_t id)
{
	struct asking *a = calloc(1, sizeof(*a));
	struct error err = { 0 };

	if (a) {
		a->call = *call;
		TAILQ_INIT(&a->call.params);
		a->status = status;
		a->id = id;
		a->inside = inside_new(call->http->collector, call->peer, &call->who, on_frame, a, &err);
	}
	if (!a || !a->inside || frame->failed) {
		if (!err.code)
			error_set(&err, ENOMEM, "out of memory");
		if (a)
			asking_free(a);
		call_error(call, &err);
		return;
	}
	evhttp_connection_set_closecb(evhttp_request_get_connection(call->req), on_gone, a);
	inside_send(a->inside, frame);
}

void api_frame_begin(struct frame *f, struct buf *out, const char *verb)
{
	frame_begin(f, out, WIRE_REQUEST, 4);
	msgpack_pack_int(&f->pk, REQUEST_ID);
	pack_text(&f->pk, verb);
}

/* ---- JSON to arguments ---- */

static int put_target(const json_t *value, msgpack_packer *pk, struct error *err)
{
	static const char *const kinds[] = { "name", "path" };
	const json_t *pid = json_object_get(value, "pid");

	msgpack_pack_map(pk, 1);
	for (size_t i = 0; i < 2; i++) {
		const char *text = json_string_value(json_object_get(value, kinds[i]));

		if (text && json_object_size(value) == 1) {
			pack_key_text(pk, kinds[i], text);
			return 0;
		}
	}
	if (json_is_integer(pid) && json_integer_value(pid) > 0 && json_object_size(value) == 1) {
		pack_key_u64(pk, "pid", (uint64_t)json_integer_value(pid));
		return 0;
	}
	return error_set(err, EINVAL, "target is one of {\"name\": text}, {\"path\": text}, {\"pid\": number}");
}

static int put_probes(const json_t *value, msgpack_packer *pk, struct error *err)
{
	size_t n = json_array_size(value);

	msgpack_pack_array(pk, n);
	for (size_t i = 0; i < n; i++) {
		const char *text = json_string_value(json_array_get(value, i));

		if (!text)
			return error_set(err, EINVAL, "probes is a list of texts");
		pack_text(pk, text);
	}
	return json_is_array(value) && n ? 0 : error_set(err, EINVAL, "probes is a list of texts");
}

static const struct api_key keys[] = {
	{ "target", put_target }, { "probes", put_probes }, { "errors", api_put_bool }, { "unwind_ok", api_put_bool },
	{ "error", api_put_text }, { "limit", api_put_number }, { "for_ns", api_put_number }, { "ttl_ns", api_put_number },
	{ "sample", api_put_number }, { "rate", api_put_number }, { "budget_ppm", api_put_number }, { "depth", api_put_number },
	{ "bytes", api_put_number }, { "string", api_put_number },
};
static const struct api_keys request_keys = { "a request", keys, sizeof(keys) / sizeof(keys[0]) };

/* Always kept: nobody is connected that could hang up. */
static int put_request(json_t *body, struct buf *out, struct error *err)
{
	const char *verb = json_string_value(json_object_get(body, "verb"));
	struct frame f;
	int rc;

	if (!verb || (strcmp(verb, "trace") && strcmp(verb, "stat")))
		return error_set(err, EINVAL, "verb is trace or stat");
	api_frame_begin(&f, out, verb);
	json_object_del(body, "verb");
	msgpack_pack_map(&f.pk, json_object_size(body) + 1);
	rc = api_put_all(body, &request_keys, &f.pk, err);
	pack_key(&f.pk, "keep");
	msgpack_pack_true(&f.pk);
	return rc ? rc : frame_end(&f) ? error_set(err, E2BIG, "the request is too long") : 0;
}

void api_request_open(struct call *call)
{
	json_t *body = api_body(call);
	struct buf frame = { 0 };
	struct error err = { 0 };

	if (!json_is_object(body))
		error_set(&err, EINVAL, "the body is no JSON object");
	else
		put_request(body, &frame, &err);
	json_decref(body);
	if (err.code)
		call_error(call, &err);
	else
		api_ask(call, &frame, 201, 0);
	buf_free(&frame);
}

void api_request_remove(struct call *call)
{
	struct buf frame = { 0 };
	struct error err = { 0 };
	uint64_t id = 0;
	const char *end = http_number(call->rest, INT64_MAX, &id);
	struct frame f;

	if (!end || *end || !id) {
		error_set(&err, ENOENT, "there is nothing there");
		call_error(call, &err);
		return;
	}
	api_frame_begin(&f, &frame, "rm");
	msgpack_pack_map(&f.pk, 1);
	pack_key_u64(&f.pk, "id", id);
	frame_end(&f);
	api_ask(call, &frame, 200, id);
	buf_free(&frame);
}
