/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing numbers and hostile text into a buffer.  Whatever a probed program holds (arguments, process names, symbol
 * names) passes through one of the two escapers before a terminal or a JSON reader sees it.
 */
#ifndef PLUMB_TEXT_H
#define PLUMB_TEXT_H

#include <stdint.h>

#include "buf.h"

/* Decodes one UTF-8 sequence at p[0..len), len > 0. Returns its bytes (1..4), 0 if it is invalid or cut. */
unsigned utf8_decode(const char *p, size_t len, uint32_t *code);
/* False for what can act on a terminal or hide text on it: C0, DEL, C1, line separators, bidirectional overrides. */
bool utf8_is_safe(uint32_t code);
/* Columns that a safe code point takes on a terminal (0, 1 or 2; the wide East Asian ranges and emoji take 2). */
unsigned utf8_columns(uint32_t code);

void text_u64(struct buf *out, uint64_t value);
void text_i64(struct buf *out, int64_t value);
void text_hex(struct buf *out, uint64_t value);   /* "0x7f12" */
/* The value as `width` decimal digits with leading zeros; higher digits are cut. */
void text_digits(struct buf *out, uint64_t value, unsigned width);

/* For people: unsafe code points and invalid bytes become \xNN; `quote` ('"', '\'', 0 = none) and, if there is one, the
 * backslash get a backslash before them. The quotes themselves are not written. */
void text_escape(struct buf *out, const char *text, size_t len, char quote);
/* The same of a text that ends with a NUL, without quotes. */
void text_safe(struct buf *out, const char *text);
/* A JSON string with its quotes. Always valid UTF-8 and pure text: unsafe code points become \uNNNN, invalid bytes
 * U+FFFD; with `cut` an ellipsis U+2026 ends it. */
void text_json(struct buf *out, const char *text, size_t len, bool cut);
void text_json_str(struct buf *out, const char *text);  /* NULL: null */
/* The shortest decimal that reads back as the same value; nan, inf, -inf. */
void text_double(struct buf *out, double value, bool single);

#endif
