/* SPDX-License-Identifier: Apache-2.0 */
#include "screen.h"

#include <string.h>

#include "table.h"

unsigned screen_redraw(struct output *o, const struct buf *text, unsigned drawn)
{
	unsigned columns = output_columns(o), rows = output_rows(o);
	const char *at = buf_text(text);
	unsigned n = 0;

	if (drawn)
		buf_printf(&o->text, "\033[%uA", drawn);
	while (*at && n + 1 < rows) {
		size_t len = strcspn(at, "\n");

		buf_char(&o->text, '\r');
		text_cut(&o->text, at, len, columns);
		buf_str(&o->text, o->color ? "\033[0m\033[K\n" : "\033[K\n");
		at += len + (at[len] == '\n');
		n++;
	}
	buf_str(&o->text, "\033[J");
	return n;
}
