/* SPDX-License-Identifier: Apache-2.0 */
#include "etest.h"

#include <math.h>

void pair_add(struct pair *sum, const struct pair *p)
{
	sum->n_b += p->n_b;
	sum->e_b += p->e_b;
	sum->n_c += p->n_c;
	sum->e_c += p->e_c;
}

enum block_state block_add(struct block *b, const struct pair *tick, struct pair *out)
{
	bool both;

	pair_add(&b->open, tick);
	both = b->open.n_b && b->open.n_c;
	if (!both && ++b->waited < BLOCK_WAIT_TICKS)
		return BLOCK_OPEN;
	*out = b->open;
	*b = (struct block){ 0 };
	return both ? BLOCK_BOTH : BLOCK_ONE_ARM;
}

double rate_guess(uint64_t n, uint64_t e)
{
	return ((double)e + 0.18) / ((double)n + 0.36);
}

double log_needed(double alpha)
{
	return -log(alpha);
}

double log_sum(const double *x, unsigned n)
{
	double top = -INFINITY, sum = 0;

	for (unsigned i = 0; i < n; i++)
		top = x[i] > top ? x[i] : top;
	if (isinf(top))
		return top;
	for (unsigned i = 0; i < n; i++)
		sum += exp(x[i] - top);
	return top + log(sum);
}

/* ---- different? ---- */

/* log of th^e (1-th)^(n-e) */
static double log_likelihood(uint64_t n, uint64_t e, double th)
{
	return (double)e * log(th) + (double)(n - e) * log1p(-th);
}

void differ_tick(struct differ *d, const struct pair *t)
{
	double b = rate_guess(d->seen.n_b, d->seen.e_b), c = rate_guess(d->seen.n_c, d->seen.e_c), both;

	if (t->n_b && t->n_c) {
		both = ((double)t->n_b * b + (double)t->n_c * c) / ((double)t->n_b + (double)t->n_c);
		d->log_e += log_likelihood(t->n_b, t->e_b, b) + log_likelihood(t->n_c, t->e_c, c) -
			    log_likelihood(t->n_b + t->n_c, t->e_b + t->e_c, both);
	}
	pair_add(&d->seen, t);
}

/* ---- lower or higher than r times ---- */

void counts_init(struct counts_test *t, enum side side, double r)
{
	*t = (struct counts_test){ .side = side, .r = r };
}

/* The candidate's share of the errors, if its rate is `ratio` times the baseline's. */
static double share(double ratio, double w_b, double w_c)
{
	return ratio * w_c / (w_b + ratio * w_c);
}

static double counts_bet(const struct counts_test *t, double w_b, double w_c, double p)
{
	double ratio, q, boldness = (t->w_b + t->w_c) / (t->w_b + t->w_c + w_b + w_c);

	if (t->w_b <= 0 || t->w_c <= 0)
		return p;
	ratio = (t->e_c + 0.18) / t->w_c / ((t->e_b + 0.18) / t->w_b);
	q = share(ratio, w_b, w_c);
	q = t->side == SIDE_LOWER ? fmin(q, p) : fmax(q, p);
	return p + boldness * (q - p);
}

void counts_tick(struct counts_test *t, double w_b, double w_c, double e_b, double e_c)
{
	if (w_b > 0 && w_c > 0) {
		double p = share(t->r, w_b, w_c), q = counts_bet(t, w_b, w_c, p);

		t->log_e += e_c * log(q / p) + e_b * (log1p(-q) - log1p(-p));
	}
	t->w_b += w_b;
	t->w_c += w_c;
	t->e_b += e_b;
	t->e_c += e_c;
}

/* ---- gone ---- */

/* Gauss-Legendre on (0, 1), Abramowitz and Stegun, table 25.4: nodes (1 +- x) / 2, weights w / 2. */
static const struct { double x, w; } legendre[GONE_NODES / 2] = {
	{ 0.1834346424956498, 0.3626837833783620 },
	{ 0.5255324099163290, 0.3137066458778873 },
	{ 0.7966664774136267, 0.2223810344533745 },
	{ 0.9602898564975363, 0.1012285362903763 },
};

static double node(unsigned i)
{
	double x = legendre[i / 2].x;

	return (1 + (i % 2 ? x : -x)) / 2;
}

void gone_init(struct gone *g, double r, double together)
{
	*g = (struct gone){ .r = r, .together = together };
}

void gone_tick(struct gone *g, const struct pair *tick)
{
	struct pair t;
	double p;

	if (block_add(&g->block, tick, &t) != BLOCK_BOTH || !(t.e_b || t.e_c))
		return;
	p = share(g->r, (double)t.n_b, (double)t.n_c);
	for (unsigned i = 0; i < GONE_NODES; i++) {
		double v = node(i);

		g->log_m[i] += (double)t.e_c * log(v) + (double)t.e_b * (log1p(-v * p) - log1p(-p));
	}
}

double gone_evidence(const struct gone *g)
{
	double x[GONE_NODES];

	for (unsigned i = 0; i < GONE_NODES; i++)
		x[i] = log(legendre[i / 2].w / 2) + g->log_m[i] / g->together;
	return log_sum(x, GONE_NODES);
}

double gone_log_e(double s, double r, uint64_t k)
{
	double p = share(r, 1 - s, s), clean = log1p(-p);

	return -(double)k * clean + log(-expm1((double)(k + 1) * clean)) - log(p) - log((double)k + 1);
}

uint64_t gone_errors_needed(double s, double r, double alpha)
{
	double need = log_needed(alpha);
	uint64_t low = 0, high = 1;

	if (!(s > 0 && s < 1))
		return UINT64_MAX;
	/* It rises once it is above 1, and from then on only rises. */
	while (gone_log_e(s, r, high) < need) {
		if (high >> 62)
			return UINT64_MAX;
		low = high;
		high *= 2;
	}
	while (high - low > 1) {
		uint64_t mid = low + (high - low) / 2;

		if (gone_log_e(s, r, mid) < need)
			low = mid;
		else
			high = mid;
	}
	return high;
}

/* ---- one rate ---- */

/* lgamma itself writes the global signgam. */
static double log_gamma(double x)
{
	int sign;

	return lgamma_r(x, &sign);
}

static double log_beta(double n, double e)
{
	return log_gamma(e + 1) + log_gamma(n - e + 1) - log_gamma(n + 2);
}

static double against(double n, double e, double th, double beta)
{
	return beta - (e > 0 ? e * log(th) : 0) - (n > e ? (n - e) * log1p(-th) : 0);
}

double rate_log_e(double n, double e, double th)
{
	return against(n, e, th, log_beta(n, e));
}

/* Between the estimate, where nothing speaks against a rate, and the end that is refuted if it can be. What is returned was
 * refuted: 64 halvings are more than a double tells apart here. */
static double rate_edge(double n, double e, double alpha, double out)
{
	double in = e / n, need = log_needed(alpha), beta = log_beta(n, e);

	for (int i = 0; i < 64; i++) {
		double mid = (in + out) / 2;

		if (against(n, e, mid, beta) < need)
			in = mid;
		else
			out = mid;
	}
	return out;
}

double rate_low(double n, double e, double alpha)
{
	return n <= 0 || e <= 0 ? 0 : rate_edge(n, e, alpha, 0);
}

double rate_high(double n, double e, double alpha)
{
	return n <= 0 || e >= n ? 1 : rate_edge(n, e, alpha, 1);
}

double clean_bound(uint64_t n, double alpha)
{
	if (n == 0)
		return 1;
	return -expm1(-(log((double)n + 1) + log_needed(alpha)) / (double)n);
}

uint64_t clean_calls_needed(double bound, double alpha)
{
	uint64_t low = 0, high = 1;

	while (clean_bound(high, alpha) >= bound && !(high >> 62)) {
		low = high;
		high *= 2;
	}
	while (high - low > 1) {
		uint64_t mid = low + (high - low) / 2;

		if (clean_bound(mid, alpha) >= bound)
			low = mid;
		else
			high = mid;
	}
	return high;
}
