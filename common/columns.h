/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A chunk's records turned by 90 degrees, for WIRE_CODEC_COLUMNS: what stands in the same place of records of the same probe lies
 * together.  Of integers, what no code makes smaller goes into a `hard` part, as bits; everything else into a `soft` part, which is
 * deflated.  So libdeflate, which would take most of the agent's time, sees a tenth of the bytes.
 *
 *   a CHUNK's bytes:  u32 (big-endian) bytes of the deflated soft part, that, hard part
 *   soft part:  varint records, varint groups, then per group: varint elements of its records, varint probe, varint records
 *               the column of groups (of each record its group), if there is more than one
 *               the columns of elements 1, 2, 3 (time, process, thread) of all records
 *               per group, per further element: a column
 *               the words: varint how many, then msgpack values
 *   a column:   RAW   0x00, varint bytes, msgpack values one after the other
 *               else  a byte: 1 unsigned, 2 signed, 3 the number of a word; + 0x10: differences from the value before,
 *                     + 0x20: zigzag of them; then
 *                     byte k, byte h, varint base (of signed ones and of differences: its zigzag), with 0x10 varint first value
 *                     h bits a value in the soft part: up to 8 together as bits.h has them, else bytes of equal weight, lowest first
 *                     k bits a value in the hard part, behind those of the columns before
 *                     value = base + (h << k | k); of differences: value before + this, 0 for the first
 *
 * varint: base 128, low bits first, at most 10 bytes.  All values are in the order of the records; sums wrap at 64 bits.
 */
#ifndef PLUMB_COLUMNS_H
#define PLUMB_COLUMNS_H

#include <stddef.h>
#include <stdint.h>

#include "buf.h"

enum { COLUMNS_GROUPS_MAX = 255, COLUMNS_MAX = 8192, COLUMNS_WORDS_MAX = 4096 };

/* ---- packing ---- */

struct columns;   /* owns memory that is used again for the next chunk */

/* Valid until the next call. */
struct columns_parts {
	const struct buf *soft, *hard;
};

struct columns *columns_new(void);   /* NULL: no memory */
void columns_free(struct columns *c);
/*
 * Turns records: msgpack arrays that begin with a probe number and have at least three more elements, integers. -EPROTO: they are
 * others; -E2BIG: too many kinds of them; -ENOMEM.
 */
int columns_pack(struct columns *c, const void *records, size_t len, struct columns_parts *out);

/* ---- reading: all bytes may be hostile ---- */

struct columns_reader;   /* owns memory that is used again */

/* What stands at the head of a record, and how many elements come behind it. */
struct columns_head {
	uint32_t probe, values;
	int64_t delta;
	uint64_t flags;
};

struct columns_reader *columns_reader_new(void);   /* NULL: no memory */
void columns_reader_free(struct columns_reader *r);
/*
 * Checks all of it. The parts are borrowed until the last call about them. -EPROTO: they are malformed; -EMSGSIZE: the records may
 * take more than `max` bytes (9 are reckoned for each integer); -ENOMEM.
 */
int columns_open(struct columns_reader *r, const void *soft, size_t soft_len, const void *hard, size_t hard_len, size_t max);
/* Appends the records, as msgpack arrays. -ENOMEM. */
int columns_records(struct columns_reader *r, struct buf *out);
/* The heads, valid until the next call, without making records. -EPROTO: not all records have one; -ENOMEM. */
int columns_heads(struct columns_reader *r, const struct columns_head **out, size_t *n);

#endif
