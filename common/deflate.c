/* SPDX-License-Identifier: Apache-2.0 */
#include "deflate.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "columns.h"

enum { BLOCK_BYTES = 512 };   /* more than a block's head and code can take */

struct deflater {
	z_stream z;
};

struct deflater *deflater_new(int level)
{
	struct deflater *d = calloc(1, sizeof(*d));

	if (d && deflateInit(&d->z, level) != Z_OK) {
		free(d);
		return NULL;
	}
	return d;
}

void deflater_free(struct deflater *d)
{
	if (!d)
		return;
	deflateEnd(&d->z);
	free(d);
}

int deflater_run(struct deflater *d, const void *data, size_t len, const size_t *piece, uint32_t n_pieces, struct buf *out)
{
	size_t bound = deflateBound(&d->z, len) + (size_t)n_pieces * BLOCK_BYTES;
	void *room = buf_reserve(out, bound);

	if (!room || len > (uInt)-1 || deflateReset(&d->z) != Z_OK)
		return -ENOMEM;
	d->z.next_in = (Bytef *)data;
	d->z.next_out = room;
	d->z.avail_out = (uInt)bound;
	for (uint32_t i = 0; i < n_pieces; i++) {
		d->z.avail_in = (uInt)(piece[i] - (i ? piece[i - 1] : 0));
		if (deflate(&d->z, Z_BLOCK) != Z_OK)
			return -ENOMEM;
	}
	d->z.avail_in = (uInt)(len - (n_pieces ? piece[n_pieces - 1] : 0));
	if (deflate(&d->z, Z_FINISH) != Z_STREAM_END)
		return -ENOMEM;
	out->len += bound - d->z.avail_out;
	return 0;
}

int deflater_columns(struct deflater *d, const struct columns_parts *p, struct buf *out)
{
	size_t at = out->len;
	uint32_t len = 0;
	int rc;

	buf_add(out, &len, sizeof(len));   /* its place */
	rc = deflater_run(d, p->soft->data, p->soft->len, p->piece, p->n_pieces, out);
	if (rc)
		return rc;
	len = htonl((uint32_t)(out->len - at - sizeof(len)));
	memcpy(out->data + at, &len, sizeof(len));
	buf_add(out, p->hard->data, p->hard->len);
	return out->failed ? -ENOMEM : 0;
}
