/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A chunk's records turned by 90 degrees, for WIRE_CODEC_COLUMNS: what stands in the same place of records of the same probe lies
 * together, integers as bytes of equal weight, or of their differences if these are smaller.  Deflated, each such piece in a block
 * with a code of its own, records take half of what they take row by row.
 *
 *   varint records, varint groups, then per group: varint elements of its records, varint probe
 *   if there is more than one group: for each record a byte, its group
 *   per group, per element but the first: a column
 *     RAW    0x00, varint bytes, msgpack values one after the other
 *     INT    0x10 + width: unsigned; 0x20 + width: zigzag; 0x30 + width (of negative ones too: 0x40 + width), varint first value:
 *            zigzag of the difference from the value before, 0 for the first; then width times one byte of each, the lowest first
 *
 * varint: base 128, low bits first, at most 10 bytes.  All values are in the order of the records.
 */
#ifndef PLUMB_COLUMNS_H
#define PLUMB_COLUMNS_H

#include <stddef.h>
#include <stdint.h>

#include "buf.h"

enum { COLUMNS_GROUPS_MAX = 255, COLUMNS_MAX = 8192, COLUMNS_PIECES_MAX = 1024 };

struct columns;   /* owns memory that is used again for the next chunk */

struct columns *columns_new(void);   /* NULL: no memory */
void columns_free(struct columns *c);
/*
 * Turns records (msgpack arrays that begin with a probe number). *out is valid until the next call; `piece` are the ends of its pieces,
 * each to be deflated as a block. -EPROTO: they are not such records; -E2BIG: too many kinds of them, -ENOMEM.
 */
int columns_pack(struct columns *c, const void *records, size_t len, const struct buf **out, const size_t **piece, uint32_t *n_pieces);
/* Back: appends at most `max` bytes of records to out. The bytes may be hostile: -EPROTO, -EMSGSIZE, -ENOMEM. */
int columns_unpack(const void *data, size_t len, size_t max, struct buf *out);

#endif
