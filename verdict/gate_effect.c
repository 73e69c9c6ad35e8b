/* SPDX-License-Identifier: Apache-2.0 */
/* The claimed effect: the error is gone, or its rate is below a factor of the baseline's. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "verdict_internal.h"

struct effect {
	struct arm_counts base, cand;
	char text[160];   /* "baseline failed 12 of 240 trigger calls, candidate 0 of 236" */
};

static struct effect effect_of(const struct verdict *v)
{
	struct effect e = { trigger_total(&v->claim, &v->base), trigger_total(&v->claim, &v->cand), "" };

	snprintf(e.text, sizeof(e.text), "baseline failed %" PRIu64 " of %" PRIu64 " %s, candidate %" PRIu64 " of %" PRIu64,
		 e.base.e, e.base.n, trigger_word(&v->claim), e.cand.e, e.cand.n);
	return e;
}

/* ---- gone ---- */

static void gone_start(struct verdict *v, struct gate *g)
{
	snprintf(g->view.name, sizeof(g->view.name), "the error is gone");
	if (v->claim.arms == ARMS_BY_TIME)
		compare_init(&g->u.compare, &v->claim, 1, g->alpha);
	else
		gone_init(&g->u.gone, 1, v->claim.together);
}

static void gone_gate_tick(struct verdict *v, struct gate *g, const struct arm_tick *base, const struct arm_tick *cand)
{
	struct arm_counts b = trigger_counts(&v->claim, base), c = trigger_counts(&v->claim, cand);
	struct pair low = counts_for_low(&b, &c);

	if (v->claim.arms == ARMS_BY_TIME)
		compare_tick(&g->u.compare, &b, &c);
	else
		gone_tick(&g->u.gone, &low);
}

/* What a baseline as it is would take: more of its errors, or by time more clean calls of the candidate. */
static void gone_wait(struct verdict *v, struct gate *g, const struct effect *e)
{
	uint64_t need, together = v->claim.together;
	double low, k = (double)together;

	if (v->claim.arms == ARMS_BY_TIME) {
		low = rate_low((double)(e->base.n + e->base.unknown) / k, (double)e->base.e / k, g->alpha / 2);
		need = low > 0 ? clean_calls_needed(low, g->alpha / 2) * together : UINT64_MAX;
		if (need == UINT64_MAX || !e->cand.n)
			return;
		gate_set(g, GATE_OPEN, "%s; %" PRIu64 " clean calls needed", e->text, need);
		gate_eta(g, eta_of(v->cand.span_ns, (double)e->cand.n, (double)need));
		return;
	}
	need = gone_errors_needed((double)e->cand.n / (double)(e->base.n + e->cand.n), 1, g->alpha);
	if (need == UINT64_MAX)
		return;
	need *= together;
	gate_set(g, GATE_OPEN, "%s; %" PRIu64 " baseline errors needed at this split", e->text, need);
	gate_unknown(g, e->cand.unknown, "failed");
	gate_eta(g, eta_of(v->base.span_ns, (double)e->base.e, (double)need));
}

static void gone_judge(struct verdict *v, struct gate *g)
{
	struct effect e = effect_of(v);
	bool by_time = v->claim.arms == ARMS_BY_TIME, shown;

	gate_rates(g, (struct pair){ e.base.n, e.base.e, e.cand.n, e.cand.e }, by_time ? &g->u.compare : NULL);
	if (!by_time) {
		g->view.log_e = gone_evidence(&g->u.gone);
		g->view.log_needed = log_needed(g->alpha);
	}
	shown = by_time ? compare_is_below(&g->u.compare) : g->view.log_e >= g->view.log_needed;
	g->view.margin = 1;
	if (!by_time)
		g->view.ratio = (struct figure){ g->view.ratio.value, 0, shown ? 1 : INFINITY };
	if (e.cand.e) {
		gate_set(g, GATE_FAIL, "it is not: %s", e.text);
	} else if (shown) {
		gate_set(g, GATE_PASS, "%s", e.text);
	} else if (e.base.e == 0) {
		gate_set(g, GATE_OPEN,
			 "the baseline has shown no error yet (%" PRIu64 " %s): that the candidate has none says nothing",
			 e.base.n, trigger_word(&v->claim));
	} else {
		gate_set(g, GATE_OPEN, "%s", e.text);
		gone_wait(v, g, &e);
	}
}

const struct gate_kind gate_gone = { true, gone_start, gone_gate_tick, gone_judge };

/* ---- error rate below a factor ---- */

static void ratio_start(struct verdict *v, struct gate *g)
{
	snprintf(g->view.name, sizeof(g->view.name), "error rate < %g x baseline", v->claim.factor);
	compare_init(&g->u.compare, &v->claim, v->claim.factor, g->alpha);
}

static void ratio_gate_tick(struct verdict *v, struct gate *g, const struct arm_tick *base, const struct arm_tick *cand)
{
	struct arm_counts b = trigger_counts(&v->claim, base), c = trigger_counts(&v->claim, cand);

	compare_tick(&g->u.compare, &b, &c);
}

static void ratio_judge(struct verdict *v, struct gate *g)
{
	const struct compare *r = &g->u.compare;
	struct effect e = effect_of(v);

	gate_rates(g, (struct pair){ e.base.n, e.base.e, e.cand.n, e.cand.e }, r);
	if (compare_is_above(r)) {
		gate_set(g, GATE_FAIL, "it did not fall as claimed: %s, so the ratio is above %.3g", e.text, r->lower);
	} else if (compare_is_below(r)) {
		gate_set(g, GATE_PASS, "%s, so the ratio is below %.3g", e.text, r->upper);
	} else if (e.base.e == 0) {
		gate_set(g, GATE_OPEN, "the baseline has shown no error yet (%" PRIu64 " %s): there is nothing to compare with",
			 e.base.n, trigger_word(&v->claim));
	} else {
		gate_set(g, GATE_OPEN, "%s; the ratio is not shown to be below %g yet", e.text, v->claim.factor);
		gate_unknown(g, e.cand.unknown, "failed");
		gate_eta(g, eta_of(v->cand.span_ns, g->view.log_e, g->view.log_needed));
	}
}

const struct gate_kind gate_ratio = { true, ratio_start, ratio_gate_tick, ratio_judge };
