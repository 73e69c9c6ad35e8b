/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of a segment: a head, then entries, each a head and a frame, all with a CRC-32. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "spool_internal.h"

enum { RECORDS_MAX = 1 << 30 };

static uint32_t crc_of(const void *data, size_t len)
{
	return (uint32_t)crc32(0, data, (uInt)len);
}

static const char *boot_id(void)
{
	static char id[64];
	ssize_t n = -1;
	int fd;

	if (id[0])
		return id;
	fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, id, sizeof(id) - 1);
		close(fd);
	}
	if (n < 36)
		memset(id, '?', 36);
	return id;
}

bool boot_is(const char boot[36])
{
	return !memcmp(boot_id(), boot, 36) && boot[0] != '?';
}

void segment_head_make(struct segment_head *h, uint64_t first)
{
	*h = (struct segment_head){ .magic = SEGMENT_MAGIC, .first = first };
	memcpy(h->boot, boot_id(), sizeof(h->boot));
	h->crc = crc_of(h, offsetof(struct segment_head, crc));
}

bool segment_head_read(const void *data, size_t len, struct segment_head *out)
{
	if (len < sizeof(*out))
		return false;
	memcpy(out, data, sizeof(*out));
	return out->magic == SEGMENT_MAGIC && out->crc == crc_of(out, offsetof(struct segment_head, crc));
}

static uint32_t entry_crc(const struct entry_head *h)
{
	size_t from = offsetof(struct entry_head, len);

	return crc_of((const char *)h + from, sizeof(*h) - from);
}

void entry_head_make(struct entry_head *h, const struct spool_entry *e, uint32_t before)
{
	*h = (struct entry_head){
		.magic = ENTRY_MAGIC, .len = (uint32_t)e->len, .frame_crc = crc_of(e->frame, e->len),
		.sequence = e->sequence, .request = e->request, .wall_ns = e->wall_ns,
		.records = e->records, .before = before, .type = (uint32_t)e->type, .part = e->part,
	};
	h->crc = entry_crc(h);
}

static bool entry_head_read(const char *at, uint64_t last, struct entry_head *h)
{
	memcpy(h, at, sizeof(*h));
	return h->magic == ENTRY_MAGIC && h->crc == entry_crc(h) && h->sequence > last && h->sequence < SEQUENCE_MAX &&
	       h->len > 0 && h->len <= ENTRY_FRAME_MAX && h->type < WIRE_TYPES && h->records <= RECORDS_MAX && h->before <= RECORDS_MAX;
}

void segment_walk_start(struct segment_walk *w, const void *data, size_t len, uint64_t after)
{
	*w = (struct segment_walk){ .data = data, .len = len, .at = sizeof(struct segment_head), .last = after };
	if (w->at > len)
		w->at = len;
}

/* Looks for the next head that is one. What lies before it is damaged. */
static enum entry_state resync(struct segment_walk *w, struct spool_entry *e)
{
	static const uint32_t magic = ENTRY_MAGIC;
	const char *end = w->data + w->len, *p = w->data + w->at;
	struct entry_head h;

	while ((p = memmem(p + 1, (size_t)(end - p) - 1, &magic, sizeof(magic)))) {
		if ((size_t)(end - p) < sizeof(h))
			return ENTRY_END;
		if (!entry_head_read(p, w->last, &h))
			continue;
		*e = (struct spool_entry){ .sequence = h.sequence - 1, .type = WIRE_TYPES, .wall_ns = h.wall_ns,
					   .records = h.before > w->records ? h.before - w->records : 0 };
		w->at = (size_t)(p - w->data);
		w->records = h.before;
		w->last = e->sequence;
		return ENTRY_DAMAGED;
	}
	return ENTRY_END;
}

enum entry_state segment_walk_next(struct segment_walk *w, struct spool_entry *e)
{
	const char *at = w->data + w->at;
	struct entry_head h;

	if (w->len - w->at < sizeof(h))
		return ENTRY_END;
	if (!entry_head_read(at, w->last, &h))
		return resync(w, e);
	if (w->len - w->at - sizeof(h) < h.len)
		return ENTRY_END;
	w->at += sizeof(h) + h.len;
	w->last = h.sequence;
	w->records = h.before + h.records;
	*e = (struct spool_entry){
		.sequence = h.sequence, .request = h.request, .wall_ns = h.wall_ns, .type = (enum wire_type)h.type,
		.records = h.records, .part = h.part, .frame = at + sizeof(h), .len = h.len,
	};
	return crc_of(e->frame, e->len) == h.frame_crc ? ENTRY_GOOD : ENTRY_DAMAGED;
}
