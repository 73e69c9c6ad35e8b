/* SPDX-License-Identifier: Apache-2.0 */
#include "statview.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hist.h"
#include "table.h"
#include "text.h"
#include "units.h"

enum { NAME_WIDTH = 22, COUNT_WIDTH = 11, TIME_WIDTH = 9, BAR_MAX = 60, LABELS_WIDTH = 34 };

void statview_free(struct statview *v)
{
	free(v->row);
	v->row = NULL;
	v->n = 0;
}

/* ---- ticks ---- */

static int grow(struct statview *v, uint32_t n)
{
	struct statrow *more;

	if (n <= v->n)
		return 0;
	more = realloc(v->row, n * sizeof(*more));
	if (!more)
		return -ENOMEM;
	memset(more + v->n, 0, (n - v->n) * sizeof(*more));
	v->row = more;
	v->n = n;
	return 0;
}

/* A counter may seem to go back when a process left the snapshot; then the tick has none. */
static uint64_t more_than(uint64_t now, uint64_t before)
{
	return now > before ? now - before : 0;
}

static void row_tick(struct statrow *r, const struct tally *now)
{
	r->tick.c.calls = more_than(now->c.calls, r->all.c.calls);
	r->tick.c.errors = more_than(now->c.errors, r->all.c.errors);
	for (int i = 0; i < HIST_BUCKETS; i++)
		r->tick.c.hist[i] = more_than(now->c.hist[i], r->all.c.hist[i]);
	/* The exact maximum is known since the start; of a tick only its bucket is. */
	r->tick.c.max_ns = hist_bound(r->tick.c.hist);
	if (r->tick.c.max_ns > now->c.max_ns || hist_total(r->tick.c.hist) == hist_total(now->c.hist))
		r->tick.c.max_ns = r->tick.c.max_ns ? now->c.max_ns : 0;
	r->all = *now;
}

int statview_tick(struct statview *v, const struct model *m, uint64_t now_ns)
{
	struct tally now;

	if (grow(v, m->n_probes) < 0)
		return -ENOMEM;
	for (uint32_t i = 0; i < m->n_probes; i++) {
		model_sum(m, m->probe[i], &now);
		if (m->probe[i]->condition) /* errors and durations are those of matching calls: so are the calls */
			now.c.calls = now.c.matched;
		row_tick(&v->row[i], &now);
	}
	v->tick_ns = now_ns > v->last_ns ? now_ns - v->last_ns : 1;
	v->last_ns = now_ns;
	return 0;
}

/* ---- the table ---- */

static void put_right(struct buf *out, const struct buf *cell, unsigned width)
{
	unsigned used = text_columns(cell->data ? cell->data : "", cell->len);

	buf_printf(out, "%*s", used < width ? (int)(width - used) : 1, "");
	buf_add(out, buf_text(cell), cell->len);
}

static void put_times(struct buf *out, const struct counts *c)
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

static void put_count(struct buf *out, uint64_t n, uint64_t per_ns)
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

static void put_errors(struct buf *out, const struct probe *p, uint64_t n, uint64_t per_ns)
{
	if (p->has_error || n)
		put_count(out, n, per_ns);
	else
		buf_printf(out, "%*s", COUNT_WIDTH, "-");
}

static void put_row(const struct statview *v, const struct probe *p, const struct statrow *r, struct output *o, struct buf *text)
{
	text_cell(text, p->function, NAME_WIDTH, o->utf8);
	put_count(text, r->tick.c.calls, v->tick_ns);
	put_errors(text, p, r->tick.c.errors, v->tick_ns);
	put_times(text, &r->tick.c);
	buf_char(text, '\n');
	text_paint(text, o, PAINT_DIM);
	text_cell(text, "  since the start", NAME_WIDTH, o->utf8);
	put_count(text, r->all.c.calls, 0);
	put_errors(text, p, r->all.c.errors, 0);
	put_times(text, &r->all.c);
	text_paint(text, o, PAINT_NONE);
	buf_char(text, '\n');
}

static void put_heads(struct output *o, struct buf *text)
{
	text_paint(text, o, PAINT_BOLD);
	text_cell(text, "PROBE", NAME_WIDTH, o->utf8);
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

static void put_histograms(const struct statview *v, const struct model *m, struct output *o, unsigned columns, struct buf *text)
{
	for (uint32_t i = 0; i < v->n; i++) {
		if (hist_total(v->row[i].all.c.hist) == 0)
			continue;
		buf_char(text, '\n');
		text_paint(text, o, PAINT_BOLD);
		buf_printf(text, "%s, durations since the start", m->probe[i]->function);
		text_paint(text, o, PAINT_NONE);
		buf_char(text, '\n');
		put_histogram(&v->row[i].all.c, o, columns, text);
	}
}

void statview_text(const struct statview *v, const struct model *m, struct output *o, unsigned columns, struct buf *text)
{
	put_heads(o, text);
	for (uint32_t i = 0; i < v->n; i++)
		put_row(v, m->probe[i], &v->row[i], o, text);
	put_histograms(v, m, o, columns ? columns : 80, text);
}

/* ---- JSON ---- */

static void json_counts(struct buf *out, const struct counts *c, uint64_t ns)
{
	buf_printf(out, "\"calls\":%llu,\"errors\":%llu,\"calls_per_s\":%.3f,\"errors_per_s\":%.3f", (unsigned long long)c->calls,
		   (unsigned long long)c->errors, (double)c->calls * 1e9 / (double)ns, (double)c->errors * 1e9 / (double)ns);
	if (hist_total(c->hist) == 0)
		return;
	buf_printf(out, ",\"p50_ns\":%llu,\"p90_ns\":%llu,\"p99_ns\":%llu,\"max_ns\":%llu",
		   (unsigned long long)hist_quantile(c->hist, 0.5, c->max_ns), (unsigned long long)hist_quantile(c->hist, 0.9, c->max_ns),
		   (unsigned long long)hist_quantile(c->hist, 0.99, c->max_ns), (unsigned long long)c->max_ns);
}

void statview_json(const struct statview *v, const struct model *m, const char *host, struct buf *out)
{
	buf_printf(out, "{\"ts\":%llu,\"host\":", (unsigned long long)v->last_ns);
	text_json_str(out, host);
	buf_printf(out, ",\"tick_ns\":%llu,\"probes\":[", (unsigned long long)v->tick_ns);
	for (uint32_t i = 0; i < v->n; i++) {
		buf_str(out, i ? ",{" : "{");
		buf_add(out, m->probe[i]->json.data, m->probe[i]->json.len);
		buf_str(out, ",\"total\":{");
		json_counts(out, &v->row[i].all.c, v->last_ns > v->started_ns ? v->last_ns - v->started_ns : 1);
		buf_str(out, "},\"tick\":{");
		json_counts(out, &v->row[i].tick.c, v->tick_ns);
		buf_str(out, "}}");
	}
	buf_str(out, "]}\n");
}

/* ---- the screen ---- */

static void draw_lines(struct statview *v, struct output *o, const struct buf *text, unsigned columns, unsigned rows)
{
	const char *at = buf_text(text);
	unsigned n = 0;

	if (v->drawn)
		buf_printf(&o->text, "\033[%uA", v->drawn);
	while (*at && n + 1 < rows) {
		size_t len = strcspn(at, "\n");

		buf_char(&o->text, '\r');
		text_cut(&o->text, at, len, columns);
		buf_str(&o->text, o->color ? "\033[0m\033[K\n" : "\033[K\n");
		at += len + (at[len] == '\n');
		n++;
	}
	buf_str(&o->text, "\033[J");
	v->drawn = n;
}

void statview_draw(struct statview *v, struct output *o, const struct buf *text)
{
	if (o->terminal) {
		draw_lines(v, o, text, output_columns(o), output_rows(o));
	} else {
		if (v->drawn)
			buf_char(&o->text, '\n');
		buf_add(&o->text, buf_text(text), text->len);
		v->drawn = 1;
	}
	output_flush(o);
}
