/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a diff to what is probed: which changed lines have code in which build, which functions they lie in, which of these both
 * builds have, and the cheapest set of functions that covers the changed lines.
 */
#ifndef PLUMB_COVERAGE_H
#define PLUMB_COVERAGE_H

#include "lines_answer.h"
#include "patch.h"
#include "verify_spec.h"

enum verify_side { BASELINE, CANDIDATE, VERIFY_SIDES };

extern const char *const verify_side_name[VERIFY_SIDES];

enum line_state {
	LINE_CONTEXT,        /* not changed */
	LINE_PROBED,
	LINE_NO_CODE,        /* comment, declaration, optimised away */
	LINE_LEFT_OUT,       /* beyond the budget */
	LINE_REFUSED,        /* the agent cannot set a breakpoint there; `why` */
	LINE_TO_COME,        /* of a candidate that does not run yet */
	LINE_STATES
};

enum { COVERAGE_WHY = 256 };

/* One line of the diff. Borrows text and path from the patch. */
struct covered_line {
	const struct patch_file *file;
	const struct patch_line *line;
	enum verify_side side;          /* removed: baseline, added and context: candidate */
	enum line_state state;
	int32_t function;               /* index, -1: none that both builds have */
	bool removed;                   /* LINE_PROBED until the agent's guard took a probe away: its hits are at least so many */
	bool shared;                    /* no statement of the line begins at its code: another line has it too, or it was moved */
	char why[COVERAGE_WHY];
};

/* A function that contains changed lines, or that the claim names. Owns name and signatures. */
struct covered_function {
	char *name, *signature[VERIFY_SIDES];
	bool own_code[VERIFY_SIDES], inlined[VERIFY_SIDES], known[VERIFY_SIDES];
	bool stepped[VERIFY_SIDES];     /* a call probe costs several times what one elsewhere costs */
	bool claimed;                   /* named by the claim: first in the list */
	bool meant;                     /* by the claim's function, which is several: its calls are among that one's */
	bool compared;                  /* call probes on both arms */
	uint32_t changed;               /* lines with code in it, both sides; 0: it holds inlined code of such functions, or is the claim's */
	char why[COVERAGE_WHY];         /* not compared by itself: the sentence */
};

struct coverage {
	struct covered_function *function;
	struct covered_line *line;
	uint32_t n_functions, n_lines;
	uint32_t lines_with_code, lines_probed, functions_compared, functions_left_out;
};

/* answer: by side, NULL without a patch; patch may be NULL then. file_of[side]: number that a patch file had in the question, by
 * the patch's file number; UINT32_MAX: not asked. -ENOENT with the sentence: the diff touches nothing in the binaries. -EINVAL: the claim's
 * function is known in both builds and is not the same there. */
struct coverage *coverage_new(const struct verify_spec *s, const struct patch *p, const struct lines_answer *const answer[VERIFY_SIDES],
			      const uint32_t *const file_of[VERIFY_SIDES], struct error *err);
/*
 * By time, the candidate does not run yet: the baseline's removed lines, and the functions that changed lines lie in. Where lines are
 * only put in, those are the functions of the lines around them. -ENOENT: there is none.
 */
struct coverage *coverage_watch(const struct verify_spec *s, const struct patch *p, const struct lines_answer *baseline,
				const uint32_t *file_of, struct error *err);
/* coverage_new when it has come; before: what was watched until then. Only what was can be compared. */
struct coverage *coverage_again(const struct coverage *before, const struct verify_spec *s, const struct patch *p,
				const struct lines_answer *const answer[VERIFY_SIDES], const uint32_t *const file_of[VERIFY_SIDES],
				struct error *err);
/* Its compared functions, and no lines. NULL: no memory. */
struct coverage *coverage_of_functions(const struct coverage *c);
/* It should be compared and is not: `why` tells. (Others are only known because changed code is inlined into them.) */
bool coverage_is_missing(const struct covered_function *f);
/* By name; -1: there is none. */
int32_t coverage_function(const struct coverage *c, const char *name);
void coverage_free(struct coverage *c);
/* A probe was refused. */
void coverage_drop_function(struct coverage *c, uint32_t index, const char *why);
void coverage_drop_line(struct coverage *c, uint32_t index, const char *why);

#endif
