/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All that a verdict was made of, as bytes: whoever has them can compute it again and gets the same answer.
 *
 * The bytes are msgpack arrays without gaps, so that they can be appended to a file as they come:
 *   ["plumb-verdict", VERDICT_VERSION, {claim}]
 *   then any of  [0, arm, arm]        a tick: baseline, candidate
 *                [1, reason]          verdict_end
 *                [2, key, value]      a note: build-ids, probe plans, who asked; kept beside it, not looked at
 *   arm: [span ns, calls, errors, triggers, trigger errors, trigger unknown, lost, unpaired, processes, probe ns, site kind,
 *         [bucket, count, ...] or nil, [hits of each line] or nil, [calls, per, ...] or nil, [where, value, count, ...],
 *         most probe ns, unseen processes, processes that died]
 */
#ifndef PLUMB_REPLAY_H
#define PLUMB_REPLAY_H

#include <stddef.h>

#include "verdict.h"

/* A failed allocation shows in out->failed. */
void verdict_pack_claim(struct buf *out, const struct claim *claim);
void verdict_pack_tick(struct buf *out, const struct claim *claim, const struct arm_tick *base, const struct arm_tick *cand);
void verdict_pack_end(struct buf *out, const char *reason);
void verdict_pack_note(struct buf *out, const char *key, const char *value);

/* The verdict that the bytes give; NULL with err: they are damaged, cut, hostile or of another version. */
struct verdict *verdict_replay(const void *data, size_t len, struct error *err);

typedef void (*verdict_note_fn)(void *data, const char *key, const char *value);
/* Calls `each` for every note. 0, or -EPROTO: damaged; what was read before was told. Texts above 64 KiB are left out. */
int verdict_notes(const void *data, size_t len, verdict_note_fn each, void *arg, struct error *err);

#endif
