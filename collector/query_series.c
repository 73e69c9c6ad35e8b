/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
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

static int put_group(struct reader *r, struct question *ask, const struct group *g, json_t *list, struct error *err)
{
	struct series s = { .has_points = ask->span.step_s != 0, .points_left = &ask->points_left, .put = ask->put, .points = json_array(), .err = err };
	json_t *o = group_json(g), *total = json_object();
	int rc = rollup_each(r, g, &ask->span, on_point, &s, err);

	if (!rc && (sum_json(&s.total, total) || json_object_set(o, "points", s.points) || json_object_set(o, "total", total) ||
		    json_array_append(list, o)))
		rc = error_set(err, ENOMEM, "no memory for an answer");
	json_decref(s.points);
	json_decref(total);
	json_decref(o);
	return rc;
}

static int ask_series(struct reader *r, struct question *ask, struct buf *out, struct error *err)
{
	struct groups gs;
	json_t *list = json_array();
	int rc = groups_select(r, ask->q, &gs, err);

	ask->span = rollup_span(ask->q);
	ask->points_left = QUERY_POINTS_MAX;
	for (uint32_t i = 0; !rc && i < gs.n; i++)
		rc = put_group(r, ask, &gs.group[i], list, err);
	groups_free(&gs);
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
