/* SPDX-License-Identifier: Apache-2.0 */
#include "table.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"
#include "frame.h"
#include "text.h"
#include "units.h"

enum { GAP = 2, COLUMN_MIN = 6, WIDTH_MAX = 1000 };

/* ---- text in columns ---- */

/* Bytes and columns of the next character, or of an escape sequence of ours. */
static size_t next_glyph(const char *p, size_t len, unsigned *columns)
{
	uint32_t code;
	unsigned n;

	*columns = 0;
	if (*p == '\033') {
		size_t end = strcspn(p, "m");

		return end < len ? end + 1 : len;
	}
	n = utf8_decode(p, len, &code);
	*columns = n ? utf8_columns(code) : 1;
	return n ? n : 1;
}

unsigned text_columns(const char *text, size_t len)
{
	unsigned total = 0, columns;

	for (size_t at = 0; at < len; total += columns)
		at += next_glyph(text + at, len - at, &columns);
	return total;
}

void text_cut(struct buf *out, const char *text, size_t len, unsigned columns)
{
	unsigned used = 0, more;
	size_t at = 0;

	while (at < len) {
		size_t n = next_glyph(text + at, len - at, &more);

		if (columns && used + more > columns)
			break;
		buf_add(out, text + at, n);
		used += more;
		at += n;
	}
}

void text_fit(struct buf *out, const char *text, size_t len, unsigned columns, bool utf8)
{
	if (!columns || text_columns(text, len) <= columns) {
		buf_add(out, text, len);
	} else if (columns > 1) {
		text_cut(out, text, len, columns - 1);
		buf_str(out, utf8 ? "\xe2\x80\xa6" : "~");
	}
}

void text_cell(struct buf *out, const char *text, unsigned width, bool utf8)
{
	size_t start = out->len;
	unsigned used;

	if (width)
		text_fit(out, text, strlen(text), width, utf8);
	used = out->len > start ? text_columns(out->data + start, out->len - start) : 0;
	for (; used < width; used++)
		buf_char(out, ' ');
}

void text_paint(struct buf *out, const struct output *o, enum paint p)
{
	struct output to = { .color = o->color, .text = *out };

	paint(&to, p);
	*out = to.text;
}

/* ---- JSON ---- */

static void json_array(const msgpack_object_array *a, struct buf *out)
{
	buf_char(out, '[');
	for (uint32_t i = 0; i < a->size; i++) {
		if (i)
			buf_char(out, ',');
		object_json(&a->ptr[i], out);
	}
	buf_char(out, ']');
}

static void json_map(const msgpack_object_map *m, struct buf *out)
{
	buf_char(out, '{');
	for (uint32_t i = 0; i < m->size; i++) {
		const msgpack_object *key = &m->ptr[i].key;

		if (i)
			buf_char(out, ',');
		if (key->type == MSGPACK_OBJECT_STR)
			text_json(out, key->via.str.ptr, key->via.str.size, false);
		else
			buf_printf(out, "\"%u\"", i);
		buf_char(out, ':');
		object_json(&m->ptr[i].val, out);
	}
	buf_char(out, '}');
}

void object_json(const msgpack_object *o, struct buf *out)
{
	switch (o->type) {
	case MSGPACK_OBJECT_BOOLEAN:
		buf_str(out, o->via.boolean ? "true" : "false");
		break;
	case MSGPACK_OBJECT_POSITIVE_INTEGER:
		text_u64(out, o->via.u64);
		break;
	case MSGPACK_OBJECT_NEGATIVE_INTEGER:
		text_i64(out, o->via.i64);
		break;
	case MSGPACK_OBJECT_STR:
		text_json(out, o->via.str.ptr, o->via.str.size, false);
		break;
	case MSGPACK_OBJECT_ARRAY:
		json_array(&o->via.array, out);
		break;
	case MSGPACK_OBJECT_MAP:
		json_map(&o->via.map, out);
		break;
	default:   /* no verb replies with floats, bytes or extensions */
		buf_str(out, "null");
		break;
	}
}

static const msgpack_object *cell_of(const msgpack_object *row, unsigned i)
{
	if (row->type != MSGPACK_OBJECT_ARRAY || i >= row->via.array.size)
		return NULL;
	return &row->via.array.ptr[i];
}

void table_json(const struct column *col, unsigned n_cols, const msgpack_object *rows, struct buf *out)
{
	for (uint32_t r = 0; rows && rows->type == MSGPACK_OBJECT_ARRAY && r < rows->via.array.size; r++) {
		for (unsigned i = 0; i < n_cols; i++) {
			const msgpack_object *cell = cell_of(&rows->via.array.ptr[r], i);

			buf_str(out, i ? "," : "{");
			text_json_str(out, col[i].key);
			buf_char(out, ':');
			if (cell)
				object_json(cell, out);
			else
				buf_str(out, "null");
		}
		buf_str(out, "}\n");
	}
}

/* ---- the table ---- */

static void add_text(struct buf *out, const msgpack_object *o)
{
	if (o->type == MSGPACK_OBJECT_STR)
		text_escape(out, o->via.str.ptr, o->via.str.size, 0);
	else if (o->type == MSGPACK_OBJECT_POSITIVE_INTEGER)
		text_u64(out, o->via.u64);
	else if (o->type == MSGPACK_OBJECT_NEGATIVE_INTEGER)
		text_i64(out, o->via.i64);
}

static void add_list(struct buf *out, const msgpack_object_array *list, const char *between, bool nested)
{
	for (uint32_t i = 0; i < list->size; i++) {
		const msgpack_object *o = &list->ptr[i];

		if (o->type == MSGPACK_OBJECT_STR && o->via.str.size == 0)
			continue;
		if (i)
			buf_str(out, between);
		if (nested && o->type == MSGPACK_OBJECT_ARRAY)
			add_list(out, &o->via.array, " ", false);
		else
			add_text(out, o);
	}
}

/* short_form: where there is no room for all of it, the time of today, or the day. */
static void add_time(struct buf *out, uint64_t ns, bool short_form)
{
	time_t t = (time_t)(ns / 1000000000), today = time(NULL);
	struct tm tm, now;
	char text[32];
	const char *form = "%Y-%m-%d %H:%M:%S";

	if (!localtime_r(&t, &tm) || !localtime_r(&today, &now))
		return;
	if (short_form)
		form = tm.tm_year == now.tm_year && tm.tm_yday == now.tm_yday ? "%H:%M:%S" : "%Y-%m-%d";
	if (strftime(text, sizeof(text), form, &tm))
		buf_str(out, text);
}

static void add_offset(struct buf *out, const msgpack_object *o)
{
	int64_t ns;

	if (!object_i64(o, &ns))
		return;
	buf_char(out, ns < 0 ? '-' : '+');
	format_duration(out, ns < 0 ? -(uint64_t)ns : (uint64_t)ns);
}

static void cell_text(enum cell_kind kind, const msgpack_object *o, bool short_times, struct buf *out)
{
	buf_clear(out);
	if (o && kind == CELL_TEXTS && o->type == MSGPACK_OBJECT_ARRAY)
		add_list(out, &o->via.array, "; ", true);
	else if (o && kind == CELL_AGE && o->type == MSGPACK_OBJECT_POSITIVE_INTEGER)
		format_duration(out, o->via.u64 / 1000000000 * 1000000000);
	else if (o && kind == CELL_TIME && o->type == MSGPACK_OBJECT_POSITIVE_INTEGER)
		add_time(out, o->via.u64, short_times);
	else if (o && kind == CELL_OFFSET)
		add_offset(out, o);
	else if (o && kind == CELL_FLAG && o->type == MSGPACK_OBJECT_BOOLEAN)
		buf_str(out, o->via.boolean ? "yes" : "no");
	else if (o)
		add_text(out, o);
	if (out->len == 0 && kind != CELL_HIDDEN)
		buf_char(out, '-');
}

static enum paint state_paint(const char *state)
{
	return strcmp(state, "ok") == 0 ? PAINT_GREEN : strcmp(state, "missing") == 0 ? PAINT_RED : PAINT_YELLOW;
}

struct layout {
	const struct column *col;
	unsigned n, width[16], limit;   /* limit: columns of the terminal, 0: none */
	bool short_times;
	struct output *o;
};

/* The widest cell of each column. */
static void measure(struct layout *l, const msgpack_object_array *rows)
{
	struct buf cell = { 0 };

	for (unsigned i = 0; i < l->n; i++)
		l->width[i] = (unsigned)strlen(l->col[i].title);
	for (uint32_t r = 0; r < rows->size; r++) {
		for (unsigned i = 0; i < l->n; i++) {
			unsigned w;

			cell_text(l->col[i].kind, cell_of(&rows->ptr[r], i), l->short_times, &cell);
			w = text_columns(buf_text(&cell), cell.len);
			if (w > l->width[i])
				l->width[i] = w < WIDTH_MAX ? w : WIDTH_MAX;
		}
	}
	buf_free(&cell);
}

static unsigned total_width(const struct layout *l)
{
	unsigned sum = 0;

	for (unsigned i = 0; i < l->n; i++)
		sum += l->col[i].kind == CELL_HIDDEN ? 0 : l->width[i] + GAP;
	return sum - GAP;
}

void columns_shrink(unsigned *width, const bool *may, unsigned n, unsigned least, unsigned over)
{
	for (; over; over--) {
		unsigned widest = n;

		for (unsigned i = 0; i < n; i++)
			if (may[i] && width[i] > least && (widest == n || width[i] > width[widest]))
				widest = i;
		if (widest == n)
			return;
		width[widest]--;
	}
}

/* Part of a number or a time would be worse than none. */
static void fit(struct layout *l)
{
	bool may[sizeof(l->width) / sizeof(l->width[0])];
	unsigned total = total_width(l);

	for (unsigned i = 0; i < l->n; i++)
		may[i] = l->col[i].kind == CELL_TEXT || l->col[i].kind == CELL_TEXTS;
	if (l->limit && total > l->limit)
		columns_shrink(l->width, may, l->n, COLUMN_MIN, total - l->limit);
}

static unsigned last_shown(const struct layout *l)
{
	unsigned last = 0;

	for (unsigned i = 0; i < l->n; i++)
		if (l->col[i].kind != CELL_HIDDEN)
			last = i;
	return last;
}

static void put_cell(const struct layout *l, unsigned i, const char *text, bool head, struct buf *line)
{
	unsigned used = text_columns(text, strlen(text));

	if (l->col[i].kind == CELL_NUMBER && used < l->width[i])
		buf_printf(line, "%*s", (int)(l->width[i] - used), "");
	if (l->col[i].kind == CELL_STATE && !head)
		text_paint(line, l->o, state_paint(text));
	if (i == last_shown(l) && (!l->limit || used <= l->width[i]))
		buf_str(line, text);   /* nothing stands behind it: no filling */
	else
		text_cell(line, text, l->col[i].kind == CELL_NUMBER && used < l->width[i] ? used : l->width[i], l->o->utf8);
	if (l->col[i].kind == CELL_STATE && !head)
		text_paint(line, l->o, PAINT_NONE);
	if (i != last_shown(l))
		buf_str(line, "  ");
}

static void put_line(const struct layout *l, const msgpack_object *row, struct buf *cell, struct buf *line)
{
	buf_clear(line);
	if (!row)
		text_paint(line, l->o, PAINT_BOLD);
	for (unsigned i = 0; i < l->n; i++) {
		if (l->col[i].kind == CELL_HIDDEN)
			continue;
		if (row)
			cell_text(l->col[i].kind, cell_of(row, i), l->short_times, cell);
		put_cell(l, i, row ? buf_text(cell) : l->col[i].title, !row, line);
	}
	if (!row)
		text_paint(line, l->o, PAINT_NONE);
	text_fit(&l->o->text, buf_text(line), line->len, l->limit, l->o->utf8);
	buf_str(&l->o->text, l->o->color && l->limit ? "\033[0m\n" : "\n");
	output_poll(l->o);
}

void table_text(const struct column *col, unsigned n_cols, const msgpack_object *rows, struct output *o)
{
	struct layout l = { .col = col, .n = n_cols, .limit = output_columns(o), .o = o };
	struct buf cell = { 0 }, line = { 0 };

	if (!rows || rows->type != MSGPACK_OBJECT_ARRAY || n_cols > sizeof(l.width) / sizeof(l.width[0]))
		return;
	measure(&l, &rows->via.array);
	if (l.limit && total_width(&l) > l.limit) {
		l.short_times = true;
		measure(&l, &rows->via.array);
	}
	fit(&l);
	put_line(&l, NULL, &cell, &line);
	for (uint32_t r = 0; r < rows->via.array.size; r++)
		put_line(&l, &rows->via.array.ptr[r], &cell, &line);
	buf_free(&cell);
	buf_free(&line);
}

int show_rows(const struct args *a, const struct column *col, unsigned n_cols, const msgpack_object *rows)
{
	struct output o;

	if (!rows || rows->type != MSGPACK_OBJECT_ARRAY) {
		message("the agent's answer is malformed");
		return CLI_REFUSED;
	}
	output_init(&o, STDOUT_FILENO, a->color);
	if (a->json)
		table_json(col, n_cols, rows, &o.text);
	else
		table_text(col, n_cols, rows, &o);
	output_flush(&o);
	output_free(&o);
	return o.failed ? CLI_REFUSED : CLI_OK;
}

/* One line each; what came from the others is shown all the same. */
void show_failed(const msgpack_object *payload)
{
	const msgpack_object *failed = map_get(payload, "failed");

	for (uint32_t i = 0; failed && failed->type == MSGPACK_OBJECT_ARRAY && i < failed->via.array.size; i++) {
		const msgpack_object *pair = &failed->via.array.ptr[i];
		struct buf host = { 0 }, text = { 0 };

		if (cell_of(pair, 1)) {
			add_text(&host, cell_of(pair, 0));
			add_text(&text, cell_of(pair, 1));
			message("%s: %s", buf_text(&host), buf_text(&text));
		}
		buf_free(&host);
		buf_free(&text);
	}
}

int show_merged(const struct args *a, const struct column *col, unsigned n_cols, const msgpack_object *payload, const char *key)
{
	bool merged = args_collector(a) != NULL, cut = false;
	int code = show_rows(a, merged ? col : col + 1, merged ? n_cols : n_cols - 1, map_get(payload, key));

	show_failed(payload);
	if (object_bool(map_get(payload, "cut"), &cut) && cut)
		message("there are more than fit into one answer: these are not all");
	return code;
}
