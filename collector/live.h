/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames as they are taken in, for those who look on: connections of plumb, the page's live tail.  A frame comes at once, a
 * moment before it is durable: if that commit fails the agent sends it again, and subscribers see it twice.
 */
#ifndef PLUMB_LIVE_H
#define PLUMB_LIVE_H

#include <stddef.h>
#include <stdint.h>

#include "frame.h"

/* One data frame. All of it is borrowed and valid during the call. */
struct live_item {
	enum wire_type type;         /* REPLY, PROBE, CHUNK, STATS, NOTICE, END, OPENED, LOSS */
	uint64_t request;            /* the store's id */
	int64_t agent;               /* the store's id */
	const char *host;
	uint64_t run;                /* of the agent; numbers of probes belong to it */
	bool past;                   /* not the run that is connected: its spool still had this */
	const struct frame_in *in;
	const void *frame;           /* its msgpack array, as it came */
	size_t len;
};

/* Must not unsubscribe others; it may unsubscribe itself. */
typedef void live_fn(const struct live_item *item, void *arg);

struct live;                     /* the list of subscribers; owns it */
struct live_subscriber;

struct live *live_new(void);
/* Takes NULL; frees the subscribers that are left. */
void live_free(struct live *l);
/* request 0: all. NULL: no memory. The list owns it until live_unsubscribe. */
struct live_subscriber *live_subscribe(struct live *l, uint64_t request, live_fn *fn, void *arg);
/* Takes NULL. */
void live_unsubscribe(struct live_subscriber *s);
void live_publish(struct live *l, const struct live_item *item);

#endif
