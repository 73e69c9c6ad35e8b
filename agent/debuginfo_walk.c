/* SPDX-License-Identifier: Apache-2.0 */
/* The walk over DIEs: iterative, of bounded depth, always forward, and within the budget of the call it serves. */
#include "clock_ns.h"
#include "debuginfo_internal.h"

/* The largest debug files (5 million functions) take 60 million DIEs and some seconds when all of them are read. */
static const uint64_t BUDGET_DIES = 100000000;
static const uint64_t BUDGET_NS = 15000000000ULL;
enum { CLOCK_EVERY = 64 };

void budget_begin(struct debuginfo *di)
{
	if (di->budget.depth++ > 0)
		return;
	di->budget.dies = 0;
	di->budget.spent = false;
	di->budget.deadline_ns = clock_ns(CLOCK_MONOTONIC) + BUDGET_NS;
}

void budget_end(struct debuginfo *di)
{
	di->budget.depth--;
}

bool budget_take(struct debuginfo *di)
{
	if (di->budget.spent)
		return false;
	if (++di->budget.dies > BUDGET_DIES)
		di->budget.spent = true;
	else if (di->budget.dies % CLOCK_EVERY == 0 && clock_ns(CLOCK_MONOTONIC) > di->budget.deadline_ns)
		di->budget.spent = true;
	di->budget.was_spent |= di->budget.spent;
	return !di->budget.spent;
}

/* A crafted DW_AT_sibling may point back. */
static bool next_sibling(Dwarf_Die *die)
{
	Dwarf_Die next;

	if (dwarf_siblingof(die, &next) != 0 || next.addr <= die->addr)
		return false;
	*die = next;
	return true;
}

bool walk(struct debuginfo *di, Dwarf_Die *root, walk_fn *visit, void *arg)
{
	Dwarf_Die stack[DIE_DEPTH_MAX];
	unsigned depth = 0;

	if (dwarf_child(root, &stack[0]) != 0)
		return true;
	for (;;) {
		enum walk_step step;

		if (!budget_take(di))
			return false;
		step = visit(&stack[depth], depth, arg);
		if (step == WALK_STOP)
			return false;
		if (step == WALK_INTO && depth + 1 < DIE_DEPTH_MAX &&
		    dwarf_child(&stack[depth], &stack[depth + 1]) == 0) {
			depth++;
			continue;
		}
		while (!next_sibling(&stack[depth]))
			if (depth-- == 0)
				return true;
	}
}
