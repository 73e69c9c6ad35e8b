/* SPDX-License-Identifier: Apache-2.0 */
/* What people read of a verification. Everything that comes from a binary, a patch or a claim is made safe here. */
#ifndef PLUMB_VERIFY_TEXT_H
#define PLUMB_VERIFY_TEXT_H

#include "buf.h"
#include "verify.h"

/* How a piece of text is meant; a terminal has colours for it. */
enum verify_tone { TONE_PLAIN, TONE_DIM, TONE_BOLD, TONE_GOOD, TONE_BAD, TONE_WARN };
typedef void (*verify_paint_fn)(struct buf *out, enum verify_tone tone, void *arg);

struct verify_style {
	verify_paint_fn paint;   /* NULL: no colours */
	void *arg;
	unsigned context;        /* lines of the diff around a changed line */
	unsigned lines;          /* of the diff, at most; 0: all */
	bool brief;              /* arms, diff and gates, each gate in one line */
};

/* The state of things as lines: arms, diff with hits, gates, and at the end the verdict. */
void verify_text(const struct verify_view *v, const struct verify_style *style, struct buf *out);
/* Its part on the arguments of failing calls; nothing if none was looked at. */
void verify_text_failing(const struct verify_function_view *f, struct buf *out);
/* What is to be read with the verdict, a line each; safe to print. */
void verify_caveats(const struct verify_view *v, struct buf *out);
/* One line: what it is about at present. */
void verify_progress(const struct verify_view *v, struct buf *out);
/* What the counts of the changed lines are, and are not; "": none is counted. */
void verify_lines_legend(const struct verify_view *v, struct buf *out);
/* "8 hits", "did not run", "no code", ... of a changed line; "" of others. "~": see the legend. */
void verify_line_note(const struct verify_view *v, uint32_t line, struct buf *out);
/* Where the line is: the file's path on its side, and its number there. */
const char *verify_line_path(const struct covered_line *l);
uint32_t verify_line_number(const struct covered_line *l);
/* The line of the diff is changed, or at most so many lines from one that is, in the same hunk. */
bool verify_near_change(const struct coverage *c, uint32_t index, unsigned context);

#endif
