/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tests that may be looked at after every tick, and stopped whenever one likes: e-processes.
 *
 * An e-process starts at 1 and is, if the hypothesis that it speaks against is true, at any moment and however it was chosen,
 * at most 1 on average; so it ever reaches 1/alpha with a probability of at most alpha (Ville 1939).  Here its natural
 * logarithm is kept, `log_e`.  Each of these objects is plain data, owns nothing, and does not grow.
 *
 * Every bet of a tick is made from earlier ticks only.  All tests suppose that calls are independent of one another, given
 * what was seen before.  Where up to k calls may hang together (those of one request), the k-th root of the evidence is an
 * e-process whatever hangs together how: by Hoelder's inequality E[prod f_i^(1/k)] <= prod E[f_i]^(1/k) <= 1.  It is had by
 * asking k times as much of log_e, or by counting each call as 1/k.  The tests that compare two arms do not suppose
 * that rates or the traffic's split stay what they are; the bounds of a single rate, at the end, do suppose that of the rate.
 */
#ifndef PLUMB_ETEST_H
#define PLUMB_ETEST_H

#include <stdbool.h>
#include <stdint.h>

/* Calls and errors of both arms: b the baseline, c the candidate. e <= n. */
struct pair {
	uint64_t n_b, e_b, n_c, e_c;
};

void pair_add(struct pair *sum, const struct pair *p);

/*
 * Ticks in which only one arm has calls (a canary with 1 % of the traffic) can compare nothing by themselves: they are put
 * together until both arms have some.  How long that takes depends on when calls come, not on how they end, so the block is as
 * good as a tick.  After BLOCK_WAIT_TICKS it is given up: calls so far apart had different weather.
 */
enum { BLOCK_WAIT_TICKS = 60 };
enum block_state { BLOCK_OPEN, BLOCK_BOTH, BLOCK_ONE_ARM };

struct block {
	struct pair open;
	uint32_t waited;
};

/* BLOCK_BOTH and BLOCK_ONE_ARM (nothing to compare): *out is the block, and a new one begins. */
enum block_state block_add(struct block *b, const struct pair *tick, struct pair *out);
/* (errors + 0.18) / (calls + 0.36): the estimate that bets are made with (Turner, Ly and Gruenwald 2021). */
double rate_guess(uint64_t n, uint64_t e);
/* log(1/alpha): what log_e must reach. */
double log_needed(double alpha);
/* log(sum of exp(x[i])) */
double log_sum(const double *x, unsigned n);

/* ---- are the rates different? Two Bernoulli streams (Turner, Ly and Gruenwald 2021, arXiv:2106.02693) ---- */
struct differ {
	struct pair seen;
	double log_e;
};

void differ_tick(struct differ *d, const struct pair *tick);

/* ---- is the candidate's rate lower, or higher, than r times the baseline's? Counts per weight ---- */
enum side {
	SIDE_LOWER,    /* evidence that the ratio is below r: against "it is r or more" */
	SIDE_HIGHER,   /* evidence that the ratio is above r: against "it is r or less" */
};

/*
 * An error of a tick belongs to the candidate with probability p = r w_c / (w_b + r w_c).  The bet q is the share that the
 * ratio seen so far makes of this tick's weights, kept on the tested side of p, and nearer to p the less was seen beside
 * what is staked now; the factor is (q/p)^e_c ((1-q)/(1-p))^e_b.
 * Weights are calls, or whatever else the errors are counted per, and may be different in each tick.  It is a test also if
 * errors are not rare: with independent calls the factor's mean is at most
 * exp(n_b th_b (p-q)/(1-p) + n_c th_c (q-p)/p), which is 1 for th_c = r th_b and less on the far side of it.  And also for
 * counts that are fractions, if each unit of weight adds something between 0 and 1: x -> c^x is convex.
 */
struct counts_test {
	enum side side;
	double r;
	double w_b, w_c, e_b, e_c;   /* earlier ticks */
	double log_e;
};

void counts_init(struct counts_test *t, enum side side, double r);
void counts_tick(struct counts_test *t, double w_b, double w_c, double e_b, double e_c);

/* ---- the error is gone ---- */
enum { GONE_NODES = 8 };

/*
 * Evidence against "the candidate's rate is r times the baseline's or more", with a prior that favours "nothing at all": the
 * counts test with the bet q = v p, mixed over v uniform in (0, 1).  With a constant split, k baseline errors and no
 * candidate error that is the closed form of gone_log_e.  With a split that varies it has none, but v p stays a bet made
 * beforehand; so the integral is replaced by the 8-point Gauss-Legendre sum.  Any mixture of fixed v with weights that
 * add up to 1 is an e-process, so nothing is lost in rigour; up to k = 15 at a constant split it is the integral itself.
 */
struct gone {
	double r;
	double together;   /* k: calls that may hang together */
	struct block block;
	double log_m[GONE_NODES];   /* of each v, k = 1 */
};

void gone_init(struct gone *g, double r, double together);
/* e_c may be worst-case errors: calls of the candidate whose outcome is not known. */
void gone_tick(struct gone *g, const struct pair *tick);
double gone_evidence(const struct gone *g);   /* log_e */

/* log of (1-p)^-k [1-(1-p)^(k+1)] / (p (k+1)), p = r s / (1 - s + r s) for the candidate's share s of the calls, 0 < s < 1. */
double gone_log_e(double share, double r, uint64_t k);
/* Baseline errors needed, with none on the candidate: the least k with gone_log_e >= log(1/alpha). UINT64_MAX: no share. */
uint64_t gone_errors_needed(double share, double r, double alpha);

/* ---- bounds of one rate that hold at all times together (Robbins 1970: uniform mixture, inverted by bisection) ---- */

/* log_e against the rate th: log of B(e+1, n-e+1) / (th^e (1-th)^(n-e)). Counts may be fractions: see k above. */
double rate_log_e(double n, double e, double th);
/* Both together hold with probability 1 - alpha. No call: 0 and 1. */
double rate_low(double n, double e, double alpha);
double rate_high(double n, double e, double alpha);
/* rate_high(n, 0, alpha) in closed form, 1 - ((n+1)/alpha)^(-1/n): what n clean calls prove without a baseline beside them. */
double clean_bound(uint64_t n, double alpha);
/* The least n with clean_bound(n, alpha) < bound. */
uint64_t clean_calls_needed(double bound, double alpha);

#endif
