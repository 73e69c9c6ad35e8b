/* SPDX-License-Identifier: Apache-2.0 */
/* zlib's format, one stream after the other from one allocation, by libdeflate: it is given all at once, and takes half of zlib's time. */
#ifndef PLUMB_DEFLATE_H
#define PLUMB_DEFLATE_H

#include <stdint.h>

#include "buf.h"

struct columns_parts;
struct deflater;

/* NULL: no memory. level: 1 (fast) to 12. */
struct deflater *deflater_new(int level);
void deflater_free(struct deflater *d);
/* Appends the deflated bytes to out. -ENOMEM. */
int deflater_run(struct deflater *d, const void *data, size_t len, struct buf *out);
/* Appends the bytes of a CHUNK of WIRE_CODEC_COLUMNS. -ENOMEM. */
int deflater_columns(struct deflater *d, const struct columns_parts *p, struct buf *out);

#endif
