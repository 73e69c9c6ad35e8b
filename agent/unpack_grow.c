/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "unpack_internal.h"

/* The output before a point, from the store. 0 bytes: it is not there as it was written. */
static size_t read_window(struct packed *s, uint64_t out, unsigned char **window)
{
	uint64_t from = out > ZSTREAM_WINDOW ? out - ZSTREAM_WINDOW : 0, first = from / UNPACK_CHUNK;
	uint64_t begin = first * UNPACK_CHUNK, end = chunks_of(out) * UNPACK_CHUNK;
	unsigned char *buf = s->owner->step;

	if (end > s->where->size)
		end = s->where->size;
	if (pread(s->owner->store.fd, buf, end - begin, (off_t)(s->where->at + begin)) != (ssize_t)(end - begin))
		return 0;
	for (uint64_t c = first; c * UNPACK_CHUNK < end; c++) {
		uint64_t at = c * UNPACK_CHUNK, n = end - at < UNPACK_CHUNK ? end - at : UNPACK_CHUNK;

		if (s->checks[c] != chunk_check(buf + (at - begin), n))
			return 0;
	}
	*window = buf + (from - begin);
	return out - from;
}

/* From the last boundary; from the beginning if that cannot be. Then on to where the store ends. */
static int begin_stream(struct packed *s)
{
	struct inflate_point point = s->now.point;
	unsigned char *window = s->owner->step;
	size_t n = point.out && s->spilled_from == UINT64_MAX ? read_window(s, point.out, &window) : 0;
	uint32_t sum = s->now.sum;
	uint64_t left;
	int rc;

	if (n == 0) {
		memset(&point, 0, sizeof(point));
		sum = (uint32_t)adler32(0, NULL, 0);
	}
	rc = zstream_start(s->stream, &point, window, n);
	for (left = s->now.done - point.out; rc == 0 && left;) {
		size_t step = left < UNPACK_STEP ? left : UNPACK_STEP;

		rc = zstream_read(s->stream, s->owner->step, step);
		if (rc == 0 && n == 0)
			sum = (uint32_t)adler32(sum, s->owner->step, (uInt)step);
		left -= step;
	}
	s->now.sum = sum;
	s->stream_done = rc ? UINT64_MAX : s->now.done;
	return rc;
}

static int grow_step(struct packed *s)
{
	struct unpacked *u = s->owner;
	uint64_t left = s->where->size - s->now.done;
	size_t n = left < UNPACK_STEP ? left : UNPACK_STEP;
	int rc = s->stream_done == s->now.done ? 0 : begin_stream(s);
	uint32_t sum = 0;

	if (rc == 0)
		rc = zstream_read(s->stream, u->step, n);
	if (rc == 0) {
		sum = (uint32_t)adler32(s->now.sum, u->step, (uInt)n);
		rc = n == left ? zstream_finish(s->stream, sum) : 0;
	}
	if (rc == 0)
		rc = store_write(s, u->step, n, s->now.done);
	if (rc) {
		s->stream_done = UINT64_MAX;
		return rc;
	}
	for (size_t at = 0; at < n; at += UNPACK_CHUNK) {
		size_t len = n - at < UNPACK_CHUNK ? n - at : UNPACK_CHUNK;

		s->checks[(s->now.done + at) / UNPACK_CHUNK] = chunk_check(u->step + at, len);
	}
	s->now.done += n;
	s->now.sum = sum;
	s->now.point = *zstream_point(s->stream);
	s->stream_done = s->now.done;
	u->inflated += n;
	slot_save(s);
	return 0;
}

int grow(struct packed *s, uint64_t chunk)
{
	int rc = 0;

	store_lock(s, true);
	slot_load(s);
	while (rc == 0 && s->now.done <= chunk * UNPACK_CHUNK)
		rc = grow_step(s);
	store_lock(s, false);
	return rc;
}

void forget(struct packed *s, uint64_t chunk)
{
	store_lock(s, true);
	slot_load(s);
	s->now.done = chunk * UNPACK_CHUNK;
	memset(&s->now.point, 0, sizeof(s->now.point));
	s->stream_done = UINT64_MAX;
	slot_save(s);
	store_lock(s, false);
}
