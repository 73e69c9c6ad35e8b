/* SPDX-License-Identifier: Apache-2.0 */
#include "request.h"

#include <errno.h>
#include <string.h>

#include "cli.h"
#include "output.h"
#include "token.h"

/* "web-1,web-2" */
static void pack_hosts(msgpack_packer *pk, const char *list)
{
	size_t n = 1;

	for (const char *at = list; (at = strchr(at, ',')); at++)
		n++;
	pack_key(pk, "hosts");
	msgpack_pack_array(pk, n);
	for (const char *end; list; list = *end ? end + 1 : NULL) {
		end = strchrnul(list, ',');
		msgpack_pack_str(pk, (size_t)(end - list));
		msgpack_pack_str_body(pk, list, (size_t)(end - list));
	}
}

static void pack_target(msgpack_packer *pk, const struct args *a)
{
	pack_key(pk, "target");
	msgpack_pack_map(pk, 1U + (a->build != NULL) + (a->query.host != NULL));
	if (a->build)
		pack_key_text(pk, "build", a->build);
	if (a->query.host)
		pack_hosts(pk, a->query.host);
	switch (a->target) {
	case TARGET_PID:
		pack_key_u64(pk, "pid", a->pid);
		break;
	case TARGET_NAME:
		pack_key_text(pk, "name", a->target_text);
		break;
	default:
		pack_key_text(pk, "path", a->target_text);
		break;
	}
}

static void pack_flag(msgpack_packer *pk, const char *key)
{
	pack_key(pk, key);
	msgpack_pack_true(pk);
}

static void pack_probes(msgpack_packer *pk, const struct args *a)
{
	pack_key(pk, "probes");
	msgpack_pack_array(pk, (size_t)a->n_rest);
	for (int i = 0; i < a->n_rest; i++)
		pack_text(pk, a->rest[i]);
}

static int finish(struct frame *f, struct error *err)
{
	int rc = frame_end(f);

	if (rc == -EMSGSIZE)
		return error_set(err, EMSGSIZE, "the request is too long");
	return rc ? error_set(err, -rc, "no memory for a request") : 0;
}

int request_pack_probes(struct buf *out, const char *verb, const struct args *a, struct error *err)
{
	const struct { const char *key; uint64_t value; } numbers[] = {
		{ "limit", a->limit }, { "for_ns", a->for_ns }, { "sample", a->sample }, { "rate", a->rate },
		{ "ttl_ns", a->ttl_ns }, { "budget_ppm", a->budget_ppm }, { "tick_ns", a->tick_ns },
		{ "depth", a->depth }, { "bytes", a->bytes }, { "string", a->string },
	};
	const size_t n = sizeof(numbers) / sizeof(numbers[0]);
	unsigned keys = 2 + (a->error != NULL) + a->errors + a->keep + a->allow_unwind;
	struct frame f;

	for (size_t i = 0; i < n; i++)
		keys += numbers[i].value != 0;
	frame_begin(&f, out, WIRE_REQUEST, 4);
	msgpack_pack_uint64(&f.pk, REQUEST_ID);
	pack_text(&f.pk, verb);
	msgpack_pack_map(&f.pk, keys);
	pack_target(&f.pk, a);
	pack_probes(&f.pk, a);
	if (a->error)
		pack_key_text(&f.pk, "error", a->error);
	if (a->errors)
		pack_flag(&f.pk, "errors");
	if (a->keep)
		pack_flag(&f.pk, "keep");
	if (a->allow_unwind)
		pack_flag(&f.pk, "unwind_ok");
	for (size_t i = 0; i < n; i++)
		if (numbers[i].value)
			pack_key_u64(&f.pk, numbers[i].key, numbers[i].value);
	return finish(&f, err);
}

int request_pack(struct buf *out, uint64_t wire_id, const char *verb, const struct question *q, struct error *err)
{
	unsigned keys = (q->target != NULL) + (q->glob != NULL) + (q->module != NULL) + (q->id != 0) + (q->since_ns != 0);
	struct frame f;

	frame_begin(&f, out, WIRE_REQUEST, 4);
	msgpack_pack_uint64(&f.pk, wire_id);
	pack_text(&f.pk, verb);
	msgpack_pack_map(&f.pk, keys);
	if (q->target)
		pack_target(&f.pk, q->target);
	if (q->glob)
		pack_key_text(&f.pk, "glob", q->glob);
	if (q->module)
		pack_key_text(&f.pk, "module", q->module);
	if (q->id)
		pack_key_u64(&f.pk, "id", q->id);
	if (q->since_ns)
		pack_key_u64(&f.pk, "since_ns", q->since_ns);
	return finish(&f, err);
}

const char *request_input(const struct args *a, int input)
{
	if (input == INPUT_ERROR_EXPR)
		return a->error;
	return input >= 0 && input < a->n_rest ? a->rest[input] : NULL;
}

int request_connect(const struct args *a, enum client_private mode, struct client **out, struct error *err)
{
	const struct collector_address where = { .address = args_collector(a), .tls = a->tls, .insecure = a->insecure };
	char token[TOKEN_MAX];
	int rc;

	if (!where.address)   /* who names a socket means the agent there, not another one */
		return client_open(out, args_socket(a), mode == PRIVATE_ROOT && a->socket ? PRIVATE_NEVER : mode, err);
	rc = token_load(a, token, err);
	if (!rc)
		rc = client_open_collector(out, &where, token, err);
	explicit_bzero(token, sizeof(token));
	return rc;
}

int request_ask_collector(const struct args *a, const char *verb, const struct question *q,
			  int (*show)(const struct args *a, struct client *c, const msgpack_object *payload))
{
	struct buf request = { 0 };
	struct error err;

	if (!args_collector(a)) {
		error_set(&err, EINVAL, "only a collector knows that");
		error_hint(&err, "plumb --collector HOST:PORT %s, or set PLUMB_COLLECTOR", verb);
		show_error(&err, NULL);
		return CLI_USAGE;
	}
	if (request_pack(&request, REQUEST_ID, verb, q, &err) < 0) {
		show_error(&err, NULL);
		return CLI_REFUSED;
	}
	return request_ask(a, PRIVATE_NEVER, &request, show);
}

int request_ask(const struct args *a, enum client_private mode, struct buf *request,
		int (*show)(const struct args *a, struct client *c, const msgpack_object *payload))
{
	const msgpack_object *payload;
	struct error err = { 0 };
	struct client *c = NULL;
	int code = CLI_REFUSED, input = INPUT_NONE;
	struct frame_in in;
	int rc;

	rc = request_connect(a, mode, &c, &err);
	if (!rc)
		rc = client_call(c, request, REQUEST_ID, &in, &payload, &input, &err);
	if (rc) {
		show_error(&err, request_input(a, input));
	} else {
		code = show(a, c, payload);
		frame_in_free(&in);
	}
	client_close(c);
	buf_free(request);
	return code;
}
