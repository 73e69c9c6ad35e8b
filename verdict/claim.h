/* SPDX-License-Identifier: Apache-2.0 */
/* What is to be shown (the claim), and what a tick brings of each arm. Both are plain data. */
#ifndef PLUMB_CLAIM_H
#define PLUMB_CLAIM_H

#include <stdbool.h>
#include <stdint.h>

#include "hist.h"
#include "plumb/error.h"

enum {
	CLAIM_NAME = 160,      /* bytes of a name, NUL included */
	CLAIM_GUARDS = 16,
	CLAIM_LINES = 128,     /* changed lines that must run */
	CLAIM_WATCHED = 8,     /* functions of GUARD_CALLS */
	CLAIM_VALUES = 4096,   /* error values of one arm in one tick */
	CLAIM_SITE = 32,
	CLAIM_TOGETHER = 1000,
};
#define CLAIM_COUNT_MAX (1ULL << 40)   /* of anything in one tick */

enum claim_arms {
	ARMS_LIVE,       /* both run at the same time: a tick compares what had the same weather */
	ARMS_BY_TIME,    /* first the baseline, then the candidate: their rates are bounded each for itself */
};

enum claim_expect {
	EXPECT_NONE,     /* only the guards */
	EXPECT_GONE,     /* no failing trigger call on the candidate, where as many would have been as the baseline had */
	EXPECT_RATIO,    /* the candidate's error rate of trigger calls is below factor x the baseline's */
};

enum guard_kind {
	GUARD_ERROR_RATE,   /* below (1 + margin) x the baseline's, or below `floor` */
	GUARD_LATENCY,      /* the quantile is below (1 + margin) x the baseline's; margin >= THRESHOLD_MARGIN_MIN */
	GUARD_NEW_ERRORS,   /* no error value that the baseline does not have; the rate of such calls is below `floor` */
	GUARD_CALLS,        /* calls of `watched` per what they are set against: above (1 - margin) x the baseline's */
	GUARD_KINDS
};

struct guard {
	enum guard_kind kind;
	double margin;      /* 0.25: 25 % */
	double quantile;    /* GUARD_LATENCY: 0.5, 0.99 */
	double floor;       /* a rate; 0: none (GUARD_ERROR_RATE) */
	uint32_t watched;   /* GUARD_CALLS: index */
	uint32_t most_per;  /* GUARD_CALLS: calls that one `per` can make at most */
	bool optional;      /* it does not stop a PASS where it cannot be judged; what it shows counts all the same */
};

struct claim {
	char function[CLAIM_NAME];
	char trigger[CLAIM_NAME];        /* "": every call is a trigger call, and trigger_* of the ticks are not looked at */
	enum claim_arms arms;
	enum claim_expect expect;
	double factor;                   /* EXPECT_RATIO */
	double alpha;                    /* of the whole verdict; each of its m statistical gates gets alpha / m */
	uint32_t together;               /* calls that may end alike, as those of one request may; 1: all are independent */
	uint64_t min_triggers;           /* on the candidate */
	uint64_t min_line_hits;          /* of each line, on the candidate */
	double lost_limit;               /* share of calls that may be lost, in each arm */
	double unpaired_limit;           /* share of calls whose return may be missing, in each arm */
	uint64_t warmup_calls;           /* of the baseline, before latency thresholds are frozen; 0: by quantile (20 above it) */
	uint64_t deadline_ns;            /* of probed time; 0: none */
	uint32_t lines, watched, guards;
	uint32_t lines_shared;           /* of `lines` (of lines_any): those whose code is another line's too, so that a hit may be that one's */
	uint32_t lines_any;              /* not 0: one of so many must run; line[0], the only one, counts the hits of all */
	char line[CLAIM_LINES][CLAIM_NAME];
	char watched_name[CLAIM_WATCHED][CLAIM_NAME];
	struct guard guard[CLAIM_GUARDS];
};

struct error_value {
	uint32_t where;     /* whose error: the caller's numbering of functions, the same in both arms */
	int64_t value;      /* return value or errno */
	uint64_t count;
};

struct watched {
	uint64_t calls;
	uint64_t per;       /* what they are set against in this tick: calls of the caller, requests, ... */
};

/*
 * What one arm did in a tick.  `calls` are those whose outcome is known: entry and return paired, error predicate decided.
 * All others are in `lost` (counted out by the probes, undecided, or missed while a process was not probed) or `unpaired` (too
 * deep, unwound). Durations come as a histogram; the engine counts what is above its own thresholds. Pointers are borrowed for
 * the time of verdict_tick.
 */
struct arm_tick {
	uint64_t span_ns;              /* time that was probed */
	uint64_t calls, errors;
	uint64_t triggers, trigger_errors;
	uint64_t trigger_unknown;      /* of lost and unpaired: what may have been trigger calls; all, if not known */
	uint64_t lost, unpaired;
	uint32_t processes;            /* that were probed in this tick */
	uint32_t unseen;               /* of them: nothing comes of them, as their agent cannot be reached */
	uint32_t died;                 /* processes that ended in this tick in the middle of calls, which are in `unpaired` */
	double probe_ns;               /* what the probes add to a call; 0: not known */
	double probe_most_ns;          /* to one that meets all that such calls may meet: those of changed lines in its callees, too */
	char site_kind[CLAIM_SITE];
	const __u64 *hist;             /* HIST_BUCKETS durations of `calls`, or NULL */
	const uint64_t *line_hits;     /* claim.lines of them, or NULL */
	const struct watched *watched; /* claim.watched of them, or NULL */
	const struct error_value *values;
	uint32_t n_values;
};

/* Everything at its default: alpha 0.05, limits 1 %, 20 triggers, 1 hit per line, no expectation, no guard. */
void claim_init(struct claim *c);
/* Adds a guard with its default margin (errors 25 % or below 0.5 %, latency 10 %, calls 20 %). NULL: there are too many. */
struct guard *claim_guard(struct claim *c, enum guard_kind kind);
/* "latency p99 < +10 %": for people. */
void guard_text(const struct claim *c, const struct guard *g, char *out, unsigned len);
/* 0, or -EINVAL with the member that is wrong. */
int claim_check(const struct claim *c, struct error *err);
/* Of it, what concerns the changed lines. */
int claim_check_lines(const struct claim *c, struct error *err);
int arm_tick_check(const struct claim *c, const struct arm_tick *t, const char *arm, struct error *err);

#endif
