/* SPDX-License-Identifier: Apache-2.0 */
#include "verdict.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "verdict_internal.h"

enum { BLOCKED_TICKS = 10 };

/* ---- life ---- */

static void gate_add(struct verdict *v, const struct gate_kind *kind, const struct guard *guard)
{
	struct gate *g = &v->gate[v->gates];

	g->kind = kind;
	g->guard = guard;
	g->view.optional = guard && guard->optional;
	v->view.gate[v->gates++] = &g->view;
}

/* The order in which people read them. */
static void gates_of_claim(struct verdict *v)
{
	gate_add(v, &gate_exposure, NULL);
	gate_add(v, &gate_record, NULL);
	if (v->claim.expect == EXPECT_GONE)
		gate_add(v, &gate_gone, NULL);
	else if (v->claim.expect == EXPECT_RATIO)
		gate_add(v, &gate_ratio, NULL);
	for (uint32_t i = 0; i < v->claim.guards; i++)
		gate_add(v, &gate_guards[v->claim.guard[i].kind], &v->claim.guard[i]);
	v->view.gates = v->gates;
}

static void gates_start(struct verdict *v)
{
	unsigned statistical = 0;

	for (unsigned i = 0; i < v->gates; i++)
		statistical += v->gate[i].kind->statistical;
	v->view.gate_alpha = v->claim.alpha / (statistical ? statistical : 1);
	for (unsigned i = 0; i < v->gates; i++) {
		struct gate *g = &v->gate[i];
		struct figure unknown = { NAN, NAN, NAN };

		g->alpha = v->view.gate_alpha;
		g->view.base = g->view.cand = g->view.ratio = unknown;
		g->view.margin = g->view.log_e = g->view.log_needed = g->view.differ_log_e = NAN;
		if (g->guard)
			guard_text(&v->claim, g->guard, g->view.name, sizeof(g->view.name));
		g->kind->start(v, g);
	}
}

static void judge(struct verdict *v);

struct verdict *verdict_new(const struct claim *claim, struct error *err)
{
	struct verdict *v;

	if (claim_check(claim, err) < 0)
		return NULL;
	v = calloc(1, sizeof(*v));
	if (!v) {
		error_set(err, ENOMEM, "no memory for a verdict");
		return NULL;
	}
	v->claim = *claim;
	v->stale = true;
	v->view.base = &v->base;
	v->view.cand = &v->cand;
	v->view.errors = &v->errors;
	v->view.claim = &v->claim;
	gates_of_claim(v);
	gates_start(v);
	judge(v);
	return v;
}

void verdict_free(struct verdict *v)
{
	free(v);
}

/* ---- one tick ---- */

static void total_add(const struct claim *c, struct arm_total *t, const struct arm_tick *tick)
{
	t->calls += tick->calls;
	t->errors += tick->errors;
	t->triggers += tick->triggers;
	t->trigger_errors += tick->trigger_errors;
	t->trigger_unknown += tick->trigger_unknown;
	t->lost += tick->lost;
	t->unpaired += tick->unpaired;
	t->span_ns += tick->span_ns;
	t->processes = tick->processes;
	t->unseen = tick->unseen;
	t->died += tick->died;
	t->most_processes = tick->processes > t->most_processes ? tick->processes : t->most_processes;
	t->probe_most_ns = fmax(t->probe_most_ns, fmax(tick->probe_most_ns, tick->probe_ns));
	if (tick->probe_ns > t->probe_ns) {
		t->probe_ns = tick->probe_ns;
		memcpy(t->site_kind, tick->site_kind, sizeof(t->site_kind));
	}
	for (uint32_t i = 0; tick->hist && i < HIST_BUCKETS; i++)
		t->hist[i] += tick->hist[i];
	for (uint32_t i = 0; tick->line_hits && i < c->lines; i++)
		t->line_hits[i] += tick->line_hits[i];
	for (uint32_t i = 0; tick->watched && i < c->watched; i++) {
		t->watched[i].calls += tick->watched[i].calls;
		t->watched[i].per += tick->watched[i].per;
	}
}

static void differ_add(struct verdict *v, const struct arm_tick *base, const struct arm_tick *cand)
{
	struct pair p = { base->calls, base->errors, cand->calls, cand->errors };

	differ_tick(&v->differ, &p);
	v->view.differ_log_e = v->differ.log_e / v->claim.together;
}

/* ---- the rule ---- */

static void reason_add(struct verdict *v, const struct gate_view *g)
{
	size_t len = strlen(v->view.reason);

	snprintf(v->view.reason + len, sizeof(v->view.reason) - len, "%s%s: %s", len ? "; " : "", g->name, g->reason);
}

static bool time_is_up(const struct verdict *v)
{
	return v->claim.deadline_ns && v->view.span_ns >= v->claim.deadline_ns;
}

/* What blocks a gate may be over in the next tick: a cost that is being measured, a warm-up that had a slow start. */
static bool blocked_for_good(const struct verdict *v, struct gate *g)
{
	if (g->view.state != GATE_BLOCKED || !v->base.calls || !v->cand.calls)
		g->free_tick = v->view.ticks;
	return v->view.ticks - g->free_tick >= BLOCKED_TICKS;
}

/* An optional guard is waited for as long as there is something to wait for. */
static void excuse(const struct verdict *v, struct gate *g)
{
	struct gate_view *view = &g->view;
	char reason[sizeof(view->reason)];
	bool in_vain = blocked_for_good(v, g);

	if (!view->optional || (view->state != GATE_OPEN && view->state != GATE_BLOCKED) || !(in_vain || time_is_up(v)))
		return;
	if (view->state == GATE_OPEN) {
		memcpy(reason, view->reason, sizeof(reason));
		snprintf(view->reason, sizeof(view->reason), "the time is up: %.480s", reason);
	}
	view->state = GATE_NOT_JUDGED;
	view->eta_s = 0;
}

static const struct gate_view *first_failed(const struct verdict *v)
{
	for (unsigned i = 0; i < v->gates; i++)
		if (v->gate[i].view.state == GATE_FAIL)
			return &v->gate[i].view;
	return NULL;
}

/* Reasons of all gates that have not passed; true: there are none. */
static bool all_passed(struct verdict *v)
{
	bool passed = true;

	v->view.eta_s = 0;
	for (unsigned i = 0; i < v->gates; i++) {
		const struct gate_view *g = &v->gate[i].view;

		if (g->state == GATE_PASS || g->state == GATE_NOT_JUDGED)
			continue;
		passed = false;
		reason_add(v, g);
		v->view.eta_s = fmax(v->view.eta_s, g->eta_s);
	}
	return passed;
}

/* "all 5 gates pass", or which of them do not count. */
static void say_passed(struct verdict *v)
{
	unsigned missing = 0;
	size_t len = 0;

	for (unsigned i = 0; i < v->gates; i++)
		missing += v->gate[i].view.state == GATE_NOT_JUDGED;
	if (!missing) {
		snprintf(v->view.reason, sizeof(v->view.reason), "all %u gates pass", v->gates);
		return;
	}
	snprintf(v->view.reason, sizeof(v->view.reason), "%u gates pass; not judged: ", v->gates - missing);
	for (unsigned i = 0; i < v->gates; i++) {
		if (v->gate[i].view.state != GATE_NOT_JUDGED)
			continue;
		len = strlen(v->view.reason);
		snprintf(v->view.reason + len, sizeof(v->view.reason) - len, "%s%s", v->gate[i].view.name, --missing ? ", " : "");
	}
}

static void judge(struct verdict *v)
{
	const struct gate_view *failed;

	for (unsigned i = 0; i < v->gates; i++) {
		v->gate[i].kind->judge(v, &v->gate[i]);
		excuse(v, &v->gate[i]);
	}
	v->view.reason[0] = '\0';
	failed = first_failed(v);
	if (failed) {
		v->view.state = VERDICT_FAIL;
		v->view.eta_s = 0;
		reason_add(v, failed);
	} else if (all_passed(v)) {
		v->view.state = VERDICT_PASS;
		say_passed(v);
	} else if (time_is_up(v)) {
		v->view.state = VERDICT_INCONCLUSIVE;
	}
}

int verdict_tick(struct verdict *v, const struct arm_tick *base, const struct arm_tick *cand, struct error *err)
{
	int rc = arm_tick_check(&v->claim, base, "baseline", err);

	if (!rc)
		rc = arm_tick_check(&v->claim, cand, "candidate", err);
	if (rc || v->view.state != VERDICT_UNDECIDED)
		return rc;
	if (v->view.ticks == VERDICT_TICKS_MAX)
		return error_set(err, ENOSPC, "a verdict takes at most %d ticks", VERDICT_TICKS_MAX);
	v->view.ticks++;
	v->view.span_ns += base->span_ns > cand->span_ns ? base->span_ns : cand->span_ns;
	total_add(&v->claim, &v->base, base);
	total_add(&v->claim, &v->cand, cand);
	errset_tick(&v->errors, base, cand);
	differ_add(v, base, cand);
	for (unsigned i = 0; i < v->gates; i++)
		if (v->gate[i].kind->tick)
			v->gate[i].kind->tick(v, &v->gate[i], base, cand);
	judge(v);
	v->stale = true;
	return 0;
}

int verdict_set_lines(struct verdict *v, const struct claim *of, struct error *err)
{
	if (v->cand.calls || v->cand.span_ns)
		return error_set(err, EBUSY, "the candidate has been watched without its changed lines");
	if (claim_check_lines(of, err) < 0)
		return -EINVAL;
	v->claim.lines = of->lines;
	v->claim.lines_shared = of->lines_shared;
	v->claim.lines_any = of->lines_any;
	memcpy(v->claim.line, of->line, of->lines * sizeof(*of->line));
	if (v->view.state == VERDICT_UNDECIDED)
		judge(v);
	return 0;
}

void verdict_set_errno(struct verdict *v, bool may_be_errno)
{
	v->view.may_be_errno = may_be_errno;
}

void verdict_set_time_left(struct verdict *v, uint64_t left_ns)
{
	v->claim.deadline_ns = v->view.span_ns + (left_ns ? left_ns : 1);
}

void verdict_end(struct verdict *v, const char *reason)
{
	char open[sizeof(v->view.reason)];

	if (v->view.state != VERDICT_UNDECIDED)
		return;
	memcpy(open, v->view.reason, sizeof(open));
	v->view.state = VERDICT_INCONCLUSIVE;
	snprintf(v->view.reason, sizeof(v->view.reason), "%.400s; %.600s", reason, open);
}

enum verdict_state verdict_state(const struct verdict *v)
{
	return v->view.state;
}

enum verdict_state verdict_combine(const enum verdict_state *states, unsigned n)
{
	unsigned count[VERDICT_INCONCLUSIVE + 1] = { 0 };

	for (unsigned i = 0; i < n; i++)
		count[states[i]]++;
	if (count[VERDICT_FAIL])
		return VERDICT_FAIL;
	if (count[VERDICT_UNDECIDED])
		return VERDICT_UNDECIDED;
	return n && count[VERDICT_PASS] == n ? VERDICT_PASS : VERDICT_INCONCLUSIVE;
}

/* ---- figures: made when somebody looks, not with every tick ---- */

static struct figure rate_figure(uint64_t n, uint64_t e, double alpha, double together)
{
	double calls = (double)n / together, errors = (double)e / together;

	return (struct figure){ n ? errors / calls : NAN, rate_low(calls, errors, alpha), rate_high(calls, errors, alpha) };
}

static struct figure duration_figure(const __u64 hist[HIST_BUCKETS], double q, double alpha, double together)
{
	uint64_t low, high;

	quantile_bounds(hist, q, alpha, together, &low, &high);
	return (struct figure){ hist_total(hist) ? (double)hist_quantile(hist, q, 0) : NAN, (double)low,
		high == UINT64_MAX ? INFINITY : (double)high };
}

static void arm_figures(const struct verdict *v, struct gate *g)
{
	const struct pair *k = &g->counted;
	double together = v->claim.together, q = g->guard ? g->guard->quantile : 0;

	if (g->view.unit == UNIT_RATE) {
		g->view.base = rate_figure(k->n_b, k->e_b, g->alpha, together);
		g->view.cand = rate_figure(k->n_c, k->e_c, g->alpha, together);
	} else if (g->view.unit == UNIT_NS) {
		g->view.base = duration_figure(v->base.hist, q, g->alpha, together);
		g->view.cand = duration_figure(v->cand.hist, q, g->alpha, together);
		g->view.differ_log_e = quantile_differ_log_e(v->base.hist, v->cand.hist, q, together);
	}
}

const struct verdict_view *verdict_view(struct verdict *v)
{
	for (unsigned i = 0; v->stale && i < v->gates; i++)
		arm_figures(v, &v->gate[i]);
	v->stale = false;
	return &v->view;
}
