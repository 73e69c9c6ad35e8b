/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PLUMB_SPOOL_INTERNAL_H
#define PLUMB_SPOOL_INTERNAL_H

#include <sys/queue.h>
#include <sys/types.h>

#include "buf.h"
#include "spool.h"

enum {
	SEGMENT_BYTES = 4 << 20,
	SEGMENT_SHARE = 16,               /* at least this many segments within the bound */
	ENTRY_FRAME_MAX = WIRE_FRAME_MAX - WIRE_ENTRY_ROOM,
	SEGMENT_READ_MAX = SEGMENT_BYTES + WIRE_FRAME_MAX, /* what a file may hold: anything beyond is ignored */
};

/* After a reboot, or damage, the highest sequence that was used is not known: some that were written may be gone. */
#define SEQUENCE_JUMP (1ULL << 24)
#define SEQUENCE_MAX (1ULL << 62)

/* Reasons of LOSS. */
#define LOSS_FULL "spool-full"
#define LOSS_CORRUPT "spool-corrupt"
#define REWRITE_NAME "rewrite.tmp"

/* ---- the format: spool_segment.c.  Host byte order: a spool does not leave its machine. ---- */

#define SEGMENT_MAGIC 0x31676573626d6c70ULL   /* "plmbseg1" */
#define ENTRY_MAGIC 0x9e7d5a31U

struct segment_head {
	uint64_t magic;
	uint64_t first;          /* no sequence in it is lower */
	char boot[36];           /* boot id of the kernel under which it was made */
	uint32_t crc;            /* of what is before it */
};

struct entry_head {
	uint32_t magic, crc;     /* crc: of the head from len on */
	uint32_t len, frame_crc;
	uint64_t sequence, request, wall_ns;
	uint32_t records;
	uint32_t before;         /* records in this segment before this entry: what a damaged one held can be told */
	uint32_t type, part;
};

_Static_assert(sizeof(struct segment_head) == 56 && sizeof(struct entry_head) == 56, "on disk");

enum entry_state { ENTRY_END, ENTRY_GOOD, ENTRY_DAMAGED };

/* Walks through a segment's bytes; all of them may be hostile. */
struct segment_walk {
	const char *data;
	size_t len, at;          /* at: behind the last entry that was good or whose head was */
	uint64_t last;           /* sequence of the last one */
	uint32_t records;        /* so far, also of damaged ones */
};

void segment_head_make(struct segment_head *h, uint64_t first);
/* False: not a segment, or damaged. */
bool segment_head_read(const void *data, size_t len, struct segment_head *out);
void entry_head_make(struct entry_head *h, const struct spool_entry *e, uint32_t before);
void segment_walk_start(struct segment_walk *w, const void *data, size_t len, uint64_t after);
/*
 * ENTRY_GOOD: *e is it, its frame points into data.  ENTRY_DAMAGED: something is missing; e->records are those that can be
 * told, e->request is theirs or 0, e->type is WIRE_CHUNK if it is known to be one, else WIRE_TYPES.  ENTRY_END: w->at is
 * where the good part ends.
 */
enum entry_state segment_walk_next(struct segment_walk *w, struct spool_entry *e);
bool boot_is(const char boot[36]);

/* ---- spool.c ---- */

/* How much of a segment has been given up. */
enum segment_level { LEVEL_WHOLE, LEVEL_NO_CHUNKS, LEVEL_THIN };

struct segment {
	TAILQ_ENTRY(segment) link;
	uint64_t first, last;    /* sequences; last < first: empty */
	uint64_t bytes;          /* of the file */
	uint32_t records;
	uint32_t entries;
	enum segment_level level;
};

TAILQ_HEAD(segments, segment);

struct spool {
	char *path;                    /* of the directory */
	int dir, lock, acked_fd, fd;   /* fd: of the last segment, which grows */
	char agent[SPOOL_AGENT_DIGITS + 1];
	struct segments segments;      /* oldest first */
	uint64_t bytes, max_bytes, segment_bytes;
	uint64_t next, acked;
	uint64_t sent;                 /* up to here entries may be known to a collector */
	bool unsure;                   /* at opening: which sequences were used is not known for certain */
	bool exhausted;                /* nothing can be given up, until something is acked or ... */
	uint64_t compact_again_ns;     /* ... it is looked at again (CLOCK_MONOTONIC) */
	struct spool_status count;
	struct reader {
		uint64_t after;        /* sequence of what was read last */
		struct segment *in;    /* NULL: to be found */
		int fd;                /* its file */
		uint64_t at;           /* where `block` begins in it */
		struct buf block;
		struct segment_walk walk;
		struct buf loss;       /* an entry that stands for a damaged one */
	} reader;
};

void segment_path(uint64_t first, const char *suffix, char out[32]);
/* The file's bytes into out. */
int segment_load(struct spool *s, const struct segment *g, struct buf *out);
/* At the end of the list, with the size of its file. */
struct segment *segment_new(struct spool *s, uint64_t first);
void segment_forget(struct spool *s, struct segment *g, bool unlink_it);

/* ---- spool_identity.c ---- */
int identity_open(struct spool *s, const char *dir, struct error *err);
/* The directory was removed: makes it again, for the same agent. -errno: it is not there, nothing has changed. */
int identity_return(struct spool *s);
/* Writes how far entries are acked, and sent. */
void identity_save(struct spool *s);

/* ---- spool_scan.c: what an earlier agent left ---- */
int spool_scan(struct spool *s, struct error *err);

/* ---- spool_read.c ---- */
/* The reader has to find its place again: segments have changed. */
void reader_reset(struct spool *s);
/* A LOSS in the place of what is damaged; its frame lies in `scratch`. */
void damage_to_loss(struct spool_entry *e, struct buf *scratch);

/* Packs the array of a LOSS frame. */
void loss_pack(struct buf *out, uint64_t request, uint64_t records, const char *reason);

/* ---- spool_compact.c ---- */
/* Frees some room. -ENODATA: there is nothing to give up. */
int spool_compact(struct spool *s);

#endif
