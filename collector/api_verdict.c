/* SPDX-License-Identifier: Apache-2.0 */
/* Storing a verdict over HTTP, and the answers about verdicts that are more than a question to the store. */
#include <errno.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "http_internal.h"

enum { RETRY_SECONDS = 10 };

/* ---- answers ---- */

void api_send_record(struct call *call, struct buf *answer)
{
	call_headers(call, "application/octet-stream", "no-store");
	evhttp_add_header(evhttp_request_get_output_headers(call->req), "Content-Disposition", "attachment; filename=\"verdict.plumb\"");
	call_send(call, 200, answer->data, answer->len);
}

static void later(struct call *call, struct error *err, const char *why)
{
	char seconds[16];

	snprintf(seconds, sizeof(seconds), "%d", RETRY_SECONDS);
	evhttp_add_header(evhttp_request_get_output_headers(call->req), "Retry-After", seconds);
	error_set(err, EAGAIN, "there is no verdict yet: %s", why);
}

/* final=1: pipelines that tell "not yet" from the three verdicts by the status. One that is asked for by its title may still come. */
void api_send_final(struct call *call, struct buf *answer)
{
	json_t *o = json_loadb(buf_text(answer), answer->len, 0, NULL), *first = json_array_get(json_object_get(o, "verdicts"), 0);
	const char *state = json_string_value(json_object_get(first, "state"));
	struct error err = { 0 };

	if (!first && strchr(call->rest, '/'))
		error_set(&err, ENOENT, "there is no such verdict");
	else if (!first)
		later(call, &err, "none has been begun");
	else if (!state || !strcmp(state, "RUNNING"))
		later(call, &err, "it is still running");
	json_decref(o);
	if (err.code)
		call_error(call, &err);
	else
		call_json(call, 200, buf_text(answer), answer->len);
}

/* ---- POST /api/v1/verdicts ---- */

static int put_report(const json_t *value, msgpack_packer *pk, struct error *err)
{
	char *text = json_is_object(value) ? json_dumps(value, JSON_COMPACT) : NULL;

	pack_text(pk, text);
	free(text);
	return json_is_object(value) ? 0 : error_set(err, EINVAL, "that is an object");
}

/* OpenSSL's decoder counts padding as bytes, and takes space around the text. */
static int put_base64(const json_t *value, msgpack_packer *pk, struct error *err)
{
	const char *text = json_string_value(value);
	size_t len = json_string_length(value), padding = 0;
	unsigned char *bytes = len && len % 4 == 0 && len < INT32_MAX && !strpbrk(text, " \t\r\n") ? malloc(len / 4 * 3 + 1) : NULL;
	int got = bytes ? EVP_DecodeBlock(bytes, (const unsigned char *)text, (int)len) : -1;

	if (got >= 0)
		padding = (text[len - 1] == '=') + (len > 1 && text[len - 2] == '=');
	if (got < 0) {
		free(bytes);
		return error_set(err, EINVAL, "that is base64 (RFC 4648, with its padding)");
	}
	msgpack_pack_bin(pk, (size_t)got - padding);
	msgpack_pack_bin_body(pk, bytes, (size_t)got - padding);
	free(bytes);
	return 0;
}

static const struct api_key keys[] = {
	{ "id", api_put_number }, { "state", api_put_text }, { "title", api_put_text }, { "service", api_put_text }, { "reason", api_put_text },
	{ "report", put_report }, { "record", put_base64 }, { "at", api_put_number },
};
static const struct api_keys verdict_keys = { "a verdict", keys, sizeof(keys) / sizeof(keys[0]) };

static int put_verdict(json_t *body, struct buf *out, struct error *err)
{
	struct frame f;
	int rc;

	api_frame_begin(&f, out, "verdict");
	msgpack_pack_map(&f.pk, json_object_size(body));
	rc = api_put_all(body, &verdict_keys, &f.pk, err);
	return rc ? rc : frame_end(&f) ? error_set(err, EMSGSIZE, "the verdict is too long for one request") : 0;
}

void api_verdict_store(struct call *call)
{
	json_t *body = api_body(call);
	struct buf frame = { 0 };
	struct error err = { 0 };
	bool is_new = !json_integer_value(json_object_get(body, "id"));

	if (!json_is_object(body))
		error_set(&err, EINVAL, "the body is no JSON object");
	else
		put_verdict(body, &frame, &err);
	json_decref(body);
	if (err.code)
		call_error(call, &err);
	else
		api_ask(call, &frame, is_new ? 201 : 200, 0);
	buf_free(&frame);
}
