/* SPDX-License-Identifier: Apache-2.0 */
/* Characters out of bytes that nobody has checked. */
#ifndef PLUMB_UTF8_H
#define PLUMB_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Takes one character. Returns its bytes (1 to 4); 0: not UTF-8 (overlong, surrogate, cut short, above U+10FFFF). */
int utf8_take(const char *s, size_t len, uint32_t *cp);

/* Writes one character to out, which has room for 4 bytes. Returns its bytes; 0: not a character. */
int utf8_put(uint32_t cp, char *out);

/* True for what moves the cursor, hides or reorders text on a terminal: C0, DEL, C1, line separators, bidi controls. */
bool utf8_is_control(uint32_t cp);

/* Terminal cells: 0 for combining marks, 2 for East Asian wide characters and emoji, else 1. */
int utf8_width(uint32_t cp);

#endif
