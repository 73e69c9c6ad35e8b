/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile shape followed by hostile values, printed both ways.  The JSON must parse.
 * fuzz-sources: common/shape.c common/shape_print.c common/shape_json.c common/frame.c common/text.c common/buf.c common/error.c -ljansson -lm
 */
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "frame.h"
#include "shape.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t unpack(const uint8_t *data, size_t size, msgpack_unpacked *u)
{
	ssize_t n;

	msgpack_unpacked_init(u);
	u->zone = msgpack_zone_new(1024);
	n = u->zone && size ? pack_take(data, size, u->zone, &u->data) : 0;
	return n > 0 ? (size_t)n : 0;
}

static void print(const struct shape *s, const msgpack_object *value)
{
	struct buf out = { 0 };
	json_error_t je;
	json_t *doc;

	shape_print(s, value, &out);
	for (size_t i = 0; i < out.len; i++)
		if ((unsigned char)out.data[i] < 0x20 || out.data[i] == 0x7f)
			abort();
	buf_clear(&out);
	shape_json(s, value, &out);
	doc = json_loadb(buf_text(&out), out.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &je);
	if (!doc && !strstr(je.text, "too big"))
		abort();
	json_decref(doc);
	buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	msgpack_unpacked us, uv;
	struct shape *s = NULL;
	struct error err;
	size_t at = unpack(data, size, &us), n;

	if (at && shape_unpack(&us.data, &s, &err) == 0) {
		while ((n = unpack(data + at, size - at, &uv)) > 0) {
			print(s, &uv.data);
			msgpack_unpacked_destroy(&uv);
			at += n;
		}
		msgpack_unpacked_destroy(&uv);
	}
	shape_free(s);
	msgpack_unpacked_destroy(&us);
	return 0;
}
