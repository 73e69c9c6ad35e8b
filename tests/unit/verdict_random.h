/* SPDX-License-Identifier: Apache-2.0 */
/* Seeded random numbers for simulations: the same on every machine. */
#ifndef PLUMB_VERDICT_RANDOM_H
#define PLUMB_VERDICT_RANDOM_H

#include <math.h>
#include <stdint.h>

struct random {
	uint64_t state;
};

/* splitmix64 (Steele, Lea and Flood 2014) */
static inline uint64_t random_u64(struct random *r)
{
	uint64_t z = r->state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

static inline double random_unit(struct random *r) /* (0, 1) */
{
	return ((double)(random_u64(r) >> 11) + 0.5) / 9007199254740992.0;
}

/* Binomial, by the distances between successes: takes as long as there are successes. */
static inline uint64_t random_binomial(struct random *r, uint64_t n, double p)
{
	double at = 0, scale;
	uint64_t k = 0;

	if (p <= 0)
		return 0;
	if (p >= 1)
		return n;
	if (p > 0.5)
		return n - random_binomial(r, n, 1 - p);
	scale = 1 / log1p(-p);
	for (;;) {
		at += floor(log(random_unit(r)) * scale) + 1;
		if (at > (double)n)
			return k;
		k++;
	}
}

static inline double random_normal(struct random *r)
{
	return sqrt(-2 * log(random_unit(r))) * cos(6.283185307179586 * random_unit(r));
}

/* A duration, ns: log-normal around a median. */
static inline uint64_t random_duration(struct random *r, double median_ns, double sigma)
{
	return (uint64_t)(median_ns * exp(sigma * random_normal(r)));
}

#endif
