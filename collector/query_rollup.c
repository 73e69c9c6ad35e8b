/* SPDX-License-Identifier: Apache-2.0 */
/* From rollup rows to sums, quantiles and series. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hist.h"
#include "histpack.h"
#include "query_internal.h"

enum { NS_PER_S = 1000000000 };

/* ---- which probes ---- */

/*
 * A pattern's probe counts what its functions count, as far as they are probes themselves (ingest_pattern.c).  Told apart by function, they are
 * groups, and the pattern's is the rest; else the pattern's probe is all of them, unless one of them is asked for.
 */
static const char select_probes[] =
	"SELECT p.id, r.service, p.function, p.build_id, a.host, p.functions FROM probe p JOIN request r ON r.id = p.request JOIN agent a ON a.id = p.agent"
	" LEFT JOIN probe whole ON whole.id = p.pattern"
	" WHERE (?1 = 0 OR p.request = ?1) AND (?2 = 0 OR p.id = ?2 OR p.pattern = ?2) AND (?3 IS NULL OR r.service = ?3)"
	" AND (?4 IS NULL OR p.function = ?4 OR whole.function = ?4) AND (?5 IS NULL OR substr(p.build_id, 1, length(?5)) = ?5)"
	" AND (?6 IS NULL OR a.host = ?6) AND (?8 OR p.pattern = 0 OR p.function = ?4) ORDER BY p.id LIMIT ?7";

static void bind_filter(sqlite3_stmt *st, const struct query *q)
{
	sqlite3_bind_int64(st, 1, (sqlite3_int64)q->request);
	sqlite3_bind_int64(st, 2, q->probe);
	reader_bind_text(st, 3, q->service);
	reader_bind_text(st, 4, q->function);
	reader_bind_text(st, 5, q->build);
	reader_bind_text(st, 6, q->host);
	sqlite3_bind_int64(st, 7, QUERY_PROBES_MAX + 1);
	sqlite3_bind_int(st, 8, (q->by & QUERY_BY_FUNCTION) != 0);
}

static bool group_is(const struct group *g, const char *const key[4])
{
	return !strcmp(g->service, key[0]) && !strcmp(g->function, key[1]) && !strcmp(g->build_id, key[2]) && !strcmp(g->host, key[3]);
}

static struct group *group_new(struct groups *gs, const char *const key[4], bool is_rest, struct error *err)
{
	struct group *more, *g;

	if (gs->n == QUERY_GROUPS_MAX) {
		error_set(err, E2BIG, "more than %d groups", QUERY_GROUPS_MAX), error_hint(err, "ask for one service or function");
		return NULL;
	}
	more = realloc(gs->group, (gs->n + 1) * sizeof(*more));
	if (more) {
		gs->group = more;
		g = &more[gs->n];
		*g = (struct group){ strdup(key[0]), strdup(key[1]), strdup(key[2]), strdup(key[3]), { 0 }, 0, is_rest };
		gs->n++;
		if (g->service && g->function && g->build_id && g->host)
			return g;
	}
	error_set(err, ENOMEM, "no memory for an answer");
	return NULL;
}

static struct group *group_of(struct groups *gs, const char *const key[4], bool is_rest, struct error *err)
{
	for (uint32_t i = 0; i < gs->n; i++)
		if (gs->group[i].is_rest == is_rest && group_is(&gs->group[i], key))
			return &gs->group[i];
	return group_new(gs, key, is_rest, err);
}

static int add_probe(struct groups *gs, const struct query *q, sqlite3_stmt *st, struct error *err)
{
	const char *const key[4] = {
		reader_text(st, 1), q->by & QUERY_BY_FUNCTION ? reader_text(st, 2) : "",
		q->by & QUERY_BY_BUILD ? reader_text(st, 3) : "", q->by & QUERY_BY_HOST ? reader_text(st, 4) : "",
	};
	struct group *g = group_of(gs, key, (q->by & QUERY_BY_FUNCTION) && sqlite3_column_int64(st, 5), err);

	if (!g)
		return -err->code;
	buf_printf(&g->ids, "%c%lld", g->n_ids++ ? ',' : '[', (long long)sqlite3_column_int64(st, 0));
	return 0;
}

int groups_select(struct reader *r, const struct query *q, struct groups *out, struct error *err)
{
	sqlite3_stmt *st = reader_statement(r, select_probes, err);
	uint32_t probes = 0;
	int rc;

	memset(out, 0, sizeof(*out));
	if (!st)
		return -err->code;
	bind_filter(st, q);
	while ((rc = reader_step(r, st, err)) > 0) {
		rc = ++probes > QUERY_PROBES_MAX ? error_set(err, E2BIG, "more than %d probes", QUERY_PROBES_MAX) : add_probe(out, q, st, err);
		if (rc)
			break;
	}
	sqlite3_reset(st);
	for (uint32_t i = 0; i < out->n; i++)
		buf_char(&out->group[i].ids, ']');
	if (rc)
		groups_free(out);
	return rc;
}

void groups_free(struct groups *g)
{
	for (uint32_t i = 0; i < g->n; i++) {
		free(g->group[i].service);
		free(g->group[i].function);
		free(g->group[i].build_id);
		free(g->group[i].host);
		buf_free(&g->group[i].ids);
	}
	free(g->group);
	memset(g, 0, sizeof(*g));
}

json_t *group_json(const struct group *g)
{
	const struct { const char *key, *value; } part[] = {
		{ "service", g->service }, { "function", g->function }, { "build_id", g->build_id }, { "host", g->host },
	};
	json_t *o = json_object();

	for (size_t i = 0; i < sizeof(part) / sizeof(part[0]); i++)
		if (part[i].value[0])
			json_object_set_new(o, part[i].key, json_string(part[i].value));
	if (g->is_rest)
		json_object_set_new(o, "function", json_sprintf("other of %s", g->function));
	return o;
}

/* ---- rows ---- */

struct span rollup_span(const struct query *q)
{
	uint64_t length_s = (q->to_ns - q->from_ns) / NS_PER_S, step_s = q->step_s ? q->step_s : length_s / 100;
	uint32_t span = step_s >= 3600 ? 3600 : step_s >= 60 ? 60 : 1;

	return (struct span){
		.span = span, .step_s = q->step_s, .from_s = q->from_ns / NS_PER_S / span * span,
		.to_s = ((q->to_ns + NS_PER_S - 1) / NS_PER_S + span - 1) / span * span,
	};
}

#define ROW "at, calls, returns, errors, matched, undecided, shipped, sampled, drop_ring, drop_rate, drop_nomem, drop_client, unread," \
	" unpaired, sum_ns, max_ns, hist"
/* ?5: less what the patterns' functions have counted. */
static const char select_rows[] =
	"SELECT " ROW ", 0 FROM rollup WHERE span = ?1 AND probe IN (SELECT value FROM json_each(?2)) AND at >= ?3 AND at < ?4"
	" UNION ALL SELECT " ROW ", 1 FROM rollup WHERE ?5 AND span = ?1 AND at >= ?3 AND at < ?4 AND probe IN"
	" (SELECT id FROM probe WHERE pattern <> 0 AND pattern IN (SELECT value FROM json_each(?2))) ORDER BY 1";

static int add_row(sqlite3_stmt *st, struct sum *s, struct error *err)
{
	uint64_t *const field[] = {
		&s->calls, &s->returns, &s->errors, &s->matched, &s->undecided, &s->shipped, &s->sampled, &s->drop_ring, &s->drop_rate,
		&s->drop_nomem, &s->drop_client, &s->unread, &s->unpaired, &s->sum_ns,
	};
	int n = sizeof(field) / sizeof(field[0]);
	uint64_t max_ns = (uint64_t)sqlite3_column_int64(st, n + 1);

	for (int i = 0; i < n; i++)
		*field[i] += (uint64_t)sqlite3_column_int64(st, i + 1);
	s->max_ns = max_ns > s->max_ns ? max_ns : s->max_ns;
	if (hist_unpack_add(sqlite3_column_blob(st, n + 2), (size_t)sqlite3_column_bytes(st, n + 2), s->hist))
		return error_set(err, EIO, "the store holds a histogram that is none");
	return 0;
}

/* Counters may go below 0 on the way. */
static int take_away(sqlite3_stmt *st, struct sum *s, struct error *err)
{
	struct sum *less = calloc(1, sizeof(*less));
	__u64 *a = (__u64 *)s;
	int rc;

	if (!less)
		return error_set(err, ENOMEM, "no memory for an answer");
	rc = add_row(st, less, err);
	if (!rc) {
		less->max_ns = 0;
		for (size_t i = 0; i < sizeof(*s) / sizeof(*a); i++)
			a[i] -= ((const __u64 *)less)[i];
	}
	free(less);
	return rc;
}

/* A row of a function may have got lost, and its next one then says more than that of its pattern. */
static bool is_any(struct sum *s, bool is_rest)
{
	__u64 *a = (__u64 *)s;

	for (size_t i = 0; is_rest && i < sizeof(*s) / sizeof(*a); i++)
		a[i] = a[i] > INT64_MAX ? 0 : a[i];
	return !is_rest || s->calls || s->errors;
}

enum { ROW_IS_LESS = 17 };   /* column of select_rows */

static int each_step(struct reader *r, sqlite3_stmt *st, const struct group *g, uint32_t step_s, rollup_fn *row, void *arg, struct error *err)
{
	struct sum s = { 0 };
	uint64_t at_s = 0;
	bool any = false;
	int rc;

	while ((rc = reader_step(r, st, err)) > 0) {
		uint64_t at = step_s ? (uint64_t)sqlite3_column_int64(st, 0) / step_s * step_s : 0;

		if (any && at != at_s) {
			rc = is_any(&s, g->is_rest) ? row(at_s, &s, arg) : 0;
			memset(&s, 0, sizeof(s));
		} else {
			rc = 0;
		}
		if (!rc)
			rc = sqlite3_column_int(st, ROW_IS_LESS) ? take_away(st, &s, err) : add_row(st, &s, err);
		if (rc)
			return rc;
		at_s = at;
		any = true;
	}
	return rc || !any || !is_any(&s, g->is_rest) ? rc : row(at_s, &s, arg);
}

int rollup_each(struct reader *r, const struct group *g, const struct span *span, rollup_fn *row, void *arg, struct error *err)
{
	sqlite3_stmt *st = reader_statement(r, select_rows, err);
	int rc;

	if (!st)
		return -err->code;
	sqlite3_bind_int(st, 1, (int)span->span);
	reader_bind_text(st, 2, buf_text(&g->ids));
	sqlite3_bind_int64(st, 3, (sqlite3_int64)span->from_s);
	sqlite3_bind_int64(st, 4, (sqlite3_int64)span->to_s);
	sqlite3_bind_int(st, 5, g->is_rest);
	rc = each_step(r, st, g, span->step_s, row, arg, err);
	sqlite3_reset(st);
	return rc;
}

void sum_add(struct sum *to, const struct sum *more)
{
	uint64_t max = to->max_ns > more->max_ns ? to->max_ns : more->max_ns;
	__u64 *a = (__u64 *)to;
	const __u64 *b = (const __u64 *)more;

	for (size_t i = 0; i < sizeof(*to) / sizeof(*a); i++)
		a[i] += b[i];
	to->max_ns = max;
}
_Static_assert(sizeof(struct sum) == (15 + HIST_BUCKETS) * sizeof(__u64), "sum_add adds it up as an array of 64-bit words");

/* The histogram tells the longest of these calls to a bucket, max_ns that of the whole request: the smaller of both holds. */
static uint64_t longest(const struct sum *s)
{
	uint64_t bound = hist_bound(s->hist);

	return s->max_ns && s->max_ns < bound ? s->max_ns : bound;
}

/* Left out where none were measured: entries alone, and a trace of a pattern. */
static int durations_json(const struct sum *s, json_t *o)
{
	const uint64_t max = longest(s);
	int rc = 0;

	rc |= json_object_set_new(o, "p50_ns", json_integer((json_int_t)hist_quantile(s->hist, 0.5, max)));
	rc |= json_object_set_new(o, "p90_ns", json_integer((json_int_t)hist_quantile(s->hist, 0.9, max)));
	rc |= json_object_set_new(o, "p99_ns", json_integer((json_int_t)hist_quantile(s->hist, 0.99, max)));
	return rc | json_object_set_new(o, "max_ns", json_integer((json_int_t)max));
}

int sum_json(const struct sum *s, json_t *o)
{
	const struct { const char *key; uint64_t value; bool always; } part[] = {
		{ "calls", s->calls, true }, { "errors", s->errors, true }, { "returns", s->returns, true },
		{ "matched", s->matched, false }, { "undecided", s->undecided, false }, { "shipped", s->shipped, true },
		{ "sampled", s->sampled, false }, { "drop_ring", s->drop_ring, false }, { "drop_rate", s->drop_rate, false },
		{ "drop_memory", s->drop_nomem, false }, { "drop_spool", s->drop_client, false }, { "unread", s->unread, false },
		{ "unpaired", s->unpaired, false }, { "sum_ns", s->sum_ns, true },
	};
	int rc = hist_total(s->hist) ? durations_json(s, o) : 0;

	for (size_t i = 0; i < sizeof(part) / sizeof(part[0]); i++)
		if (part[i].always || part[i].value)
			rc |= json_object_set_new(o, part[i].key, json_integer((json_int_t)part[i].value));
	return rc ? -ENOMEM : 0;
}

int answer(json_t *o, struct buf *out, struct error *err)
{
	char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;

	json_decref(o);
	if (text)
		buf_str(out, text);
	free(text);
	return !text || out->failed ? error_set(err, ENOMEM, "no memory for an answer") : 0;
}
