/* SPDX-License-Identifier: Apache-2.0 */
/* Two arms of a made-up service, tick by tick, seeded: for tests and for bench/verdict_sim.c. */
#ifndef PLUMB_VERDICT_SIM_H
#define PLUMB_VERDICT_SIM_H

#include <string.h>

#include "ratio.h"
#include "verdict.h"
#include "verdict_random.h"

struct sim_arm {
	double calls;            /* mean per tick */
	double trigger_share;    /* of the calls; 0: none */
	double trigger_error;    /* share of trigger calls that fail, with value -22 */
	double other_error;      /* share of the other calls that fail, with value -5 */
	double moved_error;      /* share of trigger calls that fail with value -71 instead */
	double median_ns, sigma; /* durations, log-normal; 0: no histogram */
	double lost, unpaired;   /* share of the calls */
	double watched;          /* calls of the watched function per call */
	double probe_ns, probe_most_ns;
	uint32_t processes, dies;   /* dies: of them, in each tick, in the middle of a call */
	bool lines_run;
};

struct sim {
	struct random rnd;
	unsigned together;       /* calls that fail or succeed as one; 0: 1 */
	double swing;            /* traffic is multiplied by exp(swing x normal), each arm for itself */
	struct sim_arm base, cand;
	double slow;             /* all durations of this tick are so many times longer; 0: 1 */
	double bursts;           /* share of the ticks, each arm for itself, in which 5 % of the calls take five times as long */
};

/* A tick and what it points to. */
struct sim_tick {
	struct arm_tick t;
	__u64 hist[HIST_BUCKETS];
	uint64_t lines[CLAIM_LINES];
	struct watched watched[CLAIM_WATCHED];
	struct error_value values[3];
};

static inline void sim_values(struct sim_tick *s, uint64_t failed, uint64_t other, uint64_t moved)
{
	s->values[0] = (struct error_value){ 0, -22, failed };
	s->values[1] = (struct error_value){ 0, -5, other };
	s->values[2] = (struct error_value){ 0, -71, moved };
	s->t.values = s->values;
	s->t.n_values = 3;
}

static inline void sim_durations(struct sim *sim, struct sim_tick *s, const struct sim_arm *a)
{
	struct random *rnd = &sim->rnd;
	double median = a->median_ns * (sim->slow > 0 ? sim->slow : 1), burst;

	if (a->median_ns <= 0)
		return;
	burst = sim->bursts > 0 && random_unit(rnd) < sim->bursts ? 0.05 : 0;
	for (uint64_t i = 0; i < s->t.calls; i++) {
		double times = burst > 0 && random_unit(rnd) < burst ? 5 : 1;

		s->hist[hist_bucket(random_duration(rnd, median * times, a->sigma))]++;
	}
	s->t.hist = s->hist;
}

/* Each call that was made up stands for as many that did the same. */
static inline void sim_multiply(struct sim_tick *s, unsigned by)
{
	uint64_t *const counts[] = { &s->t.calls, &s->t.errors, &s->t.triggers, &s->t.trigger_errors, &s->t.trigger_unknown, &s->t.lost,
		&s->t.unpaired, &s->values[0].count, &s->values[1].count, &s->values[2].count };

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		*counts[i] *= by;
	for (uint32_t i = 0; i < HIST_BUCKETS; i++)
		s->hist[i] *= by;
	for (uint32_t i = 0; i < CLAIM_WATCHED; i++) {
		s->watched[i].calls *= by;
		s->watched[i].per *= by;
	}
}

static inline void sim_arm_tick(struct sim *sim, const struct sim_arm *a, struct sim_tick *s)
{
	struct random *rnd = &sim->rnd;
	uint64_t n = (uint64_t)(a->calls * exp(sim->swing * random_normal(rnd)) + random_unit(rnd));
	uint64_t failed, other, moved;

	memset(s, 0, sizeof(*s));
	s->t.span_ns = 1000000000;
	s->t.lost = random_binomial(rnd, n, a->lost);
	s->t.unpaired = random_binomial(rnd, n - s->t.lost, a->unpaired);
	s->t.died = a->dies;
	s->t.calls = n - s->t.lost - s->t.unpaired;
	s->t.unpaired += a->dies;
	s->t.triggers = random_binomial(rnd, s->t.calls, a->trigger_share);
	s->t.trigger_unknown = random_binomial(rnd, s->t.lost + s->t.unpaired, a->trigger_share);
	failed = random_binomial(rnd, s->t.triggers, a->trigger_error);
	moved = random_binomial(rnd, s->t.triggers - failed, a->moved_error);
	other = random_binomial(rnd, s->t.calls - s->t.triggers, a->other_error);
	s->t.trigger_errors = failed + moved;
	s->t.errors = failed + moved + other;
	sim_values(s, failed, other, moved);
	sim_durations(sim, s, a);
	for (unsigned i = 0; a->lines_run && i < CLAIM_LINES; i++)
		s->lines[i] = s->t.triggers;
	s->t.line_hits = s->lines;
	for (unsigned i = 0; i < CLAIM_WATCHED; i++)
		s->watched[i] = (struct watched){ random_binomial(rnd, s->t.calls, a->watched), s->t.calls };
	s->t.watched = s->watched;
	s->t.processes = a->processes;
	s->t.probe_ns = a->probe_ns;
	s->t.probe_most_ns = a->probe_most_ns;
	strcpy(s->t.site_kind, "push");
	if (sim->together > 1)
		sim_multiply(s, sim->together);
}

static const struct sim_arm sim_plain = {
	.calls = 100, .trigger_share = 0.3, .trigger_error = 0.1, .other_error = 0.01, .median_ns = 50000, .sigma = 0.3, .watched = 0.6,
	.probe_ns = 300, .processes = 2, .lines_run = true,
};

#endif
