/* SPDX-License-Identifier: Apache-2.0 */
#include "statview.h"

#include <stdlib.h>
#include <string.h>

#include "error_value.h"
#include "hist.h"
#include "screen.h"
#include "statview_internal.h"
#include "table.h"
#include "text.h"
#include "units.h"

enum { NAME_WIDTH_MAX = 48, BUILD_DIGITS = 8, VALUES_SHOWN = 8, PATTERN_LINES = 30 /* of functions, where there is no terminal to fill */ };

/* ---- the table ---- */

void put_right(struct buf *out, const struct buf *cell, unsigned width)
{
	unsigned used = text_columns(cell->data ? cell->data : "", cell->len);

	buf_printf(out, "%*s", used < width ? (int)(width - used) : 1, "");
	buf_add(out, buf_text(cell), cell->len);
}

void put_times(struct buf *out, const struct counts *c)
{
	static const double shares[] = { 0.5, 0.9, 0.99 };
	struct buf cell = { 0 };

	for (size_t i = 0; i <= 3; i++) {
		buf_clear(&cell);
		if (hist_total(c->hist) == 0)
			buf_char(&cell, '-');
		else
			format_duration(&cell, i < 3 ? hist_quantile(c->hist, shares[i], c->max_ns) : c->max_ns);
		put_right(out, &cell, TIME_WIDTH);
	}
	buf_free(&cell);
}

void put_count(struct buf *out, uint64_t n, uint64_t per_ns)
{
	struct buf cell = { 0 };

	if (per_ns) {
		format_count(&cell, (double)n * 1e9 / (double)per_ns);
		buf_str(&cell, "/s");
	} else {
		text_u64(&cell, n);
	}
	put_right(out, &cell, COUNT_WIDTH);
	buf_free(&cell);
}

static void put_errors(struct buf *out, const struct statrow *r, uint64_t n, uint64_t per_ns)
{
	if (r->has_error || n)
		put_count(out, n, per_ns);
	else
		buf_printf(out, "%*s", COUNT_WIDTH, "-");
}

/* The function; what tells it from another row of that name: the probe's text, the build, the host. */
static void put_label(const struct statview *v, const struct statrow *r, struct buf *out)
{
	buf_str(out, r->specs ? r->probe->spec : r->probe->function);
	if (r->builds)
		buf_printf(out, " %.*s", BUILD_DIGITS, r->probe->build_id[0] ? r->probe->build_id : "no build-id");
	if (v->by_host && r->probe->source->host)
		buf_printf(out, " %s", r->probe->source->host);
}

static unsigned label_width(const struct statview *v)
{
	unsigned width = NAME_WIDTH;
	struct buf label = { 0 };

	for (uint32_t i = 0; i < v->n; i++) {
		unsigned columns;

		if (!v->row[i].builds && !v->row[i].specs && !v->by_host)
			continue;   /* a long name alone is cut: the numbers are what one looks for */
		buf_clear(&label);
		put_label(v, &v->row[i], &label);
		columns = text_columns(buf_text(&label), label.len);
		width = columns > width ? columns : width;
	}
	buf_free(&label);
	return width < NAME_WIDTH_MAX ? width : NAME_WIDTH_MAX;
}

static int by_count(const void *a, const void *b)
{
	const struct value_count *x = a, *y = b;

	if (x->count != y->count)
		return x->count > y->count ? -1 : 1;
	return x->value < y->value ? -1 : x->value > y->value;
}

static uint64_t sort_values(const struct tally *t, struct value_count *out)
{
	uint64_t sum = 0;

	memcpy(out, t->error_value, t->n_error_values * sizeof(*out));
	qsort(out, t->n_error_values, sizeof(*out), by_count);
	for (uint32_t i = 0; i < t->n_error_values; i++)
		sum += out[i].count;
	return sum;
}

/* "  errors: -22 (EINVAL) x 13, -5 (EIO) x 2", the most frequent first. */
static void put_error_values(const struct tally *t, bool may_be_errno, struct buf *text)
{
	struct value_count values[ERROR_VALUES_MAX];
	uint64_t left;

	if (!t->n_error_values)
		return;
	sort_values(t, values);
	left = t->c.errors;
	buf_str(text, "  errors:");
	for (uint32_t i = 0; i < t->n_error_values && i < VALUES_SHOWN; i++) {
		char value[ERROR_VALUE_TEXT];

		buf_printf(text, "%s %s x %llu", i ? "," : "", error_value_text(values[i].value, may_be_errno, value),
			   (unsigned long long)values[i].count);
		left -= values[i].count < left ? values[i].count : left;
	}
	if (left)
		buf_printf(text, ", others x %llu", (unsigned long long)left);
	buf_char(text, '\n');
}

static void json_error_values(const struct tally *t, struct buf *out)
{
	struct value_count values[ERROR_VALUES_MAX];
	uint64_t sum;

	if (!t->n_error_values)
		return;
	sum = sort_values(t, values);
	buf_str(out, ",\"error_values\":[");
	for (uint32_t i = 0; i < t->n_error_values; i++)
		buf_printf(out, "%s[%lld,%llu]", i ? "," : "", (long long)values[i].value, (unsigned long long)values[i].count);
	buf_printf(out, "],\"error_values_missing\":%llu", (unsigned long long)(t->c.errors > sum ? t->c.errors - sum : 0));
}

static void put_row(const struct statview *v, const struct statrow *r, unsigned width, struct output *o, struct buf *text)
{
	struct buf label = { 0 };

	put_label(v, r, &label);
	text_cell(text, buf_text(&label), width, o->utf8);
	buf_free(&label);
	put_count(text, r->tick.c.calls, v->tick_ns);
	put_errors(text, r, r->tick.c.errors, v->tick_ns);
	put_times(text, &r->tick.c);
	buf_char(text, '\n');
	text_paint(text, o, PAINT_DIM);
	text_cell(text, "  since the start", width, o->utf8);
	put_count(text, r->all.c.calls, 0);
	put_errors(text, r, r->all.c.errors, 0);
	put_times(text, &r->all.c);
	text_paint(text, o, PAINT_NONE);
	buf_char(text, '\n');
	put_error_values(&r->all, r->probe->may_be_errno, text);
}

/* An agent that was started again is a new source of the same host. */
static bool is_replaced(const struct model *m, uint32_t i)
{
	for (uint32_t n = i + 1; n < m->n_sources; n++)
		if (m->source[n]->host && strcmp(m->source[n]->host, m->source[i]->host) == 0)
			return true;
	return false;
}

/* Who is in the sums; who is not there any more is marked, for its counters stand still. */
static void put_hosts(const struct model *m, struct buf *text)
{
	const char *before = "HOSTS  ";

	for (uint32_t i = 0; i < m->n_sources; i++) {
		const struct source *s = m->source[i];

		if (!s->host || is_replaced(m, i))
			continue;
		buf_printf(text, s->missing ? "%s(%s)" : "%s%s", before, s->host);
		before = ", ";
	}
	if (before[0] == ',')
		buf_char(text, '\n');
}

static void put_heads(unsigned width, struct output *o, struct buf *text)
{
	text_paint(text, o, PAINT_BOLD);
	text_cell(text, "PROBE", width, o->utf8);
	buf_printf(text, "%*s%*s", COUNT_WIDTH, "CALLS", COUNT_WIDTH, "ERRORS");
	buf_printf(text, "%*s%*s%*s%*s", TIME_WIDTH, "P50", TIME_WIDTH, "P90", TIME_WIDTH, "P99", TIME_WIDTH, "MAX");
	text_paint(text, o, PAINT_NONE);
	buf_char(text, '\n');
}

/* ---- histograms ---- */

static void put_bar(struct buf *text, double share, unsigned width, bool utf8)
{
	static const char *const eighths[] = { "", "▏", "▎", "▍", "▌", "▋", "▊", "▉" };
	unsigned n = (unsigned)(share * width * 8 + 0.5);

	if (share > 0 && n == 0)
		n = 1;
	if (!utf8) {
		for (unsigned i = 0; i < (n + 7) / 8; i++)
			buf_char(text, '#');
		return;
	}
	for (unsigned i = 0; i < n / 8; i++)
		buf_str(text, "█");
	buf_str(text, eighths[n % 8]);
}

static void put_edge(struct buf *text, uint64_t ns)
{
	struct buf cell = { 0 };

	format_duration(&cell, ns);
	put_right(text, &cell, TIME_WIDTH);
	buf_free(&cell);
}

static void put_histogram(const struct counts *c, struct output *o, unsigned columns, struct buf *text)
{
	unsigned width = columns > LABELS_WIDTH + 10 ? columns - LABELS_WIDTH : 10, low = 0, high = HIST_OCTAVES - 1;
	uint64_t octave[HIST_OCTAVES], most = 0;

	hist_octaves(c->hist, octave);
	while (low < high && !octave[low])
		low++;
	while (high > low && !octave[high])
		high--;
	for (unsigned i = low; i <= high; i++)
		most = octave[i] > most ? octave[i] : most;
	for (unsigned i = low; most && i <= high; i++) {
		put_edge(text, i ? 1ULL << i : 0);
		buf_str(text, " ..");
		put_edge(text, 2ULL << i);
		buf_printf(text, octave[i] ? " %10llu " : " %10llu", (unsigned long long)octave[i]);
		put_bar(text, (double)octave[i] / (double)most, width > BAR_MAX ? BAR_MAX : width, o->utf8);
		buf_char(text, '\n');
	}
}

static void put_histograms(const struct statview *v, struct output *o, unsigned columns, struct buf *text)
{
	for (uint32_t i = 0; i < v->n; i++) {
		if (v->row[i].probe->n_functions || hist_total(v->row[i].all.c.hist) == 0)
			continue;
		buf_char(text, '\n');
		text_paint(text, o, PAINT_BOLD);
		put_label(v, &v->row[i], text);
		buf_str(text, ", durations since the start");
		text_paint(text, o, PAINT_NONE);
		buf_char(text, '\n');
		put_histogram(&v->row[i].all.c, o, columns, text);
	}
}

/* What the terminal has room for besides the lines that are there already. */
static unsigned lines_left(const struct output *o, const struct buf *text)
{
	unsigned used = 0, rows = output_rows(o);

	for (size_t i = 0; i < text->len; i++)
		used += text->data[i] == '\n';
	return !o->terminal ? PATTERN_LINES : rows > used + 8 ? rows - used - 4 : 4;
}

void statview_text(const struct statview *v, const struct model *m, struct output *o, unsigned columns, struct buf *text)
{
	unsigned width = label_width(v);
	bool heads = false;

	put_hosts(m, text);
	for (uint32_t i = 0; i < v->n; i++) {
		if (v->row[i].probe->n_functions)
			continue;
		if (!heads)
			put_heads(width, o, text);
		heads = true;
		put_row(v, &v->row[i], width, o, text);
	}
	pattern_text(v, m, o, lines_left(o, text), text);
	put_histograms(v, o, columns ? columns : 80, text);
}

/* ---- JSON ---- */

void json_counts(struct buf *out, const struct counts *c, uint64_t ns)
{
	buf_printf(out, "\"calls\":%llu,\"errors\":%llu,\"calls_per_s\":%.3f,\"errors_per_s\":%.3f", (unsigned long long)c->calls,
		   (unsigned long long)c->errors, (double)c->calls * 1e9 / (double)ns, (double)c->errors * 1e9 / (double)ns);
	if (hist_total(c->hist) == 0)
		return;
	buf_printf(out, ",\"p50_ns\":%llu,\"p90_ns\":%llu,\"p99_ns\":%llu,\"max_ns\":%llu",
		   (unsigned long long)hist_quantile(c->hist, 0.5, c->max_ns), (unsigned long long)hist_quantile(c->hist, 0.9, c->max_ns),
		   (unsigned long long)hist_quantile(c->hist, 0.99, c->max_ns), (unsigned long long)c->max_ns);
}

/* The agent's own host, or all that take part. */
static void json_hosts(const struct model *m, const char *host, struct buf *out)
{
	bool first = true;

	if (host) {
		text_json_str(out, host);
		return;
	}
	buf_str(out, "null,\"hosts\":[");
	for (uint32_t i = 0; i < m->n_sources; i++) {
		if (!m->source[i]->host || is_replaced(m, i))
			continue;
		if (!first)
			buf_char(out, ',');
		text_json_str(out, m->source[i]->host);
		first = false;
	}
	buf_char(out, ']');
}

void statview_json(const struct statview *v, const struct model *m, const char *host, struct buf *out)
{
	buf_printf(out, "{\"ts\":%llu,\"host\":", (unsigned long long)v->last_ns);
	json_hosts(m, host, out);
	buf_printf(out, ",\"tick_ns\":%llu,\"probes\":[", (unsigned long long)v->tick_ns);
	for (uint32_t i = 0; i < v->n; i++) {
		const struct probe *p = v->row[i].probe;

		buf_str(out, i ? ",{" : "{");
		if (v->by_host && p->source->host) {
			buf_str(out, "\"host\":");
			text_json_str(out, p->source->host);
			buf_char(out, ',');
		}
		buf_add(out, p->json.data, p->json.len);
		if (p->n_functions)
			pattern_json(v, m, &v->row[i], out);
		buf_str(out, ",\"total\":{");
		json_counts(out, &v->row[i].all.c, v->last_ns > v->started_ns ? v->last_ns - v->started_ns : 1);
		json_error_values(&v->row[i].all, out);
		buf_str(out, "},\"tick\":{");
		json_counts(out, &v->row[i].tick.c, v->tick_ns);
		buf_str(out, "}}");
	}
	buf_str(out, "]}\n");
}

/* ---- the screen ---- */

void statview_draw(struct statview *v, struct output *o, const struct buf *text, bool last)
{
	struct buf none = { 0 };

	if (o->terminal && !last) {
		v->drawn = screen_redraw(o, text, v->drawn, 0);
	} else {
		if (o->terminal && v->drawn)
			screen_redraw(o, &none, v->drawn, 0);
		else if (v->drawn)
			buf_char(&o->text, '\n');
		buf_add(&o->text, buf_text(text), text->len);
		v->drawn = 1;
	}
	output_flush(o);
}
