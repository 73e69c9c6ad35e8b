/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Questions to the store.  Each is one function of one table (query_find): it reads with a reader of its own thread and writes
 * its answer as JSON.  The HTTP API, plumb query and the dashboard ask the same ones; docs/openapi.json describes the answers.
 *
 * Counts and quantiles come from the exact counters (rollups); calls and their arguments come from the records that were
 * shipped, a sample as soon as anything was sampled or dropped. An answer says which.
 */
#ifndef PLUMB_QUERY_H
#define PLUMB_QUERY_H

#include <stdbool.h>

#include "buf.h"
#include "reader.h"

enum { QUERY_BY_FUNCTION = 1, QUERY_BY_BUILD = 2, QUERY_BY_HOST = 4 };

enum {
	QUERY_POINTS_MAX = 5000,     /* of one answer, over all groups */
	QUERY_PROBES_MAX = 20000,    /* probes that one question may be about */
	QUERY_GROUPS_MAX = 1000,
	QUERY_CALLS_MAX = 1000,
	QUERY_ROWS_MAX = 1000,
};

/* What is asked about. Texts are borrowed; NULL and 0: any. */
struct query {
	uint64_t from_ns, to_ns;     /* [from, to); to 0: now */
	uint32_t step_s;             /* of a series; 0: one row over the whole time */
	uint64_t request;
	int64_t probe;
	const char *service, *function, *host;
	const char *build;           /* the beginning of a build-id */
	const char *who;
	const char *title;           /* of a verdict */
	unsigned by;                 /* QUERY_BY_... */
	bool errors_only, open_only;
	uint32_t limit;              /* rows; 0: a default */
};

typedef int query_fn(struct reader *r, const struct query *q, struct buf *out, struct error *err);

/*
 * Each writes one JSON object. Errors: -EINVAL (what was asked makes no sense), -ENOENT, -E2BIG (too many points), -ETIME, -EIO.
 *
 * series:   per group and step: calls, errors, quantiles, losses     heatmap: durations by power of two, per step
 * calls:    the newest records with their arguments                 top: the commonest values of each argument
 * services, hosts, requests, probes, audit, verdicts: lists
 */
query_fn query_series, query_heatmap, query_calls, query_top, query_services, query_hosts, query_requests, query_probes, query_audit,
	query_verdicts, query_verdict;
/* The record of a verdict (query.request), as bytes: the only one that is no JSON. Not found by its name. */
query_fn query_record;

/* "function,build,host" -> bits; NULL and "": none. */
int query_by(const char *text, unsigned *by, struct error *err);
/* NULL: there is no such question. */
query_fn *query_find(const char *name);
/* Fills in defaults and checks ranges. now_ns: the wall clock. */
int query_check(struct query *q, uint64_t now_ns, struct error *err);

#endif
