/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why frames are not unpacked by msgpack-c: it allocates an array or a map by the count in its header before it has seen
 * one element, so that five bytes can ask for 100 GB; and it stops at 32 nested containers, which a struct that holds
 * structs reaches.  pack_measure walks the headers with no memory but a small stack.  When it is satisfied every element
 * that a header promises is there and takes at least one byte, so the tree that pack_take builds (of msgpack-c's own
 * objects) is at most 24 times as large as the bytes.
 */
#include "frame.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- packing ---- */

static int packer_write(void *data, const char *bytes, size_t len)
{
	struct buf *out = data;

	buf_add(out, bytes, len);
	return out->failed ? -1 : 0;
}

void pack_into(msgpack_packer *pk, struct buf *out)
{
	msgpack_packer_init(pk, out, packer_write);
}

void pack_text(msgpack_packer *pk, const char *text)
{
	size_t len = text ? strlen(text) : 0;

	if (!text) {
		msgpack_pack_nil(pk);
		return;
	}
	msgpack_pack_str(pk, len);
	msgpack_pack_str_body(pk, text, len);
}

void pack_key(msgpack_packer *pk, const char *key)
{
	pack_text(pk, key);
}

void pack_key_u64(msgpack_packer *pk, const char *key, uint64_t value)
{
	pack_text(pk, key);
	msgpack_pack_uint64(pk, value);
}

void pack_key_text(msgpack_packer *pk, const char *key, const char *value)
{
	pack_text(pk, key);
	pack_text(pk, value);
}

void frame_begin(struct frame *f, struct buf *out, enum wire_type type, unsigned n)
{
	f->out = out;
	f->start = out->len;
	f->max = type == WIRE_ENTRY ? WIRE_FRAME_MAX : WIRE_FRAME_MAX - WIRE_ENTRY_ROOM;
	buf_add(out, "\0\0\0\0", 4);
	pack_into(&f->pk, out);
	msgpack_pack_array(&f->pk, n);
	msgpack_pack_unsigned_int(&f->pk, type);
}

static void frame_undo(struct frame *f)
{
	f->out->len = f->start;
	if (f->out->data)
		f->out->data[f->start] = '\0';
}

int frame_end(struct frame *f)
{
	size_t len = f->out->len - f->start;
	uint32_t be;

	if (f->out->failed)
		return -ENOMEM;
	if (len - 4 > f->max) {
		frame_undo(f);
		return -EMSGSIZE;
	}
	be = htonl((uint32_t)(len - 4));
	memcpy(f->out->data + f->start, &be, 4);
	return 0;
}

void frame_reply_begin(struct frame *f, struct buf *out, uint64_t id, unsigned n)
{
	frame_begin(f, out, WIRE_REPLY, 4);
	msgpack_pack_uint64(&f->pk, id);
	msgpack_pack_true(&f->pk);
	msgpack_pack_map(&f->pk, n);
}

void frame_reply_error(struct buf *out, uint64_t id, const struct error *err, int64_t probe)
{
	struct frame f;

	frame_begin(&f, out, WIRE_REPLY, 4);
	msgpack_pack_uint64(&f.pk, id);
	msgpack_pack_false(&f.pk);
	msgpack_pack_map(&f.pk, 6);
	pack_key_u64(&f.pk, "code", (uint64_t)err->code);
	pack_key_text(&f.pk, "text", err->text);
	pack_key_text(&f.pk, "hint", err->hint);
	pack_key_u64(&f.pk, "col", (uint64_t)err->col);
	pack_key_u64(&f.pk, "len", (uint64_t)err->len);
	pack_key(&f.pk, "probe");
	msgpack_pack_int64(&f.pk, probe);
	frame_end(&f);
}

/* ---- measuring ---- */

enum head_kind { HEAD_VALUE, HEAD_BYTES, HEAD_ARRAY, HEAD_MAP, HEAD_BAD };

/* What follows the first byte: `count_bytes` of a length or count, then `fixed` bytes, then what the count says. */
struct head {
	enum head_kind kind;
	uint8_t count_bytes, fixed;
};

static const struct head heads[0x20] = { /* 0xc0 .. 0xdf */
	[0x00] = { HEAD_VALUE, 0, 0 }, [0x01] = { HEAD_BAD, 0, 0 },
	[0x02] = { HEAD_VALUE, 0, 0 }, [0x03] = { HEAD_VALUE, 0, 0 },
	[0x04] = { HEAD_BYTES, 1, 0 }, [0x05] = { HEAD_BYTES, 2, 0 }, [0x06] = { HEAD_BYTES, 4, 0 },  /* bin */
	[0x07] = { HEAD_BYTES, 1, 1 }, [0x08] = { HEAD_BYTES, 2, 1 }, [0x09] = { HEAD_BYTES, 4, 1 },  /* ext */
	[0x0a] = { HEAD_VALUE, 0, 4 }, [0x0b] = { HEAD_VALUE, 0, 8 },                                 /* float */
	[0x0c] = { HEAD_VALUE, 0, 1 }, [0x0d] = { HEAD_VALUE, 0, 2 },
	[0x0e] = { HEAD_VALUE, 0, 4 }, [0x0f] = { HEAD_VALUE, 0, 8 },                                 /* unsigned */
	[0x10] = { HEAD_VALUE, 0, 1 }, [0x11] = { HEAD_VALUE, 0, 2 },
	[0x12] = { HEAD_VALUE, 0, 4 }, [0x13] = { HEAD_VALUE, 0, 8 },                                 /* signed */
	[0x14] = { HEAD_VALUE, 0, 2 }, [0x15] = { HEAD_VALUE, 0, 3 }, [0x16] = { HEAD_VALUE, 0, 5 },
	[0x17] = { HEAD_VALUE, 0, 9 }, [0x18] = { HEAD_VALUE, 0, 17 },                                /* fixext */
	[0x19] = { HEAD_BYTES, 1, 0 }, [0x1a] = { HEAD_BYTES, 2, 0 }, [0x1b] = { HEAD_BYTES, 4, 0 },  /* str */
	[0x1c] = { HEAD_ARRAY, 2, 0 }, [0x1d] = { HEAD_ARRAY, 4, 0 },
	[0x1e] = { HEAD_MAP, 2, 0 }, [0x1f] = { HEAD_MAP, 4, 0 },
};

/* Reads the header at p[0..len): its bytes with the scalar or text it owns, and the number of objects inside.
 * 0: incomplete, -EPROTO: not msgpack. */
static ssize_t head_read(const uint8_t *p, size_t len, bool *container, uint64_t *objects)
{
	const struct head *h;
	uint64_t count = 0, need;

	*container = false;
	*objects = 0;
	if (p[0] < 0x80 || p[0] >= 0xe0)
		return 1;
	if (p[0] < 0xa0) {
		*container = true;
		*objects = p[0] < 0x90 ? 2U * (p[0] & 15U) : p[0] & 15U;
		return 1;
	}
	if (p[0] < 0xc0)
		return len > (p[0] & 31U) ? 1 + (p[0] & 31) : 0;
	h = &heads[p[0] - 0xc0];
	if (h->kind == HEAD_BAD)
		return -EPROTO;
	if (len < 1U + h->count_bytes)
		return 0;
	for (unsigned i = 0; i < h->count_bytes; i++)
		count = count << 8 | p[1 + i];
	need = 1U + h->count_bytes + h->fixed + (h->kind == HEAD_BYTES ? count : 0);
	*container = h->kind == HEAD_ARRAY || h->kind == HEAD_MAP;
	*objects = !*container ? 0 : h->kind == HEAD_MAP ? 2 * count : count;
	return need <= len ? (ssize_t)need : 0;
}

/* A captured text, [bin, cut], is measured a million times a second. */
static bool is_text(const uint8_t *p, size_t len)
{
	return len >= 4 && p[0] == 0x92 && p[1] == 0xc4 && len >= 4U + p[2] && (p[3 + p[2]] == 0xc2 || p[3 + p[2]] == 0xc3);
}

static ssize_t measure(const void *data, size_t len, unsigned depth_max)
{
	uint64_t left[FRAME_DEPTH_MAX];   /* objects still to come, per open container */
	const uint8_t *p = data;
	unsigned depth = 0;
	size_t at = 0;

	if (is_text(p, len))
		return 4 + p[2];
	do {
		uint64_t objects;
		bool container;
		ssize_t n;

		if (at == len)
			return 0;
		n = head_read(p + at, len - at, &container, &objects);
		if (n <= 0)
			return n;
		at += (size_t)n;
		if (depth)
			left[depth - 1]--;
		if (container && depth == depth_max)
			return -EPROTO;
		if (container)
			left[depth++] = objects;
		while (depth && left[depth - 1] == 0)
			depth--;
	} while (depth);
	return (ssize_t)at;
}

ssize_t pack_measure(const void *data, size_t len)
{
	return measure(data, len, FRAME_DEPTH_MAX);
}

ssize_t pack_measure_element(const void *data, size_t len)
{
	return measure(data, len, FRAME_DEPTH_MAX - 1);
}

/* ---- unpacking: the bytes were measured, nothing is checked again ---- */

static uint64_t big_endian(const uint8_t *p, unsigned n)
{
	uint64_t v = 0;

	while (n--)
		v = v << 8 | *p++;
	return v;
}

static msgpack_object unsigned_object(uint64_t v)
{
	return (msgpack_object){ .type = MSGPACK_OBJECT_POSITIVE_INTEGER, .via.u64 = v };
}

static msgpack_object signed_object(int64_t v)
{
	if (v >= 0)
		return unsigned_object((uint64_t)v);
	return (msgpack_object){ .type = MSGPACK_OBJECT_NEGATIVE_INTEGER, .via.i64 = v };
}

static msgpack_object float_object(const uint8_t *p, unsigned n)
{
	uint64_t bits = big_endian(p, n);
	uint32_t low = (uint32_t)bits;
	msgpack_object o = { .type = n == 4 ? MSGPACK_OBJECT_FLOAT32 : MSGPACK_OBJECT_FLOAT64 };
	float single;

	if (n == 4) {
		memcpy(&single, &low, 4);
		o.via.f64 = single;
	} else {
		memcpy(&o.via.f64, &bits, 8);
	}
	return o;
}

/* str, bin and ext: all are a size and bytes, an ext also a type before its bytes. */
static msgpack_object bytes_object(uint8_t lead, const uint8_t *end, uint64_t len)
{
	const char *bytes = (const char *)end - len;
	msgpack_object o = { .type = MSGPACK_OBJECT_STR };

	if (lead >= 0xc4 && lead <= 0xc6) {
		o.type = MSGPACK_OBJECT_BIN;
		o.via.bin.size = (uint32_t)len;
		o.via.bin.ptr = bytes;
	} else if ((lead >= 0xc7 && lead <= 0xc9) || (lead >= 0xd4 && lead <= 0xd8)) {
		o.type = MSGPACK_OBJECT_EXT;
		o.via.ext.type = (int8_t)bytes[-1];
		o.via.ext.size = (uint32_t)len;
		o.via.ext.ptr = bytes;
	} else {
		o.via.str.size = (uint32_t)len;
		o.via.str.ptr = bytes;
	}
	return o;
}

/* Anything but a container; it takes p[0..n). */
static msgpack_object leaf_object(const uint8_t *p, size_t n)
{
	unsigned width = (unsigned)n - 1;

	if (p[0] < 0x80)
		return unsigned_object(p[0]);
	if (p[0] >= 0xe0)
		return signed_object((int8_t)p[0]);
	if (p[0] < 0xc0)
		return bytes_object(p[0], p + n, p[0] & 31U);
	if (p[0] == 0xc0)
		return (msgpack_object){ .type = MSGPACK_OBJECT_NIL };
	if (p[0] <= 0xc3)
		return (msgpack_object){ .type = MSGPACK_OBJECT_BOOLEAN, .via.boolean = p[0] == 0xc3 };
	if (p[0] == 0xca || p[0] == 0xcb)
		return float_object(p + 1, width);
	if (p[0] >= 0xcc && p[0] <= 0xcf)
		return unsigned_object(big_endian(p + 1, width));
	if (p[0] >= 0xd0 && p[0] <= 0xd3)
		return signed_object((int64_t)(big_endian(p + 1, width) << ((64 - 8 * width) & 63)) >> ((64 - 8 * width) & 63));
	if (p[0] >= 0xd4 && p[0] <= 0xd8)
		return bytes_object(p[0], p + n, n - 2);
	return bytes_object(p[0], p + n, big_endian(p + 1, heads[p[0] - 0xc0].count_bytes));
}

/* A map's pairs lie in memory as its keys and values would in an array. */
_Static_assert(sizeof(msgpack_object_kv) == 2 * sizeof(msgpack_object), "a pair is two objects");

static msgpack_object container_object(uint8_t lead, uint64_t objects, msgpack_zone *zone, msgpack_object **inside)
{
	bool map = lead < 0x90 || lead >= 0xde;
	msgpack_object o = { .type = map ? MSGPACK_OBJECT_MAP : MSGPACK_OBJECT_ARRAY };

	*inside = objects ? msgpack_zone_malloc(zone, objects * sizeof(**inside)) : NULL;
	if (map) {
		o.via.map.size = (uint32_t)(objects / 2);
		o.via.map.ptr = (msgpack_object_kv *)*inside;
	} else {
		o.via.array.size = (uint32_t)objects;
		o.via.array.ptr = *inside;
	}
	return o;
}

static int build(const uint8_t *p, size_t len, msgpack_zone *zone, msgpack_object *out)
{
	struct { msgpack_object *next; uint64_t left; } open[FRAME_DEPTH_MAX + 1] = { { out, 1 } };
	unsigned depth = 1;

	while (depth) {
		msgpack_object *o = open[depth - 1].next++, *inside;
		uint64_t objects;
		bool container;
		size_t n = (size_t)head_read(p, len, &container, &objects);

		open[depth - 1].left--;
		if (container) {
			*o = container_object(p[0], objects, zone, &inside);
			if (objects && !inside)
				return -ENOMEM;
			open[depth].next = inside;
			open[depth++].left = objects;
		} else {
			*o = leaf_object(p, n);
		}
		p += n;
		len -= n;
		while (depth && open[depth - 1].left == 0)
			depth--;
	}
	return 0;
}

ssize_t pack_take(const void *data, size_t len, msgpack_zone *zone, msgpack_object *out)
{
	ssize_t n = pack_measure(data, len);

	if (n > 0 && build(data, (size_t)n, zone, out) < 0)
		return -ENOMEM;
	return n;
}

/* ---- receiving ---- */

/* Unpacks from a copy inside the zone, so that the frame outlives the receive buffer. */
static int unpack_body(const void *body, size_t len, struct frame_in *in)
{
	msgpack_zone *zone = msgpack_zone_new(MSGPACK_ZONE_CHUNK_SIZE);
	char *copy = zone ? msgpack_zone_malloc_no_align(zone, len) : NULL;
	ssize_t n;

	msgpack_unpacked_init(&in->unpacked);
	in->unpacked.zone = zone;
	if (!copy)
		return -ENOMEM;
	memcpy(copy, body, len);
	n = pack_take(copy, len, zone, &in->unpacked.data);
	if (n == -ENOMEM)
		return -ENOMEM;
	return n == (ssize_t)len ? 0 : -EPROTO;
}

static int frame_open(struct frame_in *in)
{
	const msgpack_object *o = &in->unpacked.data;
	uint64_t type;

	if (o->type != MSGPACK_OBJECT_ARRAY || o->via.array.size == 0)
		return -EPROTO;
	if (!object_u64(&o->via.array.ptr[0], &type) || type >= WIRE_TYPES)
		return -EPROTO;
	in->type = (enum wire_type)type;
	in->items = o->via.array.ptr;
	in->count = o->via.array.size;
	return 0;
}

int frame_read(const void *data, size_t len, struct frame_in *in, struct error *err)
{
	int rc;

	memset(in, 0, sizeof(*in));
	rc = unpack_body(data, len, in);
	if (!rc)
		rc = frame_open(in);
	if (!rc)
		return 0;
	frame_in_free(in);
	if (rc == -ENOMEM)
		return error_set(err, ENOMEM, "no memory for a frame of %zu bytes", len);
	return error_set(err, EPROTO, "the peer sent a frame that is not [type, ...] in msgpack");
}

int frame_take(const void *data, size_t len, struct frame_in *in, struct error *err)
{
	const uint8_t *body = (const uint8_t *)data + 4;
	uint32_t be;
	int rc;

	memset(in, 0, sizeof(*in));
	if (len < 4)
		return 0;
	memcpy(&be, data, 4);
	be = ntohl(be);
	if (be == 0 || be > WIRE_FRAME_MAX)
		return error_set(err, EPROTO, "the peer sent a frame of %u bytes (allowed: 1 to %d)", be, WIRE_FRAME_MAX);
	if (len - 4 < be)
		return 0;
	rc = frame_read(body, be, in, err);
	return rc ? rc : (int)be + 4;
}

void frame_in_free(struct frame_in *in)
{
	msgpack_unpacked_destroy(&in->unpacked);
	in->items = NULL;
	in->count = 0;
}

/* ---- reading ---- */

bool object_u64(const msgpack_object *o, uint64_t *out)
{
	if (!o || o->type != MSGPACK_OBJECT_POSITIVE_INTEGER)
		return false;
	*out = o->via.u64;
	return true;
}

bool object_i64(const msgpack_object *o, int64_t *out)
{
	if (!o)
		return false;
	if (o->type == MSGPACK_OBJECT_NEGATIVE_INTEGER) {
		*out = o->via.i64;
		return true;
	}
	if (o->type != MSGPACK_OBJECT_POSITIVE_INTEGER || o->via.u64 > INT64_MAX)
		return false;
	*out = (int64_t)o->via.u64;
	return true;
}

bool object_bool(const msgpack_object *o, bool *out)
{
	if (!o || o->type != MSGPACK_OBJECT_BOOLEAN)
		return false;
	*out = o->via.boolean;
	return true;
}

char *object_text(const msgpack_object *o, size_t max)
{
	if (!o || o->type != MSGPACK_OBJECT_STR || o->via.str.size > max)
		return NULL;
	if (o->via.str.size == 0)
		return strdup("");
	if (memchr(o->via.str.ptr, '\0', o->via.str.size))
		return NULL;
	return strndup(o->via.str.ptr, o->via.str.size);
}

void object_copy_text(char *to, size_t size, const msgpack_object *o)
{
	char *text = object_text(o, WIRE_FRAME_MAX);

	snprintf(to, size, "%s", text ? text : "");
	free(text);
}

const msgpack_object *map_get(const msgpack_object *map, const char *key)
{
	size_t len = strlen(key);

	if (!map || map->type != MSGPACK_OBJECT_MAP)
		return NULL;
	for (uint32_t i = 0; i < map->via.map.size; i++) {
		const msgpack_object_kv *kv = &map->via.map.ptr[i];

		if (kv->key.type == MSGPACK_OBJECT_STR && kv->key.via.str.size == len &&
		    memcmp(kv->key.via.str.ptr, key, len) == 0)
			return &kv->val;
	}
	return NULL;
}
