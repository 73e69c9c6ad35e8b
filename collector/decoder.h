/* SPDX-License-Identifier: Apache-2.0 */
/* What it takes to read the records of one request from one run of an agent: its PROBE frames and the names of its processes, as
 * the store has them. */
#ifndef PLUMB_DECODER_H
#define PLUMB_DECODER_H

#include "model.h"
#include "reader.h"

struct decoder {
	struct model model;
	int64_t agent;
	uint64_t run, request;
	/* The store's id of each of model.probe. Owned. */
	int64_t *probe_id;
};

/* NULL with err. decoder_free ends it. */
struct decoder *decoder_load(struct reader *r, int64_t agent, uint64_t run, uint64_t request, struct error *err);
void decoder_free(struct decoder *d);   /* takes NULL */
bool decoder_is_for(const struct decoder *d, int64_t agent, uint64_t run, uint64_t request);
/* A PROBE, or a NOTICE of a process, that came since. What is known already, or is malformed, changes nothing. */
void decoder_learn(struct decoder *d, const struct frame_in *in);
/* The store's id of a record's probe; 0: it came through decoder_learn. */
int64_t decoder_probe(const struct decoder *d, const struct record *rec);

#endif
