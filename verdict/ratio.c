/* SPDX-License-Identifier: Apache-2.0 */
#include "ratio.h"

#include <math.h>
#include <string.h>

/*
 * The t with n_b (a_b - t)/(1 - t) + n_c (a_c - r t)/(1 - r t) = 0: multiplied out, the smaller root of
 * r (n_b + n_c) t^2 - [n_b (1 + r a_b) + n_c (r + a_c)] t + n_b a_b + n_c a_c; written so that nothing cancels.
 */
static double nearest_null(double r, double a_b, double a_c, double n_b, double n_c)
{
	double a = r * (n_b + n_c), b = n_b * (1 + r * a_b) + n_c * (r + a_c), c = n_b * a_b + n_c * a_c;
	double root = b * b - 4 * a * c;

	return 2 * c / (b + sqrt(root > 0 ? root : 0));
}

double ratio_factor(enum side side, double r, double a_b, double a_c, double boldness, const struct pair *p)
{
	double t, u;

	if (side == SIDE_LOWER ? a_c >= r * a_b : a_c <= r * a_b)
		return 0;
	t = nearest_null(r, a_b, a_c, (double)p->n_b, (double)p->n_c);
	u = r * t;
	if (!(t > 0 && t < 1 && u > 0 && u < 1))
		return 0;   /* rounding at the very edge: no bet */
	a_b = boldness * (a_b - t);
	a_c = boldness * (a_c - u);
	return (double)p->e_b * log1p(a_b / t) + (double)(p->n_b - p->e_b) * log1p(-a_b / (1 - t)) +
	       (double)p->e_c * log1p(a_c / u) + (double)(p->n_c - p->e_c) * log1p(-a_c / (1 - u));
}

void ratio_init(struct ratio_side *s, enum side side, double margin, double need)
{
	double step = 0.02, away = 0;

	memset(s, 0, sizeof(*s));
	s->side = side;
	s->need = need;
	s->r[RATIO_STEPS] = margin;
	for (int i = 1; i <= RATIO_STEPS; i++) {
		away += step;
		step *= 1.25;
		s->r[RATIO_STEPS + i] = margin * exp(away);
		s->r[RATIO_STEPS - i] = margin * exp(-away);
	}
}

/* What was seen in few calls is not to be staked on many: after one call, a first whole tick could lose what takes minutes
 * to win back. */
static void test_block(struct ratio_side *s, const struct pair *t)
{
	double a_b = rate_guess(s->seen.n_b, s->seen.e_b), a_c = rate_guess(s->seen.n_c, s->seen.e_c);
	double known = (double)s->seen.n_b + (double)s->seen.n_c, now = (double)t->n_b + (double)t->n_c;

	for (unsigned i = 0; i < RATIO_GRID; i++) {
		s->log_e[i] += ratio_factor(s->side, s->r[i], a_b, a_c, known / (known + now), t);
		if (s->log_e[i] >= s->need)
			s->refuted |= 1ULL << i;
	}
	s->blocks++;
}

void ratio_tick(struct ratio_side *s, const struct pair *tick)
{
	struct pair t;
	enum block_state state = block_add(&s->block, tick, &t);

	if (state == BLOCK_OPEN)
		return;
	if (state == BLOCK_BOTH)
		test_block(s, &t);
	pair_add(&s->seen, &t);
}

static bool is_refuted(const struct ratio_side *s, int i)
{
	return s->refuted >> i & 1;
}

double ratio_bound(const struct ratio_side *s)
{
	int i;

	if (s->side == SIDE_LOWER) {
		for (i = RATIO_GRID; i > 0 && is_refuted(s, i - 1); i--)
			;
		return i == RATIO_GRID ? INFINITY : s->r[i];
	}
	for (i = 0; i < RATIO_GRID && is_refuted(s, i); i++)
		;
	return i == 0 ? 0 : s->r[i - 1];
}

bool ratio_shown(const struct ratio_side *s)
{
	double bound = ratio_bound(s), margin = s->r[RATIO_STEPS];

	return s->side == SIDE_LOWER ? bound <= margin : bound >= margin;
}

double ratio_log_e(const struct ratio_side *s)
{
	return s->log_e[RATIO_STEPS];
}
