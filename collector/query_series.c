/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hist.h"
#include "query_internal.h"

/* One group while its points come, in the order of time. */
struct series {
	bool has_points;           /* or only a sum over the whole time */
	struct sum total;
	uint32_t *points_left;
	int (*put)(uint64_t at_s, const struct sum *s, json_t *points);
	json_t *points;
	struct error *err;
};

static int on_point(uint64_t at_s, const struct sum *point, void *arg)
{
	struct series *s = arg;

	sum_add(&s->total, point);
	if (!s->has_points)
		return 0;
	if (!*s->points_left) {
		error_set(s->err, E2BIG, "more than %d points", QUERY_POINTS_MAX);
		return error_hint(s->err, "ask for longer steps or less time");
	}
	--*s->points_left;
	return s->put(at_s, point, s->points) ? error_set(s->err, ENOMEM, "no memory for an answer") : 0;
}

static int put_counts(uint64_t at_s, const struct sum *s, json_t *points)
{
	json_t *o = json_object();
	int rc = json_object_set_new(o, "at", json_integer((json_int_t)at_s));

	rc |= sum_json(s, o);
	return json_array_append_new(points, o) | rc;
}

/* {"at": s, "cells": [[power of two, calls], ...]} */
static int put_octaves(uint64_t at_s, const struct sum *s, json_t *points)
{
	uint64_t octave[HIST_OCTAVES];
	json_t *cells = json_array();
	int rc = 0;

	hist_octaves(s->hist, octave);
	for (int i = 0; i < HIST_OCTAVES; i++)
		if (octave[i])
			rc |= json_array_append_new(cells, json_pack("[iI]", i, (json_int_t)octave[i]));
	return json_array_append_new(points, json_pack("{sIso}", "at", (json_int_t)at_s, "cells", cells)) | rc;
}

struct question {
	const struct query *q;
	struct span span;
	uint32_t points_left;
	int (*put)(uint64_t at_s, const struct sum *s, json_t *points);
};

/* What is told of a group, and what it is ranked by. Owns o. */
struct shown {
	json_t *o;
	uint64_t errors, calls;
	uint32_t at;
};

/* o stays NULL: there is no rest of a pattern. */
static int show_group(struct reader *r, struct question *ask, const struct group *g, struct shown *out, struct error *err)
{
	struct series s = { .has_points = ask->span.step_s != 0, .points_left = &ask->points_left, .put = ask->put, .points = json_array(), .err = err };
	json_t *o = group_json(g), *total = json_object();
	int rc = rollup_each(r, g, &ask->span, on_point, &s, err);

	if (!rc && (sum_json(&s.total, total) || json_object_set(o, "points", s.points) || json_object_set(o, "total", total)))
		rc = error_set(err, ENOMEM, "no memory for an answer");
	if (!rc && (!g->is_rest || s.total.calls || s.total.errors)) {
		out->o = json_incref(o);
		out->errors = s.total.errors;
		out->calls = s.total.calls;
	}
	json_decref(s.points);
	json_decref(total);
	json_decref(o);
	return rc;
}

/* The function that fails is first. */
static int by_errors(const void *a, const void *b)
{
	const struct shown *x = a, *y = b;

	if (x->errors != y->errors)
		return x->errors > y->errors ? -1 : 1;
	if (x->calls != y->calls)
		return x->calls > y->calls ? -1 : 1;
	return x->at < y->at ? -1 : 1;
}

/* In the order of their first probes; functions over the whole time are ranked. */
static int show_groups(struct reader *r, struct question *ask, const struct groups *gs, json_t *list, struct error *err)
{
	struct shown *shown = calloc(gs->n + 1, sizeof(*shown));
	int rc = 0;

	if (!shown)
		return error_set(err, ENOMEM, "no memory for an answer");
	for (uint32_t i = 0; !rc && i < gs->n; i++) {
		shown[i].at = i;
		rc = show_group(r, ask, &gs->group[i], &shown[i], err);
	}
	if (!rc && !ask->span.step_s && (ask->q->by & QUERY_BY_FUNCTION))
		qsort(shown, gs->n, sizeof(*shown), by_errors);
	for (uint32_t i = 0; i < gs->n; i++) {
		if (!rc && shown[i].o && json_array_append(list, shown[i].o))
			rc = error_set(err, ENOMEM, "no memory for an answer");
		json_decref(shown[i].o);
	}
	free(shown);
	return rc;
}

static int ask_series(struct reader *r, struct question *ask, struct buf *out, struct error *err)
{
	struct groups gs;
	json_t *list = json_array();
	int rc = groups_select(r, ask->q, &gs, err);

	ask->span = rollup_span(ask->q);
	ask->points_left = QUERY_POINTS_MAX;
	if (!rc) {
		rc = show_groups(r, ask, &gs, list, err);
		groups_free(&gs);
	}
	if (rc) {
		json_decref(list);
		return rc;
	}
	return answer(json_pack("{sIsIsisiso}", "from", (json_int_t)ask->span.from_s, "to", (json_int_t)ask->span.to_s, "step",
				(int)ask->span.step_s, "span", (int)ask->span.span, "groups", list), out, err);
}

int query_series(struct reader *r, const struct query *q, struct buf *out, struct error *err)
{
	return ask_series(r, &(struct question){ .q = q, .put = put_counts }, out, err);
}

int query_heatmap(struct reader *r, const struct query *q, struct buf *out, struct error *err)
{
	return ask_series(r, &(struct question){ .q = q, .put = put_octaves }, out, err);
}
