/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way to a collector.  To the rest of the agent it is a client with root's rights that never hangs up: what belongs to a
 * trace or stat goes into the spool, and from there over the connection when there is one; other answers go straight and are
 * lost without one.  Requests go on while the link is down.
 */
#ifndef PLUMB_UPLINK_H
#define PLUMB_UPLINK_H

#include "agent.h"
#include "buf.h"
#include "spool.h"

struct agent;
struct client;
struct request;
struct uplink;   /* owns the spool, the connection, and its client */

/* Opens the spool and begins to connect. */
int uplink_new(struct agent *a, struct uplink **out, struct error *err);
/* Takes NULL. What is in the spool stays. */
void uplink_free(struct uplink *u);

struct client *uplink_client(struct uplink *u);
/* Takes the whole frames in `frames`. The first -errno of a frame that was not accepted; the others are. */
int uplink_take(struct uplink *u, const struct buf *frames);
/* Appends the records of a CHUNK as they go to a collector, and says in which way (enum wire_codec). */
int uplink_pack(struct uplink *u, const struct buf *records, struct buf *out, enum wire_codec *codec);
/* A request whose client has left goes on here. */
void uplink_adopt(struct uplink *u, struct request *rq);
/* Several times a second. */
void uplink_tick(struct uplink *u);

/* For people: "connected to HOST:PORT, backlog ...". True: there is a connection, and nothing was lost or refused. */
bool uplink_describe(struct uplink *u, char *out, size_t size);

#endif
