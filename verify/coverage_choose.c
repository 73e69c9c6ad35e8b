/* SPDX-License-Identifier: Apache-2.0 */
/* Of the functions that changed lines lie in: which can be compared, and which are, if there are too many. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coverage_internal.h"

const char *const coverage_side_name[VERIFY_SIDES] = { "baseline", "candidate" };

/* ---- what can be compared ---- */

static bool signatures_differ(const struct covered_function *f)
{
	return f->signature[0] && f->signature[1] && strcmp(f->signature[0], f->signature[1]) != 0;
}

/* True: both builds have it as a function of its own, the same one. Else `why`. */
static bool comparable(struct covered_function *f)
{
	for (int side = 0; side < VERIFY_SIDES; side++) {
		if (!f->known[side])
			snprintf(f->why, COVERAGE_WHY, "only the %s has it: there is nothing to compare it with", coverage_side_name[!side]);
		else if (!f->own_code[side])
			snprintf(f->why, COVERAGE_WHY, "it is inlined in the %s: compare a function that calls it (--function)",
				 f->own_code[!side] ? coverage_side_name[side] : "baseline and the candidate");
		else
			continue;
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
		snprintf(f->why, COVERAGE_WHY, "it is one of those that %.120s means: its calls are among them", c->function[0].name);
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

/* By time, before there is a candidate. */
static void choose_watched(struct coverage *c, uint32_t budget)
{
	for (uint32_t i = 0; i < c->n_functions; i++) {
		struct covered_function *f = &c->function[i];

		if (!is_meant(c, f) && !f->claimed && !f->own_code[BASELINE])
			snprintf(f->why, COVERAGE_WHY, "it is inlined in the baseline: compare a function that calls it (--function)");
		c->functions_compared += f->compared;
	}
	while (c->functions_compared < budget) {
		struct covered_function *best = NULL;

		for (uint32_t i = 0; i < c->n_functions; i++) {
			struct covered_function *f = &c->function[i];

			if (!f->compared && !f->meant && f->own_code[BASELINE] && (!best || f->changed > best->changed))
				best = f;
		}
		if (!best)
			break;
		best->compared = true;
		c->functions_compared++;
	}
	for (uint32_t i = 0; i < c->n_functions; i++) {
		if (c->function[i].compared || c->function[i].meant || !c->function[i].own_code[BASELINE])
			continue;
		snprintf(c->function[i].why, COVERAGE_WHY, "left out: at most %u functions are compared, others hold more changed lines",
			 budget);
		c->functions_left_out++;
	}
}

/* Changed lines of the function that no chosen one covers yet. */
static uint32_t uncovered(const struct coverage *c, uint32_t function)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < c->n_lines; i++) {
		const struct covered_line *l = &c->line[i];

		n += l->state == LINE_LEFT_OUT && l->function == (int32_t)function && !c->function[l->function].compared;
	}
	return n;
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

/* The function with most changed lines first, until the budget is spent. */
static void choose_compared(const struct coverage_maker *m, uint32_t budget)
{
	struct coverage *c = m->c;
	bool *can = calloc(c->n_functions + 1, sizeof(*can));

	for (uint32_t i = 0; can && i < c->n_functions; i++) {
		struct covered_function *f = &c->function[i];

		can[i] = !f->claimed && !is_meant(c, f) && comparable(f) && was_watched(m, f);
		c->functions_compared += c->function[i].compared;
	}
	while (can && c->functions_compared < budget) {
		uint32_t best = c->n_functions, most = 0;

		for (uint32_t i = 0; i < c->n_functions; i++) {
			uint32_t n = can[i] && !c->function[i].compared ? uncovered(c, i) : 0;

			if (n > most) {
				most = n;
				best = i;
			}
		}
		if (best == c->n_functions)
			break;
		c->function[best].compared = true;
		c->functions_compared++;
	}
	for (uint32_t i = 0; can && i < c->n_functions; i++) {
		if (!can[i] || c->function[i].compared)
			continue;
		snprintf(c->function[i].why, COVERAGE_WHY, "left out: at most %u functions are compared, others hold more changed lines",
			 budget);
		c->functions_left_out++;
	}
	free(can);
}

void coverage_choose_functions(const struct coverage_maker *m, uint32_t budget)
{
	if (m->watch)
		choose_watched(m->c, budget);
	else
		choose_compared(m, budget);
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
