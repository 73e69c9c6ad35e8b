/* SPDX-License-Identifier: Apache-2.0 */
/* From the oldest entry on: a window that moves over each segment's file. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "frame.h"
#include "spool_internal.h"

enum { WINDOW_BYTES = 256 << 10, SENT_STEP = 256 };

void loss_pack(struct buf *out, uint64_t request, uint64_t records, const char *reason)
{
	msgpack_packer pk;

	buf_clear(out);
	pack_into(&pk, out);
	msgpack_pack_array(&pk, 4);
	msgpack_pack_int(&pk, WIRE_LOSS);
	msgpack_pack_uint64(&pk, request);
	msgpack_pack_uint64(&pk, records);
	pack_text(&pk, reason);
}

void damage_to_loss(struct spool_entry *e, struct buf *scratch)
{
	loss_pack(scratch, e->request, e->records, LOSS_CORRUPT);
	e->type = WIRE_LOSS;
	e->frame = scratch->data;
	e->len = scratch->len;
}

void reader_reset(struct spool *s)
{
	if (s->reader.fd >= 0)
		close(s->reader.fd);
	s->reader.fd = -1;
	s->reader.in = NULL;
	buf_clear(&s->reader.block);
}

void spool_seek(struct spool *s, uint64_t after)
{
	reader_reset(s);
	s->reader.after = after;
}

static int open_segment(struct spool *s, struct segment *g)
{
	struct reader *r = &s->reader;
	char path[32];

	reader_reset(s);
	segment_path(g->first, "seg", path);
	r->fd = openat(s->dir, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (r->fd < 0)
		return -errno;
	r->in = g;
	r->at = sizeof(struct segment_head);
	r->walk = (struct segment_walk){ .last = g->first - 1 };
	return 0;
}

/* Somebody has removed the file: damage as a whole. How many of its records have been read before is not known. */
static void removed(const struct reader *r, const struct segment *g, struct spool_entry *e)
{
	*e = (struct spool_entry){ .sequence = g->last, .type = WIRE_TYPES, .records = r->after < g->first ? g->records : 0 };
}

/* The segment that has what comes after what was read. 1: it is open; 0: there is none yet; -ENOENT: its file is gone, *e tells. */
static int place(struct spool *s, struct spool_entry *e)
{
	struct segment *g;
	int rc;

	TAILQ_FOREACH(g, &s->segments, link) {
		if (g->last <= s->reader.after)
			continue;
		rc = open_segment(s, g);
		if (rc == -ENOENT)
			removed(&s->reader, g, e);
		return rc ? rc : 1;
	}
	return 0;
}

/* Moves the window. 0: there is no more in the file. */
static int read_more(struct reader *r)
{
	uint64_t end = r->in->bytes < SEGMENT_READ_MAX ? r->in->bytes : SEGMENT_READ_MAX, left;
	char *room;
	ssize_t n = 0;

	r->at += r->walk.at;
	buf_consume(&r->block, r->walk.at);
	r->walk.at = 0;
	left = end > r->at + r->block.len ? end - r->at - r->block.len : 0;
	if (left > WINDOW_BYTES)
		left = WINDOW_BYTES;
	room = left ? buf_reserve(&r->block, left) : NULL;
	if (left && !room)
		return -ENOMEM;
	if (left)
		n = pread(r->fd, room, left, (off_t)(r->at + r->block.len));
	if (n < 0)
		return -errno;
	r->block.len += (size_t)n;
	r->walk.data = r->block.data;
	r->walk.len = r->block.len;
	return n > 0;
}

/* A closed segment's end that cannot be read: stands before the first entry of the next one. */
static bool damaged_end(const struct reader *r, const struct segment *next, struct spool_entry *e)
{
	if (r->walk.at == r->walk.len || next->first - 1 <= r->after)
		return false;
	*e = (struct spool_entry){ .sequence = next->first - 1, .type = WIRE_TYPES,
				   .records = r->in->records > r->walk.records ? r->in->records - r->walk.records : 0 };
	return true;
}

static int give(struct spool *s, const struct spool_entry *e)
{
	s->reader.after = e->sequence;
	if (e->sequence > s->sent) {
		s->sent = e->sequence + SENT_STEP;
		identity_save(s);
	}
	return 1;
}

int spool_read(struct spool *s, struct spool_entry *e)
{
	struct reader *r = &s->reader;

	for (;;) {
		int rc = r->in ? 1 : place(s, e);
		enum entry_state state;
		struct segment *next;

		if (rc == -ENOENT) {
			s->count.corrupt_entries++;
			s->count.corrupt_records += e->records;
			damage_to_loss(e, &r->loss);
			return give(s, e);
		}
		if (rc <= 0)
			return rc;
		state = segment_walk_next(&r->walk, e);
		if (state != ENTRY_END) {
			if (e->sequence <= r->after)
				continue;
			if (state == ENTRY_DAMAGED)
				damage_to_loss(e, &r->loss);
			return give(s, e);
		}
		rc = read_more(r);
		if (rc < 0)
			return rc;
		next = TAILQ_NEXT(r->in, link);
		if (rc > 0)
			continue;
		if (!next)
			return 0;
		if (damaged_end(r, next, e)) {
			damage_to_loss(e, &r->loss);
			reader_reset(s);
			return give(s, e);
		}
		rc = open_segment(s, next);
		if (rc && rc != -ENOENT)   /* place() will say so */
			return rc;
	}
}
