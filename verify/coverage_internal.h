/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of coverage.c: what it knows while a coverage is made, and who chooses from that. */
#ifndef PLUMB_COVERAGE_INTERNAL_H
#define PLUMB_COVERAGE_INTERNAL_H

#include "coverage.h"

/* While it is made. */
struct coverage_maker {
	struct coverage *c;
	const struct verify_spec *spec;
	const struct patch *patch;
	const struct lines_answer *const *answer;
	const uint32_t *const *file_of;
	const struct coverage *before;  /* by time: what was watched; else NULL */
	bool watch;                     /* by time: there is no candidate yet */
	uint32_t *in[VERIFY_SIDES];     /* per function of an answer: its number in the coverage + 1 */
};

/* coverage_choose.c */
extern const char *const coverage_side_name[VERIFY_SIDES];
/* What the claim names is compared or nothing is: a trigger reads the arguments, which must be the same ones in both builds. -EINVAL. */
int coverage_check_claimed(const struct coverage_maker *m, struct error *err);
/* Which functions are compared (by time, before there is a candidate: watched), at most so many, and why the others are not. */
void coverage_choose_functions(const struct coverage_maker *m, uint32_t budget);
/* Which lines are probed, at most so many of each side. */
void coverage_choose_lines(struct coverage *c, uint32_t budget);

/* coverage_rename.c */
/* Says of functions that one build does not have which one of the other build may be the same. */
void coverage_hint_renames(struct coverage *c);

#endif
