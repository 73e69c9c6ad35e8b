/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON of a body as the arguments of a frame: what a key may hold is a table. */
#include <errno.h>
#include <event2/buffer.h>
#include <jansson.h>
#include <string.h>

#include "http_internal.h"

json_t *api_body(struct call *call)
{
	struct evbuffer *input = evhttp_request_get_input_buffer(call->req);
	size_t len = evbuffer_get_length(input);

	return len ? json_loadb((const char *)evbuffer_pullup(input, -1), len, JSON_REJECT_DUPLICATES, NULL) : NULL;
}

int api_put_bool(const json_t *value, msgpack_packer *pk, struct error *err)
{
	json_is_true(value) ? msgpack_pack_true(pk) : msgpack_pack_false(pk);
	return json_is_boolean(value) ? 0 : error_set(err, EINVAL, "that is true or false");
}

int api_put_number(const json_t *value, msgpack_packer *pk, struct error *err)
{
	msgpack_pack_uint64(pk, (uint64_t)json_integer_value(value));
	return json_is_integer(value) && json_integer_value(value) >= 0 ? 0 : error_set(err, EINVAL, "that is a whole number");
}

int api_put_text(const json_t *value, msgpack_packer *pk, struct error *err)
{
	pack_text(pk, json_string_value(value));
	return json_is_string(value) ? 0 : error_set(err, EINVAL, "that is a text");
}

static int put_key(const char *name, const json_t *value, const struct api_keys *keys, msgpack_packer *pk, struct error *err)
{
	for (size_t i = 0; i < keys->n; i++) {
		if (strcmp(keys->key[i].name, name))
			continue;
		pack_key(pk, name);
		if (!keys->key[i].put(value, pk, err))
			return 0;
		return error_hint(err, "it is the value of '%s'", name);
	}
	return error_set(err, EINVAL, "'%.60s' is nothing that %s has", name, keys->of);
}

int api_put_all(json_t *body, const struct api_keys *keys, msgpack_packer *pk, struct error *err)
{
	const char *name;
	json_t *value;
	int rc = 0;

	json_object_foreach(body, name, value)
		if (!rc)
			rc = put_key(name, value, keys, pk, err);
	return rc;
}
