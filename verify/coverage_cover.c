/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>

#include "coverage_internal.h"

/* Of a call probe on a single-stepped instruction, in those on an emulated one: 1.5 to 2 us more on bare metal, 20 in a virtual machine. */
enum { STEPPED_COST = 5 };

struct cover {
	const struct coverage_maker *m;
	bool *covered;   /* by line */
	uint32_t *gain;  /* by function: lines that only it would cover */
};

static uint64_t cost_of(const struct coverage_maker *m, const struct covered_function *f)
{
	uint64_t cost = f->stepped[BASELINE] ? STEPPED_COST : 1;

	return m->watch ? cost : cost + (f->stepped[CANDIDATE] ? STEPPED_COST : 1);
}

static void mark_covered(struct cover *v)
{
	const struct coverage_maker *m = v->m;

	for (uint32_t i = 0; m->c->function && i < m->n_holds; i++) {
		int32_t f = coverage_holder(m, &m->hold[i]);

		v->covered[m->hold[i].line] |= f >= 0 && m->c->function[f].compared;
	}
}

static void count_gains(struct cover *v)
{
	const struct coverage_maker *m = v->m;

	for (uint32_t i = 0; i < m->c->n_functions; i++)
		v->gain[i] = 0;
	for (uint32_t i = 0; i < m->n_holds; i++) {
		int32_t f = coverage_holder(m, &m->hold[i]);

		if (f >= 0)
			v->gain[f] += !v->covered[m->hold[i].line];
	}
}

/* NULL: none adds a line. Of two that are as good the first. */
static struct covered_function *best_of(const struct cover *v, const bool *can)
{
	struct coverage *c = v->m->c;
	uint32_t best = 0;
	bool any = false;

	for (uint32_t i = 0; i < c->n_functions; i++) {
		if (!can[i] || c->function[i].compared || !v->gain[i])
			continue;
		if (any && v->gain[i] * cost_of(v->m, &c->function[best]) <= v->gain[best] * cost_of(v->m, &c->function[i]))
			continue;
		best = i;
		any = true;
	}
	return any ? &c->function[best] : NULL;
}

/* With changed lines of its own, though others cover them: there is room. NULL: none is left. */
static struct covered_function *cheapest_changed(const struct cover *v, const bool *can)
{
	struct covered_function *best = NULL;

	for (uint32_t i = 0; i < v->m->c->n_functions; i++) {
		struct covered_function *f = &v->m->c->function[i];

		if (can[i] && !f->compared && f->changed && (!best || cost_of(v->m, f) < cost_of(v->m, best)))
			best = f;
	}
	return best;
}

int coverage_cover(const struct coverage_maker *m, const bool *can, uint32_t budget)
{
	struct cover v = { .m = m, .covered = calloc(m->c->n_lines + 1, sizeof(*v.covered)), .gain = calloc(m->c->n_functions + 1, sizeof(*v.gain)) };
	int rc = v.covered && v.gain ? 0 : -ENOMEM;

	while (!rc && m->c->functions_compared < budget) {
		struct covered_function *f;

		mark_covered(&v);
		count_gains(&v);
		f = best_of(&v, can);
		if (!f)
			f = cheapest_changed(&v, can);
		if (!f)
			break;
		f->compared = true;
		m->c->functions_compared++;
	}
	free(v.covered);
	free(v.gain);
	return rc;
}
