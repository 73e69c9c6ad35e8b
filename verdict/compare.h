/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One rate compared between the arms, with calls whose outcome is not known.
 *
 * Two one-sided tests run beside one another.  The one that speaks for "low enough" takes every unknown call of the candidate as
 * a hit and none of the baseline's; the one that speaks for "too high" the other way round.  So unknown calls can only make a
 * bound wider.  Arms that run one after the other have no tick in common: there each rate is bounded for itself at alpha / 2,
 * and the ratio is bounded by the bounds.
 */
#ifndef PLUMB_COMPARE_H
#define PLUMB_COMPARE_H

#include "claim.h"
#include "ratio.h"

/* Calls with a known outcome, hits among them, calls without one. */
struct arm_counts {
	uint64_t n, e, unknown;
};

/* Plain data. */
struct compare {
	enum claim_arms arms;
	double margin, alpha;
	double together;               /* calls that may hang together */
	double upper, lower;           /* bounds of the ratio: they only close in. INFINITY and 0: nothing known */
	struct ratio_side low, high;
	struct pair low_sum, high_sum; /* all ticks, worst-case for each side */
	struct pair known;
};

/* alpha: of each direction. */
void compare_init(struct compare *c, const struct claim *claim, double margin, double alpha);
void compare_tick(struct compare *c, const struct arm_counts *base, const struct arm_counts *cand);
/* The same with another threshold per side: what counts as a hit differs between the tests (latency). */
void compare_tick_sides(struct compare *c, const struct pair *low, const struct pair *high);
bool compare_is_below(const struct compare *c);   /* the ratio is shown to be below the margin */
bool compare_is_above(const struct compare *c);
/* The better of both directions' evidence, log_e, and what it needs. */
double compare_log_e(const struct compare *c);
struct pair counts_for_low(const struct arm_counts *base, const struct arm_counts *cand);
struct pair counts_for_high(const struct arm_counts *base, const struct arm_counts *cand);

#endif
