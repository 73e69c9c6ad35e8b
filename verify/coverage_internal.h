/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of coverage.c: what it knows while a coverage is made, and who chooses from that. */
#ifndef PLUMB_COVERAGE_INTERNAL_H
#define PLUMB_COVERAGE_INTERNAL_H

#include "coverage.h"

/* A changed line has code in a function: the function's own, or that of another one that was inlined into it. */
struct coverage_hold {
	uint32_t line, function;        /* function: of the answer that tells of the line */
};

/* While it is made. */
struct coverage_maker {
	struct coverage *c;
	const struct verify_spec *spec;
	const struct patch *patch;
	const struct lines_answer *const *answer;
	const uint32_t *const *file_of;
	const struct coverage *before;  /* by time: what was watched; else NULL */
	bool no_memory;
	bool watch;                     /* by time: there is no candidate yet */
	struct coverage_hold *hold;     /* by line; of a line each function once */
	uint32_t n_holds, cap_holds;
	uint32_t *in[VERIFY_SIDES];     /* per function of an answer: its number in the coverage + 1 */
};

/* coverage.c */
/* The function of the coverage; the claim's, if it means that one. -1: it is none of them. */
int32_t coverage_holder(const struct coverage_maker *m, const struct coverage_hold *h);
/* Takes in the functions that only hold inlined code of changed ones. -ENOMEM. */
int coverage_add_holders(struct coverage_maker *m);

/* coverage_cover.c */
/*
 * The cheapest functions among those that may be (`can`, by number) whose code covers all changed lines that one of them covers, at most
 * `budget` with those that are compared already: weighted set cover, greedy (Chvatal 1979): again and again the one with most lines
 * that are not covered yet per cost; then, if there is room, changed functions whose lines others cover. They are compared then. The same
 * answers give the same functions. -ENOMEM.
 */
int coverage_cover(const struct coverage_maker *m, const bool *can, uint32_t budget);

/* coverage_choose.c */
/* What the claim names is compared or nothing is: a trigger reads the arguments, which must be the same ones in both builds. -EINVAL. */
int coverage_check_claimed(const struct coverage_maker *m, struct error *err);
/* Which functions are compared (by time, before there is a candidate: watched), at most so many, and why the others are not. */
int coverage_choose_functions(struct coverage_maker *m, uint32_t budget);   /* -ENOMEM */
/* Which lines are probed, at most so many of each side. */
void coverage_choose_lines(struct coverage *c, uint32_t budget);

/* coverage_rename.c */
/* Says of functions that one build does not have which one of the other build may be the same. */
void coverage_hint_renames(struct coverage *c);

#endif
