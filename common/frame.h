/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames over a byte stream (wire.h): packing into a buffer, cutting out of one.  Receiving is bounded: a length of 0 or
 * above WIRE_FRAME_MAX, a msgpack body that is not one array, is nested deeper than FRAME_DEPTH_MAX or ends early is an
 * error after which the stream must be closed.
 */
#ifndef PLUMB_FRAME_H
#define PLUMB_FRAME_H

#include <msgpack.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>

#include "buf.h"
#include "plumb/error.h"
#include "plumb/wire.h"

enum { FRAME_DEPTH_MAX = 64 };

/* A frame that is being packed: fill it through `pk`, then frame_end. */
struct frame {
	struct buf *out;
	size_t start, max;
	msgpack_packer pk;
};

/* Starts a frame of `n` array elements (the type counts as one) at the end of out. */
void frame_begin(struct frame *f, struct buf *out, enum wire_type type, unsigned n);
/* Writes the length. -EMSGSIZE: larger than WIRE_FRAME_MAX (less WIRE_ENTRY_ROOM, unless it is an ENTRY), nothing is left in
 * out; -ENOMEM. */
int frame_end(struct frame *f);
/* A REPLY with a payload map of n pairs; end with frame_end. */
void frame_reply_begin(struct frame *f, struct buf *out, uint64_t id, unsigned n);
/* A whole REPLY that refuses. probe: index of the probe text that err's column is in, -1: none. */
void frame_reply_error(struct buf *out, uint64_t id, const struct error *err, int64_t probe);

/* Packs straight into a buffer, for values outside frames. */
void pack_into(msgpack_packer *pk, struct buf *out);
void pack_text(msgpack_packer *pk, const char *text);          /* NULL: nil */
void pack_key(msgpack_packer *pk, const char *key);
void pack_key_u64(msgpack_packer *pk, const char *key, uint64_t value);
void pack_key_text(msgpack_packer *pk, const char *key, const char *value);

/* Bytes of the first msgpack object in data[0..len), found without allocating: 0 if it is not complete, -EPROTO if it is
 * not msgpack or deeper than FRAME_DEPTH_MAX containers.  To be called before msgpack_unpack on anything received. */
ssize_t pack_measure(const void *data, size_t len);
/* The same of an object that lies in an array. */
ssize_t pack_measure_element(const void *data, size_t len);
/* pack_measure, then the object itself: its containers lie in `zone`, its texts and bytes in `data`. Returns as pack_measure
 * does, or -ENOMEM. A caller with many small objects clears the zone and uses it again: then nothing is allocated. */
ssize_t pack_take(const void *data, size_t len, msgpack_zone *zone, msgpack_object *out);

/* One received frame; owns its memory. */
struct frame_in {
	enum wire_type type;
	const msgpack_object *items;   /* items[0] is the type */
	uint32_t count;
	msgpack_unpacked unpacked;
};

/* Takes one frame from data[0..len). Returns bytes used, 0: not complete yet, -EPROTO with err: close the stream.
 * On > 0 the caller ends with frame_in_free. */
int frame_take(const void *data, size_t len, struct frame_in *in, struct error *err);
/* Reads the array of a frame that was kept without its length. 0, -EPROTO, -ENOMEM; on 0 the caller ends with frame_in_free. */
int frame_read(const void *data, size_t len, struct frame_in *in, struct error *err);
void frame_in_free(struct frame_in *in);

/* Reading values from hostile objects: return false if the type does not fit; map_get returns NULL if there is no such key. */
bool object_u64(const msgpack_object *o, uint64_t *out);
bool object_i64(const msgpack_object *o, int64_t *out);
bool object_bool(const msgpack_object *o, bool *out);
/* A malloc'ed NUL-terminated copy without embedded NULs, at most `max` bytes; NULL otherwise. */
char *object_text(const msgpack_object *o, size_t max);
/* It is a text, this one. */
static inline bool object_is(const msgpack_object *o, const char *text)
{
	return o->type == MSGPACK_OBJECT_STR && o->via.str.size == strlen(text) && memcmp(o->via.str.ptr, text, o->via.str.size) == 0;
}
/* Such a text into `to`, cut to fit it; "" if it is none. */
void object_copy_text(char *to, size_t size, const msgpack_object *o);
const msgpack_object *map_get(const msgpack_object *map, const char *key);

#endif
