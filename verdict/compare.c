/* SPDX-License-Identifier: Apache-2.0 */
#include "compare.h"

#include <math.h>
#include <string.h>

void compare_init(struct compare *c, const struct claim *claim, double margin, double alpha)
{
	memset(c, 0, sizeof(*c));
	c->arms = claim->arms;
	c->together = claim->together;
	c->margin = margin;
	c->alpha = alpha;
	c->upper = INFINITY;
	ratio_init(&c->low, SIDE_LOWER, margin, c->together * log_needed(alpha));
	ratio_init(&c->high, SIDE_HIGHER, margin, c->together * log_needed(alpha));
}

struct pair counts_for_low(const struct arm_counts *base, const struct arm_counts *cand)
{
	return (struct pair){ base->n + base->unknown, base->e, cand->n + cand->unknown, cand->e + cand->unknown };
}

struct pair counts_for_high(const struct arm_counts *base, const struct arm_counts *cand)
{
	return (struct pair){ base->n + base->unknown, base->e + base->unknown, cand->n + cand->unknown, cand->e };
}

static double quotient(double c, double b)
{
	return b > 0 ? c / b : INFINITY;
}

static void bounds_by_time(struct compare *c, double *upper, double *lower)
{
	const struct pair *l = &c->low_sum, *h = &c->high_sum;
	double k = c->together, half = c->alpha / 2;

	*upper = quotient(rate_high((double)l->n_c / k, (double)l->e_c / k, half),
			  rate_low((double)l->n_b / k, (double)l->e_b / k, half));
	*lower = rate_low((double)h->n_c / k, (double)h->e_c / k, half) / rate_high((double)h->n_b / k, (double)h->e_b / k, half);
}

void compare_tick_sides(struct compare *c, const struct pair *low, const struct pair *high)
{
	double upper, lower;

	pair_add(&c->low_sum, low);
	pair_add(&c->high_sum, high);
	if (c->arms == ARMS_BY_TIME) {
		bounds_by_time(c, &upper, &lower);
	} else {
		ratio_tick(&c->low, low);
		ratio_tick(&c->high, high);
		upper = ratio_bound(&c->low);
		lower = ratio_bound(&c->high);
	}
	c->upper = fmin(c->upper, upper);
	c->lower = fmax(c->lower, lower);
}

void compare_tick(struct compare *c, const struct arm_counts *base, const struct arm_counts *cand)
{
	struct pair low = counts_for_low(base, cand), high = counts_for_high(base, cand);
	struct pair known = { base->n, base->e, cand->n, cand->e };

	pair_add(&c->known, &known);
	compare_tick_sides(c, &low, &high);
}

bool compare_is_below(const struct compare *c)
{
	return c->upper <= c->margin;
}

bool compare_is_above(const struct compare *c)
{
	return c->lower >= c->margin && c->lower > 0;
}

double compare_log_e(const struct compare *c)
{
	return fmax(ratio_log_e(&c->low), ratio_log_e(&c->high));
}
