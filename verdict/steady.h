/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Does a difference between the arms hold from second to second?
 *
 * The tests of etest.h suppose that calls are independent.  Slow calls are not: whatever holds up a process for a moment holds up
 * all its calls, and what looks like hundreds of slow calls on one arm was one event.  So the seconds themselves are compared
 * here: each is one observation, the difference of the arms' shares in it, however its calls hang together.  That their mean
 * is 0 is tested with the t-test that may be looked at at any time: with a normal prior on the effect, of variance 1,
 *     E = sqrt(1/(n + 1)) ((n + 1) V / ((n + 1) V - S^2))^(n/2),  S = sum of x, V = sum of x^2
 * (Lai 1976; Wang and Ramdas 2024, Anytime-valid t-tests and confidence sequences for Gaussian means with unknown variance).
 * It supposes normal observations, which shares of few calls are not, so it never decides by itself: it is asked for beside the
 * test of calls, and can only take conclusions away.
 */
#ifndef PLUMB_STEADY_H
#define PLUMB_STEADY_H

#include "etest.h"

/* Plain data. */
struct steady {
	enum side side;
	uint64_t least;          /* calls that each arm has in an observation: ticks are put together until it has */
	double need;             /* what log_e must reach */
	struct pair open;
	double n, sum, squares;
	bool shown;              /* the candidate's share is lower, or higher, than the baseline's */
};

void steady_init(struct steady *s, enum side side, uint64_t least, double need);
void steady_tick(struct steady *s, const struct pair *tick);
/* Of what was seen; -INFINITY: it is rather the other way round. */
double steady_log_e(const struct steady *s);

#endif
