/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a stream of frames.
 * fuzz-sources: common/frame.c common/buf.c common/error.c
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Packed again and compared as bytes: a NaN is not equal to itself. */
static bool same(const msgpack_object *a, const msgpack_object *b)
{
	struct buf x = { 0 }, y = { 0 };
	msgpack_packer px, py;
	bool equal;

	pack_into(&px, &x);
	pack_into(&py, &y);
	msgpack_pack_object(&px, *a);
	msgpack_pack_object(&py, *b);
	equal = x.len == y.len && memcmp(buf_text(&x), buf_text(&y), x.len) == 0;
	buf_free(&x);
	buf_free(&y);
	return equal;
}

/* Where msgpack-c can read an object it must be the same. */
static void compare(const uint8_t *data, size_t size)
{
	msgpack_zone zone;
	msgpack_object mine;
	msgpack_unpacked theirs;
	size_t off = 0;
	ssize_t n;

	if (!msgpack_zone_init(&zone, 1024))
		abort();
	n = pack_take(data, size, &zone, &mine);
	msgpack_unpacked_init(&theirs);
	if (n > 0 && msgpack_unpack_next(&theirs, (const char *)data, (size_t)n, &off) == MSGPACK_UNPACK_SUCCESS &&
	    (off != (size_t)n || !same(&mine, &theirs.data)))
		abort();
	msgpack_unpacked_destroy(&theirs);
	msgpack_zone_destroy(&zone);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct frame_in in;
	struct error err;
	size_t at = 0;
	int n;

	while ((n = frame_take(data + at, size - at, &in, &err)) > 0) {
		at += (size_t)n;
		for (uint32_t i = 0; i < in.count; i++) {
			uint64_t u;
			int64_t s;
			bool b;
			const msgpack_object *o = &in.items[i];

			free(object_text(o, 64));
			if (object_u64(o, &u) + object_i64(o, &s) + object_bool(o, &b) > 2)
				abort();
			map_get(o, "id");
		}
		frame_in_free(&in);
	}
	compare(data, size);
	return 0;
}
