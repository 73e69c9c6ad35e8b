/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as two segments of a spool: they are scanned, read, appended to and rewritten.  What comes out has rising sequences
 * and frames within bounds.
 * fuzz-sources: agent/spool*.c common/[a-z]*.c -lm
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "../../agent/spool_internal.h"
#include "log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char dir[64];

static void clean(void)
{
	static const char *const names[] = { "agent", "acked", "lock", "0000000000000001.seg", "0000000000000009.seg" };
	char path[128];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		unlink(path);
	}
	rmdir(dir);
}

static void write_segment(const char *name, uint8_t *data, size_t size)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	close(fd);
}

/* A checksum is what a fuzzer does not find: where a head could be, it is made to fit. */
static void mend(uint8_t *data, size_t size)
{
	struct entry_head h;

	for (size_t at = sizeof(struct segment_head); at + sizeof(h) <= size; at++) {
		memcpy(&h, data + at, sizeof(h));
		if (h.magic != ENTRY_MAGIC)
			continue;
		if (h.part < 2 && h.len <= size - at - sizeof(h))
			h.frame_crc = (uint32_t)crc32(0, data + at + sizeof(h), h.len);
		h.crc = (uint32_t)crc32(0, (Bytef *)&h + offsetof(struct entry_head, len), sizeof(h) - offsetof(struct entry_head, len));
		memcpy(data + at, &h, sizeof(h));
	}
}

static void read_all(struct spool *s)
{
	struct spool_entry e;
	uint64_t last = 0;

	spool_seek(s, 0);
	while (spool_read(s, &e) > 0) {
		if (e.sequence <= last || !e.len || e.len > ENTRY_FRAME_MAX || e.type >= WIRE_TYPES)
			abort();
		if (crc32(0, (const Bytef *)e.frame, (uInt)e.len) == 0)
			last--;
		last = e.sequence;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct spool_entry e = { .type = WIRE_CHUNK, .request = 1, .records = 1, .frame = "\x93\x05\x01\x00", .len = 4 };
	uint8_t *copy = malloc(size + 1);
	size_t half = size / 2;
	struct spool *s;

	log_set_level(LOG_LEVEL_ERROR + 1);
	snprintf(dir, sizeof(dir), "/dev/shm/plumb-fuzz-spool.%d", (int)getpid());
	memcpy(copy, data, size);
	mend(copy, half);
	mend(copy + half, size - half);
	clean();
	if (spool_open(dir, 0, &s, NULL))
		abort();
	spool_close(s);
	write_segment("0000000000000001.seg", copy, half);
	write_segment("0000000000000009.seg", copy + half, size - half);
	free(copy);
	if (spool_open(dir, 0, &s, NULL))
		return 0;
	read_all(s);
	spool_append(s, &e, NULL);
	while (!spool_compact(s))
		read_all(s);
	spool_ack(s, 5);
	while (!TAILQ_EMPTY(&s->segments))
		segment_forget(s, TAILQ_FIRST(&s->segments), true);
	spool_close(s);
	clean();
	return 0;
}
