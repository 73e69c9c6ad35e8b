/* SPDX-License-Identifier: Apache-2.0 */
#include "hist.h"

#include <math.h>
#include <string.h>

uint64_t hist_end(uint32_t bucket)
{
	return bucket + 1 < HIST_BUCKETS ? hist_floor(bucket + 1) : 1ULL << HIST_MAX_BITS;
}

uint64_t hist_total(const __u64 hist[HIST_BUCKETS])
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < HIST_BUCKETS; i++)
		n += hist[i];
	return n;
}

/*
 * The durations of a bucket are taken to lie evenly in it: the k-th of n at (k - 1/2) / n of its width.  The nearest-rank
 * definition of a quantile (the ceil(q N)-th smallest) is what k counts in.
 */
static uint64_t inside(uint32_t bucket, uint64_t k, uint64_t n)
{
	uint64_t floor_ns = hist_floor(bucket), width = hist_end(bucket) - floor_ns;

	return floor_ns + (uint64_t)((double)(width - 1) * ((double)k - 0.5) / (double)n);
}

uint64_t hist_quantile(const __u64 hist[HIST_BUCKETS], double q, uint64_t max_ns)
{
	uint64_t total = hist_total(hist), rank, seen = 0;

	if (total == 0)
		return 0;
	rank = q <= 0 ? 1 : (uint64_t)ceil(q * (double)total);
	if (rank > total)
		rank = total;
	if (rank < 1)
		rank = 1;
	for (uint32_t i = 0; i < HIST_BUCKETS; i++) {
		if (seen + hist[i] >= rank) {
			uint64_t v = inside(i, rank - seen, hist[i]);

			/* Above the last bucket only the maximum says how far. */
			if (i == HIST_BUCKETS - 1 && max_ns > v)
				return max_ns;
			return max_ns && v > max_ns ? max_ns : v;
		}
		seen += hist[i];
	}
	return max_ns;
}

uint64_t hist_bound(const __u64 hist[HIST_BUCKETS])
{
	for (uint32_t i = HIST_BUCKETS; i-- > 0;)
		if (hist[i])
			return hist_end(i) - 1;
	return 0;
}

void hist_octaves(const __u64 hist[HIST_BUCKETS], uint64_t octave[HIST_OCTAVES])
{
	memset(octave, 0, HIST_OCTAVES * sizeof(*octave));
	for (uint32_t i = 0; i < HIST_BUCKETS; i++)
		octave[hist_log2(hist_floor(i) ? hist_floor(i) : 1)] += hist[i];
}
