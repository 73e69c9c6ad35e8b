/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What waits on disk until a collector has stored it: a bounded log of frames, each with a sequence that is never used again.
 *
 *   DIR/agent            32 hex digits, the agent's identity, made once
 *   DIR/lock             two agents never share a spool
 *   DIR/acked            the last sequence that the collector has told to be stored
 *   DIR/<16 hex>.seg     segments, named by the first sequence in them
 *
 * A frame is accepted when the kernel has it: it survives kill -9 at any byte, not a power cut.  What is damaged is left out and
 * counted.  At the bound the oldest CHUNKs are replaced, at their sequences, by LOSS entries, then superseded STATS go; what
 * makes the rest readable (PROBE, END, ...) stays.  When there is nothing more to give up, or the disk is full, appending fails.
 */
#ifndef PLUMB_SPOOL_H
#define PLUMB_SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "plumb/error.h"
#include "plumb/wire.h"

enum { SPOOL_BYTES_MIN = 1 << 20, SPOOL_BYTES_DEFAULT = 256 << 20, SPOOL_AGENT_DIGITS = 32 };

struct spool;   /* owns its files; holds at most one segment in memory */

struct spool_entry {
	uint64_t sequence;       /* set by the spool */
	uint64_t request;
	uint64_t wall_ns;        /* set by the spool: when it was appended */
	enum wire_type type;
	uint32_t records;        /* of a CHUNK */
	uint32_t part;           /* of STATS that are told in several frames; a later one of the same number supersedes it */
	const char *frame;       /* msgpack array, without the length before it */
	size_t len;
};

struct spool_status {
	uint64_t bytes, max_bytes;          /* on disk */
	uint64_t next, acked;               /* sequences */
	uint64_t backlog_entries;           /* not acked */
	uint64_t backlog_bytes;
	uint64_t oldest_ns;                 /* wall clock of the oldest that is not acked; 0: there is none */
	uint64_t lost_records;              /* accepted and given up since the spool was opened: the bound */
	uint64_t corrupt_records;           /* the same: damaged on disk */
	uint64_t corrupt_entries;           /* damaged ones, also those whose records could not be counted */
	uint64_t refused;                   /* appends that failed */
};

/* Makes the directory and its parent, takes the lock, cuts a torn end. -EBUSY: another agent has it. */
int spool_open(const char *dir, uint64_t max_bytes, struct spool **out, struct error *err);
void spool_close(struct spool *s);

const char *spool_agent(const struct spool *s);
void spool_status(struct spool *s, struct spool_status *st);

/* Gives the frame a sequence and writes it. -ENOSPC, -EIO, ...: nothing was kept, the sequence is free again. */
int spool_append(struct spool *s, const struct spool_entry *e, uint64_t *sequence);
/* Sequences begin above `sequence` from now on: a collector knows more than the disk does. */
void spool_skip_to(struct spool *s, uint64_t sequence);
/* All up to this one is stored: their room is free. */
void spool_ack(struct spool *s, uint64_t sequence);

/* The next spool_read gives the first entry above `after`. */
void spool_seek(struct spool *s, uint64_t after);
/* 1 and the entry, 0: no more yet, -errno. The frame is valid until the next call of any of these functions. */
int spool_read(struct spool *s, struct spool_entry *e);

/* Calls visit for each entry that is not acked; the frame is valid during the call. */
int spool_each(struct spool *s, void (*visit)(const struct spool_entry *e, void *arg), void *arg);

#endif
