/* SPDX-License-Identifier: Apache-2.0 */
/* Who is judged: of each compared function, what is claimed of it and which of its lines must run. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "verify_internal.h"

const struct item *verify_function_item(const struct verify *v, uint32_t function, enum item_kind kind)
{
	for (uint32_t i = 0; i < v->n_items; i++)
		if (v->item[i].kind == kind && v->item[i].index == function && !v->item[i].dropped)
			return &v->item[i];
	return NULL;
}

/* The lines that must run for this function's verdict: its own; the first one also answers for those of no compared function. */
static bool answers_for(const struct verify *v, const struct judged *j, bool first, const struct covered_line *l)
{
	if (l->side != CANDIDATE || l->state != LINE_PROBED || v->spec.lines == VERIFY_LINES_NONE)
		return false;
	if (l->function == (int32_t)j->function)
		return true;
	return first && (l->function < 0 || !v->coverage->function[l->function].compared);
}

static int claim_lines(struct verify *v, struct judged *j, bool first)
{
	j->line_item = calloc(v->n_items + 1, sizeof(*j->line_item));
	if (!j->line_item)
		return -ENOMEM;
	for (uint32_t i = 0; i < v->n_items && j->n_line_items < CLAIM_LINES; i++)
		if (v->item[i].kind == ITEM_LINE && !v->item[i].dropped && answers_for(v, j, first, &v->coverage->line[v->item[i].index]))
			j->line_item[j->n_line_items++] = i;
	j->any_line = v->spec.lines == VERIFY_LINES_ANY && j->n_line_items > 1;
	j->claim.lines = j->any_line ? 1 : j->n_line_items;
	j->claim.lines_any = j->any_line ? j->n_line_items : 0;
	j->claim.lines_shared = 0;
	for (uint32_t i = 0; i < j->n_line_items; i++) {
		const struct covered_line *l = &v->coverage->line[v->item[j->line_item[i]].index];

		if (!j->any_line)
			snprintf(j->claim.line[i], CLAIM_NAME, "%.120s:%u", l->file->new_path, l->line->new_line);
		j->claim.lines_shared += l->shared;
	}
	if (j->any_line)
		snprintf(j->claim.line[0], CLAIM_NAME, "(any of %u)", j->n_line_items);
	return 0;
}

static void make_claim(struct verify *v, struct judged *j, bool first)
{
	const struct covered_function *f = &v->coverage->function[j->function];
	struct claim *c = &j->claim;

	*c = v->spec.claim;
	snprintf(c->function, sizeof(c->function), "%s", f->name);
	c->alpha /= v->n_judged;
	if (v->halves) {
		c->alpha /= 2;               /* of each direction */
		c->min_triggers = UINT64_MAX;   /* no PASS: what shows later must show */
		c->deadline_ns = 0;          /* nor is a guard excused when the time is up: whether it was judged is to be told */
	}
	c->arms = v->spec.by_time ? ARMS_BY_TIME : ARMS_LIVE;
	if (v->spec.by_time)
		c->deadline_ns = 0;   /* when the candidate is watched: what is left then */
	if (f->claimed)
		snprintf(c->trigger, sizeof(c->trigger), "%s", v->spec.trigger ? v->spec.trigger : "");
	else
		c->expect = EXPECT_NONE;
	if (!first && c->watched) {   /* what is watched is watched once */
		uint32_t kept = 0;

		for (uint32_t i = 0; i < c->guards; i++)
			if (c->guard[i].kind != GUARD_CALLS)
				c->guard[kept++] = c->guard[i];
		c->guards = kept;
		c->watched = 0;
	}
}

static void forget_pending_of(struct verify *v, enum verify_side side)
{
	for (uint32_t i = 0; i < v->n_items; i++) {
		memset(&v->item[i].pending[side], 0, sizeof(v->item[i].pending[side]));
		v->item[i].hits[side] = 0;
		verify_values_forget(&v->item[i], side);
	}
}

/* Where no changed line can be watched, whether the new code ran cannot be told. */
static int lines_can_run(const struct verify *v, struct error *err)
{
	const struct covered_line *refused = NULL;

	for (uint32_t i = 0; i < v->coverage->n_lines; i++) {
		const struct covered_line *l = &v->coverage->line[i];

		if (l->side != CANDIDATE || v->spec.lines == VERIFY_LINES_NONE)
			continue;
		if (l->state == LINE_PROBED)
			return 0;
		if (l->state == LINE_REFUSED)
			refused = l;
	}
	if (!refused)
		return 0;
	error_set(err, ENOENT, "whether the changed lines run cannot be told: none of them can be probed (%s)", refused->why);
	return error_hint(err, "--lines none compares the functions only");
}

int verify_nothing_compared(const struct verify *v, struct error *err)
{
	error_set(err, ENOENT, "no changed function can be compared between the builds: %s",
		  v->coverage->n_functions ? v->coverage->function[0].why : "the changed lines lie in none");
	return error_hint(err, "name a function that both have, one that calls the changed code: --function");
}

/* Only lines of the patch are looked up, and with them the functions they lie in. */
static void note_signature(struct verify *v)
{
	const struct covered_function *f = v->spec.function ? &v->coverage->function[0] : NULL;

	if (!f || strcmp(v->arm[BASELINE].build_id, v->arm[CANDIDATE].build_id) == 0 || (f->known[BASELINE] && f->known[CANDIDATE]))
		return;
	verify_remark(v, "%.80s: whether its signature is the same in both builds was not looked at: %s", f->name,
		      v->patch ? "it has none of the patch's lines in both" : "without a patch no source lines are looked up");
}

int verify_begin_judging(struct verify *v, struct error *err)
{
	int rc = v->spec.by_time ? 0 : lines_can_run(v, err);

	if (rc)
		return rc;
	if (!v->spec.by_time)
		note_signature(v);
	v->judged = calloc(v->coverage->n_functions + 1, sizeof(*v->judged));
	if (!v->judged)
		return error_set(err, ENOMEM, "no memory for verdicts");
	for (uint32_t i = 0; i < v->coverage->n_functions; i++)
		if (v->coverage->function[i].compared && verify_function_item(v, i, ITEM_FUNCTION))
			v->judged[v->n_judged++].function = i;
	if (!v->n_judged)
		return verify_nothing_compared(v, err);
	for (uint32_t i = 0; i < v->n_judged; i++) {
		struct judged *j = &v->judged[i];

		make_claim(v, j, i == 0);
		if (claim_lines(v, j, i == 0) < 0)
			return error_set(err, ENOMEM, "no memory for a claim");
		j->verdict = verdict_new(&j->claim, err);
		j->mirror = v->halves && j->verdict ? verdict_new(&j->claim, err) : NULL;
		if (!j->verdict || (v->halves && !j->mirror))
			return -err->code;
	}
	for (int side = 0; side < VERIFY_SIDES; side++)
		forget_pending_of(v, (enum verify_side)side);
	return 0;
}

static void judged_free(struct judged *j)
{
	verdict_free(j->verdict);
	verdict_free(j->mirror);
	free(j->line_item);
	failing_free(j->failing);
}

void verify_judged_free(struct verify *v)
{
	for (uint32_t i = 0; i < v->n_judged; i++)
		judged_free(&v->judged[i]);
	free(v->judged);
	v->judged = NULL;
	v->n_judged = 0;
}

int verify_drop_judged(struct verify *v, struct error *err)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < v->n_judged; i++) {
		struct judged *j = &v->judged[i];

		if (j->function < v->coverage->n_functions && v->coverage->function[j->function].compared &&
		    verify_function_item(v, j->function, ITEM_FUNCTION)) {
			v->judged[kept++] = *j;
			continue;
		}
		judged_free(j);
	}
	v->n_judged = kept;
	return kept ? 0 : verify_nothing_compared(v, err);
}

/* Of what the user gave for both windows and the time between them. */
static uint64_t time_left(const struct verify *v, uint64_t now_ns)
{
	uint64_t end = v->run_ns + v->spec.claim.deadline_ns;

	return end > now_ns ? end - now_ns : 0;
}

int verify_begin_candidate(struct verify *v, uint64_t now_ns, struct error *err)
{
	int rc = verify_drop_judged(v, err);

	if (!rc)
		rc = lines_can_run(v, err);
	for (uint32_t i = 0; !rc && i < v->n_judged; i++) {
		struct judged *j = &v->judged[i];

		free(j->line_item);
		j->line_item = NULL;
		j->n_line_items = 0;
		rc = claim_lines(v, j, i == 0) < 0 ? error_set(err, ENOMEM, "no memory for a claim") : 0;
		if (!rc)
			rc = verdict_set_lines(j->verdict, &j->claim, err);
		if (v->spec.claim.deadline_ns)
			verdict_set_time_left(j->verdict, time_left(v, now_ns));
	}
	if (!rc)
		forget_pending_of(v, CANDIDATE);
	if (!rc)
		note_signature(v);
	return rc;
}

/* The candidate was compared for a while; by time the baseline may have been watched before. */
static bool is_watched(const struct verify *v)
{
	for (uint32_t i = 0; i < v->n_judged; i++)
		if (verdict_view(v->judged[i].verdict)->cand->span_ns)
			return true;
	return false;
}

/* Of a probe is told after its request was accepted: the comparison may have begun, and begins again without the function. */
int verify_leave_out(struct verify *v, struct item *it, const char *why, uint64_t now_ns, struct error *err)
{
	const char *name = v->coverage->function[it->index].name;

	it->dropped = true;
	if (v->stage == VERIFY_RUNNING && is_watched(v)) {
		snprintf(v->reason, sizeof(v->reason), "%.120s cannot be compared any more: %s", name, why);
		verify_break_off(v, v->reason, now_ns);
		return 0;
	}
	coverage_drop_function(v->coverage, it->index, why);
	if (v->stage != VERIFY_RUNNING)
		return 0;
	if (v->spec.by_time)   /* the baseline may have been watched for long */
		return v->time.state == TIME_ATTACHED ? verify_begin_candidate(v, now_ns, err) : verify_drop_judged(v, err);
	verify_judged_free(v);
	return verify_begin_judging(v, err);
}

enum verdict_state verify_state(const struct verify *v)
{
	enum verdict_state *states = calloc(v->n_judged + 1, sizeof(*states)), all = VERDICT_UNDECIDED;

	for (uint32_t i = 0; states && i < v->n_judged; i++) {
		const struct judged *j = &v->judged[i];
		bool mirrored = j->mirror && verdict_state(j->mirror) == VERDICT_FAIL;

		states[i] = mirrored ? VERDICT_FAIL : verdict_state(j->verdict);
	}
	if (states && v->n_judged)
		all = verdict_combine(states, v->n_judged);
	free(states);
	return all;
}
