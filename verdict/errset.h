/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shape of the errors: which values (return values, errnos) come in which arm, and how often.  A fix that only moves an
 * error shows here: the old value is gone, another one has come.
 *
 * A value that was seen in the candidate only may simply be rare.  So each gets a test of its own (the counts test with
 * margin 1), which begins after the tick that brought it: the calls that made us look are no evidence.  The j-th value found
 * so gets the share 6 / (pi^2 j^2) of alpha; these add up to alpha however many come.
 */
#ifndef PLUMB_ERRSET_H
#define PLUMB_ERRSET_H

#include "claim.h"
#include "etest.h"

enum { ERRSET_MAX = 64 };

struct errset_row {
	uint32_t where;
	int64_t value;
	uint64_t base, cand;          /* errors with this value */
	uint32_t found;               /* the how-manieth value that came in the candidate first; 0: the baseline had it before */
	uint64_t tested_n, tested_e;  /* candidate's calls and errors since then */
	struct counts_test test;
};

/* Plain data; owns nothing. */
struct errset {
	uint32_t rows, found;
	struct errset_row row[ERRSET_MAX];
	uint64_t base_calls, cand_calls;
	uint64_t base_other, cand_other;     /* errors whose value had no row left */
	uint64_t base_unknown, cand_unknown; /* errors whose value was not told, and calls whose outcome is not known */
};

enum errset_only { ERRSET_BOTH, ERRSET_ONLY_CANDIDATE, ERRSET_ONLY_BASELINE };

/* One line of the report. */
struct errset_shift {
	uint32_t where;
	int64_t value;
	uint64_t base, cand;
	enum errset_only only;
	double weight;       /* difference of the rates in standard errors: the order of the list */
};

void errset_tick(struct errset *s, const struct arm_tick *base, const struct arm_tick *cand);
/* The value, candidate only so far, that is furthest from chance: log_e minus what it needs at alpha, >= 0: shown. NULL: none. */
const struct errset_row *errset_new(const struct errset *s, const struct claim *claim, double alpha, double *excess);
uint32_t errset_only_candidate(const struct errset *s);
/* Fills at most `max` rows: candidate only first, then baseline only, then the largest shifts. Returns how many. */
unsigned errset_shape(const struct errset *s, struct errset_shift *out, unsigned max);

#endif
