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

double quantile_log_e(double n, double k, double q)
{
	double m = 1 / fmin(q, 1 - q), a = m * q, b = m * (1 - q);

	return log_beta(a + k, b + n - k) - log_beta(a, b) - k * log(q) - (n - k) * log1p(-q);
}

/*
 * It is convex in k.  From k to k + 1 it changes by log((a+k)/(b+n-k-1)) - log(q/(1-q)), which is 0 at k = q (n-1): so the
 * least value lies between there and one more.  Outside of that the nearer end of the range has the least.
 */
double quantile_least_log_e(double n, double from, double to, double q)
{
	double low = fmax(q * (n - 1), 0), high = fmin(q * (n - 1) + 1, n), ends;

	if (to <= low)
		return quantile_log_e(n, to, q);
	if (from >= high)
		return quantile_log_e(n, from, q);
	low = fmax(low, from);
	high = fmin(high, to);
	ends = fmin(quantile_log_e(n, low, q), quantile_log_e(n, high, q));
	for (int i = 0; i < 40; i++) {
		double x = low + (high - low) / 3, y = high - (high - low) / 3;

		if (quantile_log_e(n, x, q) < quantile_log_e(n, y, q))
			high = y;
		else
			low = x;
	}
	return fmin(quantile_log_e(n, (low + high) / 2, q), ends);
}

void quantile_bounds(const __u64 hist[HIST_BUCKETS], double q, double alpha, double together, uint64_t *low_ns,
		     uint64_t *high_ns)
{
	double n = (double)hist_total(hist) / together, below = 0, need = -log(alpha);
	bool inside = false, possible = false;

	*low_ns = 0;
	*high_ns = UINT64_MAX;
	for (uint32_t i = 0; n > 0 && i < HIST_BUCKETS; i++) {
		double up_to = fmin(below + (double)hist[i] / together, n);

		/* What holds for one empty bucket holds for the ones after it. */
		if (i == 0 || hist[i] || hist[i - 1])
			possible = quantile_least_log_e(n, below, up_to, q) < need;
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

double quantile_differ_log_e(const __u64 base[HIST_BUCKETS], const __u64 cand[HIST_BUCKETS], double q, double together)
{
	double n_b = (double)hist_total(base) / together, n_c = (double)hist_total(cand) / together, below_b = 0, below_c = 0;
	double least = INFINITY;

	if (n_b <= 0 || n_c <= 0)
		return 0;
	for (uint32_t i = 0; i < HIST_BUCKETS; i++) {
		double to_b = fmin(below_b + (double)base[i] / together, n_b);
		double to_c = fmin(below_c + (double)cand[i] / together, n_c);

		/* Where both are empty the next bucket with calls, or the one before, is at least as hard to refute. */
		if (base[i] || cand[i])
			least = fmin(least, quantile_least_log_e(n_b, below_b, to_b, q) +
						    quantile_least_log_e(n_c, below_c, to_c, q));
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

double log_odds(double share)
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
