/* SPDX-License-Identifier: Apache-2.0 */
/* The stored records of some probes, newest chunk first, read back against the PROBE frames they came with. */
#ifndef PLUMB_RECORDS_H
#define PLUMB_RECORDS_H

#include "model.h"
#include "query.h"

/* What a record belongs to. Valid during the visit. */
struct record_place {
	const char *host;
	const char *comm;
	int64_t offset_ns;           /* to be added to the record's time */
	uint64_t request;
};

/* Visits records of the question's probes and time until `visit` returns 1 or `chunks_max` chunks were read. *more: whether there
 * was more. A chunk that cannot be read any more is counted in *broken. */
int records_each(struct reader *r, const struct query *q, uint32_t chunks_max,
		 int (*visit)(const struct record *rec, const struct record_place *at, void *arg), void *arg, bool *more, uint32_t *broken,
		 struct error *err);

#endif
