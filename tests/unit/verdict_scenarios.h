/* SPDX-License-Identifier: Apache-2.0 */
/* What the verdict is simulated on, in the unit tests with few runs and in bench/verdict_sim.c with many. */
#ifndef PLUMB_VERDICT_SCENARIOS_H
#define PLUMB_VERDICT_SCENARIOS_H

#include <stdlib.h>

#include "verdict_sim.h"

enum scenario_guards { WITH_ERRORS = 1, WITH_P50 = 2, WITH_P99 = 4, WITH_VALUES = 8, WITH_CALLS = 16, WITH_GONE = 32, WITH_BY_TIME = 64,
		       WITH_OPTIONAL = 128 /* p50 and p99 as plumb verify has them by default */, WITH_DEADLINE = 256 /* after the last tick */,
		       WITH_BURSTS = 512 /* a first tick that is five times slower, and bursts in 30 % of the others */,
		       WITH_SLOW_START = 1024 /* a first tick that is five times slower */,
		       WITH_WAVES = 2048 /* both arms are 1.6 times slower in three of six ticks */ };

struct scenario {
	const char *name;
	unsigned with;
	struct sim_arm base, cand;
	double swing;
	unsigned ticks;
	enum verdict_state watched;   /* a state that would be wrong, or the one that is hoped for */
	double alpha;                 /* wrong: at most this share of the runs */
	unsigned together;            /* calls that fail or succeed as one, and that the claim says so of; 0: 1 */
	bool endless;                 /* exposure is never met: no early PASS may hide a late FAIL */
};

#define SIM_ARM(...) { .calls = 50, .trigger_share = 0.3, .trigger_error = 0.1, .other_error = 0.02, .median_ns = 50000, \
	.sigma = 0.3, .watched = 0.6, .probe_ns = 300, .processes = 2, .lines_run = true, __VA_ARGS__ }
#define ALL_GUARDS (WITH_ERRORS | WITH_P50 | WITH_VALUES | WITH_CALLS)
#define DEFAULT_GUARDS (WITH_ERRORS | WITH_VALUES | WITH_OPTIONAL)

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init"
/* Nothing may be found, or shown, here: at most alpha of the runs may. */
static const struct scenario scenarios_null[] = {
	{ "identical arms, 50 : 50, all guards", ALL_GUARDS, SIM_ARM(), SIM_ARM(), 0.3, 50, VERDICT_FAIL, 0.05, 0, true },
	{ "identical arms, 95 : 5, swinging traffic, all guards", ALL_GUARDS, SIM_ARM(.calls = 95), SIM_ARM(.calls = 5), 1, 50, VERDICT_FAIL,
	  0.05, 0, true },
	{ "identical arms, few calls, rare errors", WITH_ERRORS | WITH_VALUES, SIM_ARM(.calls = 4, .median_ns = 0),
	  SIM_ARM(.calls = 2, .median_ns = 0), 0.5, 150, VERDICT_FAIL, 0.05, 0, true },
	{ "identical arms, latency in few buckets, p50", WITH_P50, SIM_ARM(.sigma = 0.05), SIM_ARM(.sigma = 0.05, .calls = 20), 0.3, 60,
	  VERDICT_FAIL, 0.05, 0, true },
	{ "identical arms, a slow first second, then bursts, p50", WITH_P50 | WITH_BURSTS, SIM_ARM(.calls = 200), SIM_ARM(.calls = 200), 0.3, 60,
	  VERDICT_FAIL, 0.05, 0, true },
	{ "identical arms, slow three of six seconds, p50", WITH_P50 | WITH_WAVES, SIM_ARM(), SIM_ARM(), 0.3, 120, VERDICT_FAIL,
	  0.05, 0, true },
	{ "identical arms, swinging traffic, bursts in either, p99", WITH_P99 | WITH_BURSTS, SIM_ARM(.calls = 400), SIM_ARM(.calls = 400), 1,
	  60, VERDICT_FAIL, 0.05, 0, true },
	{ "identical arms, 50 : 50, bursts in either, default guards", DEFAULT_GUARDS | WITH_BURSTS, SIM_ARM(.calls = 400), SIM_ARM(.calls = 400), 0.5,
	  60, VERDICT_FAIL, 0.05, 0, true },
	{ "identical arms, one after the other", WITH_ERRORS | WITH_CALLS | WITH_VALUES | WITH_BY_TIME, SIM_ARM(.median_ns = 0),
	  SIM_ARM(.median_ns = 0), 0.3, 60, VERDICT_FAIL, 0.05, 0, true },
	{ "identical arms, five calls fail as one, as the claim says", ALL_GUARDS, SIM_ARM(), SIM_ARM(), 0.3, 50, VERDICT_FAIL, 0.05, 5, true },
	{ "gone is claimed, but only rarer by chance; five fail as one", WITH_GONE, SIM_ARM(.trigger_error = 0.02, .median_ns = 0),
	  SIM_ARM(.trigger_error = 0.02, .median_ns = 0), 0.3, 60, VERDICT_PASS, 0.05, 5, false },
	{ "gone is claimed, but only rarer by chance", WITH_GONE, SIM_ARM(.trigger_error = 0.02, .median_ns = 0),
	  SIM_ARM(.trigger_error = 0.02, .median_ns = 0), 0.3, 60, VERDICT_PASS, 0.05, 0, false },
	{ "errors up by just the margin", WITH_ERRORS, SIM_ARM(.trigger_error = 0.08, .other_error = 0.08, .median_ns = 0),
	  SIM_ARM(.trigger_error = 0.1, .other_error = 0.1, .median_ns = 0), 0.3, 60, VERDICT_PASS, 0.05, 0, false },
	{ "p50 up by just the margin", WITH_P50, SIM_ARM(), SIM_ARM(.median_ns = 55000), 0.3, 60, VERDICT_PASS, 0.05, 0, false },
	{ "p99 up by just the margin, swinging traffic, bursts in either", WITH_P99 | WITH_BURSTS, SIM_ARM(.calls = 400),
	  SIM_ARM(.calls = 400, .median_ns = 55000), 1, 60, VERDICT_PASS, 0.05, 0, false },
	{ "identical arms, default guards", DEFAULT_GUARDS, SIM_ARM(), SIM_ARM(), 0.3, 100, VERDICT_FAIL, 0.05, 0, true },
	{ "p50 up by just the margin of an optional guard", DEFAULT_GUARDS, SIM_ARM(), SIM_ARM(.median_ns = 55000), 0.3, 100, VERDICT_PASS,
	  0.05, 0, false },
	{ "gone is claimed, but only rarer by chance; default guards, time up", DEFAULT_GUARDS | WITH_GONE | WITH_DEADLINE,
	  SIM_ARM(.trigger_error = 0.02), SIM_ARM(.trigger_error = 0.02), 0.3, 100, VERDICT_PASS, 0.05, 0, false },
};
/* These are real. */
static const struct scenario scenarios_real[] = {
	{ "10 % of trigger calls fail, then none; 50 : 50", WITH_GONE, SIM_ARM(.median_ns = 0), SIM_ARM(.trigger_error = 0, .median_ns = 0),
	  0.3, 200, VERDICT_PASS, 0.05, 0, false },
	{ "10 % of trigger calls fail, then none; 90 : 10", WITH_GONE, SIM_ARM(.calls = 90, .median_ns = 0),
	  SIM_ARM(.calls = 10, .trigger_error = 0, .median_ns = 0), 0.3, 400, VERDICT_PASS, 0.05, 0, false },
	{ "fixed and nothing worse, all guards", ALL_GUARDS | WITH_GONE, SIM_ARM(), SIM_ARM(.trigger_error = 0), 0.3, 400, VERDICT_PASS, 0.05, 0, false },
	{ "fixed and nothing worse, default guards", DEFAULT_GUARDS | WITH_GONE | WITH_DEADLINE, SIM_ARM(), SIM_ARM(.trigger_error = 0), 0.3,
	  400, VERDICT_PASS, 0.05, 0, false },
	{ "the same, so few calls that p99 has no warm-up", DEFAULT_GUARDS | WITH_GONE | WITH_DEADLINE, SIM_ARM(.calls = 2),
	  SIM_ARM(.calls = 5, .trigger_error = 0), 0.3, 700, VERDICT_PASS, 0.05, 0, false },
	{ "fixed, p50 up by a quarter, default guards", DEFAULT_GUARDS | WITH_GONE | WITH_DEADLINE, SIM_ARM(),
	  SIM_ARM(.trigger_error = 0, .median_ns = 62500), 0.3, 400, VERDICT_FAIL, 0.05, 0, false },
	{ "fixed, p99 up by 60 %, default guards, slow first second", DEFAULT_GUARDS | WITH_GONE | WITH_DEADLINE | WITH_SLOW_START,
	  SIM_ARM(.calls = 200), SIM_ARM(.calls = 200, .trigger_error = 0, .sigma = 0.502), 0.3, 120, VERDICT_FAIL, 0.05, 0, false },
	{ "fixed, p50 up by 30 %, default guards, slow three of six seconds", DEFAULT_GUARDS | WITH_GONE | WITH_DEADLINE | WITH_WAVES,
	  SIM_ARM(.calls = 200), SIM_ARM(.calls = 200, .trigger_error = 0, .median_ns = 65000), 0.3, 120, VERDICT_FAIL, 0.05, 0, false },
	{ "fixed and nothing worse, p50, slow three of six seconds", WITH_GONE | WITH_P50 | WITH_DEADLINE | WITH_WAVES,
	  SIM_ARM(.calls = 200), SIM_ARM(.calls = 200, .trigger_error = 0), 0.3, 120, VERDICT_PASS, 0.05, 0, false },
	{ "10 % fail, then none; five calls fail as one, as claimed", WITH_GONE, SIM_ARM(.median_ns = 0),
	  SIM_ARM(.trigger_error = 0, .median_ns = 0), 0.3, 200, VERDICT_PASS, 0.05, 5, false },
	{ "errors doubled, 2 % to 4 %", WITH_ERRORS, SIM_ARM(.trigger_error = 0.02, .median_ns = 0),
	  SIM_ARM(.trigger_error = 0.04, .other_error = 0.04, .median_ns = 0), 0.3, 1000, VERDICT_FAIL, 0.05, 0, false },
	{ "p50 up by a quarter", WITH_P50, SIM_ARM(), SIM_ARM(.median_ns = 62500), 0.3, 400, VERDICT_FAIL, 0.05, 0, false },
	{ "p99 up by a half", WITH_P99, SIM_ARM(), SIM_ARM(.sigma = 0.475), 0.3, 1000, VERDICT_FAIL, 0.05, 0, false },
	{ "a new error value in 1 % of the calls", WITH_VALUES, SIM_ARM(.median_ns = 0), SIM_ARM(.moved_error = 0.033, .median_ns = 0), 0.3, 400,
	  VERDICT_FAIL, 0.05, 0, false },
	{ "callee called a third less", WITH_CALLS, SIM_ARM(.median_ns = 0), SIM_ARM(.watched = 0.4, .median_ns = 0), 0.3, 400, VERDICT_FAIL,
	  0.05, 0, false },
};
#pragma GCC diagnostic pop

static inline void scenario_guards(struct claim *c, unsigned with)
{
	if (with & WITH_ERRORS)
		claim_guard(c, GUARD_ERROR_RATE)->floor = 0;
	if (with & WITH_P50)
		claim_guard(c, GUARD_LATENCY)->quantile = 0.5;
	if (with & WITH_P99)
		claim_guard(c, GUARD_LATENCY);
	for (int i = 0; i < 2 && with & WITH_OPTIONAL; i++) {
		struct guard *g = claim_guard(c, GUARD_LATENCY);

		g->quantile = i ? 0.99 : 0.5;
		g->margin = i ? 0.25 : 0.1;
		g->optional = true;
	}
	if (with & WITH_VALUES)
		claim_guard(c, GUARD_NEW_ERRORS);
	if (with & WITH_CALLS)
		claim_guard(c, GUARD_CALLS);
}

static inline struct claim scenario_claim(const struct scenario *s)
{
	struct claim c;

	claim_init(&c);
	strcpy(c.function, "f");
	strcpy(c.trigger, "t");
	strcpy(c.watched_name[0], "g");
	c.watched = 1;
	c.arms = s->with & WITH_BY_TIME ? ARMS_BY_TIME : ARMS_LIVE;
	c.expect = s->with & WITH_GONE ? EXPECT_GONE : EXPECT_NONE;
	if (s->together)
		c.together = s->together;
	if (s->with & WITH_DEADLINE)
		c.deadline_ns = s->ticks * 1000000000ULL;
	if (s->endless)
		c.min_triggers = UINT64_MAX;
	scenario_guards(&c, s->with);
	return c;
}

/* One run; true: the state came that the scenario watches for. *calls: of both arms until then. */
static inline bool scenario_run(const struct scenario *s, uint64_t seed, uint64_t *calls)
{
	static const struct sim_arm nobody;
	struct sim sim = { .rnd = { seed * 0x5851f42d4c957f2dULL + 1 }, .together = s->together, .swing = s->swing, .bursts = s->with & WITH_BURSTS ? 0.3 : 0,
			   .base = s->base, .cand = s->cand };
	struct claim claim = scenario_claim(s);
	struct verdict *v = verdict_new(&claim, NULL);
	const struct verdict_view *view;
	bool came;

	for (unsigned i = 0; i < s->ticks && verdict_state(v) == VERDICT_UNDECIDED; i++) {
		bool by_time = s->with & WITH_BY_TIME, first = i < s->ticks / 2;
		struct sim_tick b, c;

		sim.slow = !i && s->with & (WITH_BURSTS | WITH_SLOW_START) ? 5 : s->with & WITH_WAVES && i / 3 % 2 ? 1.6 : 1;
		sim_arm_tick(&sim, by_time && !first ? &nobody : &sim.base, &b);
		sim_arm_tick(&sim, by_time && first ? &nobody : &sim.cand, &c);
		if (verdict_tick(v, &b.t, &c.t, NULL) < 0)
			abort();
	}
	view = verdict_view(v);
	*calls = view->base->calls + view->cand->calls;
	came = view->state == s->watched;
	verdict_free(v);
	return came;
}

static inline int scenario_compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

struct scenario_result {
	unsigned came;             /* runs in which the watched state came */
	uint64_t median, p90;      /* calls of both arms until then; 0: it never came */
};

static inline struct scenario_result scenario_repeat(const struct scenario *s, unsigned runs, uint64_t seed)
{
	uint64_t *took = calloc(runs, sizeof(*took)), calls;
	struct scenario_result r = { 0 };

	for (unsigned i = 0; took && i < runs; i++)
		if (scenario_run(s, seed + i, &calls))
			took[r.came++] = calls;
	if (took && r.came) {
		qsort(took, r.came, sizeof(*took), scenario_compare);
		r.median = took[r.came / 2];
		r.p90 = took[r.came * 9 / 10];
	}
	free(took);
	return r;
}

/* ---- the bare tests, without an engine around them: cheap, so they may run longer ---- */

enum bare_test { BARE_DIFFER, BARE_LOWER, BARE_HIGHER, BARE_GONE, BARE_RATIO_LOWER, BARE_RATIO_HIGHER, BARE_Z, BARE_TESTS };

static const char *const bare_names[BARE_TESTS] = {
	"two streams, different", "counts, lower", "counts, higher", "gone (mixture)", "ratio, lower", "ratio, higher",
	"for comparison: a z-test, watched live",
};

/* The usual test of two proportions, looked at after every tick as if each look were the only one. */
static inline bool bare_z(const struct pair *p)
{
	double n_b = (double)p->n_b, n_c = (double)p->n_c, both = (double)(p->e_b + p->e_c) / (n_b + n_c);
	double error = sqrt(both * (1 - both) * (1 / n_b + 1 / n_c));

	return p->e_b + p->e_c >= 10 && error > 0 && fabs((double)p->e_c / n_c - (double)p->e_b / n_b) > 1.96 * error;
}

struct bare {
	struct pair sum;
	struct differ differ;
	struct counts_test lower, higher;
	struct gone gone;
	struct ratio_side ratio_lower, ratio_higher;
};

static inline void bare_init(struct bare *b)
{
	memset(b, 0, sizeof(*b));
	counts_init(&b->lower, SIDE_LOWER, 1);
	counts_init(&b->higher, SIDE_HIGHER, 1);
	gone_init(&b->gone, 1, 1);
	ratio_init(&b->ratio_lower, SIDE_LOWER, 1, log_needed(0.05));
	ratio_init(&b->ratio_higher, SIDE_HIGHER, 1, log_needed(0.05));
}

/* Bits of the tests that speak after this tick. */
static inline unsigned bare_tick(struct bare *b, const struct pair *t, bool with_ratio)
{
	double need = log_needed(0.05);

	pair_add(&b->sum, t);
	differ_tick(&b->differ, t);
	counts_tick(&b->lower, (double)t->n_b, (double)t->n_c, (double)t->e_b, (double)t->e_c);
	counts_tick(&b->higher, (double)t->n_b, (double)t->n_c, (double)t->e_b, (double)t->e_c);
	gone_tick(&b->gone, t);
	if (with_ratio) {
		ratio_tick(&b->ratio_lower, t);
		ratio_tick(&b->ratio_higher, t);
	}
	return (unsigned)(b->differ.log_e >= need) << BARE_DIFFER | (unsigned)(b->lower.log_e >= need) << BARE_LOWER |
	       (unsigned)(b->higher.log_e >= need) << BARE_HIGHER | (unsigned)(gone_evidence(&b->gone) >= need) << BARE_GONE |
	       (unsigned)ratio_shown(&b->ratio_lower) << BARE_RATIO_LOWER |
	       (unsigned)ratio_shown(&b->ratio_higher) << BARE_RATIO_HIGHER | (unsigned)bare_z(&b->sum) << BARE_Z;
}

/* Identical arms whose common error rate, and whose split, wander. found[i] += runs in which test i ever spoke. */
/* `together`: calls that fail or succeed as one, as those of one request may; 1: independent, as is supposed. */
static inline void bare_null(struct random *rnd, unsigned runs, unsigned ticks, double share, double rate, unsigned together,
			     bool with_ratio, unsigned found[BARE_TESTS])
{
	for (unsigned run = 0; run < runs; run++) {
		unsigned spoke = 0;
		struct bare b;

		bare_init(&b);
		for (unsigned i = 0; i < ticks; i++) {
			double now = rate * (1 + 0.8 * sin(i / 20.0)), c = share * exp(0.5 * sin(i / 7.0));
			uint64_t n = 20 + random_u64(rnd) % 160, n_c = (uint64_t)((double)n * c + random_unit(rnd));
			struct pair t = { n * together, random_binomial(rnd, n, now) * together, n_c * together,
				random_binomial(rnd, n_c, now) * together };

			spoke |= bare_tick(&b, &t, with_ratio);
		}
		for (unsigned k = 0; k < BARE_TESTS; k++)
			found[k] += spoke >> k & 1;
	}
}

#endif
