/* SPDX-License-Identifier: Apache-2.0 */
#include "wrap.h"

#include <string.h>

#include "table.h"

enum { LABEL_MAX = 32, TEXT_MIN = 24 /* columns that are left for the text, or it is not moved in */ };

/* Columns before a line's text: blanks, and a label with two blanks or more behind it. */
static unsigned hanging(const char *line, size_t len, unsigned columns)
{
	size_t blanks = strspn(line, " ");
	unsigned indent = (unsigned)blanks + 2;

	for (size_t i = blanks; i + 2 < len && i < LABEL_MAX; i++) {
		size_t gap = line[i] == ' ' ? strspn(line + i, " ") : 0;

		if (gap >= 2 && i + gap < len) {
			indent = text_columns(line, i + gap);
			break;
		}
	}
	return indent + TEXT_MIN <= columns ? indent : 0;
}

/* Bytes of the next word, with the blanks before it. */
static size_t next_word(const char *at, const char *end)
{
	const char *word = at;

	while (word < end && *word == ' ')
		word++;
	while (word < end && *word != ' ')
		word++;
	return (size_t)(word - at);
}

static void wrap_line(struct buf *out, const char *line, size_t len, unsigned columns)
{
	const char *at = line, *end = line + len;
	unsigned indent = hanging(line, len, columns), used = 0;

	while (at < end) {
		size_t n = next_word(at, end), blanks = strspn(at, " ");
		unsigned width = text_columns(at, n);

		if (used > indent && used + width > columns && blanks < n) {
			buf_printf(out, "\n%*s", (int)indent, "");
			at += blanks;
			n -= blanks;
			used = indent;
			width = text_columns(at, n);
		}
		buf_add(out, at, n);
		used += width;
		at += n;
	}
}

void text_wrap(struct buf *out, const char *text, unsigned columns)
{
	while (*text) {
		size_t len = strcspn(text, "\n");

		if (columns && text_columns(text, len) > columns)
			wrap_line(out, text, len, columns);
		else
			buf_add(out, text, len);
		text += len;
		if (*text == '\n') {
			buf_char(out, '\n');
			text++;
		}
	}
}
