/* SPDX-License-Identifier: Apache-2.0 */
#include "inflate.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "buf.h"
#include "columns.h"
#include "planes.h"
#include "plumb/wire.h"

enum { FIRST_BYTES = 64 << 10 };

struct inflater {
	z_stream z;
	struct buf out, records;
	struct columns_reader *reader;
};

struct inflater *inflater_new(void)
{
	struct inflater *i = calloc(1, sizeof(*i));

	if (i && inflateInit(&i->z) != Z_OK) {
		free(i);
		return NULL;
	}
	return i;
}

void inflater_free(struct inflater *i)
{
	if (!i)
		return;
	inflateEnd(&i->z);
	buf_free(&i->out);
	buf_free(&i->records);
	columns_reader_free(i->reader);
	free(i);
}

/* Room for the next piece: what there is, else as much again. 0: there may be no more. */
static size_t make_room(struct inflater *i, size_t max)
{
	size_t want = i->out.len ? i->out.len : FIRST_BYTES, left = max + 1 - i->out.len;
	size_t room = want < left ? want : left;

	return room && buf_reserve(&i->out, room) ? room : 0;
}

int inflater_run(struct inflater *i, const void *data, size_t len, size_t max, const char **out, size_t *out_len)
{
	int rc = Z_OK;

	buf_clear(&i->out);
	if (inflateReset(&i->z) != Z_OK || len > (uInt)-1)
		return -EPROTO;
	i->z.next_in = (Bytef *)data;
	i->z.avail_in = (uInt)len;
	while (rc == Z_OK) {
		size_t room = make_room(i, max);

		if (!room)
			return i->out.failed ? -ENOMEM : -EMSGSIZE;
		i->z.next_out = (Bytef *)i->out.data + i->out.len;
		i->z.avail_out = (uInt)room;
		rc = inflate(&i->z, Z_NO_FLUSH);
		i->out.len += room - i->z.avail_out;
	}
	if (i->out.len > max)
		return -EMSGSIZE;
	if (rc != Z_STREAM_END || i->z.avail_in)
		return rc == Z_MEM_ERROR ? -ENOMEM : -EPROTO;
	*out = buf_text(&i->out);
	*out_len = i->out.len;
	return 0;
}

int inflater_columns(struct inflater *i, const void *data, size_t len, size_t max, struct columns_reader **out)
{
	const char *soft, *bytes = data;
	size_t soft_len;
	uint32_t deflated;
	int rc;

	if (!i->reader)
		i->reader = columns_reader_new();
	if (!i->reader)
		return -ENOMEM;
	if (len < sizeof(deflated))
		return -EPROTO;
	memcpy(&deflated, bytes, sizeof(deflated));
	deflated = ntohl(deflated);
	bytes += sizeof(deflated);
	len -= sizeof(deflated);
	if (deflated > len)
		return -EPROTO;
	rc = inflater_run(i, bytes, deflated, max, &soft, &soft_len);
	if (rc)
		return rc;
	*out = i->reader;
	return columns_open(i->reader, soft, soft_len, bytes + deflated, len - deflated, max);
}

static int turn(struct inflater *i, uint64_t codec, const void *data, size_t len, size_t max)
{
	struct columns_reader *reader;
	const char *planes;
	int rc;

	buf_clear(&i->records);
	if (codec == WIRE_CODEC_COLUMNS) {
		rc = inflater_columns(i, data, len, max, &reader);
		return rc ? rc : columns_records(reader, &i->records);
	}
	rc = inflater_run(i, data, len, max, &planes, &len);
	return rc ? rc : planes_unpack(planes, len, max, &i->records);
}

int inflater_records(struct inflater *i, uint64_t codec, const void *data, size_t len, size_t max, const char **out, size_t *out_len)
{
	int rc = 0;

	*out = data;
	*out_len = len;
	if (codec == WIRE_CODEC_NONE)
		return 0;
	if (codec == WIRE_CODEC_DEFLATE)
		return inflater_run(i, data, len, max, out, out_len);
	if (codec > WIRE_CODEC_COLUMNS)
		return -EPROTO;
	rc = turn(i, codec, data, len, max);
	*out = buf_text(&i->records);
	*out_len = i->records.len;
	return rc;
}
