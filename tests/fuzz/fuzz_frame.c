/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a stream of frames.
 * fuzz-sources: common/frame.c common/buf.c common/error.c
 */
#include <stdint.h>
#include <stdlib.h>

#include "frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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
	/* An object that measures whole must unpack whole. */
	ssize_t whole = pack_measure(data, size);

	if (whole > 0) {
		msgpack_unpacked u;
		size_t off = 0;

		msgpack_unpacked_init(&u);
		msgpack_unpack_next(&u, (const char *)data, (size_t)whole, &off);
		if (off != (size_t)whole)
			abort();
		msgpack_unpacked_destroy(&u);
	}
	return 0;
}
