/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Quantiles of durations that were counted in buckets, at all times together (Howard and Ramdas 2022, "Sequential estimation of
 * quantiles with applications to A/B testing and best-arm identification", Bernoulli 28(3)).
 *
 * If x is the quantile q, the number of calls that x does not exceed is binomial (n, q), up to the calls that took exactly x:
 * of those any part may have to be counted, so the count k lies somewhere in [calls < x, calls <= x].  A bucket does not tell
 * where inside it its calls lie, so for an x in it k lies in [calls below the bucket, calls up to its end].  The evidence
 * against x is the least over that range: what is true of the count that we cannot see is true of the least.
 */
#ifndef PLUMB_QUANTILE_H
#define PLUMB_QUANTILE_H

#include <stdint.h>

#include "hist.h"

/* log_e against "k of n is binomial with q": a mixture over Beta(m q, m (1-q)) whose smaller parameter is 1. 0 < q < 1.
 * Counts may be fractions: `together` calls that hang together count as one (etest.h). */
double quantile_log_e(double n, double k, double q);
/* Its least value over real k in [from, to], to <= n. */
double quantile_least_log_e(double n, double from, double to, double q);

/* Bounds of the quantile, ns; both together hold at all times with probability 1 - alpha. high is UINT64_MAX where the last
 * bucket is not excluded. Nothing counted: 0 and UINT64_MAX. */
void quantile_bounds(const __u64 hist[HIST_BUCKETS], double q, double alpha, double together, uint64_t *low_ns,
		     uint64_t *high_ns);

/* log_e against "both arms have the same quantile q". */
double quantile_differ_log_e(const __u64 base[HIST_BUCKETS], const __u64 cand[HIST_BUCKETS], double q, double together);

/*
 * The latency gate's frozen thresholds.  "The candidate's quantile is less than (1 + margin) times the baseline's" is tested as
 * "a smaller share of the candidate's calls takes (1 + margin) T or longer than of the baseline's calls takes T or longer".
 * All three lie on edges of buckets, so that counts above them are exact: T near the quantile, `pass` the last edge up to
 * (1 + margin) T, `fail` the first one from there on.
 */
struct threshold {
	uint32_t base, pass, fail;   /* buckets that begin at the thresholds; base < pass <= fail */
	double level;                /* share of the warm-up's calls that are shorter than T: as near to q as the edges allow */
};

/* The steps of the buckets are 1/16 to 1/31. From 5 % on, three quarters of the edges can be T, so that one is near. */
#define THRESHOLD_MARGIN_MIN 0.05

/* From a warm-up of the baseline. 0, or -ERANGE: no usable edge (nothing counted, margin below the buckets' step). */
int threshold_choose(const __u64 hist[HIST_BUCKETS], double q, double margin, struct threshold *out);
double log_odds(double share);   /* log(share / (1 - share)) */
uint64_t threshold_ns(uint32_t bucket);
/* Calls of the bucket and all above. */
uint64_t threshold_slow(const __u64 hist[HIST_BUCKETS], uint32_t bucket);

#endif
