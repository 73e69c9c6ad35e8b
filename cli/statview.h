/* SPDX-License-Identifier: Apache-2.0 */
/* What plumb stat knows and draws: per probe the last tick and everything since the start. */
#ifndef PLUMB_CLI_STATVIEW_H
#define PLUMB_CLI_STATVIEW_H

#include "model.h"
#include "output.h"

/* One per probe of the model, in its order. */
struct statrow {
	struct tally all, tick;
};

/* Owns its rows. Starts as zeros but for started_ns and last_ns, the wall clock when the request began. */
struct statview {
	struct statrow *row;
	uint32_t n;
	uint64_t started_ns, last_ns, tick_ns;  /* tick_ns: how long the last tick took */
	unsigned drawn;          /* lines on the screen that the next drawing replaces */
};

void statview_free(struct statview *v);
/* A new snapshot is in the model: what it has more than the one before is the tick. -ENOMEM. */
int statview_tick(struct statview *v, const struct model *m, uint64_t now_ns);

/* The table and the histograms as lines, at most `columns` wide (0: 80); color and unicode bars as `o` has them. */
void statview_text(const struct statview *v, const struct model *m, struct output *o, unsigned columns, struct buf *text);
/* One line of JSON. */
void statview_json(const struct statview *v, const struct model *m, const char *host, struct buf *out);
/* Puts lines on the screen: over the last ones on a terminal, below them elsewhere. */
void statview_draw(struct statview *v, struct output *o, const struct buf *text);

#endif
