/* SPDX-License-Identifier: Apache-2.0 */
#include "errset.h"

#include <math.h>
#include <stdlib.h>

static struct errset_row *row_of(struct errset *s, const struct error_value *v)
{
	for (uint32_t i = 0; i < s->rows; i++)
		if (s->row[i].where == v->where && s->row[i].value == v->value)
			return &s->row[i];
	if (s->rows == ERRSET_MAX)
		return NULL;
	s->row[s->rows] = (struct errset_row){ .where = v->where, .value = v->value };
	return &s->row[s->rows++];
}

/* Errors whose value is not known, and calls that may have been such errors. */
static uint64_t unknown_of(const struct arm_tick *t)
{
	uint64_t told = 0;

	for (uint32_t i = 0; i < t->n_values; i++)
		told += t->values[i].count;
	return t->errors - told + t->lost + t->unpaired;
}

static uint64_t count_of(const struct arm_tick *t, const struct errset_row *row)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < t->n_values; i++)
		if (t->values[i].where == row->where && t->values[i].value == row->value)
			n += t->values[i].count;
	return n;
}

/* Rows under test get this tick; the baseline's unknown errors are taken to be this one: against a wrong alarm. */
static void test_rows(struct errset *s, const struct arm_tick *base, const struct arm_tick *cand)
{
	for (uint32_t i = 0; i < s->rows; i++) {
		struct errset_row *row = &s->row[i];
		uint64_t e_c;

		if (!row->found)
			continue;
		e_c = count_of(cand, row);
		row->tested_n += cand->calls;
		row->tested_e += e_c;
		counts_tick(&row->test, (double)base->calls, (double)cand->calls,
			    (double)(count_of(base, row) + unknown_of(base)), (double)e_c);
	}
}

static void add_values(struct errset *s, const struct arm_tick *t, bool candidate)
{
	for (uint32_t i = 0; i < t->n_values; i++) {
		const struct error_value *v = &t->values[i];
		struct errset_row *row = v->count ? row_of(s, v) : NULL;

		if (!row)
			*(candidate ? &s->cand_other : &s->base_other) += v->count;
		else
			*(candidate ? &row->cand : &row->base) += v->count;
	}
}

static void start_tests(struct errset *s)
{
	for (uint32_t i = 0; i < s->rows; i++) {
		struct errset_row *row = &s->row[i];

		if (row->found || row->base || !row->cand)
			continue;
		row->found = ++s->found;
		counts_init(&row->test, SIDE_HIGHER, 1);
		row->test.w_b = (double)s->base_calls;
		row->test.w_c = (double)s->cand_calls;
		row->test.e_c = (double)row->cand;
	}
}

void errset_tick(struct errset *s, const struct arm_tick *base, const struct arm_tick *cand)
{
	test_rows(s, base, cand);
	/* The baseline's first: what came in both arms in one tick is not new. */
	add_values(s, base, false);
	add_values(s, cand, true);
	s->base_calls += base->calls;
	s->cand_calls += cand->calls;
	s->base_unknown += unknown_of(base);
	s->cand_unknown += unknown_of(cand);
	start_tests(s);
}

/* By time no tick has both: the candidate's lower bound must be above the baseline's upper one. Log of their ratio. */
static double excess_by_time(const struct errset *s, const struct errset_row *row, double alpha, double k)
{
	double low = rate_low((double)row->tested_n / k, (double)row->tested_e / k, alpha / 2);
	double high = rate_high((double)(s->base_calls + s->base_unknown) / k, (double)s->base_unknown / k, alpha / 2);

	return low > 0 ? log(low) - log(high) : -INFINITY;
}

const struct errset_row *errset_new(const struct errset *s, const struct claim *claim, double alpha, double *excess)
{
	const struct errset_row *best = NULL;

	for (uint32_t i = 0; i < s->rows; i++) {
		const struct errset_row *row = &s->row[i];
		double share = 6 * alpha / (M_PI * M_PI * (double)row->found * (double)row->found), more;

		if (!row->found || row->base)
			continue;
		more = claim->arms == ARMS_BY_TIME ? excess_by_time(s, row, share, claim->together) :
						     row->test.log_e / claim->together - log_needed(share);
		if (!best || more > *excess) {
			best = row;
			*excess = more;
		}
	}
	return best;
}

uint32_t errset_only_candidate(const struct errset *s)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->rows; i++)
		n += s->row[i].cand && !s->row[i].base;
	return n;
}

static struct errset_shift shift_of(const struct errset *s, const struct errset_row *row)
{
	double n_b = (double)s->base_calls + 1, n_c = (double)s->cand_calls + 1, b = (double)row->base / n_b,
	       c = (double)row->cand / n_c;
	double both = (double)(row->base + row->cand) / (n_b + n_c), error = sqrt(both * (1 - both) * (1 / n_b + 1 / n_c));

	return (struct errset_shift){ row->where, row->value, row->base, row->cand,
		row->base ? row->cand ? ERRSET_BOTH : ERRSET_ONLY_BASELINE : ERRSET_ONLY_CANDIDATE,
		error > 0 ? (c - b) / error : 0 };
}

static int rank(const struct errset_shift *x)
{
	return x->only == ERRSET_ONLY_CANDIDATE ? 0 : x->only == ERRSET_ONLY_BASELINE ? 1 : 2;
}

static int heavier(const void *a, const void *b)
{
	const struct errset_shift *x = a, *y = b;
	double dx = fabs(x->weight), dy = fabs(y->weight);

	if (rank(x) != rank(y))
		return rank(x) - rank(y);
	if (dx != dy)
		return dx > dy ? -1 : 1;
	return x->where != y->where ? (x->where < y->where ? -1 : 1) : x->value < y->value ? -1 : x->value > y->value;
}

unsigned errset_shape(const struct errset *s, struct errset_shift *out, unsigned max)
{
	struct errset_shift all[ERRSET_MAX] = { 0 };
	unsigned n = 0;

	for (uint32_t i = 0; i < s->rows; i++)
		all[n++] = shift_of(s, &s->row[i]);
	qsort(all, n, sizeof(*all), heavier);
	n = n < max ? n : max;
	for (unsigned i = 0; i < n; i++)
		out[i] = all[i];
	return n;
}
