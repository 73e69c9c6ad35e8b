/* SPDX-License-Identifier: Apache-2.0 */
/* zlib's format, one stream after the other from one allocation. */
#ifndef PLUMB_DEFLATE_H
#define PLUMB_DEFLATE_H

#include "buf.h"

struct deflater;

/* NULL: no memory. level: 1 (fast) to 9. */
struct deflater *deflater_new(int level);
void deflater_free(struct deflater *d);
/* Appends the deflated bytes to out. -ENOMEM. */
int deflater_run(struct deflater *d, const void *data, size_t len, struct buf *out);

#endif
