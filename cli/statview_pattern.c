/* SPDX-License-Identifier: Apache-2.0 */
/* A pattern in plumb stat: one line for each function that was called, those with the most calls first. */
#include <stdlib.h>
#include <string.h>

#include "hist.h"
#include "statview_internal.h"
#include "table.h"
#include "text.h"
#include "units.h"

enum { BUILD_WIDTH = 8, HOST_WIDTH = 16 };

/* One function of a probe. */
struct line {
	const struct probe *probe;
	const struct pattern_row *row;
	uint64_t calls, before;
};

/* All probes of one pattern: its functions may return values of several kinds. */
struct lines {
	struct line *line;
	size_t n;
	uint64_t calls, before, functions;
	bool builds, hosts;          /* there are several: a function may have a line for each */
};

/* With a condition, calls are those for which it was true: so are errors and durations. */
static uint64_t calls_of(const struct probe *p, const struct function_counts *head)
{
	const struct counts *c = (const struct counts *)(const void *)head;

	return p->condition ? c->matched : c->calls;
}

static int line_compare(const void *a, const void *b)
{
	const struct line *x = a, *y = b;

	if (x->calls != y->calls)
		return x->calls > y->calls ? -1 : 1;
	return strcmp(probe_function(x->probe, x->row->function), probe_function(y->probe, y->row->function));
}

static void note_differences(struct lines *l, const struct probe *a, const struct probe *b)
{
	const char *x = a->source->host, *y = b->source->host;

	l->builds |= strcmp(a->build_id, b->build_id) != 0;
	l->hosts |= x && y && strcmp(x, y) != 0;
}

static void collect(struct lines *l, const struct model *m, const char *spec)
{
	const struct probe *first = NULL;

	for (uint32_t i = 0; i < m->n_probes; i++) {
		if (!m->probe[i]->n_functions || strcmp(m->probe[i]->spec, spec) != 0)
			continue;
		first = first ? first : m->probe[i];
		note_differences(l, first, m->probe[i]);
		l->functions += m->probe[i]->n_functions;
	}
	l->line = calloc(l->functions + 1, sizeof(*l->line));
	for (uint32_t i = 0; l->line && i < m->n_probes; i++) {
		const struct probe *p = m->probe[i];

		if (!p->n_functions || strcmp(p->spec, spec) != 0)
			continue;
		for (uint32_t f = 0; f < p->n_functions; f++) {
			const struct pattern_row *r = probe_row(p, f);
			uint64_t calls = r ? calls_of(p, &r->now) : 0;

			if (!calls)
				continue;
			l->line[l->n] = (struct line){ p, r, calls, calls_of(p, probe_row_before(p, r)) };
			l->calls += calls;
			l->before += l->line[l->n++].before;
		}
	}
	if (l->n > 1)
		qsort(l->line, l->n, sizeof(*l->line), line_compare);
}

static void put_name(const struct lines *all, const char *function, const char *build, const char *host, struct output *o, struct buf *text)
{
	text_cell(text, function, NAME_WIDTH, o->utf8);
	if (all->builds)
		buf_printf(text, " %-*.*s", BUILD_WIDTH, BUILD_WIDTH, build[0] ? build : "no id");
	if (all->hosts) {
		buf_char(text, ' ');
		text_cell(text, host ? host : "", HOST_WIDTH, o->utf8);
	}
}

static void put_heads(const struct lines *all, struct output *o, struct buf *text)
{
	text_paint(text, o, PAINT_BOLD);
	put_name(all, "FUNCTION", "BUILD", "HOST", o, text);
	buf_printf(text, "%*s%*s%*s", COUNT_WIDTH, "CALLS", COUNT_WIDTH, "NOW", TIME_WIDTH, "ERRORS");
	buf_printf(text, "%*s%*s%*s", TIME_WIDTH, "P50", TIME_WIDTH, "P99", TIME_WIDTH, "MAX");
	text_paint(text, o, PAINT_NONE);
	buf_char(text, '\n');
}

static uint64_t more_than(uint64_t now, uint64_t before)
{
	return now > before ? now - before : 0;
}

static void put_cell(struct buf *out, bool any, uint64_t value, bool duration)
{
	struct buf cell = { 0 };

	if (!any)
		buf_char(&cell, '-');
	else if (duration)
		format_duration(&cell, value);
	else
		text_u64(&cell, value);
	put_right(out, &cell, TIME_WIDTH);
	buf_free(&cell);
}

static void put_line(const struct statview *v, const struct lines *all, const struct line *l, struct output *o, struct buf *text)
{
	struct counts c;
	bool timed;

	pattern_row_counts(l->row, &c);
	timed = hist_total(c.hist) != 0;
	put_name(all, probe_function(l->probe, l->row->function), l->probe->build_id, l->probe->source->host, o, text);
	put_count(text, l->calls, 0);
	put_count(text, more_than(l->calls, l->before), v->tick_ns);
	put_cell(text, l->probe->has_error, c.errors, false);
	put_cell(text, timed, hist_quantile(c.hist, 0.5, c.max_ns), true);
	put_cell(text, timed, hist_quantile(c.hist, 0.99, c.max_ns), true);
	put_cell(text, timed, c.max_ns, true);
	buf_char(text, '\n');
}

static void put_rest(const struct statview *v, const struct lines *l, size_t shown, struct output *o, struct buf *text)
{
	uint64_t calls = l->calls;

	for (size_t i = 0; i < shown; i++)
		calls -= l->line[i].calls;
	text_paint(text, o, PAINT_DIM);
	if (shown < l->n)
		buf_printf(text, "and %zu more that were called, %llu times\n", l->n - shown, (unsigned long long)calls);
	buf_printf(text, "%zu of %llu functions were called, %llu times, now ", l->n, (unsigned long long)l->functions,
		   (unsigned long long)l->calls);
	format_count(text, (double)more_than(l->calls, l->before) * 1e9 / (double)v->tick_ns);
	buf_str(text, "/s");
	text_paint(text, o, PAINT_NONE);
	buf_char(text, '\n');
}

/* Has an earlier probe the same text? Then it was shown with that one. */
static bool was_shown(const struct model *m, uint32_t i)
{
	for (uint32_t k = 0; k < i; k++)
		if (m->probe[k]->n_functions && strcmp(m->probe[k]->spec, m->probe[i]->spec) == 0)
			return true;
	return false;
}

void pattern_text(const struct statview *v, const struct model *m, struct output *o, unsigned lines, struct buf *text)
{
	for (uint32_t i = 0; i < m->n_probes; i++) {
		struct lines l = { 0 };

		if (!m->probe[i]->n_functions || was_shown(m, i))
			continue;
		collect(&l, m, m->probe[i]->spec);
		if (text->len)
			buf_char(text, '\n');
		put_heads(&l, o, text);
		for (size_t k = 0; k < l.n && k < lines; k++)
			put_line(v, &l, &l.line[k], o, text);
		put_rest(v, &l, l.n < lines ? l.n : lines, o, text);
		free(l.line);
	}
}

static const char *json_functions(const struct statview *v, const struct probe *p, const char *sep, struct buf *out)
{
	for (uint32_t f = 0; f < p->n_functions; f++) {
		const struct pattern_row *r = probe_row(p, f);
		struct counts c;

		if (!r)
			continue;
		pattern_row_counts(r, &c);
		c.calls = calls_of(p, &r->now);
		buf_printf(out, "%s{\"function\":", sep);
		text_json_str(out, probe_function(p, f));
		buf_str(out, ",\"total\":{");
		json_counts(out, &c, v->last_ns > v->started_ns ? v->last_ns - v->started_ns : 1);
		buf_printf(out, "},\"tick_calls\":%llu}", (unsigned long long)more_than(c.calls, calls_of(p, probe_row_before(p, r))));
		sep = ",";
	}
	return sep;
}

void pattern_json(const struct statview *v, const struct model *m, const struct statrow *row, struct buf *out)
{
	const char *sep = "";
	uint32_t n = 0;

	text_json_str(out, row->probe->function);
	buf_add(out, row->probe->json_rest.data, row->probe->json_rest.len);
	buf_str(out, ",\"functions\":[");
	for (uint32_t i = row->first; i < m->n_probes; i = v->next[i]) {
		sep = json_functions(v, m->probe[i], sep, out);
		n += m->probe[i]->n_functions;
	}
	buf_printf(out, "],\"n_functions\":%u", n);
}
