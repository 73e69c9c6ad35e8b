/* SPDX-License-Identifier: Apache-2.0 */
/* What an A/A run has seen between the baseline's halves: whether it was enough, whether it counts, and the sentences about it. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "error_value.h"
#include "verify_internal.h"

#define LEAST_NS 10000000000ULL

enum {
	CALLS_ENOUGH = 5000,           /* of each function in each half: it need not take longer */
	CALLS_LEAST = 100,             /* fewer could not show anything: of a function, of its trigger, of what a gate compares */
};

static bool has_calls(const struct verdict_view *f, uint64_t least)
{
	return f->base->calls >= least && f->cand->calls >= least;
}

void verify_aa_count(struct verify *v)
{
	const struct verify *run = v->aa.run;

	memset(v->aa.calls, 0, sizeof(v->aa.calls));
	for (uint32_t i = 0; i < run->n_judged; i++) {
		const struct verdict_view *f = verdict_view(run->judged[i].verdict);

		v->aa.calls[0] += f->base->calls;
		v->aa.calls[1] += f->cand->calls;
		v->aa.ns = f->span_ns > v->aa.ns ? f->span_ns : v->aa.ns;
	}
}

/* ---- what was judged ---- */

/* The gate of the expectation; 0: the claim expects nothing. */
static unsigned effect_gate(const struct claim *c)
{
	return c->expect == EXPECT_NONE ? 0 : VERDICT_RECORD + 1;
}

static unsigned first_guard(const struct claim *c)
{
	return VERDICT_RECORD + 1 + (c->expect != EXPECT_NONE);
}

/* Errors came, and of none the value is known. */
static bool lacks_values(const struct errset *s)
{
	return !s->rows && s->base_unknown + s->cand_unknown > 0;
}

/* What the gate compares, in the half that has less of it. */
static uint64_t compared_by(const struct verdict_view *f, unsigned k)
{
	const struct claim *c = f->claim;
	const struct guard *g = k == effect_gate(c) ? NULL : &c->guard[k - first_guard(c)];
	const struct watched *one, *two;

	if (!g && c->trigger[0])
		return f->base->triggers < f->cand->triggers ? f->base->triggers : f->cand->triggers;
	if (g && g->kind == GUARD_LATENCY)
		return f->gate[k]->compared;
	if (g && g->kind == GUARD_CALLS) {
		one = &f->base->watched[g->watched];
		two = &f->cand->watched[g->watched];
		return one->per < two->per ? one->per : two->per;
	}
	if (g && g->kind == GUARD_NEW_ERRORS && lacks_values(f->errors))
		return 0;
	return f->base->calls < f->cand->calls ? f->base->calls : f->cand->calls;
}

static bool is_blocked(const struct gate_view *g)
{
	return g->state == GATE_BLOCKED || g->state == GATE_NOT_JUDGED;
}

/* A difference could have shown there, whichever half is the worse one. */
static bool was_judged(const struct judged *j, unsigned k)
{
	const struct verdict_view *f = verdict_view(j->verdict), *m = verdict_view(j->mirror);

	return !is_blocked(f->gate[k]) && !is_blocked(m->gate[k]) && compared_by(f, k) >= CALLS_LEAST && compared_by(m, k) >= CALLS_LEAST;
}

/* So many gates of the function. */
static unsigned count_judged(const struct judged *j)
{
	unsigned n = 0;

	for (unsigned k = VERDICT_RECORD + 1; k < verdict_view(j->verdict)->gates; k++)
		n += was_judged(j, k);
	return n;
}

static bool anything_judged(const struct verify *run)
{
	for (uint32_t i = 0; i < run->n_judged; i++)
		if (count_judged(&run->judged[i]))
			return true;
	return false;
}

/* The gate is still to have its calls: a warm-up, triggers. One that cannot be judged is not waited for. */
static bool is_waiting(const struct judged *j)
{
	for (unsigned k = VERDICT_RECORD + 1; k < verdict_view(j->verdict)->gates; k++)
		if (!was_judged(j, k) && !is_blocked(verdict_view(j->verdict)->gate[k]) && !is_blocked(verdict_view(j->mirror)->gate[k]))
			return true;
	return false;
}

/* ---- is it over? ---- */

/* Nobody is missing, as far as is known by now. */
static bool all_there(const struct verify *run)
{
	return !run->gone_ns && !verify_away(run) && !run->arm[BASELINE].missing_since_ns && !run->arm[CANDIDATE].missing_since_ns;
}

bool verify_aa_has_enough(const struct verify *run)
{
	for (uint32_t i = 0; i < run->n_judged; i++) {
		const struct verdict_view *f = verdict_view(run->judged[i].verdict);

		if (f->span_ns < LEAST_NS || !has_calls(f, CALLS_ENOUGH) || is_waiting(&run->judged[i]))
			return false;
	}
	return run->stage == VERIFY_RUNNING && all_there(run);
}

/* ---- a difference ---- */

/* A gate that failed, in either direction; its two figures: the first half's, the second's. */
struct found {
	const char *function;
	const struct verdict_view *view;
	const struct gate_view *gate;
	unsigned gate_number;
	bool swapped, errno_values;
};

static bool find_failed(const struct verify *run, struct found *out)
{
	for (uint32_t i = 0; i < 2 * run->n_judged; i++) {
		const struct judged *j = &run->judged[i / 2];
		const struct verdict_view *f = verdict_view(i % 2 ? j->mirror : j->verdict);

		for (unsigned k = 0; f->state == VERDICT_FAIL && k < f->gates; k++)
			if (f->gate[k]->state == GATE_FAIL) {
				*out = (struct found){ j->claim.function, f, f->gate[k], k, i % 2, verdict_view(j->verdict)->may_be_errno };
				return true;
			}
	}
	return false;
}

/* Halves have no candidate: neither of them may fail so much more often. */
static void gate_name(const struct verdict_view *f, unsigned k, char *out, size_t size)
{
	const struct claim *c = f->claim;

	if (k && k == effect_gate(c))
		snprintf(out, size, "equal error rate of %s (< %.3g x)", c->trigger[0] ? "trigger calls" : "calls", c->factor);
	else
		snprintf(out, size, "%s", f->gate[k]->name);
}

static void figures_text(const struct found *f, char *out, size_t size)
{
	const struct arm_total *one = f->swapped ? f->view->cand : f->view->base, *two = f->swapped ? f->view->base : f->view->cand;
	bool trigger = f->gate_number == effect_gate(f->view->claim) && f->view->claim->trigger[0];
	double a = f->swapped ? f->gate->cand.value : f->gate->base.value, b = f->swapped ? f->gate->base.value : f->gate->cand.value;
	char value[ERROR_VALUE_TEXT];
	double excess;
	const struct errset_row *new;

	switch (f->gate->unit) {
	case UNIT_RATE:
		snprintf(out, size, "%.3g %% of %" PRIu64 " %scalls failed in one, %.3g %% of %" PRIu64 " in the other", 100 * a,
			 trigger ? one->triggers : one->calls, trigger ? "trigger " : "", 100 * b, trigger ? two->triggers : two->calls);
		break;
	case UNIT_NS:
		snprintf(out, size, "it is %.4g us in one and %.4g us in the other", a / 1e3, b / 1e3);
		break;
	case UNIT_PER_CALL:
		snprintf(out, size, "%.3g calls per chance in one, %.3g in the other", a, b);
		break;
	case UNIT_NONE:
		new = errset_new(f->view->errors, f->view->claim, f->view->gate_alpha, &excess);
		snprintf(out, size, "%s came %" PRIu64 " times in %" PRIu64 " calls of one, never in %" PRIu64 " of the other",
			 error_value_text(new ? new->value : 0, f->errno_values, value), new ? new->cand : 0, f->view->errors->cand_calls,
			 f->view->errors->base_calls);
		break;
	}
}

/* "the baseline, split by process (pid 812; pid 813), 5,100 and 4,980 calls in 10 s" */
static void seen_text(const struct verify *v, char *out, size_t size)
{
	const struct verify *run = v->aa.run;
	char one[32], two[32];

	verify_count_text(v->aa.calls[0], one);
	verify_count_text(v->aa.calls[1], two);
	snprintf(out, size, "the baseline, split by %s (%.80s; %.80s), %s and %s calls in %.0f s", v->aa.split, run->arm[BASELINE].label,
		 run->arm[CANDIDATE].label, one, two, (double)v->aa.ns / 1e9);
}

static void say_found(struct verify *v, const struct found *f, const char *seen)
{
	char figures[300], gate[100];

	v->aa.state = AA_FOUND;
	gate_name(f->view, f->gate_number, gate, sizeof(gate));
	figures_text(f, figures, sizeof(figures));
	snprintf(v->aa.text, sizeof(v->aa.text), "%s: a difference was found, %s of %.100s does not hold (%s)", seen, gate, f->function,
		 figures);
	snprintf(v->reason, sizeof(v->reason), "the A/A run found a difference between two halves of the baseline, which run the same build: "
		 "%s of %.100s does not hold (%s). Calls hang together, or the %s; nothing could be said of the candidate",
		 gate, f->function, figures, v->aa.cause);
}

/* What is missing of it, so that nothing found may mean that nothing was looked at; false: nothing is. */
static bool find_missing(const struct verify *run, char *out, size_t size)
{
	for (int side = 0; side < VERIFY_SIDES; side++)
		if (run->arm[side].missing_since_ns)
			snprintf(out, size, "%s has no process any more", run->arm[side].label);
	if (run->away[0])
		snprintf(out, size, "nothing comes from host %s any more, its connection is gone", run->away);
	if (run->reason[0])
		snprintf(out, size, "%.590s", run->reason);
	for (uint32_t i = 0; !out[0] && i < run->n_judged; i++) {
		const struct verdict_view *f = verdict_view(run->judged[i].verdict);
		const struct arm_total *one = f->base, *two = f->cand;

		if (f->gate[VERDICT_RECORD]->state == GATE_BLOCKED)
			snprintf(out, size, "beside %" PRIu64 " and %" PRIu64 " calls of %.100s, %" PRIu64 " and %" PRIu64 " were lost or have "
				 "no return", one->calls, two->calls, run->judged[i].claim.function, one->lost + one->unpaired,
				 two->lost + two->unpaired);
	}
	return out[0];
}

static void say_missing(struct verify *v, const char *what, const char *seen)
{
	v->aa.state = AA_NOT_WHOLE;
	snprintf(v->aa.text, sizeof(v->aa.text), "%s: not whole, %.600s", seen, what);
	snprintf(v->reason, sizeof(v->reason), "the A/A run is not whole: %.600s. That it found no difference says nothing, so the arms were not "
		 "compared", what);
}

/* ---- no difference ---- */

/* What nothing was found of because nothing was looked at; of a function with too few calls that is all. */
static void add_not_judged(const struct judged *j, struct buf *out)
{
	const struct verdict_view *f = verdict_view(j->verdict);
	char name[CLAIM_NAME + 64];
	bool first = true;

	if (!has_calls(f, CALLS_LEAST)) {
		buf_printf(out, "; too few calls of %.80s to tell (%" PRIu64 " and %" PRIu64 ")", j->claim.function, f->base->calls,
			   f->cand->calls);
		return;
	}
	for (unsigned k = VERDICT_RECORD + 1; k < f->gates; k++) {
		if (was_judged(j, k))
			continue;
		gate_name(f, k, name, sizeof(name));
		if (first)
			buf_printf(out, "; of %.80s not judged: %s", j->claim.function, name);
		else
			buf_printf(out, ", %s", name);
		first = false;
	}
}

static void say_not_found(struct verify *v, const char *seen)
{
	const struct verify *run = v->aa.run;
	struct buf open = { 0 };

	v->aa.state = anything_judged(run) ? AA_NOTHING : AA_TOO_FEW;
	for (uint32_t i = 0; i < run->n_judged; i++)
		add_not_judged(&run->judged[i], &open);
	snprintf(v->aa.text, sizeof(v->aa.text), "%s: %s%s", seen, v->aa.state == AA_NOTHING ? "no difference was found" : "too few to tell",
		 buf_text(&open));
	if (v->aa.state == AA_TOO_FEW)
		snprintf(v->reason, sizeof(v->reason), "the A/A run could not be made, there were too few calls (%s; %d of a function in each "
			 "half are needed): without --aa the arms are compared all the same", seen, CALLS_LEAST);
	buf_free(&open);
}

void verify_aa_conclude(struct verify *v)
{
	char seen[400], missing[600] = "";
	struct found f;

	verify_aa_count(v);
	seen_text(v, seen, sizeof(seen));
	if (find_failed(v->aa.run, &f))
		say_found(v, &f, seen);
	else if (find_missing(v->aa.run, missing, sizeof(missing)))
		say_missing(v, missing, seen);
	else
		say_not_found(v, seen);
}

void verify_aa_sentence(const struct verify *v, char *out, size_t size)
{
	char one[32], two[32];

	verify_count_text(v->aa.calls[0], one);
	verify_count_text(v->aa.calls[1], two);
	snprintf(out, size, "A/A run first: the baseline split by %s, %s and %s calls, %s so far", v->aa.split, one, two,
		 anything_judged(v->aa.run) ? "no difference" : "too few to tell");
}
