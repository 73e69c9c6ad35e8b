/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values as JSON text.  Written directly: a tree of library objects per record would be built, printed and freed several
 * 100,000 times a second.
 */
#include "shape_walk.h"
#include "text.h"

typedef void writer(const struct shape *s, const msgpack_object *v, struct buf *out);

static void unreadable(struct buf *out, const char *reason)
{
	buf_str(out, "{\"unreadable\":");
	text_json_str(out, reason);
	buf_char(out, '}');
}

static void malformed(struct buf *out)
{
	unreadable(out, "malformed");
}

static void json_int(const struct shape *s, const msgpack_object *v, struct buf *out)
{
	if (v->type == MSGPACK_OBJECT_POSITIVE_INTEGER)
		text_u64(out, v->via.u64);
	else if (v->type == MSGPACK_OBJECT_NEGATIVE_INTEGER && s->kind != SHAPE_UINT)
		text_i64(out, v->via.i64);
	else
		malformed(out);
}

static void json_bool(const struct shape *s, const msgpack_object *v, struct buf *out)
{
	if (v->type == MSGPACK_OBJECT_BOOLEAN)
		buf_str(out, v->via.boolean ? "true" : "false");
	else
		json_int(s, v, out);
}

static void json_float(const struct shape *s, const msgpack_object *v, struct buf *out)
{
	bool finite = value_is_float(v) && v->via.f64 - v->via.f64 == 0;

	if (!value_is_float(v)) {
		malformed(out);
		return;
	}
	if (!finite)
		buf_char(out, '"');   /* JSON has no infinity and no NaN */
	text_double(out, v->via.f64, v->type == MSGPACK_OBJECT_FLOAT32);
	if (!finite)
		buf_char(out, '"');
}

static void json_enum(const struct shape *s, const msgpack_object *v, struct buf *out)
{
	const char *name = value_is_integer(v) ? enum_name(s, v) : NULL;

	if (name)
		text_json_str(out, name);
	else
		json_int(s, v, out);
}

static void json_string(const struct shape *s, const msgpack_object *v, struct buf *out)
{
	const msgpack_object *part = v->via.array.ptr;

	if (value_is_string(v))
		text_json(out, part[0].via.bin.ptr, part[0].via.bin.size, part[1].via.boolean);
	else
		malformed(out);
}

static void json_pointer(const struct shape *s, const msgpack_object *v, struct buf *out)
{
	const msgpack_object *pointee;
	uint64_t address = 0;

	if (!value_pointer(s, v, &address, &pointee)) {
		malformed(out);
	} else if (address && pointee) {
		shape_json(s->child[0].shape, pointee, out);
	} else {
		buf_char(out, '"');
		text_hex(out, address);
		buf_char(out, '"');
	}
}

/* An anonymous member (a union inside a struct) gets a key of its place: "_0". */
static void json_key(struct buf *out, const char *name, uint32_t index)
{
	if (name[0])
		text_json_str(out, name);
	else
		buf_printf(out, "\"_%u\"", index);
	buf_char(out, ':');
}

static void json_members(const struct shape *s, const msgpack_object *v, struct buf *out)
{
	if (!value_parts(s, v)) {
		malformed(out);
		return;
	}
	buf_char(out, '{');
	for (uint32_t i = 0; i < s->n_children; i++) {
		if (i)
			buf_char(out, ',');
		json_key(out, s->child[i].name, i);
		shape_json(s->child[i].shape, &v->via.array.ptr[i], out);
	}
	buf_char(out, '}');
}

static void json_array(const struct shape *s, const msgpack_object *v, struct buf *out)
{
	if (!value_parts(s, v)) {
		malformed(out);
		return;
	}
	buf_char(out, '[');
	for (uint32_t i = 0; i < v->via.array.size; i++) {
		if (i)
			buf_char(out, ',');
		shape_json(s->child[0].shape, &v->via.array.ptr[i], out);
	}
	buf_char(out, ']');
}

static void json_bytes(const struct shape *s, const msgpack_object *v, struct buf *out)
{
	static const char digits[] = "0123456789abcdef";

	if (v->type != MSGPACK_OBJECT_BIN) {
		malformed(out);
		return;
	}
	buf_char(out, '"');
	for (uint32_t i = 0; i < v->via.bin.size; i++) {
		unsigned char c = (unsigned char)v->via.bin.ptr[i];
		char pair[2] = { digits[c >> 4], digits[c & 15] };

		buf_add(out, pair, 2);
	}
	buf_char(out, '"');
}

static void json_unreadable(const struct shape *s, const msgpack_object *v, struct buf *out)
{
	unreadable(out, s->reason && s->reason[0] ? s->reason : "unreadable");
}

static writer *const writers[SHAPE_KINDS] = {
	[SHAPE_INT] = json_int,
	[SHAPE_UINT] = json_int,
	[SHAPE_CHAR] = json_int,
	[SHAPE_BOOL] = json_bool,
	[SHAPE_FLOAT] = json_float,
	[SHAPE_ENUM] = json_enum,
	[SHAPE_STRING] = json_string,
	[SHAPE_POINTER] = json_pointer,
	[SHAPE_STRUCT] = json_members,
	[SHAPE_UNION] = json_members,
	[SHAPE_ARRAY] = json_array,
	[SHAPE_BYTES] = json_bytes,
	[SHAPE_UNREADABLE] = json_unreadable,
};

void shape_json(const struct shape *s, const msgpack_object *value, struct buf *out)
{
	if (value->type == MSGPACK_OBJECT_NIL && s->kind != SHAPE_UNREADABLE)
		buf_str(out, "null");
	else
		writers[s->kind](s, value, out);
}
