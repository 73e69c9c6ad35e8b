/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unpack.c lays the file out in memory, unpack_store.c is the file with what was inflated, unpack_grow.c inflates
 * further, unpack_fault.c hears of reads.
 *
 * In memory, one range of addresses:
 *
 *   the ELF file, mapped; its first page is a copy in which e_shoff is changed
 *   the compressed sections, inflated: no access at first, chunk by chunk opened when it is read
 *   a copy of the section headers which says so
 *
 * The store, a file:
 *
 *   struct head       what it is made from; must be what the ELF file at hand would give
 *   struct slot       per section two, written in turn: how far it has come; the newer one with a right sum counts
 *   checks            per section and chunk a CRC, see chunk_check
 *   the sections
 *
 * Whoever is killed at any moment leaves a usable store behind: bytes first, then their checks, then the slot.  What a
 * crash of the machine tore is found by the checks, which each chunk has to pass before it is read.
 */
#ifndef PLUMB_UNPACK_INTERNAL_H
#define PLUMB_UNPACK_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "zstream.h"
#include "unpack.h"

enum {
	UNPACK_SECTIONS_MAX = 32,
	UNPACK_CHUNK = 16 << 10,
	UNPACK_STEP = 256 << 10,              /* inflated at a time */
	UNPACK_HEAD_BYTES = 8192,
};

struct head_section { uint64_t source, packed, size, at, checks_at; };

struct head {
	char magic[8];
	uint32_t version, n;
	uint64_t dev, ino, file_size, mtime_ns, ctime_ns, length;
	struct head_section section[UNPACK_SECTIONS_MAX];
};

struct slot {
	uint64_t done;                        /* whole chunks, or all of it */
	struct inflate_point point;           /* at or before done */
	uint32_t sum;                         /* Adler-32 of what is done, for the stream's own check at its end */
	uint32_t turn, check, unused;
};

struct store {
	int fd;                               /* kept, or in memory only */
	bool kept;
	unsigned char *index;                 /* head, slots, checks: mapped */
	size_t index_len;
};

struct packed {
	struct unpacked *owner;
	const struct head_section *where;
	struct slot *slots;                   /* two, in the index */
	uint32_t *checks;
	unsigned char *mem;                   /* its first byte, inflated */
	struct zstream *stream;              /* NULL before the first use */
	uint64_t stream_done;                 /* what the stream has given so far; it goes on if that is slot.done */
	struct slot now;
	uint64_t spilled_from;                /* the first chunk that is in the spill file; UINT64_MAX */
	uint64_t next, run;                   /* reading on: the chunk after the last one opened, how many at once */
};

struct unpacked {
	struct unpacked *link;                /* of those the fault handler knows */
	int source;
	struct head head;
	struct store store;
	int spill;                            /* in memory: what the store had no room for; -1 */
	uint64_t spilled, inflated, opened;
	unsigned char *base;
	size_t len, sections_at, table_at;
	Elf *elf;
	struct packed section[UNPACK_SECTIONS_MAX];
	unsigned char *step;                  /* UNPACK_STEP bytes */
	char failure[200];
};

static inline uint64_t chunks_of(uint64_t bytes)
{
	return (bytes + UNPACK_CHUNK - 1) / UNPACK_CHUNK;
}

/* unpack_store.c */
/* What stands in `checks` for a chunk's bytes: CRC-32C by the processor's own instruction, CRC-32 where it has none. */
uint32_t chunk_check(const void *data, size_t len);
void store_layout(struct head *h, const struct stat *st);
int store_open(struct unpacked *u, const struct cache_place *cache);
void store_close(struct unpacked *u);
/* Where a chunk's bytes are. */
int store_file(const struct packed *s, uint64_t chunk);
/* Whole chunks, or the section's end, at `at`. */
int store_write(struct packed *s, const void *data, size_t len, uint64_t at);
void store_lock(const struct packed *s, bool on);
void slot_load(struct packed *s);
void slot_save(struct packed *s);

/* unpack_grow.c: both return 0 or -errno */
int grow(struct packed *s, uint64_t chunk);
/* A chunk is not what was written: it and what follows are inflated again. */
void forget(struct packed *s, uint64_t chunk);

/* unpack_fault.c */
int fault_register(struct unpacked *u);
void fault_forget(struct unpacked *u);

#endif
