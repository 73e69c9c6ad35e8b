/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plumb inside of the collector: what the HTTP side asks of control goes the way that a connected plumb's requests go, with the
 * same rights, limits and audit. The same frames, without a socket.
 */
#ifndef PLUMB_INSIDE_H
#define PLUMB_INSIDE_H

#include "frame.h"
#include "roles.h"

struct collector;
struct inside;      /* owns the connection; its requests end with it, unless they are kept */

/* A frame from the collector, and its bytes; the callee may free the inside. gone (in NULL): the connection was ended. */
typedef void inside_fn(const struct frame_in *in, const void *raw, size_t raw_len, void *arg);

struct inside *inside_new(struct collector *c, const char *peer, const struct identity *who, inside_fn *fn, void *arg, struct error *err);
/* Sends what is in `frames` and clears it. */
void inside_send(struct inside *i, struct buf *frames);
void inside_free(struct inside *i);   /* takes NULL */

#endif
