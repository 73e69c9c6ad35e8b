/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ratio of two rates, candidate to baseline: a test with a margin, and a bound that closes in.
 *
 * One tick against "th_c = r th_b": with guesses a_b, a_c from earlier ticks on the tested side of the line, and the point
 * (t, r t) of the line that is nearest to them (in relative entropy), the factor is the likelihood ratio of (a_b, a_c) to
 * (t, r t).  For r = 1, t is the mean (n_b a_b + n_c a_c)/(n_b + n_c) and this is Turner, Ly and Gruenwald's test; for
 * rare errors it becomes the counts test of etest.h.  Why it is an e-process for every th_b and every th_c on the far side:
 * the mean of the factor is [1 + (th_b - t) A]^n_b [1 + (th_c - r t) B]^n_c with A = (a_b - t)/(t(1-t)),
 * B = (a_c - r t)/(r t (1 - r t)); by 1 + x <= e^x it is at most exp(n_b (th_b - t) A + n_c (th_c - r t) B); and t is chosen
 * so that n_b A + r n_c B = 0, which leaves exp(n_c B (th_c - r th_b)), at most 1 as B has the sign of the tested side.
 * (The same projection: Turner and Gruenwald 2023, "Exact anytime-valid confidence intervals for contingency tables".)
 *
 * A bound needs the test for every r.  With a split that varies from tick to tick that has no sum of fixed size, so a fixed
 * grid of r is kept around the margin: 2 % steps next to it, each a quarter wider than the one before, to 900 times and 1/900.
 * The bound is the end of the grid points that were ever refuted without a gap; it is valid between the points too, as it only
 * moves when a whole point falls.  The margin is a point of the grid, so "shown" and "the bound is under the margin" are the
 * same.
 */
#ifndef PLUMB_RATIO_H
#define PLUMB_RATIO_H

#include "etest.h"

enum {
	RATIO_STEPS = 20,
	RATIO_GRID = 2 * RATIO_STEPS + 1,
};

_Static_assert(RATIO_GRID <= 64, "a bit for each point");

/* One direction. Plain data. */
struct ratio_side {
	enum side side;
	double r[RATIO_GRID];       /* rising, the margin in the middle */
	double log_e[RATIO_GRID];
	double need;                /* log(1/alpha), times the calls that may hang together */
	uint64_t refuted;           /* bit per grid point, once and for all */
	uint64_t blocks;            /* ticks, or groups of ticks, that were tested */
	struct pair seen;           /* what was tested: the guesses come from it */
	struct block block;
};

/*
 * log of the factor; 0 if the guesses are on the wrong side. 0 < a_b, a_c < 1, both arms have calls.  boldness, 0 to 1, draws
 * the guesses towards (t, r t): A and B shrink alike, so that it stays an e-process.  1 is the test as published.
 */
double ratio_factor(enum side side, double r, double a_b, double a_c, double boldness, const struct pair *tick);

/* need: what log_e must reach, log_needed(alpha). */
void ratio_init(struct ratio_side *s, enum side side, double margin, double need);
void ratio_tick(struct ratio_side *s, const struct pair *tick);
/* SIDE_LOWER: the ratio is below this, INFINITY if nothing is known. SIDE_HIGHER: it is above this, 0 if nothing is known. */
double ratio_bound(const struct ratio_side *s);
/* The ratio is shown to be on the tested side of the margin. */
bool ratio_shown(const struct ratio_side *s);
double ratio_log_e(const struct ratio_side *s);   /* at the margin */

#endif
