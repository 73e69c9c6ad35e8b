/* SPDX-License-Identifier: Apache-2.0 */
#include "gate_latency.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "verdict_internal.h"

enum {
	DRIFT = 4, DRIFT_TICKS = 10,
	WARM_UP_SLOW = 20, /* calls beyond the quantile that the threshold is taken from */
	STEADY_SLOW = 2,   /* calls beyond the quantile in what counts as one observation */
};

/* So many calls that `n` of them are beyond the quantile, on its rarer side. */
static uint64_t beyond(const struct guard *guard, unsigned n)
{
	return (uint64_t)ceil(n / fmin(guard->quantile, 1 - guard->quantile));
}

/* The j-th time: a test of its own, with its share of alpha. */
static void look_for_threshold(struct verdict *v, struct gate *g)
{
	struct latency_gate *l = &g->u.latency, again = { .times = l->times + 1, .warmup = l->warmup, .since_ns = v->base.span_ns };
	double j = again.times;

	*l = again;
	compare_init(&l->slow, &v->claim, 1, g->alpha * 6 / (M_PI * M_PI * j * j));
	steady_init(&l->faster, SIDE_LOWER, beyond(g->guard, STEADY_SLOW), log_needed(l->slow.alpha));
	steady_init(&l->slower, SIDE_HIGHER, beyond(g->guard, STEADY_SLOW), log_needed(l->slow.alpha));
}

void latency_start(struct verdict *v, struct gate *g)
{
	g->u.latency.warmup = v->claim.warmup_calls ? v->claim.warmup_calls : beyond(g->guard, WARM_UP_SLOW);
	look_for_threshold(v, g);
}

static void warm_up(struct latency_gate *l, const struct guard *guard, const struct arm_tick *base)
{
	for (uint32_t i = 0; base->hist && i < HIST_BUCKETS; i++)
		l->warm[i] += base->hist[i];
	if (hist_total(l->warm) >= l->warmup)
		l->frozen = threshold_choose(l->warm, guard->quantile, guard->margin, &l->at) == 0;
}

static double bounded(double share)
{
	return fmin(fmax(share, 1e-4), 1 - 1e-4);
}

/*
 * By now another share of the baseline's calls is shorter than the threshold: its odds are DRIFT times what they were, or a part.
 * The first threshold is given up as soon as that many calls say so.  If it was not the start that was slow, but the service comes
 * and goes, that goes on for ever: those after it are held against what the ups and downs of DRIFT_TICKS or more come to.
 */
static bool has_drifted(struct latency_gate *l, uint64_t n, uint64_t slow)
{
	uint32_t ticks = l->times > 1 ? DRIFT_TICKS : 0;
	double now;

	l->recent_n += n;
	l->recent_slow += slow;
	l->recent_ticks++;
	now = 1 - ((double)l->recent_slow + 0.5) / ((double)l->recent_n + 1);
	if (l->slow.arms == ARMS_BY_TIME || l->recent_n < l->warmup || l->recent_ticks < ticks)
		return false;
	if (l->recent_n >= 2 * l->warmup && l->recent_ticks >= 2 * ticks) {
		l->recent_n /= 2;
		l->recent_slow /= 2;
		l->recent_ticks /= 2;
	}
	return fabs(log_odds(bounded(now)) - log_odds(bounded(l->at.level))) > log(DRIFT);
}

static uint64_t slow(const struct arm_tick *t, uint32_t bucket)
{
	return t->hist ? threshold_slow(t->hist, bucket) : 0;
}

/* By their calls, and not by a moment that held up many of them. Arms one after the other have no moment in common. */
static bool is_slower(const struct latency_gate *l)
{
	return compare_is_above(&l->slow) && (l->slower.shown || l->slow.arms == ARMS_BY_TIME);
}

static bool is_fast_enough(const struct latency_gate *l)
{
	return compare_is_below(&l->slow) && (l->faster.shown || l->slow.arms == ARMS_BY_TIME);
}

/* Calls without a duration, whatever the reason. */
static uint64_t untimed(const struct arm_tick *t, uint64_t timed)
{
	return t->calls - timed + t->lost + t->unpaired;
}

void latency_tick(struct verdict *v, struct gate *g, const struct arm_tick *base, const struct arm_tick *cand)
{
	struct latency_gate *l = &g->u.latency;
	struct arm_counts b = { 0 }, to_pass, to_fail;
	struct pair low, high;

	if (!l->frozen) {
		warm_up(l, g->guard, base);
		return;
	}
	b.n = base->hist ? hist_total(base->hist) : 0;
	b.e = slow(base, l->at.base);
	b.unknown = untimed(base, b.n);
	to_pass = to_fail = (struct arm_counts){ .n = cand->hist ? hist_total(cand->hist) : 0 };
	to_pass.unknown = to_fail.unknown = untimed(cand, to_pass.n);
	to_pass.e = slow(cand, l->at.pass);
	to_fail.e = slow(cand, l->at.fail);
	low = counts_for_low(&b, &to_pass);
	high = counts_for_high(&b, &to_fail);
	compare_tick_sides(&l->slow, &low, &high);
	steady_tick(&l->faster, &low);
	steady_tick(&l->slower, &high);
	l->base_n += b.n;
	l->base_slow += b.e;
	l->cand_n += to_pass.n;
	l->cand_slow += to_pass.e;
	/* What was shown in this tick is shown, wherever the threshold is by now. */
	if (!is_slower(l) && has_drifted(l, b.n, b.e))
		look_for_threshold(v, g);
}

static void duration_text(double ns, char *out, unsigned len)
{
	static const struct { double unit; const char *name; } units[] = { { 1e9, "s" }, { 1e6, "ms" }, { 1e3, "us" } };

	for (unsigned i = 0; i < 3; i++)
		if (ns >= units[i].unit) {
			snprintf(out, len, "%.4g %s", ns / units[i].unit, units[i].name);
			return;
		}
	snprintf(out, len, "%.0f ns", ns);
}

/*
 * True: the probes make the figures useless, a sentence was set.  It is what a call can meet that counts: what only some calls meet, below
 * the function, moves a quantile as well.  An optional guard is not asked for, and so must not fail for a busy machine either, which does the
 * same to a function that is not much longer than its probes.
 */
static bool probes_disturb(struct verdict *v, struct gate *g)
{
	double b = v->base.probe_most_ns, c = v->cand.probe_most_ns;
	const char *up_to = b > v->base.probe_ns || c > v->cand.probe_ns ? "up to " : "";
	double margin = (double)threshold_ns(g->u.latency.at.base) * g->guard->margin;
	char room[32];

	duration_text(margin, room, sizeof(room));
	if (v->base.probe_ns == 0 || v->cand.probe_ns == 0)
		gate_set(g, GATE_BLOCKED, "what the probes cost is not known on the %s: latencies cannot be compared",
			 v->cand.probe_ns == 0 ? "candidate" : "baseline");
	else if (fabs(b - c) * 4 >= margin)
		gate_set(g, GATE_BLOCKED,
			 "the probes cost %s%.0f ns on the baseline (%s) and %s%.0f ns on the candidate (%s): too different for a "
			 "margin of %s",
			 up_to, b, v->base.site_kind, up_to, c, v->cand.site_kind, room);
	else if (fmax(b, c) >= margin)
		gate_set(g, GATE_BLOCKED, "the probes cost %s%.0f ns a call, as much as the margin of %s", up_to, fmax(b, c), room);
	else if (g->guard->optional && fmax(b, c) * 4 >= margin)
		gate_set(g, GATE_BLOCKED, "the probes cost %s%.0f ns a call, a quarter of the margin of %s or more", up_to, fmax(b, c), room);
	else
		return false;
	return true;
}

static void latency_figures(struct gate *g)
{
	const struct latency_gate *l = &g->u.latency;

	g->view.unit = UNIT_NS;
	g->view.compared = l->base_n < l->cand_n ? l->base_n : l->cand_n;
	/* NAN after a new start too. */
	g->view.ratio.value = l->base_slow && l->cand_n ?
		(double)l->cand_slow / (double)l->cand_n / ((double)l->base_slow / (double)l->base_n) : NAN;
	gate_bounds(g, &l->slow);
}

/* Until the deadline. */
static double left_s(const struct verdict *v)
{
	uint64_t deadline = v->claim.deadline_ns, span = v->view.span_ns;

	return !deadline ? INFINITY : deadline > span ? (double)(deadline - span) / 1e9 : 0;
}

/* Whoever need not be waited for is not, if it would be in vain. Before anything was watched nobody can tell. */
static void warmup_judge(struct verdict *v, struct gate *g)
{
	uint64_t have = hist_total(g->u.latency.warm), watched_ns = v->base.span_ns - g->u.latency.since_ns;
	double eta;

	if (have >= g->u.latency.warmup) {
		gate_set(g, GATE_BLOCKED, "the baseline's durations have no usable bucket edge near p%g",
			 100 * g->guard->quantile);
		return;
	}
	eta = eta_of(watched_ns, (double)have, (double)g->u.latency.warmup);
	if (g->guard->optional && watched_ns && eta > left_s(v)) {
		gate_set(g, GATE_BLOCKED, "warm-up: %" PRIu64 " of %" PRIu64 " timed baseline calls; at this rate the time is up before", have,
			 g->u.latency.warmup);
		return;
	}
	gate_set(g, GATE_OPEN, "warm-up: %" PRIu64 " of %" PRIu64 " timed baseline calls", have, g->u.latency.warmup);
	gate_eta(g, eta);
}

/* "1.2 % of the candidate's calls take": of none that is said, with how many they are. */
static void share_text(uint64_t slow, uint64_t n, const char *arm, char *out, size_t size)
{
	if (slow)
		snprintf(out, size, "%.3g %% of the %s's calls take", 100 * (double)slow / (double)n, arm);
	else
		snprintf(out, size, "none of the %s's %" PRIu64 " calls takes", arm, n);
}

void latency_judge(struct verdict *v, struct gate *g)
{
	struct latency_gate *l = &g->u.latency;
	const struct compare *r = &l->slow;
	char at[32], limit[32], cand[80], base[80], text[288];

	latency_figures(g);
	if (!l->frozen) {
		warmup_judge(v, g);
		return;
	}
	if (probes_disturb(v, g))
		return;
	duration_text((double)threshold_ns(l->at.base), at, sizeof(at));
	duration_text((double)threshold_ns(l->at.pass), limit, sizeof(limit));
	share_text(l->cand_slow, l->cand_n, "candidate", cand, sizeof(cand));
	share_text(l->base_slow, l->base_n, "baseline", base, sizeof(base));
	snprintf(text, sizeof(text), "%s %s, %s %s (its p%.3g)", cand, limit, base, at, 100 * l->at.level);
	if (is_slower(l)) {
		gate_set(g, GATE_FAIL, "slower: %s, so the ratio is above %.3g", text, r->lower);
	} else if (is_fast_enough(l)) {
		gate_set(g, GATE_PASS, "%s, so the ratio is below %.3g", text, r->upper);
	} else if (compare_is_above(r) || compare_is_below(r)) {
		gate_set(g, GATE_OPEN, "%s, but not from second to second: too few seconds yet, or slow calls come in bursts", text);
	} else {
		gate_set(g, GATE_OPEN, "%s; the ratio lies between %.3g and %.3g", text, r->lower, r->upper);
		gate_unknown(g, r->low_sum.n_c - l->cand_n, "slow");
		gate_eta(g, eta_of(v->cand.span_ns, g->view.log_e, g->view.log_needed));
	}
}
