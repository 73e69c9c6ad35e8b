/* SPDX-License-Identifier: Apache-2.0 */
#include "screen.h"

#include <stdio.h>
#include <string.h>

#include "table.h"

static unsigned lines_of(const struct buf *text)
{
	unsigned n = 0;

	for (size_t i = 0; i < text->len; i++)
		n += text->data[i] == '\n';
	return n;
}

unsigned screen_excess(const struct output *o, const struct buf *text)
{
	unsigned n = lines_of(text), rows = output_rows(o);

	return n + 1 > rows ? n + 1 - rows : 0;   /* the cursor has a row of its own */
}

static void put_line(struct output *o, const char *at, size_t len)
{
	buf_char(&o->text, '\r');
	text_fit(&o->text, at, len, output_columns(o), o->utf8);
	buf_str(&o->text, o->color ? "\033[0m\033[K\n" : "\033[K\n");
}

static void put_left_out(struct output *o, unsigned n)
{
	char line[64];

	snprintf(line, sizeof(line), "(%u more lines: the terminal is too small)", n);
	put_line(o, line, strlen(line));
}

unsigned screen_redraw(struct output *o, const struct buf *text, unsigned drawn, unsigned keep)
{
	unsigned total = lines_of(text), excess = screen_excess(o, text), n = 0;
	/* One more makes room for the line that says so. */
	unsigned skip = excess ? excess + 1 : 0, first = total > keep + skip ? total - keep - skip : 0;
	const char *at = buf_text(text);

	if (drawn)
		buf_printf(&o->text, "\033[%uA", drawn);
	for (unsigned i = 0; i < total; i++) {
		size_t len = strcspn(at, "\n");

		if (skip && i == first)
			put_left_out(o, skip);
		if (skip && i == first)
			n++;
		if (i < first || i >= first + skip) {
			put_line(o, at, len);
			n++;
		}
		at += len + 1;
	}
	buf_str(&o->text, "\033[J");
	return n;
}
