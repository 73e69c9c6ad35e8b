/* SPDX-License-Identifier: Apache-2.0 */
/* What lines.c shares with lines_note.c, and a function that is inlined into both. */
#ifndef TARGET_LINES_H
#define TARGET_LINES_H

#include <stdint.h>

enum { LINES_MAX = 4096 };
#define LINE __LINE__
extern uint64_t ran[LINES_MAX];

/* Counts that a line runs; returns the value. */
int note(int line, int value);

static inline int twice(int n)
{
	int half = n / 2;

	half += note(1000 + LINE, n) & 1;
	return n * 2 + half;
}

#endif
