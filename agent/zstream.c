/* SPDX-License-Identifier: Apache-2.0 */
#include "zstream.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>
#include <zlib.h>

enum { INPUT_BYTES = 128 << 10, ARENA_BYTES = 64 << 10, HEADER_BYTES = 2, RAW_DEFLATE = -15 };

struct zstream {
	int fd;
	uint64_t offset, len;         /* of the deflate data, behind the two bytes of zlib's header */
	uint64_t in, out;             /* read from the file; inflated */
	struct inflate_point point;
	z_stream z;
	size_t arena_used;
	_Alignas(16) unsigned char arena[ARENA_BYTES];   /* zlib's memory: it may be used in a signal handler */
	unsigned char input[INPUT_BYTES];
};

static void *arena_alloc(void *arg, unsigned items, unsigned size)
{
	struct zstream *f = arg;
	size_t bytes = ((size_t)items * size + 15) & ~(size_t)15, at = f->arena_used;

	if (bytes > ARENA_BYTES - at)
		return NULL;
	f->arena_used += bytes;
	return f->arena + at;
}

static void arena_free(void *arg, void *memory)
{
}

static ssize_t read_some(const struct zstream *f, void *out, size_t len, uint64_t at)
{
	ssize_t n;

	do
		n = pread(f->fd, out, len, (off_t)(f->offset + at));
	while (n < 0 && errno == EINTR);
	return n;
}

int zstream_new(int fd, uint64_t offset, uint64_t len, struct zstream **out)
{
	struct zstream *f = calloc(1, sizeof(*f));
	unsigned char head[HEADER_BYTES];

	*out = NULL;
	if (!f)
		return -ENOMEM;
	f->fd = fd;
	f->offset = offset;
	f->len = len;
	f->z.zalloc = arena_alloc;
	f->z.zfree = arena_free;
	f->z.opaque = f;
	/* RFC 1950: deflate, a sum that fits, no preset dictionary. */
	if (len < HEADER_BYTES || read_some(f, head, HEADER_BYTES, 0) != HEADER_BYTES || (head[0] & 15) != Z_DEFLATED ||
	    (head[0] * 256 + head[1]) % 31 != 0 || (head[1] & 32) || inflateInit2(&f->z, RAW_DEFLATE) != Z_OK) {
		free(f);
		return -EBADMSG;
	}
	f->offset += HEADER_BYTES;
	f->len -= HEADER_BYTES;
	*out = f;
	return 0;
}

void zstream_free(struct zstream *f)
{
	if (!f)
		return;
	inflateEnd(&f->z);
	free(f);
}

int zstream_start(struct zstream *f, const struct inflate_point *at, const void *window, size_t window_len)
{
	unsigned char last;

	if (inflateReset(&f->z) != Z_OK)
		return -EBADMSG;
	f->z.avail_in = 0;
	f->in = at->in;
	f->out = at->out;
	f->point = *at;
	if (at->bits) {
		if (at->in == 0 || read_some(f, &last, 1, at->in - 1) != 1)
			return -EIO;
		if (inflatePrime(&f->z, (int)at->bits, last >> (8 - at->bits)) != Z_OK)
			return -EBADMSG;
	}
	if (window_len && inflateSetDictionary(&f->z, window, (unsigned)window_len) != Z_OK)
		return -EBADMSG;
	return 0;
}

static int refill(struct zstream *f)
{
	uint64_t left = f->len - f->in;
	ssize_t n;

	if (f->in >= f->len)
		return -EBADMSG;
	n = read_some(f, f->input, left < INPUT_BYTES ? left : INPUT_BYTES, f->in);
	if (n <= 0)
		return -EIO;
	f->in += (uint64_t)n;
	f->z.next_in = f->input;
	f->z.avail_in = (unsigned)n;
	return 0;
}

/* After Z_BLOCK, zlib tells in data_type: 128 a block has ended, 64 it was the last one, 7 how many bits are unused. */
static void note_point(struct zstream *f)
{
	if ((f->z.data_type & (128 | 64)) == 128)
		f->point = (struct inflate_point){ f->out, f->in - f->z.avail_in, f->z.data_type & 7 };
}

int zstream_read(struct zstream *f, void *out, size_t n)
{
	f->z.next_out = out;
	f->z.avail_out = (unsigned)n;
	while (f->z.avail_out) {
		unsigned before = f->z.avail_out;
		int rc;

		rc = f->z.avail_in ? 0 : refill(f);
		if (rc)
			return rc;
		rc = inflate(&f->z, Z_BLOCK);
		f->out += before - f->z.avail_out;
		if (rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR)
			return -EBADMSG;
		note_point(f);
		if (rc == Z_STREAM_END && f->z.avail_out)
			return -EBADMSG;
	}
	return 0;
}

int zstream_finish(struct zstream *f, uint32_t sum)
{
	unsigned char spare, tail[4];
	int rc = Z_OK, io;

	f->z.next_out = &spare;
	f->z.avail_out = 1;
	while (rc == Z_OK && f->z.avail_out) {
		io = f->z.avail_in ? 0 : refill(f);
		if (io)
			return io;
		rc = inflate(&f->z, Z_BLOCK);
	}
	if (rc != Z_STREAM_END || !f->z.avail_out || read_some(f, tail, sizeof(tail), f->in - f->z.avail_in) != sizeof(tail))
		return -EBADMSG;
	return ((uint32_t)tail[0] << 24 | (uint32_t)tail[1] << 16 | (uint32_t)tail[2] << 8 | tail[3]) == sum ? 0 : -EBADMSG;
}

const struct inflate_point *zstream_point(const struct zstream *f)
{
	return &f->point;
}
