/* SPDX-License-Identifier: Apache-2.0 */
/* What all gates share, and the two that are no statistics: exposure and record. */
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "verdict_internal.h"

/* ---- shared ---- */

void gate_set(struct gate *g, enum gate_state state, const char *fmt, ...)
{
	va_list ap;

	g->view.state = state;
	g->view.eta_s = state == GATE_OPEN || state == GATE_BLOCKED ? INFINITY : 0;
	va_start(ap, fmt);
	vsnprintf(g->view.reason, sizeof(g->view.reason), fmt, ap);
	va_end(ap);
}

void gate_eta(struct gate *g, double seconds)
{
	size_t len = strlen(g->view.reason);
	char text[48];

	if (!(seconds > 0) || isinf(seconds))
		return;
	g->view.eta_s = seconds;
	verdict_eta_text(seconds, text, sizeof(text));
	snprintf(g->view.reason + len, sizeof(g->view.reason) - len, "; %s at this rate", text);
}

void gate_unknown(struct gate *g, uint64_t n, const char *counted_as)
{
	size_t len = strlen(g->view.reason);

	if (n)
		snprintf(g->view.reason + len, sizeof(g->view.reason) - len,
			 " (%" PRIu64 " more candidate calls count as %s, as nothing is known of them)",
			 n, counted_as);
}

double eta_of(uint64_t took_ns, double have, double need)
{
	return have > 0 ? fmax(need - have, 0) / have * (double)took_ns / 1e9 : INFINITY;
}

void gate_bounds(struct gate *g, const struct compare *ratio)
{
	g->view.ratio.low = ratio->lower;
	g->view.ratio.high = ratio->upper;
	g->view.margin = ratio->margin;
	if (ratio->arms == ARMS_LIVE) {
		g->view.log_e = compare_log_e(ratio);
		g->view.log_needed = ratio->low.need;
	}
}

void gate_rates(struct gate *g, struct pair counted, const struct compare *ratio)
{
	const struct pair *k = &counted;

	g->counted = counted;
	g->view.unit = UNIT_RATE;
	g->view.ratio.value = k->e_b && k->n_c ? (double)k->e_c / (double)k->n_c / ((double)k->e_b / (double)k->n_b) : NAN;
	if (ratio)
		gate_bounds(g, ratio);
}

struct arm_counts trigger_counts(const struct claim *c, const struct arm_tick *t)
{
	if (!c->trigger[0])
		return (struct arm_counts){ t->calls, t->errors, t->lost + t->unpaired };
	return (struct arm_counts){ t->triggers, t->trigger_errors, t->trigger_unknown };
}

struct arm_counts trigger_total(const struct claim *c, const struct arm_total *t)
{
	if (!c->trigger[0])
		return (struct arm_counts){ t->calls, t->errors, t->lost + t->unpaired };
	return (struct arm_counts){ t->triggers, t->trigger_errors, t->trigger_unknown };
}

const char *trigger_word(const struct claim *c)
{
	return c->trigger[0] ? "trigger calls" : "calls";
}

void exact_count(char *out, unsigned len, uint64_t n, const char *one, const char *many)
{
	snprintf(out, len, "%" PRIu64 " %s", n, n == 1 ? one : many);
}

/* ---- exposure: did the candidate meet what the fix is about? ---- */

static void exposure_start(struct verdict *v, struct gate *g)
{
	snprintf(g->view.name, sizeof(g->view.name), "exposure");
}

static bool was_called(const struct arm_total *t)
{
	return t->calls + t->lost + t->unpaired > 0;
}

/* What is to be said of the other arm with it: "" if that was called, or nobody knows. */
static const char *nor_on(const struct verdict *v, const struct arm_total *other)
{
	if (was_called(other) || other->unseen || !other->most_processes)
		return "";
	return other == &v->base ? ", nor on the baseline" : ", nor on the candidate";
}

/* False: a sentence about an arm that shows nothing at all, or not all, was set. */
static bool arm_was_seen(struct verdict *v, struct gate *g, const struct arm_total *t, const char *arm)
{
	/* A build whose processes all died is not to pass on what they did before. A baseline by time is over. */
	bool gone = t->most_processes && t->processes == 0 && !(v->claim.arms == ARMS_BY_TIME && t == &v->base);

	if (t->calls && !gone && !t->unseen)
		return true;
	if (t->unseen)
		gate_set(g, GATE_OPEN, "nothing comes from %u of the %s's %u process%s: the agent there cannot be reached", t->unseen, arm,
			 t->processes, t->processes == 1 ? "" : "es");
	else if (gone)
		gate_set(g, GATE_OPEN, "the %s has no process any more", arm);
	else if (t->most_processes == 0)
		gate_set(g, GATE_OPEN, "the %s has no process", arm);
	else if (was_called(t))
		gate_set(g, GATE_OPEN, "of no call of %s on the %s is the outcome known", v->claim.function, arm);
	else
		gate_set(g, GATE_OPEN, "%s was not called on the %s%s", v->claim.function, arm, nor_on(v, t == &v->base ? &v->cand : &v->base));
	return false;
}

static uint32_t lines_not_run(const struct verdict *v, const char **first)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < v->claim.lines; i++) {
		if (v->cand.line_hits[i] >= v->claim.min_line_hits)
			continue;
		if (n++ == 0)
			*first = v->claim.line[i];
	}
	return n;
}

/* ", the code of every changed line ran": a hit of code that is another line's too may be that one's. */
static void lines_ran(const struct claim *c, char *out, size_t size)
{
	int len = c->lines_any ? snprintf(out, size, ", the code of at least one of the %" PRIu32 " changed lines ran", c->lines_any) :
				 snprintf(out, size, "%s", c->lines ? ", the code of every changed line ran" : "");

	if (c->lines_shared)
		snprintf(out + len, size - (size_t)len, ", %" PRIu32 " of them share%s it with other lines", c->lines_shared,
			 c->lines_shared == 1 ? "s" : "");
}

static void exposure_judge(struct verdict *v, struct gate *g)
{
	const struct claim *c = &v->claim;
	uint64_t have = trigger_total(c, &v->cand).n;
	const char *line = "";
	uint32_t missing = lines_not_run(v, &line);
	char times[48], ran[96];

	if (!arm_was_seen(v, g, &v->cand, "candidate") || !arm_was_seen(v, g, &v->base, "baseline"))
		return;
	exact_count(times, sizeof(times), have, "time", "times");
	if (missing && c->lines_any) {
		gate_set(g, GATE_OPEN, "none of the %" PRIu32 " changed lines ran on the candidate; one of them must", c->lines_any);
	} else if (missing) {
		gate_set(g, GATE_OPEN, "the changed line %s did not run on the candidate (%u of %u changed lines did not)", line,
			 missing, c->lines);
	} else if (have < c->min_triggers) {
		gate_set(g, GATE_OPEN, "the candidate saw %s %s; %" PRIu64 " needed", c->trigger[0] ? "the trigger" : "the call",
			 times, c->min_triggers);
		gate_eta(g, eta_of(v->cand.span_ns, (double)have, (double)c->min_triggers));
	} else {
		lines_ran(c, ran, sizeof(ran));
		gate_set(g, GATE_PASS, "the candidate saw %s %s%s", c->trigger[0] ? "the trigger" : "the call", times, ran);
	}
}

const struct gate_kind gate_exposure = { .start = exposure_start, .judge = exposure_judge };

/* ---- record: is what was counted complete enough? ---- */

static void record_start(struct verdict *v, struct gate *g)
{
	snprintf(g->view.name, sizeof(g->view.name), "complete record");
}

static bool within(struct gate *g, const struct arm_total *t, uint64_t n, double limit, const char *arm, const char *what)
{
	uint64_t all = t->calls + t->lost + t->unpaired;

	if ((double)n <= limit * (double)all)
		return true;
	gate_set(g, GATE_BLOCKED, "%s: %" PRIu64 " of %" PRIu64 " calls %s (%.3g %%; the limit is %.3g %%)", arm, n, all, what,
		 100 * (double)n / (double)all, 100 * limit);
	return false;
}

static double call_count(const struct arm_total *t)
{
	return (double)(t->calls + t->lost + t->unpaired);
}

/*
 * A crash is no share of failing calls that a margin could allow: one in a million calls ends a process. So none may be new, whatever the
 * guards are. By time a restart is what ends the baseline's processes.
 */
static bool dies_no_oftener(const struct verdict *v, struct gate *g)
{
	bool by_time = v->claim.arms == ARMS_BY_TIME;
	double base = by_time ? 0 : (double)v->base.died;

	if ((double)v->cand.died * call_count(&v->base) <= base * call_count(&v->cand) && (base > 0 || !v->cand.died))
		return true;
	gate_set(g, GATE_BLOCKED, "%" PRIu64 " process%s of the candidate died in calls of %s, %" PRIu64 " of the baseline's%s (in %.0f and "
		 "%.0f calls)", v->cand.died, v->cand.died == 1 ? "" : "es", v->claim.function, v->base.died,
		 v->base.died && by_time ? ", which a restart ends" : "", call_count(&v->cand), call_count(&v->base));
	return false;
}

static void record_judge(struct verdict *v, struct gate *g)
{
	const struct claim *c = &v->claim;
	static const char lost[] = "were lost", unpaired[] = "have no return";

	if (dies_no_oftener(v, g) &&
	    within(g, &v->cand, v->cand.lost, c->lost_limit, "candidate", lost) &&
	    within(g, &v->base, v->base.lost, c->lost_limit, "baseline", lost) &&
	    within(g, &v->cand, v->cand.unpaired, c->unpaired_limit, "candidate", unpaired) &&
	    within(g, &v->base, v->base.unpaired, c->unpaired_limit, "baseline", unpaired))
		gate_set(g, v->cand.calls && v->base.calls ? GATE_PASS : GATE_OPEN, "%" PRIu64 " lost and %" PRIu64
			 " unpaired of %" PRIu64 " calls", v->base.lost + v->cand.lost, v->base.unpaired + v->cand.unpaired,
			 v->base.calls + v->cand.calls + v->base.lost + v->cand.lost + v->base.unpaired + v->cand.unpaired);
}

const struct gate_kind gate_record = { .start = record_start, .judge = record_judge };
