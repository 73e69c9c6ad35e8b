/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arms by time: one build runs and is watched, it is the baseline; then the service is started again with another build.
 *
 *   WAITING    ps every second, until a build comes that did not run before
 *   ASKING     which code the changed lines have in it
 *   PROBING    its probes are sent; the baseline's stay, a rolling restart has both for a while
 *   ATTACHED   the candidate's ticks count
 *
 * What was probed on the baseline is all that can be compared, so functions are chosen before the candidate is known (coverage_watch)
 * and some of them turn out not to be comparable (coverage_again).  A candidate that ends while it is being probed is waited for again.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "verify_internal.h"

#define ANSWER_NS 60000000000ULL

enum { BUILD_SHOWN = 12 };

/* ---- which builds ---- */

static bool is_known(const struct verify *v, const char *build_id)
{
	size_t len = strlen(build_id);

	for (const char *at = v->time.known; *at; at = strchr(at, '\n') + 1)
		if (strncmp(at, build_id, len) == 0 && at[len] == '\n')
			return true;
	return false;
}

static const char *target_text(const struct verify *v)
{
	return v->spec.target_text ? v->spec.target_text : "the target";
}

/* A build of neither arm: said once. False: there are too many to know it again. */
static bool leave_out(struct verify *v, const struct running *p, const char *why)
{
	size_t len = strlen(v->time.known);

	if (is_known(v, p->build_id))
		return true;
	if (len + strlen(p->build_id) + 2 > sizeof(v->time.known)) {
		verify_remark(v, "more builds came than are remembered: not all that are in neither arm are listed");
		return false;
	}
	sprintf(v->time.known + len, "%s\n", p->build_id);
	verify_remark(v, "process %llu runs another build, %.*s, which is in neither arm: %s", (unsigned long long)p->pid, BUILD_SHOWN,
		      p->build_id, why);
	return true;
}

/* What ran before must not be taken for the candidate later: it is known, or there is no verification. */
static int leave_out_others(struct verify *v, struct error *err)
{
	for (uint32_t i = 0; i < v->n_running; i++) {
		const struct running *p = &v->running[i];

		if (strcmp(p->build_id, v->arm[BASELINE].build_id) == 0 || leave_out(v, p, "it ran before the verification began"))
			continue;
		error_set(err, E2BIG, "%s runs in too many builds to tell which one comes later", target_text(v));
		return error_hint(err, "end those that are not the baseline; or compare two of them at once, without --by-time");
	}
	return 0;
}

static bool begins_with(const char *build_id, const struct verify_arm_spec *s)
{
	return s->by == VERIFY_ARM_BUILD && strncmp(build_id, s->text, strlen(s->text)) == 0;
}

/* The only build that runs. */
static int guess_baseline(struct verify *v, struct error *err)
{
	const char *one = v->running[0].build_id;

	if (!one[0]) {
		error_set(err, EINVAL, "%s has no build-id: whether another build has come could not be told", target_text(v));
		return error_hint(err, "link it with -Wl,--build-id");
	}
	for (uint32_t i = 1; i < v->n_running; i++) {
		if (strcmp(v->running[i].build_id, one) == 0)
			continue;
		error_set(err, EINVAL, "more than one build runs, %.*s and %.*s: which of them is the baseline?", BUILD_SHOWN, one, BUILD_SHOWN,
			  v->running[i].build_id);
		return error_hint(err, "--baseline build:ID; or without --by-time both are compared at once");
	}
	return verify_set_build(&v->spec.baseline, one, err);
}

int verify_time_begin(struct verify *v, uint64_t now_ns, struct error *err)
{
	struct arm *c = &v->arm[CANDIDATE];
	int rc = 0;

	for (uint32_t i = 0; i < v->n_running; i++)
		if (begins_with(v->running[i].build_id, &v->spec.candidate)) {
			error_set(err, EINVAL, "the candidate, build %.*s, runs already", BUILD_SHOWN, v->running[i].build_id);
			return error_hint(err, "without --by-time both builds are compared at once");
		}
	if (!v->spec.baseline.by)
		rc = guess_baseline(v, err);
	if (!rc)
		rc = verify_fill_arm(v, BASELINE, now_ns, err);
	if (!rc)
		rc = leave_out_others(v, err);
	snprintf(c->label, sizeof(c->label), "another build, to come");
	return rc;
}

/* ---- the candidate comes ---- */

/* Who may be the candidate: a build that nobody knows; what else there is gets its remark, while there is room for it. */
static const struct running *find_candidate(struct verify *v)
{
	const struct arm *c = &v->arm[CANDIDATE];
	const struct running *found = NULL;

	for (uint32_t i = 0; i < v->n_running; i++) {
		const struct running *p = &v->running[i];
		const char *is = found ? found->build_id : c->build_id;

		if (strcmp(p->build_id, v->arm[BASELINE].build_id) == 0 || is_known(v, p->build_id))
			continue;
		if (!p->build_id[0])
			leave_out(v, p, "it has no build-id");
		else if (is[0] ? strcmp(p->build_id, is) != 0 : v->spec.candidate.by && !begins_with(p->build_id, &v->spec.candidate))
			leave_out(v, p, is[0] ? "another one is the candidate" : "it is not the candidate that was named");
		else
			found = found ? found : p;
	}
	return found;
}

static void set_state(struct verify *v, enum time_state state, uint64_t now_ns)
{
	v->time.state = state;
	v->time.since_ns = now_ns;
}

static int send_probes(struct verify *v, uint64_t now_ns, struct error *err)
{
	int rc = 0;

	set_state(v, TIME_PROBING, now_ns);
	for (int group = 0; !rc && group < ITEM_GROUPS; group++)
		rc = verify_send_side(v, CANDIDATE, (enum item_group)group, err);
	return rc;
}

int verify_time_look(struct verify *v, uint64_t now_ns, struct error *err)
{
	const struct running *p = v->spec.by_time && v->stage == VERIFY_RUNNING ? find_candidate(v) : NULL;
	int rc;

	if (!p || v->time.state != TIME_WAITING)
		return 0;
	rc = verify_set_build(&v->spec.candidate, p->build_id, err);
	if (!rc)
		rc = verify_fill_arm(v, CANDIDATE, now_ns, err);
	v->arm[CANDIDATE].missing_since_ns = 0;
	if (rc)
		return rc;
	if (!v->patch || v->answered[CANDIDATE])
		return send_probes(v, now_ns, err);
	set_state(v, TIME_ASKING, now_ns);
	return verify_ask_lines(v, CANDIDATE, err);
}

/* ---- its lines are known ---- */

/* Items and verdicts are by the number of their function, which is another one in the new coverage. */
static void renumber(struct verify *v, const struct coverage *now)
{
	const struct coverage *before = v->coverage;

	for (uint32_t i = 0; i < v->n_items; i++) {
		struct item *it = &v->item[i];
		int32_t f = it->kind <= ITEM_TRIGGER ? coverage_function(now, before->function[it->index].name) : -1;

		if (it->kind > ITEM_TRIGGER)
			continue;   /* lines are in the patch's order in both */
		it->dropped |= f < 0 || !now->function[f].compared;
		it->index = f < 0 ? UINT32_MAX : (uint32_t)f;
	}
	for (uint32_t i = 0; i < v->n_judged; i++) {
		const char *name = before->function[v->judged[i].function].name;
		int32_t f = coverage_function(now, name);

		if (f < 0)
			verify_remark(v, "%s was watched because changed lines stand beside it; they do not lie in it", name);
		v->judged[i].function = f < 0 ? UINT32_MAX : (uint32_t)f;
	}
}

int verify_time_lines(struct verify *v, uint64_t now_ns, struct error *err)
{
	const struct lines_answer *const answer[VERIFY_SIDES] = { &v->lines[BASELINE], &v->lines[CANDIDATE] };
	const uint32_t *const file_of[VERIFY_SIDES] = { v->file_of[BASELINE], v->file_of[CANDIDATE] };
	struct coverage *now;
	int rc;

	if (v->time.state != TIME_ASKING)
		return error_set(err, EPROTO, "the agent answers what nobody asked");
	now = coverage_again(v->coverage, &v->spec, v->patch, answer, file_of, err);
	if (!now)
		return -err->code;
	renumber(v, now);
	coverage_free(v->coverage);
	v->coverage = now;
	rc = verify_drop_judged(v, err);
	if (!rc)
		rc = verify_make_line_items(v, CANDIDATE, err);
	return rc ? rc : send_probes(v, now_ns, err);
}

/* ---- its probes are set ---- */

/* The longest that a process of it ran unseen. */
static uint64_t unseen_ns(const struct verify *v, uint64_t now_ns)
{
	const struct arm *c = &v->arm[CANDIDATE];
	uint64_t most = 0;

	for (uint32_t i = 0; i < c->n_members; i++)
		most = now_ns - c->member[i].start_ns > most ? now_ns - c->member[i].start_ns : most;
	return most;
}

int verify_time_maybe_attach(struct verify *v, uint64_t now_ns, struct error *err)
{
	if (v->time.state != TIME_PROBING)
		return 0;
	for (uint32_t i = 0; i < v->n_requests; i++)
		if (v->request[i]->state == REQUEST_SENT)
			return 0;
	set_state(v, TIME_ATTACHED, now_ns);
	verify_count_arms(v, now_ns);
	verify_remark(v, "the candidate ran for %.1f s before its probes were set: its calls until then are not known",
		      (double)unseen_ns(v, now_ns) / 1e9);
	return verify_begin_candidate(v, now_ns, err);
}

bool verify_time_refused(struct verify *v, const msgpack_object *payload)
{
	struct arm *c = &v->arm[CANDIDATE];
	uint64_t code = 0;
	struct error err;

	object_u64(map_get(payload, "code"), &code);
	if (code != ESRCH || (v->time.state != TIME_ASKING && v->time.state != TIME_PROBING))
		return false;
	for (uint32_t i = 0; i < v->n_requests; i++) {
		struct arm_request *r = v->request[i];

		if (r->side != CANDIDATE || r->state == REQUEST_OVER)
			continue;
		r->state = REQUEST_OVER;
		verify_send_stop(v, r, &err);
	}
	verify_remark(v, "the candidate (%s) ended before its probes were set; it was waited for again", c->label);
	c->n_members = 0;
	set_state(v, TIME_WAITING, 0);
	return true;
}

bool verify_time_counts(const struct verify *v, enum verify_side side)
{
	return side == BASELINE || v->time.state == TIME_NOT || v->time.state == TIME_ATTACHED;
}

/* ---- what is said ---- */

void verify_count_text(uint64_t n, char out[32])
{
	char digits[24];
	int len = snprintf(digits, sizeof(digits), "%" PRIu64, n), at = 0;

	for (int i = 0; i < len; i++) {
		if (i && (len - i) % 3 == 0)
			out[at++] = ',';
		out[at++] = digits[i];
	}
	out[at] = '\0';
}

/* "baseline watched for 42 s, 61,200 calls" of the function that was called most. */
static void watched_text(const struct verify *v, char *out, size_t size)
{
	uint64_t calls = 0, span = 0;
	char count[32];

	for (uint32_t i = 0; i < v->n_judged; i++) {
		const struct arm_total *b = verdict_view(v->judged[i].verdict)->base;

		calls = b->calls > calls ? b->calls : calls;
		span = b->span_ns > span ? b->span_ns : span;
	}
	verify_count_text(calls, count);
	snprintf(out, size, "watched for %" PRIu64 " s, %s call%s", span / 1000000000, count, calls == 1 ? "" : "s");
}

bool verify_time_late(const struct verify *v, uint64_t now_ns, bool up, char *out, size_t size)
{
	static const char *const what[] = { [TIME_ASKING] = "which code the changed lines have in the candidate",
					    [TIME_PROBING] = "that the candidate's probes are set" };
	char watched[96];

	if (v->time.state == TIME_WAITING && up) {
		watched_text(v, watched, sizeof(watched));
		snprintf(out, size, "no other build of %.60s came within the time: the baseline (%.60s) was %s", target_text(v),
			 v->arm[BASELINE].label, watched);
		return true;
	}
	if ((v->time.state != TIME_ASKING && v->time.state != TIME_PROBING) || (!up && now_ns - v->time.since_ns < ANSWER_NS))
		return false;
	snprintf(out, size, "the agent has not said %s", what[v->time.state]);
	return true;
}

void verify_time_sentence(const struct verify *v, char *out, size_t size)
{
	char watched[96];

	out[0] = '\0';
	if (v->stage != VERIFY_RUNNING || v->time.state == TIME_NOT || v->time.state == TIME_ATTACHED)
		return;
	watched_text(v, watched, sizeof(watched));
	if (v->time.state == TIME_WAITING)
		snprintf(out, size, "baseline %s; waiting for another build of %.60s", watched, target_text(v));
	else
		snprintf(out, size, "baseline %s; %s has come, its probes are being set", watched, v->arm[CANDIDATE].label);
}
