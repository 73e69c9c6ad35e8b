/* SPDX-License-Identifier: Apache-2.0 */
/* A collector keeps how a verification stands: while it runs, and for good when it ends. What it does not take is said once, and nothing
 * else is lost by that. */
#ifndef PLUMB_CLI_VERIFY_POST_H
#define PLUMB_CLI_VERIFY_POST_H

#include "args.h"
#include "client.h"
#include "verify.h"

struct verify_post;

/* Begins one, if c is a collector; else *out is NULL, which all others take. Borrows a, c and v. */
int verify_post_new(const struct args *a, struct client *c, struct verify *v, struct verify_post **out, struct error *err);
void verify_post_free(struct verify_post *p);
/* True: the frame was about the verdict, and is nobody else's. */
bool verify_post_frame(struct verify_post *p, const struct frame_in *in);
/* The time has gone on: every few seconds it says how it stands. */
int verify_post_timer(struct verify_post *p, uint64_t now_ns, struct error *err);
/* The end, with the record's file (empty: there is none); failed: why there is no verdict, NULL if there is one. Waits until the
 * collector has all of it, 20 s at most, and says where it is. */
void verify_post_end(struct verify_post *p, const struct buf *record, const struct error *failed);

#endif
