/* SPDX-License-Identifier: Apache-2.0 */
/* Of the functions that changed lines lie in: which can be compared, and which are, if there are too many. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coverage_internal.h"

/* ---- what can be compared ---- */

static bool signatures_differ(const struct covered_function *f)
{
	return f->signature[0] && f->signature[1] && strcmp(f->signature[0], f->signature[1]) != 0;
}

/* Where it has no code that could be probed; NULL: it has, wherever it is. */
static const char *inlined_in(const struct covered_function *f)
{
	bool base = f->known[BASELINE] && !f->own_code[BASELINE], cand = f->known[CANDIDATE] && !f->own_code[CANDIDATE];

	return base && cand ? "baseline and the candidate" : base ? verify_side_name[BASELINE] : cand ? verify_side_name[CANDIDATE] : NULL;
}

/* True: both builds have it as a function of its own, the same one. Else `why`. */
static bool comparable(struct covered_function *f)
{
	for (int side = 0; side < VERIFY_SIDES; side++) {
		if (f->known[side])
			continue;
		snprintf(f->why, COVERAGE_WHY, "only the %s has it: there is nothing to compare it with", verify_side_name[!side]);
		return false;
	}
	if (inlined_in(f)) {
		snprintf(f->why, COVERAGE_WHY, "it is inlined in the %s: compare a function that calls it (--function)", inlined_in(f));
		return false;
	}
	if (signatures_differ(f)) {
		snprintf(f->why, COVERAGE_WHY, "its signature has changed: %.100s; now %.100s", f->signature[0], f->signature[1]);
		return false;
	}
	return true;
}

/* Its calls are counted as the claim's. */
static bool is_meant(const struct coverage *c, struct covered_function *f)
{
	if (f->meant)
		snprintf(f->why, COVERAGE_WHY, "counted with %.120s", c->function[0].name);
	return f->meant;
}

/* By time: it was probed while the baseline ran. */
static bool was_watched(const struct coverage_maker *m, struct covered_function *f)
{
	int32_t then = m->before ? coverage_function(m->before, f->name) : -1;

	if (!m->before || (then >= 0 && m->before->function[then].compared))
		return true;
	snprintf(f->why, COVERAGE_WHY, "it was not probed while the baseline ran: by time there is nothing to compare it with");
	return false;
}

int coverage_check_claimed(const struct coverage_maker *m, struct error *err)
{
	struct coverage *c = m->c;

	for (uint32_t i = 0; m->spec->function && !m->watch && i < c->n_functions; i++) {
		struct covered_function *f = &c->function[i];

		if ((!f->claimed && !f->meant) || !f->known[BASELINE] || !f->known[CANDIDATE] || comparable(f))
			continue;
		c->function[0].compared = false;
		error_set(err, EINVAL, "%.80s cannot be compared between the builds: %s", f->name, f->why);
		return error_hint(err, "name a function that both have alike, one that calls it: --function");
	}
	return 0;
}

/* By time, before there is a candidate, what the baseline has. */
static bool may_be_compared(const struct coverage_maker *m, struct covered_function *f)
{
	if (f->claimed || is_meant(m->c, f))
		return false;
	if (!m->watch)
		return comparable(f) && was_watched(m, f);
	if (!f->own_code[BASELINE])
		snprintf(f->why, COVERAGE_WHY, "it is inlined in the baseline: compare a function that calls it (--function)");
	return f->own_code[BASELINE];
}

/* -> how many with changed lines of their own may be compared */
static uint32_t look_at(const struct coverage_maker *m, bool *can)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < m->c->n_functions; i++) {
		can[i] = may_be_compared(m, &m->c->function[i]);
		n += can[i] && m->c->function[i].changed;
	}
	return n;
}

/* What changed lines lie in is compared; if those are too many, the cheapest ones that cover the lines. */
static int choose_changed(const struct coverage_maker *m, const bool *can, uint32_t n, uint32_t budget)
{
	struct coverage *c = m->c;

	if (c->functions_compared + n > budget)
		return coverage_cover(m, can, budget);
	for (uint32_t i = 0; i < c->n_functions; i++)
		c->function[i].compared |= can[i] && c->function[i].changed;
	c->functions_compared += n;
	return 0;
}

/* The compared function that a line has code in; -1: none. */
static int32_t compared_holder(const struct coverage_maker *m, const struct coverage_hold *h)
{
	int32_t f = coverage_holder(m, h);

	return f >= 0 && m->c->function[f].compared ? f : -1;
}

/* Lines of a function that is not compared itself count for one whose code they are. */
static void tell_holders(const struct coverage_maker *m)
{
	struct coverage *c = m->c;

	for (uint32_t i = 0; c->function && i < m->n_holds; i++) {
		struct covered_line *l = &c->line[m->hold[i].line];
		struct covered_function *f = l->function < 0 ? NULL : &c->function[l->function];
		int32_t holder = compared_holder(m, &m->hold[i]);

		if (!f || f->compared || holder < 0)
			continue;
		l->function = holder;
		if (inlined_in(f))
			snprintf(f->why, COVERAGE_WHY, "it is inlined in the %s: compared as a part of %.120s", inlined_in(f),
				 c->function[holder].name);
	}
}

static void tell_left_out(struct coverage *c, const bool *can, uint32_t budget)
{
	for (uint32_t i = 0; i < c->n_functions; i++) {
		struct covered_function *f = &c->function[i];

		if (!can[i] || !coverage_is_missing(f))
			continue;
		snprintf(f->why, COVERAGE_WHY, "left out: at most %u functions are compared, those that cover most changed lines for what their "
			 "probes cost", budget);
		c->functions_left_out++;
	}
}

/* No changed function can be compared by itself: perhaps those that it was inlined into can. */
static int choose_holders(struct coverage_maker *m, bool **can, uint32_t budget)
{
	int rc = coverage_add_holders(m);
	bool *more = rc ? NULL : reallocarray(*can, m->c->n_functions + 1, sizeof(**can));

	if (!more)
		return -ENOMEM;
	*can = more;
	look_at(m, more);
	for (uint32_t i = 0; i < m->c->n_functions; i++)
		more[i] &= strcmp(m->c->function[i].name, "main") != 0;   /* is called once, before anybody watches */
	return coverage_cover(m, more, budget);
}

int coverage_choose_functions(struct coverage_maker *m, uint32_t budget)
{
	bool *can = calloc(m->c->n_functions + 1, sizeof(*can));
	int rc = can ? 0 : -ENOMEM;

	for (uint32_t i = 0; i < m->c->n_functions; i++)
		m->c->functions_compared += m->c->function[i].compared;
	if (!rc)
		rc = choose_changed(m, can, look_at(m, can), budget);
	if (!rc && !m->c->functions_compared)
		rc = choose_holders(m, &can, budget);
	if (!rc) {
		tell_left_out(m->c, can, budget);
		tell_holders(m);
	}
	free(can);
	return rc;
}

/* Every n-th line of what has code, so that each place of the diff has some. */
static void choose_lines_of(struct coverage *c, enum verify_side side, uint32_t budget)
{
	uint32_t all = 0, at = 0;

	for (uint32_t i = 0; i < c->n_lines; i++)
		all += c->line[i].side == side && c->line[i].state == LINE_LEFT_OUT;
	for (uint32_t i = 0; i < c->n_lines; i++) {
		struct covered_line *l = &c->line[i];

		if (l->side != side || l->state != LINE_LEFT_OUT)
			continue;
		if (all <= budget || (uint64_t)at * budget / all != ((uint64_t)at + 1) * budget / all) {
			l->state = LINE_PROBED;
			c->lines_probed++;
		}
		at++;
	}
}

void coverage_choose_lines(struct coverage *c, uint32_t budget)
{
	choose_lines_of(c, BASELINE, budget);
	choose_lines_of(c, CANDIDATE, budget);
}
