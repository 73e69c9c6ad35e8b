/* SPDX-License-Identifier: Apache-2.0 */
#include "quantile.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>

static double log_beta(double a, double b)
{
	int sign;

	return lgamma_r(a, &sign) + lgamma_r(b, &sign) - lgamma_r(a + b, &sign);
}

double quantile_log_e(uint64_t n, uint64_t k, double q)
{
	double m = 1 / fmin(q, 1 - q), a = m * q, b = m * (1 - q), below = (double)k, above = (double)(n - k);

	return log_beta(a + below, b + above) - log_beta(a, b) - below * log(q) - above * log1p(-q);
}

/* From k to k + 1 it rises by log((a+k)/(b+n-k-1)) - log(q/(1-q)), which is positive from k = q (n-1) on. */
double quantile_least_log_e(uint64_t n, uint64_t from, uint64_t to, double q)
{
	uint64_t k;

	if (n == 0)
		return 0;
	k = (uint64_t)ceil(q * (double)(n - 1));
	if (k < from)
		k = from;
	if (k > to)
		k = to;
	return quantile_log_e(n, k, q);
}

void quantile_bounds(const __u64 hist[HIST_BUCKETS], double q, double alpha, uint64_t *low_ns, uint64_t *high_ns)
{
	uint64_t n = hist_total(hist), below = 0;
	double need = -log(alpha);
	bool inside = false;

	*low_ns = 0;
	*high_ns = UINT64_MAX;
	for (uint32_t i = 0; n && i < HIST_BUCKETS; i++) {
		uint64_t up_to = below + hist[i];
		bool possible = quantile_least_log_e(n, below, up_to, q) < need;

		if (possible && !inside)
			*low_ns = hist_floor(i);
		if (!possible && inside) {
			*high_ns = hist_floor(i);
			return;
		}
		inside = possible;
		below = up_to;
	}
}

double quantile_differ_log_e(const __u64 base[HIST_BUCKETS], const __u64 cand[HIST_BUCKETS], double q)
{
	uint64_t n_b = hist_total(base), n_c = hist_total(cand), below_b = 0, below_c = 0;
	double least = INFINITY;

	if (n_b == 0 || n_c == 0)
		return 0;
	for (uint32_t i = 0; i < HIST_BUCKETS; i++) {
		uint64_t to_b = below_b + base[i], to_c = below_c + cand[i];
		double e;

		/* Where both are empty the next bucket with calls, or the one before, is at least as hard to refute. */
		if (base[i] || cand[i]) {
			e = quantile_least_log_e(n_b, below_b, to_b, q) + quantile_least_log_e(n_c, below_c, to_c, q);
			least = fmin(least, e);
		}
		below_b = to_b;
		below_c = to_c;
	}
	return least;
}

uint64_t threshold_ns(uint32_t bucket)
{
	return hist_floor(bucket);
}

uint64_t threshold_slow(const __u64 hist[HIST_BUCKETS], uint32_t bucket)
{
	uint64_t n = 0;

	for (uint32_t i = bucket; i < HIST_BUCKETS; i++)
		n += hist[i];
	return n;
}

/* The edges around (1 + margin) T; false if none lies above T and up to there. */
static bool margin_edges(uint32_t base, double margin, struct threshold *out)
{
	double limit = (double)hist_floor(base) * (1 + margin);
	uint32_t i = base;

	while (i + 1 < HIST_BUCKETS && (double)hist_floor(i + 1) <= limit)
		i++;
	if (i == base)
		return false;
	out->base = base;
	out->pass = i;
	out->fail = (double)hist_floor(i) < limit && i + 1 < HIST_BUCKETS ? i + 1 : i;
	return true;
}

static double log_odds(double share)
{
	return log(share / (1 - share));
}

int threshold_choose(const __u64 hist[HIST_BUCKETS], double q, double margin, struct threshold *out)
{
	uint64_t n = hist_total(hist), above = n;
	double best = INFINITY;

	for (uint32_t i = 0; n && i < HIST_BUCKETS; i++) {
		/* Half a call keeps the odds finite. An edge that no call of the warm-up lies above can show nothing. */
		double level = ((double)(n - above) + 0.5) / ((double)n + 1), off = fabs(log_odds(level) - log_odds(q));
		struct threshold t;

		if (above && off < best && margin_edges(i, margin, &t)) {
			best = off;
			*out = t;
			out->level = (double)(n - above) / (double)n;
		}
		above -= hist[i];
	}
	return isinf(best) ? -ERANGE : 0;
}
