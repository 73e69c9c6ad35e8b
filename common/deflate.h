/* SPDX-License-Identifier: Apache-2.0 */
/* zlib's format, one stream after the other from one allocation. */
#ifndef PLUMB_DEFLATE_H
#define PLUMB_DEFLATE_H

#include <stdint.h>

#include "buf.h"

struct columns_parts;
struct deflater;

/* NULL: no memory. level: 1 (fast) to 9. */
struct deflater *deflater_new(int level);
void deflater_free(struct deflater *d);
/* Appends the deflated bytes to out. -ENOMEM. At each offset in `piece` (may be NULL) a block ends: what follows gets its own code. */
int deflater_run(struct deflater *d, const void *data, size_t len, const size_t *piece, uint32_t n_pieces, struct buf *out);
/* Appends the bytes of a CHUNK of WIRE_CODEC_COLUMNS. -ENOMEM. */
int deflater_columns(struct deflater *d, const struct columns_parts *p, struct buf *out);

#endif
