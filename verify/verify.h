/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plumb verify, without a terminal: frames and the time go in, frames and a view come out.  It asks the agent (or the collector)
 * which processes run which build and which code the changed lines have, sets the probes on both arms, turns STATS into ticks
 * and gives them to the verdicts, one per compared function.
 *
 *   ps -> lines -> stat (one request per arm and group of probes) -> ticks -> stop
 *
 * With arms by time the baseline goes this way first; the candidate follows when it comes (verify_time.c).  An A/A run of the baseline may
 * come between lines and stat (verify_aa.c).
 *
 * No I/O, no clock: the same frames at the same times give the same answer, so what came in is all that a record needs
 * (verify_record.h).
 */
#ifndef PLUMB_VERIFY_H
#define PLUMB_VERIFY_H

#include "coverage.h"
#include "failing.h"
#include "frame.h"
#include "verdict.h"
#include "verify_spec.h"

enum verify_stage {
	VERIFY_ASKING,       /* which processes, which lines */
	VERIFY_AA,           /* the baseline's halves are compared first */
	VERIFY_PROBING,      /* requests are sent, not all are accepted */
	VERIFY_RUNNING,
	VERIFY_STOPPING,     /* decided; the last counters are under way */
	VERIFY_DONE,
};

struct verify;

/* Takes the spec over (verify_spec_finish was called on it): on failure too. NULL with err: its patch is no diff, no memory. */
struct verify *verify_new(struct verify_spec *s, struct error *err);
void verify_free(struct verify *v);

/* From now on all that comes in is kept; NULL before. A record that grows too long stops growing, with a remark: buf.failed. */
void verify_record(struct verify *v);
const struct buf *verify_recorded(const struct verify *v);
/* Queues the first question. */
int verify_start(struct verify *v, uint64_t now_ns, struct error *err);
/* A frame of the connection; raw: its bytes, for the record. An error ends it: the claim cannot be verified, or the agent is malformed. */
int verify_frame(struct verify *v, const struct frame_in *in, const char *raw, size_t raw_len, uint64_t now_ns, struct error *err);
/* The time has gone on: to be called a few times a second. -ETIMEDOUT: no answers, or no probes, within a minute of the start. Counters that
 * do not come after the end are waited for 20 s at most. */
int verify_timer(struct verify *v, uint64_t now_ns, struct error *err);
/* Nobody wants to wait any longer: what is known by now, INCONCLUSIVE unless it was decided. Before the probes are set, and when it ends
 * already, it is done at once; a view without functions: nothing was compared. */
void verify_stop(struct verify *v, const char *reason, uint64_t now_ns);
/* Frames to send; the caller clears it. */
struct buf *verify_out(struct verify *v);

struct verify_arm_view {
	const char *label;            /* "build 8f3a21c0", "pid 812" */
	const char *build_id;
	uint32_t processes, threads;  /* now; threads 0: not known */
	uint32_t most_processes, ended;
	uint64_t probed_ns, run_ns;   /* of the time that its processes ran, summed over them, this much was probed */
};

struct verify_function_view {
	const char *name;
	struct verdict *verdict;      /* for verdict_caveats; verdict_view(verdict) is `view` */
	const struct verdict_view *view;
	const struct failing *failing;   /* NULL: no failing call was shown */
};

/* Of how many failing calls of a side the arguments were shown, and of how many that is. */
struct verify_shown {
	uint64_t shown, failed;
};

struct verify_shown verify_shown(const struct verify_function_view *f, enum verify_side side);

struct verify_line_view {
	const struct covered_line *line;
	uint64_t hits;                /* on its own side */
};

/* What was found between the halves. NOT_WHOLE: it ended before its time, a half was missing, or too many calls were. */
enum verify_aa { AA_NOT, AA_RUNNING, AA_NOTHING, AA_FOUND, AA_TOO_FEW, AA_NOT_WHOLE };

/* An A/A run before the arms were compared. Only if it found nothing they were. */
struct verify_aa_view {
	enum verify_aa state;
	const char *split;            /* "process", "thread", "host"; NULL: not yet known */
	uint64_t calls[2];            /* of each half, all functions together */
	uint64_t ns;
	const char *text;             /* a sentence; "": it is not over */
};

struct verify_view {
	enum verify_stage stage;
	enum verdict_state state;     /* of all functions together */
	const char *reason;
	const char *waiting;          /* what must be over before the arms are compared: an A/A run, by time the coming of the candidate; NULL */
	struct verify_aa_view aa;
	uint64_t elapsed_ns, deadline_ns;
	double eta_s;
	const struct verify_spec *spec;
	const struct coverage *coverage;
	struct verify_arm_view arm[VERIFY_SIDES];
	const struct verify_function_view *function;
	uint32_t n_functions;
	const uint64_t *hits;         /* per line of the coverage */
	const char *const *remark;    /* sentences for the user, in the order they came up */
	uint32_t n_remarks;
};

/* Belongs to v; changes with the next call. */
const struct verify_view *verify_view(struct verify *v);

#endif
