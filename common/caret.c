/* SPDX-License-Identifier: Apache-2.0 */
#include "caret.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "text.h"

enum { TAB_CELLS = 4 };

/* One character as it is shown. */
struct glyph {
	int bytes, cells;
	char text[5];
};

static struct glyph glyph_at(const char *s, size_t len)
{
	struct glyph g = { .bytes = 1, .cells = 1, .text = "?" };
	uint32_t cp;
	unsigned n = utf8_decode(s, len, &cp);

	if (n == 0)
		return g;
	g.bytes = (int)n;
	if (cp == '\t') {
		g.cells = TAB_CELLS;
		memset(g.text, ' ', TAB_CELLS);
	} else if (utf8_is_safe(cp)) {
		g.cells = (int)utf8_columns(cp);
		memset(g.text, 0, sizeof(g.text));
		memcpy(g.text, s, n);
	}
	return g;
}

/* One line of the input, and the bytes of it to underline. */
struct line {
	const char *text;
	size_t len, at, end;
	int number;
};

static struct line line_of(const struct error *err, const char *input)
{
	size_t total = strlen(input), at = (size_t)err->col - 1, start = 0;
	struct line l = { .number = 1 };

	if (at > total)
		at = total;
	for (size_t i = 0; i < at; i++) {
		if (input[i] == '\n') {
			l.number++;
			start = i + 1;
		}
	}
	l.text = input + start;
	l.len = strcspn(l.text, "\n");
	if (l.len > 0 && l.text[l.len - 1] == '\r')
		l.len--;
	l.at = at - start < l.len ? at - start : l.len;
	l.end = err->len > 0 ? l.at + (size_t)err->len : l.at + 1;
	if (l.end > l.len)
		l.end = l.len > l.at ? l.len : l.at + 1;
	return l;
}

static size_t cells_between(const struct line *l, size_t from, size_t to)
{
	size_t cells = 0;

	while (from < to && from < l->len) {
		struct glyph g = glyph_at(l->text + from, l->len - from);

		cells += (size_t)g.cells;
		from += (size_t)g.bytes;
	}
	return cells;
}

/* Where the shown part begins: the start, or so that a third of it stands before the position. */
static size_t cut_start(const struct line *l)
{
	size_t from = 0;

	if (cells_between(l, 0, l->len) <= CARET_CELLS)
		return 0;
	while (from < l->at && cells_between(l, from, l->at) > CARET_CELLS / 3)
		from += (size_t)glyph_at(l->text + from, l->len - from).bytes;
	return from;
}

/* Appends the text from `from` on, at most CARET_CELLS wide. Returns where it ended. */
static size_t show_text(const struct line *l, size_t from, struct buf *out)
{
	size_t cells = 0;

	while (from < l->len) {
		struct glyph g = glyph_at(l->text + from, l->len - from);

		cells += (size_t)g.cells;
		if (cells > CARET_CELLS)
			break;
		buf_str(out, g.text);
		from += (size_t)g.bytes;
	}
	return from;
}

static void fill(struct buf *out, char c, size_t n)
{
	while (n-- > 0)
		buf_char(out, c);
}

static void show_position(const struct line *l, struct buf *out)
{
	size_t from = cut_start(l), to, under;
	int gutter = snprintf(NULL, 0, "%d:%zu", l->number, l->at + 1);

	buf_printf(out, "  %d:%zu | %s", l->number, l->at + 1, from ? "..." : "");
	to = show_text(l, from, out);
	buf_printf(out, "%s\n", to < l->len ? "..." : "");

	under = cells_between(l, l->at, l->end < to ? l->end : to);
	buf_printf(out, "  %*s | ", gutter, "");
	fill(out, ' ', (from ? 3 : 0) + cells_between(l, from, l->at));
	buf_char(out, '^');
	fill(out, '~', under > 1 ? under - 1 : 0);
	buf_char(out, '\n');
}

/* Error texts quote names out of binaries and requests, so they are no cleaner than those. */
static void show_sentence(const char *what, const char *text, struct buf *out)
{
	buf_str(out, what);
	text_safe(out, text);
	buf_char(out, '\n');
}

void error_render(const struct error *err, const char *input, struct buf *out)
{
	show_sentence("plumb: ", err->text, out);
	if (err->col > 0 && input) {
		struct line l = line_of(err, input);

		if (strspn(l.text, " \t\r") < l.len)
			show_position(&l, out);
	}
	if (err->hint[0])
		show_sentence("hint: ", err->hint, out);
}
