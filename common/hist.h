/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Quantiles of the log-linear histogram that the kernel side counts (event.h).  A bucket is at most 1/16 of its lower end
 * wide, so a quantile is exact to 1/16 (6.25 %); the maximum is kept apart and is exact.
 */
#ifndef PLUMB_HIST_H
#define PLUMB_HIST_H

#include <stdint.h>

#include "plumb/event.h"

/* First duration above the bucket. The last bucket has no end: its floor's next power of two stands in. */
uint64_t hist_end(uint32_t bucket);
uint64_t hist_total(const __u64 hist[HIST_BUCKETS]);
/* The value that a share q (0..1) of the durations does not exceed, interpolated within its bucket and never above max_ns
 * (0: not known). 0 if nothing was counted. */
uint64_t hist_quantile(const __u64 hist[HIST_BUCKETS], double q, uint64_t max_ns);
/* An upper bound of the longest duration: the end of the highest bucket used; 0: nothing was counted. */
uint64_t hist_bound(const __u64 hist[HIST_BUCKETS]);
/* Durations of [2^power, 2^(power+1)) ns; power 0 holds 0 too. */
enum { HIST_OCTAVES = HIST_MAX_BITS + 1 };
void hist_octaves(const __u64 hist[HIST_BUCKETS], uint64_t octave[HIST_OCTAVES]);

#endif
