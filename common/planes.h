/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chunks of WIRE_CODEC_PLANES, as agents sent them before there was WIRE_CODEC_COLUMNS, and as they lie in stores.  Inflated:
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
#ifndef PLUMB_PLANES_H
#define PLUMB_PLANES_H

#include <stddef.h>

#include "buf.h"

/* Appends at most `max` bytes of records to out. The bytes may be hostile: -EPROTO, -EMSGSIZE, -ENOMEM. */
int planes_unpack(const void *data, size_t len, size_t max, struct buf *out);

#endif
