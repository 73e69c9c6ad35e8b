/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PLUMB_CLOCK_NS_H
#define PLUMB_CLOCK_NS_H

#include <stdint.h>
#include <time.h>

/* What the clock shows, in nanoseconds. */
static inline uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000ULL + (uint64_t)t.tv_nsec;
}

/* The same in milliseconds; signed, as what is left until a moment may be. */
static inline int64_t clock_ms(clockid_t clock)
{
	return (int64_t)(clock_ns(clock) / 1000000);
}

#endif
