/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine of plumb verify: a claim and ticks go in, PASS, FAIL or INCONCLUSIVE comes out, with reasons.  No I/O, no clock,
 * no random numbers: the same claim and ticks give the same answer (replay.h). docs/verdict.md explains it to users.
 *
 *   FAIL          one gate shows a regression beyond its margin, or the claim to be untrue
 *   PASS          every gate passes: exposure, record, the claimed effect, each guard; optional guards that cannot be judged do
 *                 not count, and are named
 *   INCONCLUSIVE  the deadline came, or the caller ended it, before one of both
 *
 * All gates may be looked at after every tick.  The claim's alpha is split evenly over the m statistical gates.  A verdict that
 * was reached stays: later ticks are ignored.  A gate by itself may change until then.
 *
 * Memory: fixed, about 185 KB; ticks are not kept.
 */
#ifndef PLUMB_VERDICT_H
#define PLUMB_VERDICT_H

#include "claim.h"
#include "errset.h"

enum { VERDICT_VERSION = 5, VERDICT_TICKS_MAX = 1 << 20, VERDICT_GATES = CLAIM_GUARDS + 3 };

enum { VERDICT_EXPOSURE, VERDICT_RECORD };   /* the first gates of each verdict */

enum verdict_state { VERDICT_UNDECIDED, VERDICT_PASS, VERDICT_FAIL, VERDICT_INCONCLUSIVE };

enum gate_state {
	GATE_OPEN,       /* not decided yet */
	GATE_PASS,
	GATE_FAIL,
	GATE_BLOCKED,    /* cannot be decided as things are; the reason says what to do */
	GATE_NOT_JUDGED, /* an optional guard, ten ticks in a row blocked or not decided when the time was up: it does not stop a PASS */
};

/* NAN: not known. low and high hold at all times together. */
struct figure {
	double value, low, high;
};

enum gate_unit { UNIT_NONE, UNIT_RATE, UNIT_NS, UNIT_PER_CALL };

struct gate_view {
	char name[CLAIM_NAME + 64];
	enum gate_state state;
	char reason[512];            /* one sentence, no full stop */
	enum gate_unit unit;
	struct figure base, cand;    /* bounds of each arm for itself: context */
	struct figure ratio;         /* candidate / baseline; it is these bounds that decide */
	double margin;               /* what the ratio is held against; NAN: nothing */
	double log_e, log_needed;    /* evidence of the leading direction; NAN: none */
	uint64_t compared;           /* UNIT_NS: calls since the warm-up, of the arm that has fewer */
	double differ_log_e;         /* UNIT_NS: that the arms' quantiles differ at all, either way; NAN otherwise */
	bool optional;
	double eta_s;                /* of more probed time, at the rate so far; INFINITY: cannot be told; 0: decided */
};

/* What was seen of one arm. */
struct arm_total {
	uint64_t calls, errors, triggers, trigger_errors, trigger_unknown, lost, unpaired, span_ns;
	uint32_t processes, most_processes;   /* of the last tick, of any tick */
	uint32_t unseen;                      /* of the last tick */
	uint64_t died;                        /* processes, in the middle of calls */
	double probe_ns, probe_most_ns;       /* the highest that was told */
	char site_kind[CLAIM_SITE];
	uint64_t line_hits[CLAIM_LINES];
	struct watched watched[CLAIM_WATCHED];
	__u64 hist[HIST_BUCKETS];
};

struct verdict_view {
	enum verdict_state state;
	char reason[1024];
	double eta_s;                /* the slowest gate's */
	uint64_t ticks, span_ns;     /* span: of the arm that was probed longer, tick by tick */
	double gate_alpha;           /* alpha / m */
	double differ_log_e;         /* Turner's two-sided test on all errors: for A/A runs. 0 by time */
	unsigned gates;
	const struct gate_view *gate[VERDICT_GATES];
	const struct arm_total *base, *cand;
	const struct errset *errors;
	bool may_be_errno;           /* of error values: error_value.h */
	const struct claim *claim;
};

struct buf;
struct verdict;

/* Copies the claim. NULL with err: the claim is wrong, or no memory. */
struct verdict *verdict_new(const struct claim *claim, struct error *err);
void verdict_free(struct verdict *v);
/* One tick of both arms. -EINVAL: it cannot be true, nothing changed; -ENOSPC: too many ticks. After the end: 0, ignored. */
int verdict_tick(struct verdict *v, const struct arm_tick *base, const struct arm_tick *cand, struct error *err);
/* ARMS_BY_TIME: which changed lines must run (those of this claim, whose other fields are not looked at), known only when the candidate
 * has come. -EBUSY: it has had calls. */
int verdict_set_lines(struct verdict *v, const struct claim *of, struct error *err);
/* The function returns signed integers in both arms: sentences name what -22 may be. Nothing is decided by it, and no replay file keeps it. */
void verdict_set_errno(struct verdict *v, bool may_be_errno);
/* The deadline comes after so much more probed time, whatever the claim said. */
void verdict_set_time_left(struct verdict *v, uint64_t left_ns);
/* No more ticks will come, or the arms cannot be compared: INCONCLUSIVE with this reason, unless it was decided before. */
void verdict_end(struct verdict *v, const char *reason);
enum verdict_state verdict_state(const struct verdict *v);
/* Belongs to v; changes with the next tick. */
const struct verdict_view *verdict_view(struct verdict *v);
/* "PASS", ... */
const char *verdict_state_name(enum verdict_state s);
const char *gate_state_name(enum gate_state s);

/* One verdict over several functions, each with a claim of its own and alpha / n: FAIL if one fails, PASS if all pass (n > 0). */
enum verdict_state verdict_combine(const enum verdict_state *states, unsigned n);

/* What must stand beside the figures: one sentence per line, correlated calls first. */
void verdict_caveats(struct verdict *v, struct buf *out);
/* The canonical text: the same bytes for the same state. It ends with a newline. */
void verdict_print(struct verdict *v, struct buf *out);
/* "about 4 min", "about 20 s"; "no estimate" for INFINITY. */
void verdict_eta_text(double seconds, char *out, unsigned len);

#endif
