/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A record holds all that a verification was made of: what was asked (with the patch), every frame that came, and when.  The same
 * code makes of it what it made then (verify.h has no other inputs), so the verdict, the plan and every figure can be computed
 * again, by whoever has the file.
 *
 *   "plumbrec" (8 bytes)  format, verdict version, flags, 0 (a byte each)  raw length, deflated length (8 bytes each, big-endian)
 *   deflated bytes        msgpack arrays without gaps: {spec}, then [0, ns, frame], [1, ns] (timer), [2, ns, reason] (stopped),
 *                         [3, ns] (start)
 *   signature             64 bytes, if flags & 1: Ed25519 over everything before it
 */
#ifndef PLUMB_VERIFY_RECORD_H
#define PLUMB_VERIFY_RECORD_H

#include "buf.h"
#include "verify.h"

enum {
	RECORD_RAW_MAX = 256 << 20,
	RECORD_FORMAT = 3,
	RECORD_SIGNATURE = 64,
	RECORD_KEY_MAX = 16 << 10,
};

/* One event; a failed allocation shows in raw->failed. */
enum record_event { RECORD_FRAME, RECORD_TIMER, RECORD_STOP, RECORD_START };
void record_spec(struct buf *raw, const struct verify_spec *s);
void record_add(struct buf *raw, enum record_event what, uint64_t now_ns, const void *data, size_t len);

/* A private Ed25519 key as PEM; pem NULL: none. Owns its bytes. */
struct record_key { char *pem; size_t len; };
/* Reads one from a file. -EINVAL: it is none, or it is locked with a password. After an error *out is as it was. */
int record_key_read(const char *path, struct record_key *out, struct error *err);
void record_key_free(struct record_key *key);   /* leaves nothing of it in memory, and none in *key */

/* The file: raw is what was recorded; it is signed if there is a key. */
int record_seal(const struct buf *raw, const struct record_key *key, struct buf *file, struct error *err);
/* Computes it again. key: the public Ed25519 key (PEM) that it must be signed with; NULL: not looked at. *is_signed says whether
 * it has a signature at all. NULL with err: damaged, hostile, of another version, or not signed with that key. */
struct verify *record_replay(const void *file, size_t len, const char *key, size_t key_len, bool *is_signed, struct error *err);

#endif
