/* SPDX-License-Identifier: Apache-2.0 */
/* A trace or stat from its request to its totals: what both do. */
#ifndef PLUMB_CLI_STREAM_H
#define PLUMB_CLI_STREAM_H

#include "client.h"
#include "model.h"
#include "output.h"

struct stream;

struct stream_ops {
	const char *verb;
	/* Once, when the agent has accepted; may set s->view. */
	int (*start)(struct stream *s, struct error *err);
	/* A frame that the model has taken in already. raw: its bytes. */
	int (*frame)(struct stream *s, const struct frame_in *in, const char *raw, size_t raw_len, struct error *err);
	void (*stop)(struct stream *s);          /* may be NULL; frees s->view */
};

/* Owns the connection, the model and the output while stream_run runs. */
struct stream {
	const struct args *args;
	const struct stream_ops *ops;
	struct client *client;
	struct model model;
	struct output out;
	void *view;              /* the operations' own */
	uint64_t id, shown;
	bool ended, stopping;
	bool disturbed;          /* a message went to the terminal since the last drawing */
	char reason[32], text[512];  /* of END */
	int64_t deadline_ms;     /* of the END that was asked for */
};

/* How long the END that was asked for may take: old kernels need 100 ms for each breakpoint that goes. A second Ctrl-C does
 * not wait. Tests shorten it. */
extern int stream_stop_ms;

/* Runs it to its end. Returns the exit code. */
int stream_run(const struct args *a, const struct stream_ops *ops);

#endif
