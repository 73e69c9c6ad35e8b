/* SPDX-License-Identifier: Apache-2.0 */
#include "steady.h"

#include <math.h>

void steady_init(struct steady *s, enum side side, uint64_t least, double need)
{
	*s = (struct steady){ .side = side, .least = least, .need = need };
}

double steady_log_e(const struct steady *s)
{
	double n = s->n, v = (n + 1) * s->squares, left = v - s->sum * s->sum;

	if (s->side == SIDE_HIGHER ? s->sum <= 0 : s->sum >= 0)
		return -INFINITY;
	/* (n + 1) V - S^2 >= V > 0, but for rounding. */
	return n / 2 * (log(v) - log(fmax(left, s->squares))) - log(n + 1) / 2;
}

void steady_tick(struct steady *s, const struct pair *tick)
{
	double x;

	pair_add(&s->open, tick);
	if (s->open.n_b < s->least || s->open.n_c < s->least)
		return;
	x = (double)s->open.e_c / (double)s->open.n_c - (double)s->open.e_b / (double)s->open.n_b;
	s->open = (struct pair){ 0 };
	s->n++;
	s->sum += x;
	s->squares += x * x;
	s->shown |= steady_log_e(s) >= s->need;
}
