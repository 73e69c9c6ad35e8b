/* SPDX-License-Identifier: Apache-2.0 */
/* Shows an error to a person: what, where in what they typed, what to do. */
#ifndef PLUMB_CARET_H
#define PLUMB_CARET_H

#include "buf.h"
#include "plumb/error.h"

enum { CARET_CELLS = 96 }; /* the widest cut of the input that is shown */

/*
 * Appends
 *
 *     plumb: no parameter 'ordr'
 *       1:13 | parse_order(ordr->id)
 *            |             ^~~~
 *     hint: did you mean 'order'?
 *
 * The middle is line:column (in bytes, 1-based) and the input's line, cut around the position when it is long; it is
 * left out when the error has no position, or `input` is NULL or blank. What a terminal must not get is shown as '?'.
 */
void error_render(const struct error *err, const char *input, struct buf *out);

#endif
