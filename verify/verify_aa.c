/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A/A: one arm as two, which must not differ.
 *
 * By itself (--aa of one build) that is all there is.  With two arms it comes first: the baseline's halves are a verification of their own,
 * whose frames and seconds pass through this one, and only if it has found nothing the arms are compared.  It is judged by the same gates,
 * each in both directions, as it does not matter which half is the worse one; and it never passes before its time, so that whatever hangs
 * together has some time to show.  If it finds something, nothing that the same calls say of the fix can be relied on.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error_value.h"
#include "verify_internal.h"

#define LEAST_NS 10000000000ULL

enum {
	SHARE_OF_TIME = 4,             /* of --for: it takes a quarter at most */
	CALLS_ENOUGH = 5000,           /* of each function in each half: it need not take longer */
	CALLS_LEAST = 100,             /* fewer could not show anything */
};

/* ---- the halves ---- */

enum split { BY_THREAD, BY_PROCESS, BY_HOST };

static const struct { const char *name, *cause; } splits[] = {
	[BY_THREAD] = { "thread", "threads do different work" },
	[BY_PROCESS] = { "process", "processes are not alike" },
	[BY_HOST] = { "host", "hosts are not alike" },
};

/* The member is the first one of its host. */
static bool begins_host(const struct arm *a, uint32_t member)
{
	for (uint32_t i = 0; i < member; i++)
		if (strcmp(a->member[i].host, a->member[member].host) == 0)
			return false;
	return true;
}

static uint32_t count_hosts(const struct arm *a)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < a->n_members; i++)
		n += begins_host(a, i);
	return n;
}

/* Through a collector a pid names no process. */
static enum split choose_split(const struct arm *a)
{
	if (a->member[0].host[0])
		return count_hosts(a) > 1 ? BY_HOST : BY_THREAD;
	return a->n_members > 1 ? BY_PROCESS : BY_THREAD;
}

/* Pids or hosts, the first half of them or the others: "812,813". */
static void list_half(const struct arm *a, enum split by, enum verify_side side, struct buf *out)
{
	uint32_t all = by == BY_HOST ? count_hosts(a) : a->n_members, at = 0;

	for (uint32_t i = 0; i < a->n_members; i++) {
		if (by == BY_HOST && !begins_host(a, i))
			continue;
		if ((at++ >= all / 2) != (side == CANDIDATE))
			continue;
		buf_str(out, out->len ? "," : "");
		if (by == BY_HOST)
			buf_str(out, a->member[i].host);
		else
			buf_printf(out, "%" PRIu64, a->member[i].pid);
	}
}

static int set_half(const struct arm *a, enum split by, enum verify_side side, struct verify_arm_spec *to, struct error *err)
{
	struct buf list = { 0 };
	int rc;

	list_half(a, by, side, &list);
	to->by = by == BY_HOST ? VERIFY_ARM_HOST : VERIFY_ARM_PID;
	rc = list.failed ? error_set(err, ENOMEM, "no memory for the halves") : verify_spec_text(&to->text, buf_text(&list), "half of an arm", err);
	buf_free(&list);
	return rc || !a->build_id[0] ? rc : verify_spec_text(&to->build, a->build_id, "the build-id", err);
}

/* The same processes, and every other thread of them. */
static int set_threads(struct verify_spec *to, struct error *err)
{
	int rc = 0;

	to->candidate.by = to->baseline.by;
	if (to->baseline.text)
		rc = verify_spec_text(&to->candidate.text, to->baseline.text, "the arm", err);
	return rc ? rc : verify_spec_text(&to->arm_by, "$tid % 2 == 1", "the condition", err);
}

static int split_arm(const struct arm *a, enum split by, struct verify_spec *to, struct error *err)
{
	int rc = by == BY_THREAD ? set_threads(to, err) : set_half(a, by, BASELINE, &to->baseline, err);

	return rc || by == BY_THREAD ? rc : set_half(a, by, CANDIDATE, &to->candidate, err);
}

int verify_aa_alone(struct verify *v, struct error *err)
{
	const struct arm *a = &v->arm[BASELINE];
	enum split by = choose_split(a);

	verify_remark(v, "an A/A run: one build is both arms, split by %s; whatever it finds is chance, or calls that hang together",
		      splits[by].name);
	return split_arm(a, by, &v->spec, err);
}

/* ---- the run before ---- */

static struct verify *run_new(const struct verify *v, enum split by, struct error *err)
{
	struct verify_spec s;
	struct verify *run;
	int rc = verify_spec_copy(&s, &v->spec, err);

	if (!rc)
		rc = split_arm(&v->arm[BASELINE], by, &s, err);
	if (rc) {
		verify_spec_free(&s);
		return NULL;
	}
	s.aa = false;
	s.claim.expect = EXPECT_NONE;
	s.claim.deadline_ns /= SHARE_OF_TIME;
	run = verify_new(&s, err);
	if (!run)
		return NULL;
	run->halves = true;
	run->next_id = v->next_id;
	run->coverage = coverage_of_functions(v->coverage);
	if (run->coverage)
		return run;
	error_set(err, ENOMEM, "no memory");
	verify_free(run);
	return NULL;
}

/* What it has to send goes over the one connection. */
static int pass_on(struct verify *v, int rc, struct error *err)
{
	struct buf *out = verify_out(v->aa.run);

	buf_add(&v->out, out->data, out->len);
	v->out.failed |= out->failed;
	buf_clear(out);
	return rc || !v->out.failed ? rc : error_set(err, ENOMEM, "no memory for a question");
}

int verify_aa_begin(struct verify *v, uint64_t now_ns, struct error *err)
{
	enum split by = choose_split(&v->arm[BASELINE]);

	v->stage = VERIFY_AA;
	v->aa.began_ns = now_ns;
	v->aa.split = splits[by].name;
	v->aa.cause = splits[by].cause;
	v->aa.run = run_new(v, by, err);
	return v->aa.run ? pass_on(v, verify_start(v->aa.run, now_ns, err), err) : -err->code;
}

/* ---- what it has seen ---- */

static bool has_calls(const struct verdict_view *f, uint64_t least)
{
	return f->base->calls >= least && f->cand->calls >= least;
}

static void count_calls(struct verify *v)
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

static bool has_enough(const struct verify *run)
{
	for (uint32_t i = 0; i < run->n_judged; i++) {
		const struct verdict_view *f = verdict_view(run->judged[i].verdict);

		if (f->span_ns < LEAST_NS || !has_calls(f, CALLS_ENOUGH))
			return false;
	}
	return run->stage == VERIFY_RUNNING;
}

/* A gate that failed, in either direction; its two figures: the first half's, the second's. */
struct found {
	const char *function;
	const struct verdict_view *view;
	const struct gate_view *gate;
	bool swapped, errno_values;
};

static bool find_failed(const struct verify *run, struct found *out)
{
	for (uint32_t i = 0; i < 2 * run->n_judged; i++) {
		const struct judged *j = &run->judged[i / 2];
		const struct verdict_view *f = verdict_view(i % 2 ? j->mirror : j->verdict);

		for (unsigned k = 0; f->state == VERDICT_FAIL && k < f->gates; k++)
			if (f->gate[k]->state == GATE_FAIL) {
				*out = (struct found){ j->claim.function, f, f->gate[k], i % 2, verdict_view(j->verdict)->may_be_errno };
				return true;
			}
	}
	return false;
}

static void figures_text(const struct found *f, char *out, size_t size)
{
	const struct arm_total *one = f->swapped ? f->view->cand : f->view->base, *two = f->swapped ? f->view->base : f->view->cand;
	double a = f->swapped ? f->gate->cand.value : f->gate->base.value, b = f->swapped ? f->gate->base.value : f->gate->cand.value;
	char value[ERROR_VALUE_TEXT];
	double excess;
	const struct errset_row *new;

	switch (f->gate->unit) {
	case UNIT_RATE:
		snprintf(out, size, "%.3g %% of %" PRIu64 " calls failed in one, %.3g %% of %" PRIu64 " in the other", 100 * a, one->calls, 100 * b,
			 two->calls);
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
	char figures[300];

	v->aa.state = AA_FOUND;
	figures_text(f, figures, sizeof(figures));
	snprintf(v->aa.text, sizeof(v->aa.text), "%s: a difference was found, %.100s of %.100s does not hold (%s)", seen, f->gate->name, f->function,
		 figures);
	snprintf(v->reason, sizeof(v->reason), "the A/A run found a difference between two halves of the baseline, which run the same build: "
		 "%.100s of %.100s does not hold (%s). Calls hang together, or the %s; nothing could be said of the candidate",
		 f->gate->name, f->function, figures, v->aa.cause);
}

/* Functions that had too few calls are named: of them nothing was found because nothing was seen. */
static void say_not_found(struct verify *v, const char *seen)
{
	const struct verify *run = v->aa.run;
	size_t len;

	v->aa.state = AA_TOO_FEW;
	for (uint32_t i = 0; i < run->n_judged; i++)
		if (has_calls(verdict_view(run->judged[i].verdict), CALLS_LEAST))
			v->aa.state = AA_NOTHING;
	snprintf(v->aa.text, sizeof(v->aa.text), "%s: %s", seen, v->aa.state == AA_NOTHING ? "no difference was found" : "too few to tell");
	for (uint32_t i = 0; v->aa.state == AA_NOTHING && i < run->n_judged; i++) {
		const struct verdict_view *f = verdict_view(run->judged[i].verdict);

		len = strlen(v->aa.text);
		if (!has_calls(f, CALLS_LEAST))
			snprintf(v->aa.text + len, sizeof(v->aa.text) - len, "; too few calls of %.80s to tell (%" PRIu64 " and %" PRIu64 ")",
				 run->judged[i].claim.function, f->base->calls, f->cand->calls);
	}
	if (v->aa.state == AA_TOO_FEW)
		snprintf(v->reason, sizeof(v->reason), "the A/A run could not be made, there were too few calls (%s; %d of a function in each half are "
			 "needed): without --aa the arms are compared all the same", seen, CALLS_LEAST);
}

/* ---- its end ---- */

static void take_remarks(struct verify *v)
{
	for (uint32_t i = 0; i < v->aa.run->n_remarks; i++)
		verify_remark(v, "A/A run: %s", v->aa.run->remark[i]);
}

/* The arms get what is left of the time; who runs is asked again. */
static int go_on(struct verify *v, uint64_t now_ns, struct error *err)
{
	uint64_t took = now_ns - v->aa.began_ns, all = v->spec.claim.deadline_ns;
	int rc;

	if (all)
		v->spec.claim.deadline_ns = all > took + LEAST_NS / 10 ? all - took : LEAST_NS / 10;
	v->started_ns = now_ns;
	rc = verify_ask_ps(v, now_ns, err);
	return rc ? rc : verify_set_probes(v, err);
}

static int over(struct verify *v, uint64_t now_ns, struct error *err)
{
	char seen[400];
	struct found f;

	count_calls(v);
	seen_text(v, seen, sizeof(seen));
	if (find_failed(v->aa.run, &f))
		say_found(v, &f, seen);
	else
		say_not_found(v, seen);
	take_remarks(v);
	v->next_id = v->aa.run->next_id;
	verify_free(v->aa.run);
	v->aa.run = NULL;
	if (v->aa.state == AA_NOTHING)
		return go_on(v, now_ns, err);
	v->stage = VERIFY_DONE;
	return 0;
}

/* ---- its course ---- */

static int advance(struct verify *v, int rc, uint64_t now_ns, struct error *err)
{
	rc = pass_on(v, rc, err);
	if (rc)
		return rc;
	count_calls(v);
	v->view.elapsed_ns = now_ns - v->aa.began_ns;
	return v->aa.run->stage == VERIFY_DONE ? over(v, now_ns, err) : 0;
}

int verify_aa_frame(struct verify *v, const struct frame_in *in, const char *raw, size_t raw_len, uint64_t now_ns, struct error *err)
{
	return advance(v, verify_frame(v->aa.run, in, raw, raw_len, now_ns, err), now_ns, err);
}

int verify_aa_timer(struct verify *v, uint64_t now_ns, struct error *err)
{
	int rc = verify_timer(v->aa.run, now_ns, err);

	if (!rc && has_enough(v->aa.run))
		verify_break_off(v->aa.run, "it has had calls enough", now_ns);
	return advance(v, rc, now_ns, err);
}

void verify_aa_sentence(const struct verify *v, char *out, size_t size)
{
	char one[32], two[32];

	verify_count_text(v->aa.calls[0], one);
	verify_count_text(v->aa.calls[1], two);
	snprintf(out, size, "A/A run first: the baseline split by %s, %s and %s calls, no difference so far", v->aa.split, one, two);
}
