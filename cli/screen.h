/* SPDX-License-Identifier: Apache-2.0 */
/* Lines that are drawn again and again in one place of a terminal. */
#ifndef PLUMB_CLI_SCREEN_H
#define PLUMB_CLI_SCREEN_H

#include "output.h"

/*
 * Puts the text over the `drawn` lines of the last time.  Lines are cut to the terminal; where it has too few rows, what is left out before the
 * `keep` last lines is counted in one of its own.  Returns how many lines there are now.
 */
unsigned screen_redraw(struct output *o, const struct buf *text, unsigned drawn, unsigned keep);
/* How many more lines the text has than the terminal has room for. */
unsigned screen_excess(const struct output *o, const struct buf *text);

#endif
