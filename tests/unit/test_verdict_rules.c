/* SPDX-License-Identifier: Apache-2.0 */
/* The rule, as a table: a claim, two arms, the verdict that must come out and the words that must be in its reason. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "buf.h"
#include "verdict_sim.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

enum {
	ERRORS = 1, P50 = 2, P99 = 4, VALUES = 8, CALLS = 16, LINES = 32, NO_TRIGGER = 64, BY_TIME = 128, OPT_P50 = 256, OPT_P99 = 512,
};

struct rule_case {
	const char *name;
	enum claim_expect expect;
	double factor;
	unsigned with;
	struct sim_arm base, cand;
	unsigned ticks;
	enum verdict_state want;
	const char *reason;
};

#define ARM(...) { .calls = 100, .trigger_share = 0.3, .trigger_error = 0.1, .other_error = 0.01, .median_ns = 50000, .sigma = 0.3, \
	.watched = 0.6, .probe_ns = 300, .processes = 2, .lines_run = true, __VA_ARGS__ }
#define FIXED ARM(.trigger_error = 0)
#define HARMLESS(...) ARM(.calls = 1000, .trigger_error = 0, .other_error = 0, __VA_ARGS__)
#define ALL (ERRORS | P50 | VALUES | CALLS | LINES)

#pragma GCC diagnostic ignored "-Woverride-init"
static const struct rule_case cases[] = {
	/* the five builds of the demo */
	{ "a right fix", EXPECT_GONE, 0, ALL, ARM(), FIXED, 600, VERDICT_PASS, "all 7 gates pass" },
	{ "the error moved", EXPECT_GONE, 0, ALL, ARM(), ARM(.trigger_error = 0, .moved_error = 0.1), 60, VERDICT_FAIL,
	  "the error is gone: it is not: baseline failed" },
	{ "right, but slow", EXPECT_GONE, 0, ALL, ARM(), ARM(.trigger_error = 0, .median_ns = 80000), 600, VERDICT_FAIL,
	  "slower" },
	{ "changed lines never run", EXPECT_GONE, 0, ALL, ARM(), ARM(.trigger_error = 0, .lines_run = false), 600,
	  VERDICT_INCONCLUSIVE,
	  "order.c:212 did not run" },
	/* the claimed effect */
	{ "nothing changed", EXPECT_GONE, 0, 0, ARM(), ARM(), 60, VERDICT_FAIL, "it is not: baseline failed" },
	{ "no error on the baseline", EXPECT_GONE, 0, 0, FIXED, FIXED, 60, VERDICT_INCONCLUSIVE,
	  "the baseline has shown no error yet" },
	{ "halved, as claimed", EXPECT_RATIO, 0.8, 0, ARM(), ARM(.trigger_error = 0.05), 900, VERDICT_PASS, "all 3 gates" },
	{ "not halved", EXPECT_RATIO, 0.5, 0, ARM(), ARM(), 900, VERDICT_FAIL, "did not fall as claimed" },
	{ "nothing to be less than", EXPECT_RATIO, 0.5, 0, FIXED, FIXED, 60, VERDICT_INCONCLUSIVE, "nothing to compare with" },
	{ "exactly at the margin", EXPECT_RATIO, 0.5, 0, ARM(), ARM(.trigger_error = 0.05), 120, VERDICT_INCONCLUSIVE,
	  "not shown to be below" },
	{ "every call is a trigger", EXPECT_GONE, 0, NO_TRIGGER, ARM(), ARM(.trigger_error = 0, .other_error = 0), 60,
	  VERDICT_PASS, "" },
	/* exposure: nothing seen is never a PASS */
	{ "no traffic", EXPECT_NONE, 0, ALL, ARM(.calls = 0), ARM(.calls = 0), 60, VERDICT_INCONCLUSIVE,
	  "not called on the candidate" },
	{ "no traffic on the candidate", EXPECT_GONE, 0, 0, ARM(), ARM(.calls = 0), 60, VERDICT_INCONCLUSIVE,
	  "not called on the candidate" },
	{ "no traffic on the baseline", EXPECT_NONE, 0, ERRORS, ARM(.calls = 0), FIXED, 600, VERDICT_INCONCLUSIVE,
	  "not called on the baseline" },
	{ "no process", EXPECT_GONE, 0, 0, ARM(), ARM(.calls = 0, .processes = 0), 60, VERDICT_INCONCLUSIVE,
	  "the candidate has no process" },
	{ "trigger never seen", EXPECT_GONE, 0, 0, ARM(), ARM(.trigger_share = 0), 60, VERDICT_INCONCLUSIVE,
	  "saw the trigger 0 times; 20 needed" },
	{ "trigger seen too seldom", EXPECT_NONE, 0, ERRORS, ARM(), ARM(.calls = 1000, .trigger_share = 0.0005), 20,
	  VERDICT_INCONCLUSIVE,
	  "20 needed; about" },
	/* record */
	{ "calls lost", EXPECT_GONE, 0, 0, ARM(), ARM(.trigger_error = 0, .lost = 0.05), 120, VERDICT_INCONCLUSIVE, "were lost" },
	{ "baseline calls lost", EXPECT_GONE, 0, 0, ARM(.lost = 0.05), FIXED, 120, VERDICT_INCONCLUSIVE, "baseline: " },
	{ "calls without a return", EXPECT_GONE, 0, 0, ARM(), ARM(.trigger_error = 0, .unpaired = 0.1), 120, VERDICT_INCONCLUSIVE,
	  "have no return" },
	{ "calls without a return could have failed", EXPECT_RATIO, 0.3, 0, ARM(),
	  ARM(.trigger_error = 0.02, .unpaired = 0.009), 120,
	  VERDICT_INCONCLUSIVE, "more candidate calls count as failed" },
	{ "all calls unwound", EXPECT_GONE, 0, 0, ARM(), ARM(.unpaired = 1), 120, VERDICT_INCONCLUSIVE,
	  "of no call of checkout" },
	{ "a crash in few calls", EXPECT_NONE, 0, ERRORS | VALUES, HARMLESS(), HARMLESS(.dies = 1), 300, VERDICT_INCONCLUSIVE,
	  "300 processes of the candidate died in calls of checkout, 0 of the baseline's" },
	{ "the baseline crashes less often", EXPECT_NONE, 0, ERRORS | VALUES, HARMLESS(.dies = 1), HARMLESS(.dies = 2), 300,
	  VERDICT_INCONCLUSIVE, "600 processes of the candidate died in calls of checkout, 300 of the baseline's (in " },
	{ "a smaller candidate crashes more often", EXPECT_NONE, 0, ERRORS | VALUES, HARMLESS(.calls = 4000, .dies = 1), HARMLESS(.dies = 1),
	  300, VERDICT_INCONCLUSIVE, "300 processes of the candidate died in calls of checkout, 300 of the baseline's (in " },
	{ "by time a restart ends the baseline", EXPECT_NONE, 0, ERRORS | VALUES | BY_TIME, HARMLESS(.dies = 1), HARMLESS(.dies = 1), 600,
	  VERDICT_INCONCLUSIVE, " of the baseline's, which a restart ends (in " },
	{ "the crash is gone", EXPECT_NONE, 0, ERRORS | VALUES, HARMLESS(.dies = 1), HARMLESS(), 300, VERDICT_PASS, "" },
	{ "both crash, the candidate less", EXPECT_NONE, 0, ERRORS | VALUES, HARMLESS(.dies = 2), HARMLESS(.dies = 1), 300, VERDICT_PASS, "" },
	{ "few losses only take longer", EXPECT_GONE, 0, 0, ARM(), ARM(.trigger_error = 0, .lost = 0.005), 300, VERDICT_PASS,
	  "" },
	/* guards */
	{ "errors up", EXPECT_NONE, 0, ERRORS, ARM(), ARM(.other_error = 0.05), 300, VERDICT_FAIL, "it is up" },
	{ "errors the same", EXPECT_NONE, 0, ERRORS, ARM(), ARM(), 3000, VERDICT_PASS, "" },
	{ "no errors at all", EXPECT_NONE, 0, ERRORS, ARM(.trigger_error = 0, .other_error = 0),
	  ARM(.trigger_error = 0, .other_error = 0), 120,
	  VERDICT_PASS, "" },
	{ "slower at p50", EXPECT_NONE, 0, P50, ARM(), ARM(.median_ns = 60000), 120, VERDICT_FAIL, "slower" },
	{ "slower at p99", EXPECT_NONE, 0, P99, ARM(.calls = 1000), ARM(.calls = 1000, .sigma = 0.5), 120, VERDICT_FAIL,
	  "slower" },
	{ "as fast", EXPECT_NONE, 0, P50, ARM(), ARM(), 400, VERDICT_PASS, "" },
	{ "as fast at p99", EXPECT_NONE, 0, P99, ARM(.calls = 1000), ARM(.calls = 1000), 200, VERDICT_PASS, "" },
	{ "probes as dear as the margin", EXPECT_NONE, 0, P50, ARM(.probe_ns = 9000), ARM(.probe_ns = 9000), 120,
	  VERDICT_INCONCLUSIVE,
	  "as much as the margin" },
	{ "probes differ", EXPECT_NONE, 0, P50, ARM(.probe_ns = 300), ARM(.probe_ns = 3800, .median_ns = 80000), 120,
	  VERDICT_INCONCLUSIVE,
	  "too different" },
	{ "probes' cost not known", EXPECT_NONE, 0, P50, ARM(.probe_ns = 0), ARM(.probe_ns = 0), 120, VERDICT_INCONCLUSIVE,
	  "is not known" },
	/* optional guards: what cannot be judged does not stop a PASS, and is named */
	{ "optional: probes as dear as the margin", EXPECT_GONE, 0, ERRORS | OPT_P50, ARM(.probe_ns = 9000),
	  ARM(.probe_ns = 9000, .trigger_error = 0), 600, VERDICT_PASS, "4 gates pass; not judged: latency p50 < +10 %" },
	{ "optional: probes differ", EXPECT_GONE, 0, OPT_P50, ARM(.probe_ns = 300), ARM(.probe_ns = 3800, .trigger_error = 0), 600,
	  VERDICT_PASS, "3 gates pass; not judged: latency p50 < +10 %" },
	{ "optional: probes' cost not known", EXPECT_GONE, 0, OPT_P50 | OPT_P99, ARM(.probe_ns = 0, .calls = 1000),
	  ARM(.probe_ns = 0, .calls = 1000, .trigger_error = 0), 600, VERDICT_PASS,
	  "3 gates pass; not judged: latency p50 < +10 %, latency p99 < +25 %" },
	{ "optional: probes of changed lines that some calls meet", EXPECT_GONE, 0, OPT_P50, ARM(),
	  ARM(.probe_most_ns = 6000, .trigger_error = 0, .median_ns = 60000), 600, VERDICT_PASS, "3 gates pass; not judged: latency p50" },
	{ "the same, obligatory", EXPECT_GONE, 0, P50, ARM(), ARM(.probe_most_ns = 6000, .trigger_error = 0, .median_ns = 60000), 600,
	  VERDICT_INCONCLUSIVE, "ns on the baseline (" },
	{ "obligatory: in both arms, as dear as the margin", EXPECT_GONE, 0, P50, ARM(.probe_most_ns = 6000), ARM(.probe_most_ns = 6000, .trigger_error = 0),
	  600, VERDICT_INCONCLUSIVE, "the probes cost up to 6000 ns a call, as much as the margin" },
	{ "obligatory: what some calls meet is little beside the margin", EXPECT_GONE, 0, P50, ARM(), ARM(.probe_most_ns = 900, .trigger_error = 0), 600,
	  VERDICT_PASS, "" },
	{ "optional: no durations", EXPECT_GONE, 0, OPT_P99, ARM(.median_ns = 0), ARM(.median_ns = 0, .trigger_error = 0), 600, VERDICT_PASS,
	  "not judged: latency p99" },
	{ "optional: too few calls for the warm-up", EXPECT_GONE, 0, OPT_P99, ARM(.calls = 10), ARM(.calls = 10, .trigger_error = 0), 150,
	  VERDICT_PASS, "not judged: latency p99" },
	{ "optional: slower", EXPECT_GONE, 0, OPT_P50 | OPT_P99, ARM(), ARM(.trigger_error = 0, .median_ns = 60000), 600, VERDICT_FAIL,
	  "latency p50 < +10 %: slower" },
	{ "optional: all of it judged", EXPECT_GONE, 0, OPT_P50 | OPT_P99, ARM(.calls = 1000), ARM(.calls = 1000, .trigger_error = 0), 600,
	  VERDICT_PASS, "all 5 gates pass" },
	{ "optional: another gate is open", EXPECT_GONE, 0, ERRORS | OPT_P50, ARM(.probe_ns = 9000, .trigger_error = 0),
	  ARM(.probe_ns = 9000, .trigger_error = 0), 60, VERDICT_INCONCLUSIVE, "the error is gone: the baseline has shown no error yet" },
	{ "no durations", EXPECT_NONE, 0, P50, ARM(.median_ns = 0), ARM(.median_ns = 0), 120, VERDICT_INCONCLUSIVE,
	  "warm-up: 0 of 40" },
	{ "-71 is new", EXPECT_NONE, 0, VALUES, ARM(), ARM(.moved_error = 0.02), 300, VERDICT_FAIL, "-71 is new: " },
	{ "no new error value", EXPECT_NONE, 0, VALUES, ARM(), ARM(), 120, VERDICT_PASS, "" },
	{ "callee called less", EXPECT_NONE, 0, CALLS, ARM(), ARM(.watched = 0.3), 300, VERDICT_FAIL,
	  "calls of charge_card > -20 %: it is called less" },
	{ "callee lost", EXPECT_NONE, 0, CALLS, ARM(), ARM(.watched = 0), 300, VERDICT_FAIL,
	  "calls of charge_card > -20 %: it is called less" },
	{ "callee called as often", EXPECT_NONE, 0, CALLS, ARM(), ARM(), 300, VERDICT_PASS, "" },
	/* before and after */
	{ "gone, by time", EXPECT_GONE, 0, BY_TIME, ARM(), FIXED, 120, VERDICT_PASS, "" },
	{ "gone, by time, too few calls", EXPECT_GONE, 0, BY_TIME, ARM(), ARM(.calls = 3, .trigger_error = 0), 60,
	  VERDICT_INCONCLUSIVE,
	  "clean calls needed; about" },
	{ "guards by time", EXPECT_NONE, 0, BY_TIME | ERRORS | P50 | CALLS, ARM(.calls = 500), ARM(.calls = 500), 600,
	  VERDICT_PASS, "" },
	{ "slower, by time", EXPECT_NONE, 0, BY_TIME | P50, ARM(), ARM(.median_ns = 70000), 200, VERDICT_FAIL, "slower" },
	{ "new value, by time", EXPECT_NONE, 0, BY_TIME | VALUES, ARM(), ARM(.moved_error = 0.05), 200, VERDICT_FAIL,
	  "-71 is new" },
	{ "no candidate yet, by time", EXPECT_GONE, 0, BY_TIME, ARM(), ARM(.calls = 0, .processes = 0), 60,
	  VERDICT_INCONCLUSIVE, "no process" },
	/* a canary so small that most ticks have no call of it */
	{ "one call in ten ticks", EXPECT_GONE, 0, NO_TRIGGER, ARM(.trigger_error = 0.5),
	  ARM(.calls = 0.1, .trigger_error = 0, .other_error = 0),
	  2000, VERDICT_PASS, "" },
};
static const struct rule_case at_the_margin = { "", EXPECT_GONE, 0, OPT_P50, ARM(), ARM(.trigger_error = 0, .median_ns = 55000), 100,
	VERDICT_PASS, "" };
#pragma GCC diagnostic error "-Woverride-init"

static void add_guards(struct claim *c, unsigned with)
{
	if (with & ERRORS)
		claim_guard(c, GUARD_ERROR_RATE);
	if (with & P50)
		claim_guard(c, GUARD_LATENCY)->quantile = 0.5;
	if (with & P99)
		claim_guard(c, GUARD_LATENCY);
	if (with & OPT_P50)
		*claim_guard(c, GUARD_LATENCY) = (struct guard){ GUARD_LATENCY, .quantile = 0.5, .margin = 0.1, .optional = true };
	if (with & OPT_P99)
		*claim_guard(c, GUARD_LATENCY) = (struct guard){ GUARD_LATENCY, .quantile = 0.99, .margin = 0.25, .optional = true };
	if (with & VALUES)
		claim_guard(c, GUARD_NEW_ERRORS);
	if (with & CALLS) {
		strcpy(c->watched_name[0], "charge_card");
		c->watched = 1;
		claim_guard(c, GUARD_CALLS);
	}
}

static struct claim claim_of(const struct rule_case *k)
{
	struct claim c;

	claim_init(&c);
	strcpy(c.function, "checkout");
	if (!(k->with & NO_TRIGGER))
		strcpy(c.trigger, "o->qty == 0");
	c.arms = k->with & BY_TIME ? ARMS_BY_TIME : ARMS_LIVE;
	c.expect = k->expect;
	c.factor = k->factor;
	if (k->with & LINES) {
		c.lines = 2;
		strcpy(c.line[0], "order.c:212");
		strcpy(c.line[1], "order.c:213");
	}
	add_guards(&c, k->with);
	c.deadline_ns = k->ticks * 1000000000ULL;
	return c;
}

static struct verdict *run(const struct rule_case *k, uint64_t seed)
{
	struct sim sim = { .rnd = { seed }, .swing = 0.3, .base = k->base, .cand = k->cand };
	struct claim c = claim_of(k);
	struct verdict *v = verdict_new(&c, NULL);
	static const struct sim_arm nobody;

	assert_non_null(v);
	for (unsigned i = 0; i < k->ticks && verdict_state(v) == VERDICT_UNDECIDED; i++) {
		struct sim_tick b, x;
		bool by_time = k->with & BY_TIME, first = i < k->ticks / 2;

		sim_arm_tick(&sim, by_time && !first ? &nobody : &sim.base, &b);
		sim_arm_tick(&sim, by_time && first ? &nobody : &sim.cand, &x);
		assert_int_equal(verdict_tick(v, &b.t, &x.t, NULL), 0);
	}
	return v;
}

static void test_rule_table(void **state)
{
	unsigned wrong = 0;

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct verdict *v = run(&cases[i], 1000 + i);
		const struct verdict_view *view = verdict_view(v);

		if (view->state != cases[i].want || !strstr(view->reason, cases[i].reason)) {
			struct buf text = { 0 };

			verdict_print(v, &text);
			print_error("%s: %s wanted, with \"%s\":\n%s\n", cases[i].name, verdict_state_name(cases[i].want), cases[i].reason,
				    buf_text(&text));
			buf_free(&text);
			wrong++;
		}
		verdict_free(v);
	}
	assert_int_equal(wrong, 0);
}

/* A guard that is open is waited for, until the time is up. */
static void test_an_optional_guard_is_waited_for(void **state)
{
	struct rule_case shorter = at_the_margin;
	struct buf text = { 0 };
	struct verdict *v;

	shorter.ticks = 99;
	v = run(&at_the_margin, 3);
	assert_int_equal(verdict_state(v), VERDICT_PASS);
	assert_int_equal(verdict_view(v)->ticks, 100);
	assert_string_equal(verdict_view(v)->reason, "3 gates pass; not judged: latency p50 < +10 %");
	verdict_print(v, &text);
	assert_non_null(strstr(buf_text(&text), "gate not judged latency p50 < +10 %: the time is up: "));
	assert_non_null(strstr(buf_text(&text), "the ratio lies between"));
	verdict_free(v);
	buf_free(&text);
	v = run(&shorter, 3);
	assert_int_equal(verdict_view(v)->ticks, 99);
	verdict_free(v);
}

/* No rate is shown as 0 %: of how many calls it was none says what that is worth. */
static void test_none_of_the_calls(void **state)
{
	struct rule_case k = { .with = P50, .base = sim_plain, .cand = sim_plain, .ticks = 100 };
	const struct verdict_view *view;
	struct verdict *v;
	const char *reason;

	k.cand.median_ns = 5000;
	v = run(&k, 4);
	view = verdict_view(v);
	reason = view->gate[view->gates - 1]->reason;
	assert_int_equal(view->gate[view->gates - 1]->state, GATE_PASS);
	assert_non_null(strstr(reason, "none of the candidate's "));
	assert_non_null(strstr(reason, " calls takes "));
	assert_non_null(strstr(reason, "% of the baseline's calls take "));
	assert_null(strstr(reason, "0 % of"));
	verdict_free(v);
}

/* What the probes cost becomes known only after the rest has passed, or never. */
static void test_a_moments_block_is_waited_for(void **state)
{
	static const struct { unsigned known_after; enum verdict_state want; uint64_t least_ticks; } all[] = {
		{ 8, VERDICT_FAIL, 9 }, { 600, VERDICT_PASS, 10 },
	};
	struct rule_case k = at_the_margin;

	k.cand.median_ns = 80000;
	for (size_t i = 0; i < COUNT(all); i++) {
		struct sim sim = { .rnd = { 12 }, .swing = 0.3, .base = k.base, .cand = k.cand };
		struct claim c = claim_of(&k);
		struct verdict *v = verdict_new(&c, NULL);

		for (unsigned t = 0; t < k.ticks && verdict_state(v) == VERDICT_UNDECIDED; t++) {
			struct sim_tick b, x;

			sim.cand.probe_ns = t < all[i].known_after ? 0 : k.cand.probe_ns;
			sim_arm_tick(&sim, &sim.base, &b);
			sim_arm_tick(&sim, &sim.cand, &x);
			assert_int_equal(verdict_tick(v, &b.t, &x.t, NULL), 0);
		}
		assert_int_equal(verdict_state(v), all[i].want);
		assert_in_range(verdict_view(v)->ticks, all[i].least_ticks, 20);
		verdict_free(v);
	}
}

/*
 * In the sixth tick the baseline is twice as fast, so its threshold is given up: with a slow candidate not before that has been
 * shown, by the same distance as in the four ticks that were compared before; with one at the margin, nothing is left of what was compared.
 */
static void test_drift_in_the_tick_that_decides(void **state)
{
	static const struct { double cand_ns, last_ns; enum verdict_state want; } all[] = {
		{ 90000, 53500, VERDICT_FAIL }, { 56000, 56000, VERDICT_UNDECIDED },
	};
	struct rule_case k = { .with = P50, .ticks = 100 };

	for (uint64_t i = 0; i < COUNT(all) * 8; i++) {
		struct sim sim = { .rnd = { 1 + i / 2 }, .base = sim_plain, .cand = sim_plain };
		struct claim c = claim_of(&k);
		struct verdict *v = verdict_new(&c, NULL);
		const struct verdict_view *view;

		for (int t = 0; t < 6; t++) {
			struct sim_tick b, x;

			assert_int_equal(verdict_state(v), VERDICT_UNDECIDED);
			sim.base.calls = t < 5 ? 2000 : 20000;
			sim.cand.calls = 2000;
			sim.base.median_ns = t < 5 ? 50000 : 25000;
			sim.cand.median_ns = t < 5 ? all[i % 2].cand_ns : all[i % 2].last_ns;
			sim_arm_tick(&sim, &sim.base, &b);
			sim_arm_tick(&sim, &sim.cand, &x);
			assert_int_equal(verdict_tick(v, &b.t, &x.t, NULL), 0);
		}
		view = verdict_view(v);
		assert_int_equal(view->state, all[i % 2].want);
		assert_int_equal(isnan(view->gate[2]->ratio.value), view->state == VERDICT_UNDECIDED);
		verdict_free(v);
	}
}

/* What was decided stays decided. */
static void test_the_end_is_the_end(void **state)
{
	struct rule_case k = cases[0];
	struct verdict *v = run(&k, 5);
	uint64_t ticks = verdict_view(v)->ticks;
	struct sim sim = { .rnd = { 6 }, .swing = 0, .base = k.base, .cand = k.base };
	struct sim_tick b, c;

	assert_int_equal(verdict_state(v), VERDICT_PASS);
	sim_arm_tick(&sim, &sim.base, &b);
	sim_arm_tick(&sim, &sim.cand, &c);
	assert_int_equal(verdict_tick(v, &b.t, &c.t, NULL), 0);
	verdict_end(v, "too late");
	assert_int_equal(verdict_state(v), VERDICT_PASS);
	assert_int_equal(verdict_view(v)->ticks, ticks);
	verdict_free(v);
}

/* All that it needs to pass was seen, and then it crashed. */
static void test_an_arm_that_dies_does_not_pass(void **state)
{
	struct rule_case k = cases[0];
	struct claim c = claim_of(&k);
	struct sim sim = { .rnd = { 8 }, .swing = 0.3, .base = k.base, .cand = k.cand };
	struct verdict *v;

	c.min_triggers = 300;
	v = verdict_new(&c, NULL);
	for (int i = 0; i < 200; i++) {
		struct sim_tick b, x;

		/* 9 ticks of 30 trigger calls; what is missing comes while no process is left */
		sim.cand.processes = i < 9 ? 2 : 0;
		sim_arm_tick(&sim, &sim.base, &b);
		sim_arm_tick(&sim, &sim.cand, &x);
		assert_int_equal(verdict_tick(v, &b.t, &x.t, NULL), 0);
	}
	assert_int_equal(verdict_state(v), VERDICT_UNDECIDED);
	assert_string_equal(verdict_view(v)->reason, "exposure: the candidate has no process any more");
	verdict_free(v);
}

static void test_ended_from_outside(void **state)
{
	struct rule_case k = cases[0];
	struct verdict *v;

	k.ticks = 3;
	v = run(&k, 5);
	/* the deadline of three ticks */
	assert_int_equal(verdict_state(v), VERDICT_INCONCLUSIVE);
	verdict_free(v);
	k = cases[0];
	k.ticks = 1000000;
	struct claim c = claim_of(&k);
	v = verdict_new(&c, NULL);
	verdict_end(v, "apply_coupon was inlined in the candidate");
	assert_int_equal(verdict_state(v), VERDICT_INCONCLUSIVE);
	assert_non_null(strstr(verdict_view(v)->reason, "apply_coupon was inlined in the candidate; exposure: "));
	verdict_free(v);
}

/* ---- what is refused ---- */

struct bad_claim {
	const char *text;
	void (*spoil)(struct claim *c);
};

static void all_optional(struct claim *c) { c->expect = EXPECT_NONE; c->guards = 0; claim_guard(c, GUARD_LATENCY)->optional = true; }
static void no_function(struct claim *c) { c->function[0] = '\0'; }
static void nothing_expected(struct claim *c) { c->expect = EXPECT_NONE; c->guards = 0; }
static void alpha_nan(struct claim *c) { c->alpha = NAN; }
static void fine_margin(struct claim *c) { claim_guard(c, GUARD_LATENCY)->margin = 0.01; }
static void strange_quantile(struct claim *c) { claim_guard(c, GUARD_LATENCY)->quantile = 1; }
static void no_such_function(struct claim *c) { claim_guard(c, GUARD_CALLS)->watched = 0; }
static void no_triggers(struct claim *c) { c->min_triggers = 0; }
static void endless_name(struct claim *c) { memset(c->trigger, 'x', sizeof(c->trigger)); }
static void many_lines(struct claim *c) { c->lines = CLAIM_LINES + 1; }
static void any_of_two_counters(struct claim *c) { c->lines = 2; c->lines_any = 5; }
static void more_shared_than_any(struct claim *c) { c->lines = 1; c->lines_any = 5; c->lines_shared = 6; }
static void no_factor(struct claim *c) { c->expect = EXPECT_RATIO; c->factor = 0; }
static void none_together(struct claim *c) { c->together = 0; }
static void all_lost(struct claim *c) { c->lost_limit = 1; }

static void test_claims_that_are_refused(void **state)
{
	static const struct bad_claim bad[] = {
		{ "names no function", no_function }, { "nothing to verify", nothing_expected }, { "nothing to verify", all_optional }, { "alpha", alpha_nan },
		{ "5 % or more", fine_margin }, { "quantile", strange_quantile }, { "watched function", no_such_function },
		{ "at least one trigger", no_triggers }, { "longer than", endless_name }, { "changed lines", many_lines },
		{ "they are counted together", any_of_two_counters }, { "share their code than there are", more_shared_than_any },
		{ "factor", no_factor }, { "limits", all_lost }, { "hang together", none_together },
	};

	for (size_t i = 0; i < COUNT(bad); i++) {
		struct claim c = claim_of(&cases[4]);
		struct error err = { 0 };

		bad[i].spoil(&c);
		assert_null(verdict_new(&c, &err));
		if (!strstr(err.text, bad[i].text))
			fail_msg("\"%s\" is not in \"%s\"", bad[i].text, err.text);
	}
}

/* Where one of several lines is enough, no sentence says that all of them ran, or that this one did not. */
static void any_line_is_called_that(void **state)
{
	static const struct { bool run; uint32_t shared; const char *says; } any[] = {
		{ true, 0, "times, the code of at least one of the 5 changed lines ran" },
		{ true, 2, "times, the code of at least one of the 5 changed lines ran, 2 of them share it with other lines" },
		{ false, 0, "none of the 5 changed lines ran on the candidate; one of them must" },
	};

	for (size_t i = 0; i < COUNT(any); i++) {
		struct claim c = claim_of(&cases[0]);
		struct sim_tick base, cand;
		struct sim sim = { .rnd = { 7 }, .base = sim_plain, .cand = sim_plain };
		const struct gate_view *g;
		struct verdict *v;

		c.lines = 1;
		c.lines_any = 5;
		c.lines_shared = any[i].shared;
		strcpy(c.line[0], "(any of 5)");
		v = verdict_new(&c, NULL);
		sim.cand.lines_run = any[i].run;
		sim.base.calls = sim.cand.calls = 10000;
		sim_arm_tick(&sim, &sim.base, &base);
		sim_arm_tick(&sim, &sim.cand, &cand);
		assert_int_equal(verdict_tick(v, &base.t, &cand.t, NULL), 0);
		g = verdict_view(v)->gate[0];
		assert_string_equal(g->name, "exposure");
		assert_int_equal(g->state, any[i].run ? GATE_PASS : GATE_OPEN);
		if (!strstr(g->reason, any[i].says) || strstr(g->reason, "every") || strstr(g->reason, "(any of"))
			fail_msg("case %zu: %s", i, g->reason);
		verdict_free(v);
	}
}

static void test_ticks_that_cannot_be(void **state)
{
	struct claim c = claim_of(&cases[0]);
	struct verdict *v = verdict_new(&c, NULL);
	static __u64 hist[HIST_BUCKETS];
	static const struct error_value values[] = { { 0, -1, 3 } };
	const struct arm_tick good = { .calls = 10, .errors = 2 };
	const struct arm_tick bad[] = {
		{ .calls = 1, .errors = 2 }, { .calls = 5, .triggers = 6 }, { .calls = 5, .triggers = 2, .trigger_errors = 3, .errors = 5 },
		{ .calls = 5, .triggers = 5, .trigger_errors = 3, .errors = 2 }, { .calls = CLAIM_COUNT_MAX }, { .lost = CLAIM_COUNT_MAX * 8 },
		{ .lost = 1, .trigger_unknown = 2 }, { .calls = 1, .hist = hist }, { .calls = 10, .errors = 2, .values = values, .n_values = 1 },
		{ .probe_ns = -1 }, { .probe_most_ns = -1 }, { .probe_ns = NAN }, { .n_values = CLAIM_VALUES + 1 },
	};

	hist[3] = 2;
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct error err = { 0 };

		assert_int_equal(verdict_tick(v, &bad[i], &good, &err), -EINVAL);
		assert_non_null(strstr(err.text, "baseline: "));
		assert_int_equal(verdict_tick(v, &good, &bad[i], &err), -EINVAL);
		assert_non_null(strstr(err.text, "candidate: "));
	}
	assert_int_equal(verdict_view(v)->ticks, 0);
	assert_int_equal(verdict_tick(v, &good, &good, NULL), 0);
	verdict_free(v);
}

/* ---- the error shape ---- */

static void test_shape_tells_that_the_error_moved(void **state)
{
	static struct errset s;
	struct sim sim = { .rnd = { 3 }, .swing = 0, .base = sim_plain, .cand = sim_plain };
	struct errset_shift shift[ERRSET_MAX];

	memset(&s, 0, sizeof(s));
	sim.cand.trigger_error = 0;
	sim.cand.moved_error = 0.1;
	for (int i = 0; i < 50; i++) {
		struct sim_tick b, c;

		sim_arm_tick(&sim, &sim.base, &b);
		sim_arm_tick(&sim, &sim.cand, &c);
		errset_tick(&s, &b.t, &c.t);
	}
	assert_int_equal(errset_shape(&s, shift, ERRSET_MAX), 3);
	assert_true(shift[0].value == -71 && shift[0].only == ERRSET_ONLY_CANDIDATE && shift[0].cand > 0 && shift[0].weight > 3);
	assert_true(shift[1].value == -22 && shift[1].only == ERRSET_ONLY_BASELINE && shift[1].weight < -3);
	assert_true(shift[2].value == -5 && shift[2].only == ERRSET_BOTH);
	assert_int_equal(errset_only_candidate(&s), 1);
	assert_int_equal(errset_shape(&s, shift, 1), 1);
}

static void test_shape_is_bounded(void **state)
{
	static struct errset s;
	static struct error_value values[200];
	struct arm_tick none = { 0 }, many = { .calls = 1000, .errors = 200, .values = values, .n_values = 200 };

	memset(&s, 0, sizeof(s));
	for (int i = 0; i < 200; i++)
		values[i] = (struct error_value){ 0, i, 1 };
	errset_tick(&s, &none, &many);
	assert_int_equal(s.rows, ERRSET_MAX);
	assert_int_equal(s.cand_other, 200 - ERRSET_MAX);
}

static void test_several_functions(void **state)
{
	static const struct { enum verdict_state s[3]; unsigned n; enum verdict_state want; } all[] = {
		{ { VERDICT_PASS, VERDICT_PASS, VERDICT_PASS }, 3, VERDICT_PASS },
		{ { VERDICT_PASS, VERDICT_UNDECIDED, VERDICT_FAIL }, 3, VERDICT_FAIL },
		{ { VERDICT_PASS, VERDICT_UNDECIDED, VERDICT_INCONCLUSIVE }, 3, VERDICT_UNDECIDED },
		{ { VERDICT_PASS, VERDICT_INCONCLUSIVE }, 2, VERDICT_INCONCLUSIVE },
		{ { 0 }, 0, VERDICT_INCONCLUSIVE },
	};

	for (size_t i = 0; i < COUNT(all); i++)
		assert_int_equal(verdict_combine(all[i].s, all[i].n), all[i].want);
}

static void test_eta_in_words(void **state)
{
	static const struct { double s; const char *text; } etas[] = {
		{ 0.2, "about 1 s" }, { 89, "about 89 s" }, { 240, "about 4 min" }, { 7300, "about 2 h" }, { 1e6, "about 12 days" }, { 1e12, "more than a year" },
		{ INFINITY, "no estimate" }, { NAN, "no estimate" },
	};
	char text[32];

	for (size_t i = 0; i < COUNT(etas); i++) {
		verdict_eta_text(etas[i].s, text, sizeof(text));
		assert_string_equal(text, etas[i].text);
	}
}

static void test_caveats(void **state)
{
	struct rule_case k = cases[0];
	struct buf out = { 0 };
	struct verdict *v;

	k.base.processes = 1;
	k.with |= BY_TIME;
	v = run(&k, 9);
	verdict_caveats(v, &out);
	assert_non_null(strstr(buf_text(&out), "A/A"));
	assert_non_null(strstr(buf_text(&out), "the baseline had one process at most"));
	assert_non_null(strstr(buf_text(&out), "one after the other"));
	buf_free(&out);
	verdict_free(v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rule_table),
		cmocka_unit_test(test_an_optional_guard_is_waited_for), cmocka_unit_test(test_none_of_the_calls), cmocka_unit_test(test_a_moments_block_is_waited_for),
		cmocka_unit_test(test_drift_in_the_tick_that_decides),
		cmocka_unit_test(test_the_end_is_the_end),
		cmocka_unit_test(test_an_arm_that_dies_does_not_pass),
		cmocka_unit_test(test_ended_from_outside),
		cmocka_unit_test(test_claims_that_are_refused),
		cmocka_unit_test(any_line_is_called_that), cmocka_unit_test(test_ticks_that_cannot_be),
		cmocka_unit_test(test_shape_tells_that_the_error_moved),
		cmocka_unit_test(test_shape_is_bounded),
		cmocka_unit_test(test_several_functions),
		cmocka_unit_test(test_eta_in_words),
		cmocka_unit_test(test_caveats),
	};

	return cmocka_run_group_tests_name("verdict_rules", tests, NULL, NULL);
}
