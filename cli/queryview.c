/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An answer becomes rows of cells first: texts, already fit for people or for CSV.  What a row consists of is one table of columns
 * per question; only series, calls and top need a walk of their own.
 */
#include "queryview.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "table.h"
#include "text.h"
#include "units.h"

enum { COLUMNS_MAX = 16, ROWS_MAX = 20000, CELL_BYTES_MAX = 4096, TABLE_CELL_COLUMNS = 100, CELL_COLUMNS_MIN = 8, NS_PER_S = 1000000000 };

enum cell_form { FORM_TEXT, FORM_NUMBER, FORM_NS, FORM_TIME_NS, FORM_TIME_S, FORM_BUILD, FORM_LIST, FORM_ERROR_RATE, FORM_LOST, FORM_JSON };

struct query_column {
	const char *title, *key;
	enum cell_form form;
};

static const struct query_column series_columns[] = {
	{ "TIME", "at", FORM_TIME_S }, { "SERVICE", "service", FORM_TEXT }, { "FUNCTION", "function", FORM_TEXT }, { "BUILD", "build_id", FORM_BUILD },
	{ "HOST", "host", FORM_TEXT }, { "CALLS", "calls", FORM_NUMBER }, { "ERRORS", "errors", FORM_NUMBER }, { "RATE", "errors", FORM_ERROR_RATE },
	{ "P50", "p50_ns", FORM_NS }, { "P90", "p90_ns", FORM_NS }, { "P99", "p99_ns", FORM_NS }, { "MAX", "max_ns", FORM_NS },
	{ "NOT SHOWN", "", FORM_LOST }, { NULL, NULL, 0 },
};
static const struct query_column calls_columns[] = {
	{ "TIME", "ts", FORM_TIME_NS }, { "HOST", "host", FORM_TEXT }, { "COMM", "comm", FORM_TEXT }, { "PID", "pid", FORM_NUMBER }, { "FUNCTION", "function", FORM_TEXT },
	{ "ARGUMENTS", "args", FORM_JSON }, { "RETURN", "ret", FORM_JSON }, { "DURATION", "duration_ns", FORM_NS }, { NULL, NULL, 0 },
};
static const struct query_column top_columns[] = {
	{ "ARGUMENT", "name", FORM_TEXT }, { "VALUE", "value", FORM_JSON }, { "CALLS", "calls", FORM_NUMBER }, { NULL, NULL, 0 },
};
static const struct query_column services_columns[] = {
	{ "SERVICE", "service", FORM_TEXT }, { "OPEN", "open", FORM_NUMBER }, { "REQUESTS", "requests", FORM_NUMBER }, { "BUILDS", "builds", FORM_LIST },
	{ "HOSTS", "hosts", FORM_LIST }, { "LAST ASKED", "last_opened_ns", FORM_TIME_NS }, { NULL, NULL, 0 },
};
static const struct query_column hosts_columns[] = {
	{ "HOST", "host", FORM_TEXT }, { "PROGRAM", "program", FORM_TEXT }, { "ENTRIES", "entries", FORM_NUMBER }, { "LOST RECORDS", "records_lost", FORM_NUMBER },
	{ "LAST SEEN", "last_seen_ns", FORM_TIME_NS }, { NULL, NULL, 0 },
};
static const struct query_column requests_columns[] = {
	{ "ID", "id", FORM_NUMBER }, { "VERB", "verb", FORM_TEXT }, { "TARGET", "target", FORM_TEXT }, { "PROBES", "probes", FORM_LIST }, { "WHO", "who", FORM_TEXT },
	{ "OPENED", "opened_ns", FORM_TIME_NS }, { "ENDED", "ended_ns", FORM_TIME_NS }, { "REASON", "reason", FORM_TEXT }, { NULL, NULL, 0 },
};
static const struct query_column probes_columns[] = {
	{ "REQUEST", "request", FORM_NUMBER }, { "SERVICE", "service", FORM_TEXT }, { "HOST", "host", FORM_TEXT }, { "FUNCTION", "function", FORM_TEXT },
	{ "BUILD", "build_id", FORM_BUILD }, { "FILE", "file", FORM_TEXT }, { "LINE", "line", FORM_NUMBER }, { "SITE", "site_kind", FORM_TEXT },
	{ "COST", "cost_ns", FORM_NS }, { NULL, NULL, 0 },
};
static const struct query_column verdicts_columns[] = {
	{ "ID", "id", FORM_NUMBER }, { "TIME", "at_ns", FORM_TIME_NS }, { "VERDICT", "state", FORM_TEXT }, { "WHAT", "title", FORM_TEXT },
	{ "WHO", "who", FORM_TEXT }, { NULL, NULL, 0 },
};

static const struct query_kind {
	const char *what, *key;              /* key: the answer's list of rows; NULL: it takes a walk */
	const struct query_column *columns;
} kinds[] = {
	{ "series", NULL, series_columns }, { "calls", "calls", calls_columns }, { "top", NULL, top_columns }, { "services", "services", services_columns },
	{ "hosts", "hosts", hosts_columns }, { "requests", "requests", requests_columns }, { "probes", "probes", probes_columns },
	{ "verdicts", "verdicts", verdicts_columns },
};

static const struct query_kind *kind_of(const char *what)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strcmp(kinds[i].what, what))
			return &kinds[i];
	return NULL;
}

bool query_known(const char *what)
{
	return kind_of(what) != NULL;
}

/* ---- cells ---- */

static void put_time(struct buf *out, int64_t second)
{
	time_t t = (time_t)second;
	char text[40];
	struct tm tm;

	if (second && localtime_r(&t, &tm) && strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm))
		buf_str(out, text);
	else
		buf_char(out, '-');
}

/* Calls that are in no record, and values that are in none. What was asked to be left out is no loss. */
static void put_lost(struct buf *out, const json_t *row, bool exact)
{
	static const char *const keys[] = { "sampled", "drop_ring", "drop_rate", "drop_memory", "drop_spool", "unread", "unpaired", "undecided" };
	bool any = false;

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		json_int_t n = json_integer_value(json_object_get(row, keys[i]));

		if (!n)
			continue;
		buf_printf(out, "%s%s=%lld%s", any ? " " : "", keys[i], (long long)n, i == 0 && !exact ? " (as asked)" : "");
		any = true;
	}
	if (!any)
		buf_char(out, '-');
}

static void put_list(struct buf *out, const json_t *list, bool builds)
{
	const json_t *item;
	size_t i;

	json_array_foreach(list, i, item) {
		const char *text = json_string_value(item);

		buf_str(out, i ? ", " : "");
		buf_add(out, text ? text : "", text ? (builds && strlen(text) > 12 ? 12 : strlen(text)) : 0);
	}
}

static void put_rate(struct buf *out, const json_t *row)
{
	double calls = (double)json_integer_value(json_object_get(row, "calls"));

	if (calls > 0)
		buf_printf(out, "%.3g %%", 100 * (double)json_integer_value(json_object_get(row, "errors")) / calls);
	else
		buf_char(out, '-');
}

static void put_ns(struct buf *out, const json_t *value, bool exact)
{
	if (!json_is_integer(value))
		buf_str(out, exact ? "" : "-");
	else if (exact)
		text_i64(out, json_integer_value(value));
	else
		format_elapsed(out, (uint64_t)json_integer_value(value));
}

static void put_json(struct buf *out, const json_t *value)
{
	char *text = value ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;

	buf_str(out, text ? text : "");
	free(text);
}

/* Raw: neither escaped nor quoted. exact: numbers for programs. */
static void put_cell(struct buf *out, const struct query_column *c, const json_t *row, bool exact)
{
	const json_t *value = json_object_get(row, c->key);
	const char *text = json_string_value(value);

	switch (c->form) {
	case FORM_NUMBER: text_i64(out, json_integer_value(value)); break;
	case FORM_NS: put_ns(out, value, exact); break;
	case FORM_TIME_S: exact ? text_i64(out, json_integer_value(value)) : put_time(out, json_integer_value(value)); break;
	case FORM_TIME_NS: exact ? text_i64(out, json_integer_value(value)) : put_time(out, json_integer_value(value) / NS_PER_S); break;
	case FORM_BUILD: buf_add(out, text ? text : "", text ? (!exact && strlen(text) > 12 ? 12 : strlen(text)) : 0); break;
	case FORM_LIST: put_list(out, value, !exact && !strcmp(c->key, "builds")); break;
	case FORM_ERROR_RATE: put_rate(out, row); break;
	case FORM_LOST: put_lost(out, row, exact); break;
	case FORM_JSON: put_json(out, value); break;
	default: buf_str(out, text ? text : "");
	}
}

/* ---- CSV ---- */

/* RFC 4180, section 2; a leading = + - @ is what spreadsheets run. */
static void put_csv(struct buf *out, const char *text)
{
	bool formula = *text && strchr("=+-@\t\r", *text) && strspn(text + 1, "0123456789.") != strlen(text + 1);

	if (!formula && !strpbrk(text, ",\"\r\n")) {
		buf_str(out, text);
		return;
	}
	buf_str(out, formula ? "\"'" : "\"");
	for (; *text; text++) {
		if (*text == '"')
			buf_char(out, '"');
		buf_char(out, *text);
	}
	buf_char(out, '"');
}

/* ---- rows ---- */

struct grid {
	const struct query_column *column[COLUMNS_MAX];
	int n_columns;
	bool csv;
	struct buf *cell;            /* row after row */
	size_t n_cells, cap;
};

static void grid_free(struct grid *g)
{
	for (size_t i = 0; i < g->n_cells; i++)
		buf_free(&g->cell[i]);
	free(g->cell);
}

static int grid_add(struct grid *g, const json_t *row)
{
	if (g->n_cells + (size_t)g->n_columns > g->cap) {
		size_t cap = g->cap ? 2 * g->cap : 256;
		struct buf *more = realloc(g->cell, cap * sizeof(*more));

		if (!more)
			return -ENOMEM;
		g->cell = more;
		g->cap = cap;
	}
	for (int i = 0; i < g->n_columns; i++) {
		struct buf raw = { 0 }, *cell = &g->cell[g->n_cells++];

		*cell = (struct buf){ 0 };
		put_cell(&raw, g->column[i], row, g->csv);
		if (g->csv)
			put_csv(cell, buf_text(&raw));
		else
			text_escape(cell, buf_text(&raw), raw.len > CELL_BYTES_MAX ? CELL_BYTES_MAX : raw.len, 0);
		buf_free(&raw);
	}
	return 0;
}

/* Columns that say nothing here are left out of a table: not told apart, one row over the whole time. */
static void choose_columns(struct grid *g, const struct query_kind *k, const json_t *answer)
{
	const json_t *groups = json_object_get(answer, "groups"), *first = json_array_get(groups, 0);

	for (const struct query_column *c = k->columns; c->title && g->n_columns < COLUMNS_MAX; c++) {
		if (k->columns == series_columns && !g->csv && !strcmp(c->key, "at") && !json_integer_value(json_object_get(answer, "step")))
			continue;
		if (k->columns == series_columns && !g->csv && c->form <= FORM_BUILD && c->form != FORM_NUMBER && c->form != FORM_NS && c->form != FORM_TIME_S &&
		    first && !json_object_get(first, c->key))
			continue;
		g->column[g->n_columns++] = c;
	}
}

/* Not all of the group: it holds the point, and would never be freed. */
static void name_point(json_t *point, const json_t *group)
{
	static const char *const names[] = { "service", "function", "build_id", "host" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		json_t *name = json_object_get(group, names[i]);

		if (name)
			json_object_set(point, names[i], name);
	}
}

static int add_series(struct grid *g, json_t *answer)
{
	bool steps = json_integer_value(json_object_get(answer, "step")) != 0;
	json_t *group, *point, *groups = json_object_get(answer, "groups");
	size_t i, k;
	int rc = 0;

	json_array_foreach(groups, i, group) {
		json_t *points = json_object_get(group, steps ? "points" : "total");

		if (!steps) {
			json_object_update(group, points);
			rc = rc ? rc : grid_add(g, group);
			continue;
		}
		json_array_foreach(points, k, point) {
			name_point(point, group);
			rc = rc ? rc : grid_add(g, point);
		}
	}
	return rc;
}

static int by_calls(const void *a, const void *b)
{
	json_int_t x = json_integer_value(json_object_get(*(json_t *const *)a, "calls"));
	json_int_t y = json_integer_value(json_object_get(*(json_t *const *)b, "calls"));

	return (x < y) - (x > y);
}

/* The commonest value of any argument first. */
static int add_sorted(struct grid *g, json_t *rows)
{
	size_t n = json_array_size(rows);
	json_t **row = calloc(n ? n : 1, sizeof(json_t *));
	int rc = row ? 0 : -ENOMEM;

	for (size_t i = 0; row && i < n; i++)
		row[i] = json_array_get(rows, i);
	if (row)
		qsort(row, n, sizeof(json_t *), by_calls);   /* glibc's keeps the order of equal ones */
	for (size_t i = 0; !rc && i < n; i++)
		rc = grid_add(g, row[i]);
	free(row);
	return rc;
}

static int add_top(struct grid *g, json_t *answer)
{
	json_t *field, *value, *fields = json_object_get(answer, "fields"), *rows = json_array();
	size_t i, k;
	int rc = rows ? 0 : -ENOMEM;

	json_array_foreach(fields, i, field) {
		json_t *values = json_object_get(field, "values");

		json_array_foreach(values, k, value) {
			json_object_set(value, "name", json_object_get(field, "name"));
			rc = rc ? rc : json_array_append(rows, value) ? -ENOMEM : 0;
		}
	}
	rc = rc ? rc : add_sorted(g, rows);
	json_decref(rows);
	return rc;
}

static int add_rows(struct grid *g, const struct query_kind *k, json_t *answer)
{
	json_t *row, *rows = json_object_get(answer, k->key ? k->key : "");
	size_t i;
	int rc = 0;

	if (k->columns == series_columns)
		return add_series(g, answer);
	if (k->columns == top_columns)
		return add_top(g, answer);
	json_array_foreach(rows, i, row)
		rc = rc ? rc : grid_add(g, row);
	return rc;
}

/* ---- output ---- */

static bool is_right(const struct query_column *c)
{
	return c->form == FORM_NUMBER || c->form == FORM_NS || c->form == FORM_ERROR_RATE;
}

static unsigned total_width(const struct grid *g, const unsigned *width)
{
	unsigned sum = 0;

	for (int i = 0; i < g->n_columns; i++)
		sum += width[i] + (i ? 2 : 0);
	return sum;
}

/* Part of a number, a time or a build-id would be worse than none. */
static void fit_columns(const struct grid *g, unsigned *width, unsigned columns)
{
	unsigned total = total_width(g, width);
	bool may[COLUMNS_MAX];

	for (int i = 0; i < g->n_columns; i++)
		may[i] = (g->column[i]->form == FORM_TEXT || g->column[i]->form >= FORM_LIST) && !is_right(g->column[i]);
	if (columns && total > columns)
		columns_shrink(width, may, (unsigned)g->n_columns, CELL_COLUMNS_MIN, total - columns);
}

static void put_line(const struct grid *g, const unsigned *width, size_t row, struct output *o)
{
	struct buf line = { 0 };

	for (int i = 0; i < g->n_columns; i++) {
		const char *text = row ? buf_text(&g->cell[(row - 1) * (size_t)g->n_columns + (size_t)i]) : g->column[i]->title;
		unsigned columns = text_columns(text, strlen(text)), pad = width[i] > columns ? width[i] - columns : 0;

		if (i)
			buf_str(&line, "  ");
		if (is_right(g->column[i]))
			buf_printf(&line, "%*s", (int)pad, "");
		text_fit(&line, text, strlen(text), width[i], o->utf8);
		if (!is_right(g->column[i]) && i + 1 < g->n_columns)
			buf_printf(&line, "%*s", (int)pad, "");
	}
	text_fit(&o->text, buf_text(&line), line.len, output_columns(o), o->utf8);
	buf_char(&o->text, '\n');
	buf_free(&line);
	output_poll(o);
}

static void show_table(const struct grid *g, struct output *o)
{
	size_t rows = g->n_columns ? g->n_cells / (size_t)g->n_columns : 0;
	unsigned width[COLUMNS_MAX] = { 0 };

	for (int i = 0; i < g->n_columns; i++)
		width[i] = (unsigned)strlen(g->column[i]->title);
	for (size_t i = 0; i < g->n_cells; i++) {
		unsigned columns = text_columns(buf_text(&g->cell[i]), g->cell[i].len), *w = &width[i % (size_t)g->n_columns];

		*w = columns > *w ? columns : *w;
	}
	for (int i = 0; i < g->n_columns; i++)
		width[i] = width[i] > TABLE_CELL_COLUMNS && o->terminal ? TABLE_CELL_COLUMNS : width[i];
	fit_columns(g, width, output_columns(o));
	for (size_t row = 0; row <= rows; row++)
		put_line(g, width, row, o);
}

static void show_csv(const struct grid *g, struct output *o)
{
	size_t n = g->n_columns > 0 ? (size_t)g->n_columns : 1;

	for (int i = 0; i < g->n_columns; i++)
		buf_printf(&o->text, "%s%s", i ? "," : "", g->column[i]->key[0] ? g->column[i]->form == FORM_ERROR_RATE ? "error_rate" : g->column[i]->key : "not_shown");
	buf_str(&o->text, "\r\n");
	for (size_t i = 0; i < g->n_cells; i++) {
		buf_str(&o->text, buf_text(&g->cell[i]));
		buf_str(&o->text, (i + 1) % n ? "," : "\r\n");
		output_poll(o);
	}
}

/* What the reader must know: rows that are missing, or that they are a sample. */
static void show_notes(const struct query_kind *k, const json_t *answer, struct output *o)
{
	if (k->columns == top_columns)
		buf_printf(&o->text, "over %lld recorded calls%s\n", (long long)json_integer_value(json_object_get(answer, "calls")),
			   json_is_true(json_object_get(answer, "more")) ? ", the newest; there are more" : "");
	else if (json_is_true(json_object_get(answer, "more")))
		buf_str(&o->text, "there are older ones: --limit, --since\n");
}

int query_show(const char *what, const char *json, enum query_format format, struct output *o, struct error *err)
{
	const struct query_kind *k = kind_of(what);
	struct grid g = { .csv = format == QUERY_CSV };
	json_t *answer;
	int rc;

	if (format == QUERY_JSON) {
		buf_str(&o->text, json);
		buf_char(&o->text, '\n');
		return 0;
	}
	answer = json_loads(json, 0, NULL);
	if (!k || !json_is_object(answer)) {
		json_decref(answer);
		return error_set(err, EPROTO, "the collector sent an answer that is none");
	}
	choose_columns(&g, k, answer);
	rc = add_rows(&g, k, answer);
	if (rc)
		error_set(err, ENOMEM, "no memory for the answer");
	else if (g.csv)
		show_csv(&g, o);
	else if (g.n_cells)
		show_table(&g, o);
	else
		buf_str(&o->text, "nothing that is stored matches\n");
	if (!rc && !g.csv)
		show_notes(k, answer, o);
	grid_free(&g);
	json_decref(answer);
	return rc;
}
