/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A function that got another name is, to its builds, one that went and one that came.  Where a hunk has changed lines of just one
 * function that goes and of just one that comes, the sentence about each names the other.  It is a hint: nothing is compared by it.
 */
#include <stdio.h>
#include <string.h>

#include "coverage_internal.h"

/* The side's functions with changed lines in a hunk that the other side lacks. */
struct lacking {
	int32_t function;   /* -1: none; the first one */
	bool more;
};

static bool same_hunk(const struct covered_line *a, const struct covered_line *b)
{
	return a->file == b->file && a->line->hunk == b->line->hunk;
}

static void take(const struct coverage *c, const struct covered_line *l, struct lacking side[VERIFY_SIDES])
{
	const struct covered_function *f = l->function < 0 ? NULL : &c->function[l->function];
	struct lacking *to = &side[l->side];

	if (!f || f->claimed || l->state == LINE_CONTEXT || !f->known[l->side] || f->known[!l->side])
		return;
	to->more |= to->function >= 0 && to->function != l->function;
	to->function = l->function;
}

static void name_other(struct coverage *c, const struct lacking side[VERIFY_SIDES], enum verify_side of)
{
	struct covered_function *f = &c->function[side[of].function];
	size_t len = strlen(f->why);

	if (!strstr(f->why, ": renamed?)"))
		snprintf(f->why + len, COVERAGE_WHY - len, " (the %s has %.80s there instead: renamed?)", verify_side_name[!of],
			 c->function[side[!of].function].name);
}

void coverage_hint_renames(struct coverage *c)
{
	for (uint32_t from = 0, end; from < c->n_lines; from = end) {
		struct lacking side[VERIFY_SIDES] = { { .function = -1 }, { .function = -1 } };

		for (end = from; end < c->n_lines && same_hunk(&c->line[from], &c->line[end]); end++)
			take(c, &c->line[end], side);
		for (int of = 0; of < VERIFY_SIDES; of++)
			if (side[BASELINE].function >= 0 && side[CANDIDATE].function >= 0 && !side[BASELINE].more && !side[CANDIDATE].more)
				name_other(c, side, (enum verify_side)of);
	}
}
