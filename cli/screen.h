/* SPDX-License-Identifier: Apache-2.0 */
/* Lines that are drawn again and again in one place of a terminal. */
#ifndef PLUMB_CLI_SCREEN_H
#define PLUMB_CLI_SCREEN_H

#include "output.h"

/* Puts the text over the `drawn` lines of the last time, cut to the terminal. Returns how many there are now. */
unsigned screen_redraw(struct output *o, const struct buf *text, unsigned drawn);

#endif
