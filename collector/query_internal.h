/* SPDX-License-Identifier: Apache-2.0 */
/* What the questions share: which probes one is about, and sums of rollup rows. */
#ifndef PLUMB_QUERY_INTERNAL_H
#define PLUMB_QUERY_INTERNAL_H

#include <jansson.h>

#include "plumb/event.h"
#include "query.h"

/* Probes that are shown as one. Owns its texts. */
struct group {
	char *service, *function, *build_id, *host;   /* "" for what is merged */
	struct buf ids;            /* JSON array of the probes' ids, for json_each */
	uint32_t n_ids;
	bool is_rest;              /* of patterns: what their functions that have counters of their own did not count */
};

/* Owns the groups. */
struct groups {
	struct group *group;
	uint32_t n;
};

int groups_select(struct reader *r, const struct query *q, struct groups *out, struct error *err);
void groups_free(struct groups *g);
/* {"service","function","build_id","host"}: those that are not merged. */
json_t *group_json(const struct group *g);

/* The sum of rollup rows. */
struct sum {
	uint64_t calls, returns, errors, matched, undecided, shipped, sampled, drop_ring, drop_rate, drop_nomem, drop_client, unread,
		unpaired, sum_ns, max_ns;
	__u64 hist[HIST_BUCKETS];
};

/* Which rollups a question is answered from. */
struct span {
	uint32_t span;             /* 1, 60 or 3600 s */
	uint32_t step_s;           /* by which they are summed up; 0: all is one */
	uint64_t from_s, to_s;
};

/* The coarsest span that the question's step, or else its length, allows; its time is widened to it. */
struct span rollup_span(const struct query *q);
/* Returns 0 to go on. */
typedef int rollup_fn(uint64_t at_s, const struct sum *s, void *arg);
/* Calls `row` with the sum of each step of a group that has rollups, in the order of time. */
int rollup_each(struct reader *r, const struct group *g, const struct span *span, rollup_fn *row, void *arg, struct error *err);
void sum_add(struct sum *to, const struct sum *more);
/* Adds counts and quantiles to o. */
int sum_json(const struct sum *s, json_t *o);

/* Moves o into out as text and frees it. -ENOMEM. */
int answer(json_t *o, struct buf *out, struct error *err);

#endif
