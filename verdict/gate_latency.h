/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The latency guard.  From a warm-up of the baseline a threshold T is frozen on a bucket's edge near the quantile
 * (quantile.h); from then on each tick brings exact counts of calls at T or longer, and at (1 + margin) T or longer.  The
 * candidate passes if a smaller share of its calls takes (1 + margin) T than of the baseline's takes T, and fails if a larger
 * one does.  Both shares are compared while they happen, so a service that gets slower as a whole does not fail.
 *
 * A threshold that was taken in a slow second (the first one often is: caches are cold) ends up in the tail, where calls do not
 * come one by one but in bursts.  When another share of the baseline's calls is below it than was, it is given up, and what
 * was compared with it too: the search begins anew, as a test of its own.  The j-th gets 6 / (pi^2 j^2) of alpha, so the
 * guard's error probability holds however often that happens.  After the first it takes ten ticks or more together: one that is
 * slow for some seconds now and then, on both arms, is no reason to forget what was compared.
 *
 * Slow calls come in bursts, which the test of calls takes for evidence: so both conclusions must also hold from second to second
 * (steady.h). Arms that run one after the other have no second in common, and do without.
 *
 * Probes cost time too: if that is not known, is of the order of the margin, or differs between the arms by a quarter of
 * it, the guard says so and decides nothing.
 */
#ifndef PLUMB_GATE_LATENCY_H
#define PLUMB_GATE_LATENCY_H

struct verdict;
struct gate;
struct arm_tick;

void latency_start(struct verdict *v, struct gate *g);
void latency_tick(struct verdict *v, struct gate *g, const struct arm_tick *base, const struct arm_tick *cand);
void latency_judge(struct verdict *v, struct gate *g);

#endif
