/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A histogram as bytes, as the store keeps it: for each bucket that is not empty the distance from the bucket before (the first one:
 * from 0) and the count, both as base-128 varints, low bits first.  Packed histograms merge by unpacking both onto one.
 */
#ifndef PLUMB_HISTPACK_H
#define PLUMB_HISTPACK_H

#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "plumb/event.h"

/* Appends to out. */
void hist_pack(const __u64 hist[HIST_BUCKETS], struct buf *out);
/* ADDS what is packed to hist. -EPROTO: not a packed histogram; hist may then hold part of it. */
int hist_unpack_add(const void *data, size_t len, __u64 hist[HIST_BUCKETS]);

#endif
