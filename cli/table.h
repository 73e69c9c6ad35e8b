/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of a reply as an aligned table or as JSON, from one description of its columns.  Texts come from binaries and
 * /proc: they are made safe here.
 */
#ifndef PLUMB_CLI_TABLE_H
#define PLUMB_CLI_TABLE_H

#include <msgpack.h>

#include "output.h"

/* How a cell is shown; JSON shows all but TEXTS as they are. */
enum cell_kind {
	CELL_TEXT,
	CELL_NUMBER,         /* to the right */
	CELL_AGE,            /* nanoseconds as a duration; nil: "-" */
	CELL_TEXTS,          /* a list, joined by "; "; what is a list in it, by blanks */
	CELL_TIME,           /* wall-clock nanoseconds as local date and time; nil: "-" */
	CELL_OFFSET,         /* signed nanoseconds: +1.2ms */
	CELL_FLAG,           /* yes, no */
	CELL_STATE,          /* ok green, missing red, anything else yellow */
	CELL_HIDDEN,         /* JSON only */
};

struct column {
	const char *title, *key;
	enum cell_kind kind;
};

/* Prints `rows` (an array of arrays, a column each; missing cells are empty). On a terminal lines are cut to its width. */
void table_text(const struct column *col, unsigned n_cols, const msgpack_object *rows, struct output *o);
/* One object a row and line. */
void table_json(const struct column *col, unsigned n_cols, const msgpack_object *rows, struct buf *out);
/* The rows of a reply on standard output, as the user wants them. Returns the exit code. */
int show_rows(const struct args *a, const struct column *col, unsigned n_cols, const msgpack_object *rows);
/* payload["failed"], on standard error. */
void show_failed(const msgpack_object *payload);
/* The rows payload[key]. col[0] is the host's: by way of a collector it is there, and payload["failed"] ([[host, text], ...]) tells
 * who did not answer; one agent's answer has neither. */
int show_merged(const struct args *a, const struct column *col, unsigned n_cols, const msgpack_object *payload, const char *key);
/* Any object as JSON. */
void object_json(const msgpack_object *o, struct buf *out);

/* ---- text in columns ---- */

/* Columns of safe text on a terminal; escape sequences of paint take none. */
unsigned text_columns(const char *text, size_t len);
/* The text, cut to `columns` (0: not cut). */
void text_cut(struct buf *out, const char *text, size_t len, unsigned columns);
/* The text, cut to `columns` (0: not cut) with an ellipsis where it was longer; one column has room for neither. */
void text_fit(struct buf *out, const char *text, size_t len, unsigned columns, bool utf8);
/* The text in exactly `width` columns: filled with blanks, or cut with an ellipsis. */
void text_cell(struct buf *out, const char *text, unsigned width, bool utf8);
/* Takes `over` columns from those that `may` give some, always from the widest, and leaves `least` in each. */
void columns_shrink(unsigned *width, const bool *may, unsigned n, unsigned least, unsigned over);
/* paint() into any buffer. */
void text_paint(struct buf *out, const struct output *o, enum paint p);

#endif
