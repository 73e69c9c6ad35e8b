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
#include <stdio.h>
#include <string.h>

#include "verify_internal.h"

#define LEFT_NS 1000000000ULL
#define ALIKE 1.25                     /* times the other half's error rate */

enum { SHARE_OF_TIME = 4 };            /* of --for: it takes a quarter at most */

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

/* One of the halves would have no call. Threads: 0 if they are not known. */
static int check_split(const struct verify *v, const struct arm *a, enum split by, struct error *err)
{
	const struct member *m = &a->member[0];
	const struct running *p = by == BY_THREAD && a->n_members == 1 ? verify_find_running(v, m->host, m->pid, a->build_id) : NULL;

	if (!p || p->threads != 1)
		return 0;
	error_set(err, EINVAL, "an A/A run cannot split %s: it is one process (%" PRIu64 ") with one thread", a->label, m->pid);
	return error_hint(err, "start a second process of the build, or ask again when it has threads, if it begins them as it serves");
}

int verify_aa_alone(struct verify *v, struct error *err)
{
	const struct arm *a = &v->arm[BASELINE];
	enum split by = choose_split(a);

	if (check_split(v, a, by, err))
		return -err->code;
	verify_remark(v, "an A/A run: one build is both arms, split by %s; whatever it finds is chance, or calls that hang together",
		      splits[by].name);
	return split_arm(a, by, &v->spec, err);
}

/* ---- the run before ---- */

/*
 * What the claim expects of the candidate, asked of halves: that neither fails more often than the other, as far as the error guard would
 * allow it, and never so much that it would make the claim true.
 */
static void expect_alike(struct claim *c)
{
	double f = c->expect == EXPECT_RATIO ? c->factor : 0;

	if (c->expect == EXPECT_NONE)
		return;
	c->expect = EXPECT_RATIO;
	c->factor = f >= 1 ? f : f * ALIKE > 1 ? 1 / f : ALIKE;
}

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
	expect_alike(&s.claim);
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

	if (check_split(v, &v->arm[BASELINE], by, err))
		return -err->code;
	v->stage = VERIFY_AA;
	v->aa.began_ns = now_ns;
	v->aa.split = splits[by].name;
	v->aa.cause = splits[by].cause;
	v->aa.run = run_new(v, by, err);
	return v->aa.run ? pass_on(v, verify_start(v->aa.run, now_ns, err), err) : -err->code;
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
		v->spec.claim.deadline_ns = all > took + LEFT_NS ? all - took : LEFT_NS;
	v->started_ns = now_ns;
	rc = verify_ask_ps(v, now_ns, err);
	return rc ? rc : verify_set_probes(v, err);
}

static int over(struct verify *v, uint64_t now_ns, struct error *err)
{
	verify_aa_conclude(v);
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

/* Its errors are about processes and probes that nobody has asked for: what for is said before. */
static int say_where(int rc, struct error *err)
{
	char text[sizeof(err->text)];

	if (!rc || !err)
		return rc;
	memcpy(text, err->text, sizeof(text));
	snprintf(err->text, sizeof(err->text), "A/A run of the baseline's halves: %.470s", text);
	return rc;
}

static int advance(struct verify *v, int rc, uint64_t now_ns, struct error *err)
{
	rc = pass_on(v, rc, err);
	if (rc)
		return say_where(rc, err);
	verify_aa_count(v);
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

	if (!rc && verify_aa_has_enough(v->aa.run))
		verify_break_off(v->aa.run, "it has had calls enough", now_ns);
	return advance(v, rc, now_ns, err);
}
