/* SPDX-License-Identifier: Apache-2.0 */
/* Standard output as a stream that is busy at times: collected, written in large pieces, flushed when there is nothing to do. */
#ifndef PLUMB_CLI_OUTPUT_H
#define PLUMB_CLI_OUTPUT_H

#include <stdbool.h>

#include "args.h"
#include "buf.h"

enum { OUTPUT_FLUSH_BYTES = 64 * 1024 };

/* Owns the text. */
struct output {
	int fd;
	struct buf text;     /* append here, then output_poll */
	bool color, terminal, utf8;
	bool closed;         /* nobody reads any more (EPIPE): what is written goes nowhere */
	bool failed;         /* closed because it could not be written: the disk is full */
};

void output_init(struct output *o, int fd, enum color_mode color);
void output_free(struct output *o);
/* Writes when enough has come together. */
void output_poll(struct output *o);
/* Writes all. */
void output_flush(struct output *o);
/* Columns and rows of the terminal; 0: not a terminal, no limit. */
unsigned output_columns(const struct output *o);
unsigned output_rows(const struct output *o);

/* Colours; nothing without colour. */
enum paint { PAINT_NONE, PAINT_DIM, PAINT_BOLD, PAINT_RED, PAINT_GREEN, PAINT_YELLOW };
void paint(struct output *o, enum paint p);

/* A message for people on standard error: "plumb: ...". */
void message(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* The error with the input its position belongs to (may be NULL), on standard error. */
void show_error(const struct error *err, const char *input);

#endif
