/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A growable byte buffer.  It owns `data`.  A failed allocation sets `failed` and drops what follows, so
 * that a caller may append a whole text and check once.  data is always NUL-terminated when not NULL.
 */
#ifndef PLUMB_BUF_H
#define PLUMB_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct buf {
	char *data;
	size_t len, cap;
	bool failed;
};

void buf_free(struct buf *b);      /* frees the memory and makes it empty again */
void buf_clear(struct buf *b);     /* empties, keeps the memory */
void buf_add(struct buf *b, const void *data, size_t len);
void buf_str(struct buf *b, const char *text);
void buf_char(struct buf *b, char c);
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The text; "" when empty. Valid until the next change. */
const char *buf_text(const struct buf *b);
/* Drops `len` bytes from the front. */
void buf_consume(struct buf *b, size_t len);
/* Room for `len` more bytes at the end, or NULL; follow with b->len += what was written. */
void *buf_reserve(struct buf *b, size_t len);

#endif
