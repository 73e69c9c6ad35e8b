/* SPDX-License-Identifier: Apache-2.0 */
/* The verb "verdict" (wire.h), as whoever verifies says it to a collector. */
#ifndef PLUMB_VERIFY_VERDICT_FRAME_H
#define PLUMB_VERIFY_VERDICT_FRAME_H

#include "buf.h"
#include "plumb/error.h"
#include "verify.h"

/* Ids of "verdict" on a connection; a verification's own are small numbers. */
#define VERDICT_REQUEST_ID (1ULL << 40)

/* How it stands. Borrows everything. */
struct verdict_words {
	uint64_t id;                  /* of the verdict; 0: a new one */
	const char *state, *title, *service, *reason;   /* what is NULL stays as it is */
	const struct buf *report;     /* NULL, or longer than a collector takes: stays as it is */
};

/* "RUNNING"; over: what was decided, or INCONCLUSIVE. */
const char *verdict_words_state(const struct verify_view *v, bool over);
/* The request, at the end of out. -ENOMEM, -EMSGSIZE: out is as before. */
int verdict_words_pack(const struct verdict_words *w, struct buf *out);
/* The record in parts, and then the verdict; *frames grows by those that were packed. A record that is too long is left out: -E2BIG,
 * the verdict is packed all the same. */
int verdict_words_pack_end(const struct verdict_words *w, const struct buf *record, struct buf *out, unsigned *frames);

#endif
