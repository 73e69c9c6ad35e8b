/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What plumb stat knows and draws: per function the last tick and everything since the start.  The same function of the same
 * build is one row over all hosts and files, or one per host.
 */
#ifndef PLUMB_CLI_STATVIEW_H
#define PLUMB_CLI_STATVIEW_H

#include "model.h"
#include "output.h"

enum { STAT_SOURCES = MODEL_SOURCES_MAX };

struct statrow {
	struct tally all, tick;
	const struct probe *probe;   /* one of those that it sums up; the model's */
	uint32_t number;             /* in the order of their coming */
	uint32_t name_hash, hash;    /* of the function; of its text, too */
	uint32_t first;              /* of the probes in it, the others follow in statview.next */
	bool has_error;
	bool builds;                 /* there is a row of the same function in another build */
	bool specs;                  /* there is a row of the same function from another probe text */
};

/* Owns its rows; borrows the texts. Starts as zeros but for by_host, spec, and started_ns and last_ns, the wall clock when the request began. */
struct statview {
	struct statrow *row;
	uint32_t n;
	uint32_t *next;          /* per probe of the model: the next one of its row */
	uint32_t n_probes;
	bool by_host;
	char *const *spec;       /* what was asked for, in this order */
	uint32_t n_specs;
	unsigned char reported[STAT_SOURCES / 8];   /* sources that have reported since the last tick, by their number */
	uint64_t started_ns, last_ns, tick_ns;  /* tick_ns: how long the last tick took */
	unsigned drawn;          /* lines on the screen that the next drawing replaces */
};

void statview_free(struct statview *v);
/* A new snapshot is in the model: what it has more than the one before is the tick. -ENOMEM. */
int statview_tick(struct statview *v, const struct model *m, uint64_t now_ns);

/* The same at the end, soon after a tick: the counts since the start go on, the tick stays what it was. -ENOMEM. */
int statview_total(struct statview *v, const struct model *m);

/* The table and the histograms as lines, at most `columns` wide (0: 80); color and unicode bars as `o` has them. */
void statview_text(const struct statview *v, const struct model *m, struct output *o, unsigned columns, struct buf *text);
/* One line of JSON. host: the agent's; NULL: those of the sources. */
void statview_json(const struct statview *v, const struct model *m, const char *host, struct buf *out);
/* Puts lines on the screen: over the last ones on a terminal, below them elsewhere. `last`: the picture stays, so all of it is shown. */
void statview_draw(struct statview *v, struct output *o, const struct buf *text, bool last);

#endif
