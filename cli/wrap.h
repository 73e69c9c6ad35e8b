/* SPDX-License-Identifier: Apache-2.0 */
/* Sentences on a terminal: broken between words, and what goes on stands below where it began. */
#ifndef PLUMB_CLI_WRAP_H
#define PLUMB_CLI_WRAP_H

#include "buf.h"

/*
 * Appends the lines of a text, those that are wider than `columns` (0: none is) as several.  What goes on begins where the line's text does: behind
 * a label ("  PASS       exposure: ..."), else two columns further in.  Words are never cut; the text is safe, and escape sequences of paint
 * take no columns.
 */
void text_wrap(struct buf *out, const char *text, unsigned columns);

#endif
