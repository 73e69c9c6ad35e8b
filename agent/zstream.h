/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A zlib stream inside a file, read piece by piece, that can go on later where it was left: at the last block boundary,
 * given the 32 KiB of output before it.  The checksum at its end is for who gets there: most readers stop earlier.
 */
#ifndef PLUMB_ZSTREAM_H
#define PLUMB_ZSTREAM_H

#include <stddef.h>
#include <stdint.h>

enum { ZSTREAM_WINDOW = 32 << 10 };

/* A boundary between two deflate blocks. All zero: the beginning. */
struct inflate_point {
	uint64_t out, in;      /* bytes before it: inflated, deflated */
	uint32_t bits;         /* of the last deflated byte, those that belong to the next block */
};

struct zstream;               /* borrows fd; all its memory is allocated by zstream_new */

/* The stream in `len` bytes at `offset`. -EBADMSG: no zlib stream; -EIO, -ENOMEM. */
int zstream_new(int fd, uint64_t offset, uint64_t len, struct zstream **out);
void zstream_free(struct zstream *f);
/* Goes to a point; `window` is the output before it, ZSTREAM_WINDOW bytes or all there is. */
int zstream_start(struct zstream *f, const struct inflate_point *at, const void *window, size_t window_len);
/* The next n bytes: 0, or -EBADMSG (damaged, or shorter), -EIO. */
int zstream_read(struct zstream *f, void *out, size_t n);
/* After all of the output: the stream must end here, with that Adler-32. 0, or -EBADMSG, -EIO. */
int zstream_finish(struct zstream *f, uint32_t sum);
/* The last boundary at or before what was read. */
const struct inflate_point *zstream_point(const struct zstream *f);

#endif
