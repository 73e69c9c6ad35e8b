/* SPDX-License-Identifier: Apache-2.0 */
/* Gates: one of each kind that the claim asks for. gates[] in gate.c is the table of kinds. */
#ifndef PLUMB_VERDICT_INTERNAL_H
#define PLUMB_VERDICT_INTERNAL_H

#include "compare.h"
#include "etest.h"
#include "quantile.h"
#include "steady.h"
#include "verdict.h"

struct latency_gate {
	bool frozen;
	uint32_t times;                                  /* that a threshold was looked for, from 1 */
	struct threshold at;
	uint64_t warmup, since_ns;                       /* calls that are needed; the baseline's time when that began */
	__u64 warm[HIST_BUCKETS];                        /* the baseline's calls that the threshold is taken from */
	struct compare slow;
	struct steady faster, slower;                    /* of the same counts: beside `slow` */
	uint64_t base_n, base_slow, cand_n, cand_slow;   /* cand_slow: above `pass` */
	uint64_t recent_n, recent_slow;                  /* of the baseline: warmup to 2 warmup calls, or of more ticks */
	uint32_t recent_ticks;
};

struct floor_gate {
	struct compare rate;
	double floor_alpha;
};

struct gate {
	const struct gate_kind *kind;
	const struct guard *guard;      /* NULL: not a guard */
	double alpha;
	uint64_t free_tick;             /* the last one in which it was not blocked, or there was nothing to judge yet */
	struct gate_view view;
	struct pair counted;            /* UNIT_RATE: what the figures of both arms are made of, when somebody looks */
	union {
		struct gone gone;
		struct floor_gate errors;
		struct compare compare;
		struct latency_gate latency;
	} u;
};

/* `tick` takes the counts in (NULL: the totals are enough), `judge` sets state, reason, figures and eta. */
struct gate_kind {
	bool statistical;
	void (*start)(struct verdict *v, struct gate *g);
	void (*tick)(struct verdict *v, struct gate *g, const struct arm_tick *base, const struct arm_tick *cand);
	void (*judge)(struct verdict *v, struct gate *g);
};

extern const struct gate_kind gate_exposure, gate_record, gate_gone, gate_ratio, gate_guards[GUARD_KINDS];

struct verdict {
	struct claim claim;
	struct verdict_view view;
	struct arm_total base, cand;
	struct errset errors;
	struct differ differ;
	bool stale;                     /* figures of the single arms */
	unsigned gates;
	struct gate gate[VERDICT_GATES];
};

/* ---- what gates share ---- */

void gate_set(struct gate *g, enum gate_state state, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Appends "; about 4 min at this rate" to the reason and sets eta. */
void gate_eta(struct gate *g, double seconds);
/* Seconds until `need` is reached from `have`, which took so long. */
double eta_of(uint64_t took_ns, double have, double need);
/* Figures of a rate; `ratio` may be NULL. */
void gate_rates(struct gate *g, struct pair counted, const struct compare *ratio);
/* Bounds and evidence of what decides. */
void gate_bounds(struct gate *g, const struct compare *ratio);
/* The trigger calls, or all of them if the claim has no trigger. */
struct arm_counts trigger_counts(const struct claim *c, const struct arm_tick *t);
struct arm_counts trigger_total(const struct claim *c, const struct arm_total *t);
const char *trigger_word(const struct claim *c);   /* "trigger calls" or "calls" */
/* Appends what makes bounds wider: calls of the candidate whose outcome (or duration) is not known. */
void gate_unknown(struct gate *g, uint64_t n, const char *counted_as);
void exact_count(char *out, unsigned len, uint64_t n, const char *one, const char *many);

#endif
