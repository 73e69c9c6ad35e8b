/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /metrics, in Prometheus' text format (https://prometheus.io/docs/instrumenting/exposition_formats/).
 *
 * Two parts: the collector's own counters, and those of every probe of the requests that are open.  A series carries the number of
 * its request, so that it only ever grows and goes when the request has ended: a sum over requests would fall then, and look
 * like a restart.  The number of series is bounded; what is left out is a number too.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hist.h"
#include "histpack.h"
#include "http_internal.h"
#include "query_internal.h"

enum { SERIES_MAX = 500, LE_FIRST = 10, LE_LAST = 36, LE_STEP = 2, BUILD_CHARS = 12 };

/* ---- values ---- */

/* A label's value: backslash, quote and newline escaped. Names of the store are safe to print already. */
static void put_label(struct buf *out, const char *name, const char *value, size_t max)
{
	buf_printf(out, "%s=\"", name);
	for (size_t i = 0; i < max && value[i]; i++) {
		if (value[i] == '\\' || value[i] == '"')
			buf_char(out, '\\');
		if (value[i] == '\n')
			buf_str(out, "\\n");
		else
			buf_char(out, value[i]);
	}
	buf_char(out, '"');
}

static void put_head(struct buf *out, const char *name, const char *type, const char *help)
{
	buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void put_seconds(struct buf *out, uint64_t ns)
{
	buf_printf(out, "%llu.%09llu", (unsigned long long)(ns / 1000000000), (unsigned long long)(ns % 1000000000));
}

/* ---- probes ---- */

static const char select_probes[] =
	"SELECT p.request, r.service, p.function, p.build_id, a.host, json_group_array(p.id) FROM probe p JOIN request r ON r.id = p.request"
	" JOIN agent a ON a.id = p.agent WHERE r.ended_ns IS NULL AND p.pattern = 0 GROUP BY 1, 2, 3, 4, 5 ORDER BY 1 DESC, 3, 4, 5 LIMIT ?1";
static const char count_series[] =
	"SELECT count(*) FROM (SELECT DISTINCT p.request, p.function, p.build_id, a.host FROM probe p JOIN request r ON r.id = p.request"
	" JOIN agent a ON a.id = p.agent WHERE r.ended_ns IS NULL AND p.pattern = 0)";

/* Owns its texts. */
struct metric_series {
	struct buf labels, ids;
	struct sum sum;
};

static void read_series(sqlite3_stmt *st, struct metric_series *s)
{
	static const char *const names[] = { "service", "function", "build_id", "host" };

	buf_printf(&s->labels, "request=\"%lld\"", (long long)sqlite3_column_int64(st, 0));
	for (int i = 0; i < 4; i++) {
		buf_char(&s->labels, ',');
		put_label(&s->labels, names[i], reader_text(st, i + 1), i == 2 ? BUILD_CHARS : 200);
	}
	buf_str(&s->ids, reader_text(st, 5));
}

static int add_sum(uint64_t at_s, const struct sum *row, void *arg)
{
	sum_add(arg, row);
	return 0;
}

/* A request lives for days at most: a few rows of an hour each. */
static int sum_series(struct reader *r, struct metric_series *s, struct error *err)
{
	struct group g = { .ids = s->ids };

	return rollup_each(r, &g, &(struct span){ .span = 3600, .to_s = INT64_MAX }, add_sum, &s->sum, err);
}

static const struct {
	const char *name, *help;
	size_t offset;
} counters[] = {
	{ "plumb_calls_total", "Calls of a probed function, exact.", offsetof(struct sum, calls) },
	{ "plumb_call_errors_total", "Calls that failed, exact.", offsetof(struct sum, errors) },
	{ "plumb_records_shipped_total", "Calls of which a record was shipped.", offsetof(struct sum, shipped) },
	{ "plumb_records_sampled_out_total", "Calls left out by sampling.", offsetof(struct sum, sampled) },
	{ "plumb_records_dropped_ring_total", "Records dropped because an event buffer was full.", offsetof(struct sum, drop_ring) },
	{ "plumb_records_dropped_rate_total", "Records dropped by the rate limit.", offsetof(struct sum, drop_rate) },
	{ "plumb_records_dropped_memory_total", "Records dropped because the kernel had no memory.", offsetof(struct sum, drop_nomem) },
	{ "plumb_records_dropped_spool_total", "Records that the agent's spool did not take.", offsetof(struct sum, drop_client) },
	{ "plumb_calls_unpaired_total", "Entries and returns that could not be paired.", offsetof(struct sum, unpaired) },
	{ "plumb_calls_undecided_total", "Calls whose condition or error rule needed a value that was unreadable.", offsetof(struct sum, undecided) },
};

static void put_counters(const struct metric_series *s, uint32_t n, struct buf *out)
{
	for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++) {
		put_head(out, counters[i].name, "counter", counters[i].help);
		for (uint32_t k = 0; k < n; k++)
			buf_printf(out, "%s{%s} %llu\n", counters[i].name, buf_text(&s[k].labels),
				   *(const unsigned long long *)(const void *)((const char *)&s[k].sum + counters[i].offset));
	}
}

static void put_histogram(const struct metric_series *s, struct buf *out)
{
	uint64_t octave[HIST_OCTAVES], below = 0;
	int at = 0;

	hist_octaves(s->sum.hist, octave);
	for (int le = LE_FIRST; le <= LE_LAST; le += LE_STEP) {
		for (; at < le; at++)
			below += octave[at];
		buf_printf(out, "plumb_call_duration_seconds_bucket{%s,le=\"", buf_text(&s->labels));
		put_seconds(out, 1ULL << le);
		buf_printf(out, "\"} %llu\n", (unsigned long long)below);
	}
	buf_printf(out, "plumb_call_duration_seconds_bucket{%s,le=\"+Inf\"} %llu\n", buf_text(&s->labels),
		   (unsigned long long)hist_total(s->sum.hist));
	buf_printf(out, "plumb_call_duration_seconds_sum{%s} ", buf_text(&s->labels));
	put_seconds(out, s->sum.sum_ns);
	buf_printf(out, "\nplumb_call_duration_seconds_count{%s} %llu\n", buf_text(&s->labels), (unsigned long long)hist_total(s->sum.hist));
}

static int read_all(struct reader *r, struct metric_series *s, uint32_t *n, struct error *err)
{
	sqlite3_stmt *st = reader_statement(r, select_probes, err);
	int rc;

	if (!st)
		return -err->code;
	sqlite3_bind_int(st, 1, SERIES_MAX);
	while ((rc = reader_step(r, st, err)) > 0)
		read_series(st, &s[(*n)++]);
	for (uint32_t i = 0; !rc && i < *n; i++)
		rc = sum_series(r, &s[i], err);
	return rc;
}

static int put_omitted(struct reader *r, uint32_t shown, struct buf *out, struct error *err)
{
	sqlite3_stmt *st = reader_statement(r, count_series, err);
	int64_t all = 0;
	int rc = st ? reader_step(r, st, err) : -err->code;

	if (rc > 0) {
		all = sqlite3_column_int64(st, 0);
		sqlite3_reset(st);
	}
	put_head(out, "plumb_series_omitted", "gauge", "Probed functions that are not shown here because there are too many.");
	buf_printf(out, "plumb_series_omitted %lld\n", (long long)(all > shown ? all - shown : 0));
	return rc < 0 ? rc : 0;
}

static int query_metrics(struct reader *r, const struct query *q, struct buf *out, struct error *err)
{
	struct metric_series *s = calloc(SERIES_MAX, sizeof(*s));
	uint32_t n = 0;
	int rc = s ? read_all(r, s, &n, err) : error_set(err, ENOMEM, "no memory for an answer");

	if (!rc) {
		put_counters(s, n, out);
		put_head(out, "plumb_call_duration_seconds", "histogram", "Durations of calls, exact.");
		for (uint32_t i = 0; i < n; i++)
			put_histogram(&s[i], out);
		rc = put_omitted(r, n, out, err);
	}
	for (uint32_t i = 0; i < n; i++) {
		buf_free(&s[i].labels);
		buf_free(&s[i].ids);
	}
	free(s);
	return rc;
}

/* ---- the collector's own ---- */

static void put_own(struct http *h, struct buf *out)
{
	const struct collector *c = h->collector;
	const struct collector_counts *n = &c->counts;
	const struct { const char *name, *help; uint64_t value; } counter[] = {
		{ "plumb_collector_connections_total", "Connections of agents and of plumb.", n->connections },
		{ "plumb_collector_received_bytes_total", "Bytes received from agents and plumb.", n->bytes_received },
		{ "plumb_collector_entries_total", "Entries taken in from agents' spools.", n->entries },
		{ "plumb_collector_duplicates_total", "Entries that had been taken in before.", n->duplicates },
		{ "plumb_collector_records_total", "Records stored.", n->records },
		{ "plumb_collector_lost_records_total", "Records that agents lost after they had accepted them.", n->lost_records },
		{ "plumb_collector_chunk_bytes_total", "Bytes of records as stored.", n->chunk_bytes },
		{ "plumb_collector_orphans_total", "Frames of requests and probes that the store does not know.", n->orphans },
		{ "plumb_collector_clock_jumps_total", "Clocks that were set while they were watched: the collector's and those of agents.", n->clock_jumps },
		{ "plumb_collector_wrong_times_total", "Times of agents so far off that the time of arrival was taken.", n->wrong_times },
		{ "plumb_collector_commits_total", "Commits of the store.", n->commits },
		{ "plumb_collector_commit_failures_total", "Commits that failed.", n->commit_failures },
	};

	for (size_t i = 0; i < sizeof(counter) / sizeof(counter[0]); i++) {
		put_head(out, counter[i].name, "counter", counter[i].help);
		buf_printf(out, "%s %llu\n", counter[i].name, (unsigned long long)counter[i].value);
	}
	put_head(out, "plumb_collector_commit_seconds_total", "counter", "Time spent in commits.");
	buf_str(out, "plumb_collector_commit_seconds_total ");
	put_seconds(out, n->commit_ns);
	buf_char(out, '\n');
	put_head(out, "plumb_collector_refused_total", "counter", "Connections that were ended, by reason.");
	for (int i = 0; i < REFUSED_REASONS; i++)
		buf_printf(out, "plumb_collector_refused_total{reason=\"%s\"} %llu\n", refusal_names[i], (unsigned long long)n->refused[i]);
	put_head(out, "plumb_collector_agents", "gauge", "Agents that are connected.");
	buf_printf(out, "plumb_collector_agents %u\n", c->n_agents);
	put_head(out, "plumb_collector_http_requests_total", "counter", "HTTP requests by class of their status.");
	for (int i = 2; i < 6; i++)
		buf_printf(out, "plumb_collector_http_requests_total{status=\"%dxx\"} %llu\n", i, (unsigned long long)h->requests[i]);
}

static void metrics_answer(struct call *call, struct buf *answer)
{
	put_own(call->http, answer);
	call_headers(call, "text/plain; version=0.0.4; charset=utf-8", "no-store");
	call_send(call, 200, buf_text(answer), answer->len);
}

void metrics_get(struct call *call)
{
	call_ask(call, query_metrics, &(struct query){ 0 }, metrics_answer);
}
