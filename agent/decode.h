/* SPDX-License-Identifier: Apache-2.0 */
/* Events (raw bytes from a ring) -> records (msgpack, wire.h CHUNK). No allocation per event beyond the buffer's growth. */
#ifndef PLUMB_DECODE_H
#define PLUMB_DECODE_H

#include "buf.h"
#include "layout.h"

/*
 * Appends one record to out. `base_ns`: CLOCK_MONOTONIC of the chunk's base. The event must have at least the plan's
 * event_bytes, and the layout must have passed layout_check for it.
 * Returns how many values could not be read because their memory was not there.
 */
uint32_t decode_event(const struct layout *l, const struct event *ev, uint64_t base_ns, struct buf *out);

/* Values of a record that can never be read, by layout (SSE registers, optimised out, ...). */
uint32_t decode_unreadable(const struct layout *l);

#endif
