/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection to the store that only reads.  It sees whole commits, never waits for the writer, and each question ends by
 * itself: what takes longer than its time is broken off (-ETIME).
 */
#ifndef PLUMB_READER_H
#define PLUMB_READER_H

#include <sqlite3.h>
#include <stdint.h>

#include "plumb/error.h"

struct reader;   /* owns the connection and its statements; for one thread at a time */

int reader_open(const char *path, struct reader **out, struct error *err);
/* Takes NULL. */
void reader_close(struct reader *r);
/* Starts the time of a question. */
void reader_begin(struct reader *r, unsigned milliseconds);

/* The statement for `sql`, a text that outlives the reader; it is prepared once, reset and without bindings. NULL with err. */
sqlite3_stmt *reader_statement(struct reader *r, const char *sql, struct error *err);
/* sqlite3_step: 1: a row, 0: the end (the statement is reset), -ETIME, -EIO. */
int reader_step(struct reader *r, sqlite3_stmt *st, struct error *err);
/* Binds a text, or NULL for "any". It must live until the statement is stepped. */
void reader_bind_text(sqlite3_stmt *st, int at, const char *text);
/* "" for NULL. */
const char *reader_text(sqlite3_stmt *st, int column);

#endif
