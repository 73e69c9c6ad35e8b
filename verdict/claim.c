/* SPDX-License-Identifier: Apache-2.0 */
#include "claim.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "quantile.h"

void claim_init(struct claim *c)
{
	memset(c, 0, sizeof(*c));
	c->alpha = 0.05;
	c->together = 1;
	c->min_triggers = 20;
	c->min_line_hits = 1;
	c->lost_limit = 0.01;
	c->unpaired_limit = 0.01;
}

static const struct guard defaults[GUARD_KINDS] = {
	[GUARD_ERROR_RATE] = { GUARD_ERROR_RATE, .margin = 0.25, .floor = 0.005 },
	[GUARD_LATENCY] = { GUARD_LATENCY, .margin = 0.1, .quantile = 0.99 },
	[GUARD_NEW_ERRORS] = { GUARD_NEW_ERRORS, .floor = 0.005 },
	[GUARD_CALLS] = { GUARD_CALLS, .margin = 0.2, .most_per = 1 },
};

struct guard *claim_guard(struct claim *c, enum guard_kind kind)
{
	if (c->guards == CLAIM_GUARDS)
		return NULL;
	c->guard[c->guards] = defaults[kind];
	return &c->guard[c->guards++];
}

void guard_text(const struct claim *c, const struct guard *g, char *out, unsigned len)
{
	switch (g->kind) {
	case GUARD_ERROR_RATE:
		snprintf(out, len, "error rate < +%g %%", 100 * g->margin);
		break;
	case GUARD_LATENCY:
		snprintf(out, len, "latency p%g < +%g %%", 100 * g->quantile, 100 * g->margin);
		break;
	case GUARD_NEW_ERRORS:
		snprintf(out, len, "no new error values");
		break;
	case GUARD_CALLS:
		snprintf(out, len, "calls of %s > -%g %%", c->watched_name[g->watched], 100 * g->margin);
		break;
	case GUARD_KINDS:
		break;
	}
}

static bool between(double x, double low, double high)
{
	return x > low && x < high;   /* false for NaN */
}

static int guard_check(const struct claim *c, const struct guard *g, struct error *err)
{
	if (g->kind >= GUARD_KINDS)
		return error_set(err, EINVAL, "no such kind of guard");
	if (g->kind == GUARD_LATENCY && !between(g->quantile, 0.001, 0.9999))
		return error_set(err, EINVAL, "a latency guard's quantile must lie between 0.001 and 0.9999");
	if (g->kind == GUARD_LATENCY && !(g->margin >= THRESHOLD_MARGIN_MIN && g->margin <= 100))
		return error_set(err, EINVAL,
				 "a latency guard's margin must be 5 %% or more: durations are counted in steps of up to 6 %%");
	if (g->kind == GUARD_ERROR_RATE && !(g->margin >= 0 && g->margin <= 100 && g->floor >= 0 && g->floor < 1))
		return error_set(err, EINVAL, "an error rate guard needs a margin from 0 on and a floor from 0 to 1");
	if (g->kind == GUARD_NEW_ERRORS && !between(g->floor, 0, 1))
		return error_set(err, EINVAL, "the floor of \"no new error values\" must lie between 0 and 1");
	if (g->kind == GUARD_CALLS && (!between(g->margin, 0, 1) || g->watched >= c->watched || g->most_per == 0))
		return error_set(err, EINVAL,
				 "a guard on calls needs a watched function, a margin between 0 and 1, most_per from 1 on");
	return 0;
}

static bool is_text(const char text[CLAIM_NAME])
{
	return memchr(text, '\0', CLAIM_NAME) != NULL;
}

int claim_check_lines(const struct claim *c, struct error *err)
{
	if (c->lines > CLAIM_LINES)
		return error_set(err, EINVAL, "a claim has at most %d changed lines", CLAIM_LINES);
	if (c->lines_shared > (c->lines_any ? c->lines_any : c->lines))
		return error_set(err, EINVAL, "more changed lines share their code than there are");
	if (c->lines_any && c->lines != 1)
		return error_set(err, EINVAL, "where any of several changed lines must run, they are counted together");
	return 0;
}

static int names_check(const struct claim *c, struct error *err)
{
	bool ok = is_text(c->function) && is_text(c->trigger);

	if (c->lines > CLAIM_LINES || c->watched > CLAIM_WATCHED || c->guards > CLAIM_GUARDS)
		return error_set(err, EINVAL, "at most %d changed lines, %d watched functions and %d guards", CLAIM_LINES,
				 CLAIM_WATCHED, CLAIM_GUARDS);
	for (uint32_t i = 0; i < c->lines; i++)
		ok = ok && is_text(c->line[i]);
	for (uint32_t i = 0; i < c->watched; i++)
		ok = ok && is_text(c->watched_name[i]);
	if (claim_check_lines(c, err) < 0)
		return -EINVAL;
	return ok ? 0 : error_set(err, EINVAL, "a name in the claim is longer than %d bytes", CLAIM_NAME - 1);
}

int claim_check(const struct claim *c, struct error *err)
{
	int rc = names_check(c, err);
	uint32_t obligatory = 0;

	for (uint32_t i = 0; !rc && i < c->guards; i++)
		rc = guard_check(c, &c->guard[i], err);
	if (rc)
		return rc;
	if (!c->function[0])
		return error_set(err, EINVAL, "the claim names no function");
	if (c->arms > ARMS_BY_TIME || c->expect > EXPECT_RATIO)
		return error_set(err, EINVAL, "no such arms, or no such expectation");
	for (uint32_t i = 0; i < c->guards; i++)
		obligatory += !c->guard[i].optional;
	if (c->expect == EXPECT_NONE && obligatory == 0)
		return error_set(err, EINVAL, "the claim expects nothing and guards nothing: there is nothing to verify");
	if (c->expect == EXPECT_RATIO && !between(c->factor, 0, 1000))
		return error_set(err, EINVAL, "the factor of the expected error rate must lie between 0 and 1000");
	if (!between(c->alpha, 1e-9, 0.5))
		return error_set(err, EINVAL, "alpha must lie between 0 and 0.5");
	if (c->together < 1 || c->together > CLAIM_TOGETHER)
		return error_set(err, EINVAL, "1 to %d calls can be said to hang together", CLAIM_TOGETHER);
	if (c->min_triggers == 0 || (c->lines && c->min_line_hits == 0))
		return error_set(err, EINVAL, "at least one trigger, and one hit of each changed line, must be asked for");
	if (!(c->lost_limit >= 0 && c->lost_limit < 1 && c->unpaired_limit >= 0 && c->unpaired_limit < 1))
		return error_set(err, EINVAL, "the limits of lost and unpaired calls must be 0 or more and less than 1");
	return 0;
}

/* ---- ticks ---- */

static bool counts_are_small(const struct claim *c, const struct arm_tick *t)
{
	uint64_t top = t->calls | t->errors | t->triggers | t->trigger_errors | t->trigger_unknown | t->lost | t->unpaired |
		       t->died | t->span_ns >> 20;

	for (uint32_t i = 0; t->hist && i < HIST_BUCKETS; i++)
		top |= t->hist[i];
	for (uint32_t i = 0; t->line_hits && i < c->lines; i++)
		top |= t->line_hits[i];
	for (uint32_t i = 0; t->watched && i < c->watched; i++)
		top |= t->watched[i].calls | t->watched[i].per;
	for (uint32_t i = 0; i < t->n_values; i++)
		top |= t->values[i].count;
	return top < CLAIM_COUNT_MAX;
}

static uint64_t value_sum(const struct arm_tick *t)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < t->n_values; i++)
		n += t->values[i].count;
	return n;
}

int arm_tick_check(const struct claim *c, const struct arm_tick *t, const char *arm, struct error *err)
{
	if (t->n_values > CLAIM_VALUES)
		return error_set(err, EINVAL, "%s: more than %d error values in one tick", arm, CLAIM_VALUES);
	if (!counts_are_small(c, t))
		return error_set(err, EINVAL, "%s: a count of 2^40 or more in one tick", arm);
	if (t->errors > t->calls || t->trigger_errors > t->triggers || t->triggers > t->calls || t->trigger_errors > t->errors)
		return error_set(err, EINVAL, "%s: more errors than calls, or more trigger calls than calls", arm);
	if (t->trigger_unknown > t->lost + t->unpaired)
		return error_set(err, EINVAL, "%s: more unknown trigger calls than lost and unpaired ones", arm);
	if (t->hist && hist_total(t->hist) > t->calls)
		return error_set(err, EINVAL, "%s: more durations than calls", arm);
	if (value_sum(t) > t->errors)
		return error_set(err, EINVAL, "%s: more error values than errors", arm);
	if (!(t->probe_ns >= 0 && t->probe_ns < 1e12) || !(t->probe_most_ns >= 0 && t->probe_most_ns < 1e12) || !memchr(t->site_kind, '\0', CLAIM_SITE))
		return error_set(err, EINVAL, "%s: a cost of the probes, or a kind of site, that cannot be", arm);
	return 0;
}
