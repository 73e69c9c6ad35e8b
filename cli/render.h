/* SPDX-License-Identifier: Apache-2.0 */
/* Records and totals, for people and as JSON. */
#ifndef PLUMB_CLI_RENDER_H
#define PLUMB_CLI_RENDER_H

#include "model.h"
#include "output.h"

/* What changes less often than a record and is kept between them. */
struct render {
	struct output *out;
	const struct model *model;
	struct buf host_json;    /* "host":".." */
	const struct source *source;   /* whose host that is; NULL: the agent's own */
	int64_t second;          /* the second whose text is in `clock` */
	char clock[16];          /* "14:02:11" in local time */
};

int render_init(struct render *r, struct output *out, const struct model *m, const char *host);
void render_free(struct render *r);

/* 14:02:11.123456 checkoutd[812/815] parse_order(o={id=42}, n=3) = -22 <1.204ms> error
 * From one of several hosts: 14:02:11.123456 web-1:checkoutd[812/815] ... */
void render_text(struct render *r, const struct record *rec);
/* One object in one line. */
void render_json(struct render *r, const struct record *rec);

/* What the counters of a whole request add up to. */
struct totals {
	struct tally sum;
	uint64_t shown;          /* records that were printed */
	uint64_t dropped, missed, open, unread;
	bool condition;          /* some probe has an `if` */
};

void totals_of(const struct model *m, uint64_t shown, struct totals *t);
/* total calls=N errors=N shown=N sampled=N dropped=N unread=N ... */
void totals_text(const struct totals *t, struct buf *out);
/* {"total":{...}}; `end` is the reason of the end or NULL. */
void totals_json(const struct totals *t, const char *end, struct buf *out);

#endif
