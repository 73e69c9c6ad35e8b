/* SPDX-License-Identifier: Apache-2.0 */
#include "deflate.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libdeflate.h>
#include <string.h>

#include "columns.h"

/* The library's compressor is the whole state. */
static struct libdeflate_compressor *compressor(struct deflater *d)
{
	return (struct libdeflate_compressor *)d;
}

struct deflater *deflater_new(int level)
{
	return (struct deflater *)libdeflate_alloc_compressor(level);
}

void deflater_free(struct deflater *d)
{
	if (d)
		libdeflate_free_compressor(compressor(d));
}

int deflater_run(struct deflater *d, const void *data, size_t len, struct buf *out)
{
	size_t bound = libdeflate_zlib_compress_bound(compressor(d), len), n;
	void *room = buf_reserve(out, bound);

	n = room ? libdeflate_zlib_compress(compressor(d), data, len, room, bound) : 0;
	if (!n)
		return -ENOMEM;
	out->len += n;
	return 0;
}

int deflater_columns(struct deflater *d, const struct columns_parts *p, struct buf *out)
{
	size_t at = out->len;
	uint32_t len = 0;
	int rc;

	buf_add(out, &len, sizeof(len));   /* its place */
	rc = deflater_run(d, p->soft->data, p->soft->len, out);
	if (rc)
		return rc;
	len = htonl((uint32_t)(out->len - at - sizeof(len)));
	memcpy(out->data + at, &len, sizeof(len));
	buf_add(out, p->hard->data, p->hard->len);
	return out->failed ? -ENOMEM : 0;
}
