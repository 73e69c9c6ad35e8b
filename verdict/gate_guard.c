/* SPDX-License-Identifier: Apache-2.0 */
/* Guards: error rate, new error values, calls of another function. The latency guard has a file of its own. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "error_value.h"
#include "gate_latency.h"
#include "verdict_internal.h"

#define TELLS_NOTHING 0.995   /* a bound that would be written as 100 % */

/* ---- error rate ---- */

static void errors_start(struct verdict *v, struct gate *g)
{
	/* PASS has two ways, so each gets half of alpha. */
	double alpha = g->guard->floor > 0 ? g->alpha / 2 : g->alpha;

	compare_init(&g->u.errors.rate, &v->claim, 1 + g->guard->margin, alpha);
	g->u.errors.floor_alpha = alpha;
}

static void errors_tick(struct verdict *v, struct gate *g, const struct arm_tick *base, const struct arm_tick *cand)
{
	struct arm_counts b = { base->calls, base->errors, base->lost + base->unpaired };
	struct arm_counts c = { cand->calls, cand->errors, cand->lost + cand->unpaired };

	compare_tick(&g->u.errors.rate, &b, &c);
}

static void errors_judge(struct verdict *v, struct gate *g)
{
	const struct compare *r = &g->u.errors.rate;
	const struct pair *k = &r->known;
	double k_calls = v->claim.together, floor = g->guard->floor;
	double clean = k_calls * (double)clean_calls_needed(floor > 0 ? floor : 1, g->u.errors.floor_alpha);
	double high = rate_high((double)r->low_sum.n_c / k_calls, (double)r->low_sum.e_c / k_calls, g->u.errors.floor_alpha);
	char text[160];

	gate_rates(g, *k, r);
	snprintf(text, sizeof(text), "candidate failed %" PRIu64 " of %" PRIu64 " calls, baseline %" PRIu64 " of %" PRIu64,
		 k->e_c, k->n_c, k->e_b, k->n_b);
	if (compare_is_above(r)) {
		gate_set(g, GATE_FAIL, "it is up: %s, so the ratio is above %.3g", text, r->lower);
	} else if (compare_is_below(r)) {
		gate_set(g, GATE_PASS, "%s, so the ratio is below %.3g", text, r->upper);
	} else if (floor > 0 && high < floor) {
		gate_set(g, GATE_PASS, "%s, so the candidate's rate is below %.2g %%", text, 100 * high);
	} else {
		gate_set(g, GATE_OPEN, "%s; the ratio lies between %.3g and %.3g", text, r->lower, r->upper);
		gate_unknown(g, r->low_sum.n_c - k->n_c, "failed");
		if (floor > 0 && k->e_c == 0)
			gate_eta(g, eta_of(v->cand.span_ns, (double)k->n_c, clean));
		else
			gate_eta(g, eta_of(v->cand.span_ns, g->view.log_e, g->view.log_needed));
	}
}

/* ---- new error values ---- */

static void new_errors_start(struct verdict *v, struct gate *g)
{
	g->view.margin = NAN;
}

/* Calls that may have brought a value nobody saw count as having brought one. */
static void new_errors_open(struct verdict *v, struct gate *g)
{
	const struct errset *s = &v->errors;
	uint64_t n = s->cand_calls + v->cand.lost + v->cand.unpaired;
	double k = v->claim.together, high = rate_high((double)n / k, (double)s->cand_unknown / k, g->alpha);

	if (s->cand_other) {
		gate_set(g, GATE_BLOCKED, "more than %d different error values: not all of them can be compared", ERRSET_MAX);
	} else if (high < g->guard->floor) {
		gate_set(g, GATE_PASS,
			 "no value in %" PRIu64 " calls that the baseline does not have: such calls are below %.2g %%", n,
			 100 * high);
	} else {
		if (high < TELLS_NOTHING)
			gate_set(g, GATE_OPEN, "no new value in %" PRIu64 " calls: such calls are only shown to be below %.2g %%, %.2g %% needed%s",
				 n, 100 * high, 100 * g->guard->floor, s->cand_unknown ? " (some errors came without their value)" : "");
		else
			gate_set(g, GATE_OPEN, "no new value in %" PRIu64 " call%s, which shows nothing yet", n, n == 1 ? "" : "s");
		if (!s->cand_unknown)
			gate_eta(g, eta_of(v->cand.span_ns, (double)n, k * (double)clean_calls_needed(g->guard->floor, g->alpha)));
	}
}

static void new_errors_judge(struct verdict *v, struct gate *g)
{
	double excess = 0;
	const struct errset_row *row = errset_new(&v->errors, &v->claim, g->alpha, &excess);
	char value[ERROR_VALUE_TEXT];

	if (row)
		error_value_text(row->value, v->view.may_be_errno, value);
	if (row && excess >= 0) {
		gate_set(g, GATE_FAIL, "%s is new: %" PRIu64 " times in %" PRIu64 " candidate calls, never in %" PRIu64
			 " baseline calls", value, row->cand, v->errors.cand_calls, v->errors.base_calls);
	} else if (row) {
		gate_set(g, GATE_OPEN,
			 "the error value %s came %" PRIu64
			 " times on the candidate and not on the baseline: more calls are needed to tell whether it is new or rare",
			 value, row->cand);
	} else {
		new_errors_open(v, g);
	}
}

/* ---- calls of another function ---- */

static void calls_start(struct verdict *v, struct gate *g)
{
	compare_init(&g->u.compare, &v->claim, 1 - g->guard->margin, g->alpha);
}

/*
 * One call of the caller adds between 0 and most_per calls; their share of most_per lies between 0 and 1, which is all that the
 * test needs.  Whole numbers are rounded against what each side speaks for.
 */
static struct pair calls_pair(const struct guard *g, const struct watched *b, const struct watched *c, uint64_t lost_b,
			      uint64_t lost_c, bool for_high)
{
	uint64_t most = g->most_per, up_b = for_high ? most - 1 : 0, up_c = for_high ? 0 : most - 1;
	struct pair p = { b->per, (b->calls + up_b) / most, c->per, (c->calls + up_c) / most };

	/* Calls that the probes lost may have been calls of it. */
	p.e_b += for_high ? lost_b : 0;
	p.e_c += for_high ? 0 : lost_c;
	p.e_b = p.e_b < p.n_b ? p.e_b : p.n_b;
	p.e_c = p.e_c < p.n_c ? p.e_c : p.n_c;
	return p;
}

static void calls_tick(struct verdict *v, struct gate *g, const struct arm_tick *base, const struct arm_tick *cand)
{
	static const struct watched none;
	const struct watched *b = base->watched ? &base->watched[g->guard->watched] : &none;
	const struct watched *c = cand->watched ? &cand->watched[g->guard->watched] : &none;
	uint64_t lost_b = base->lost + base->unpaired, lost_c = cand->lost + cand->unpaired;
	struct pair low = calls_pair(g->guard, b, c, lost_b, lost_c, false),
		    high = calls_pair(g->guard, b, c, lost_b, lost_c, true);

	compare_tick_sides(&g->u.compare, &low, &high);
}

static void calls_figures(struct gate *g, const struct watched *b, const struct watched *c)
{
	const struct compare *r = &g->u.compare;

	g->view.unit = UNIT_PER_CALL;
	g->view.base.value = b->per ? (double)b->calls / (double)b->per : NAN;
	g->view.cand.value = c->per ? (double)c->calls / (double)c->per : NAN;
	g->view.ratio.value = b->calls ? g->view.cand.value / g->view.base.value : NAN;
	gate_bounds(g, r);
}

static bool too_many(const struct guard *g, const struct watched *w)
{
	return w->calls > w->per * g->most_per;
}

static void calls_judge(struct verdict *v, struct gate *g)
{
	const struct watched *b = &v->base.watched[g->guard->watched], *c = &v->cand.watched[g->guard->watched];
	const struct compare *r = &g->u.compare;
	const char *name = v->claim.watched_name[g->guard->watched];
	char text[160];

	calls_figures(g, b, c);
	snprintf(text, sizeof(text), "candidate %" PRIu64 " calls in %" PRIu64 " chances, baseline %" PRIu64 " in %" PRIu64,
		 c->calls, c->per, b->calls, b->per);
	if (too_many(g->guard, b) || too_many(g->guard, c)) {
		gate_set(g, GATE_BLOCKED, "%s: there are more than %u calls per chance: say so in the claim (%s)", name,
			 g->guard->most_per, text);
	} else if (compare_is_below(r)) {
		gate_set(g, GATE_FAIL, "it is called less: %s, so the ratio is below %.3g", text, r->upper);
	} else if (compare_is_above(r)) {
		gate_set(g, GATE_PASS, "%s, so the ratio is above %.3g", text, r->lower);
	} else {
		gate_set(g, GATE_OPEN, "%s; the ratio lies between %.3g and %.3g", text, r->lower, r->upper);
		gate_eta(g, eta_of(v->cand.span_ns, g->view.log_e, g->view.log_needed));
	}
}

const struct gate_kind gate_guards[GUARD_KINDS] = {
	[GUARD_ERROR_RATE] = { true, errors_start, errors_tick, errors_judge },
	[GUARD_LATENCY] = { true, latency_start, latency_tick, latency_judge },
	[GUARD_NEW_ERRORS] = { true, new_errors_start, NULL, new_errors_judge },
	[GUARD_CALLS] = { true, calls_start, calls_tick, calls_judge },
};
