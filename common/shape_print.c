/* SPDX-License-Identifier: Apache-2.0 */
/* Values for people, strace-like. */
#include <string.h>

#include "shape_walk.h"
#include "text.h"

typedef void printer(const struct shape *s, const msgpack_object *v, struct buf *out);

static void malformed(struct buf *out)
{
	buf_str(out, "<malformed>");
}

static void print_int(const struct shape *s, const msgpack_object *v, struct buf *out)
{
	if (v->type == MSGPACK_OBJECT_POSITIVE_INTEGER)
		text_u64(out, v->via.u64);
	else if (v->type == MSGPACK_OBJECT_NEGATIVE_INTEGER && s->kind != SHAPE_UINT)
		text_i64(out, v->via.i64);
	else
		malformed(out);
}

/* uint8_t and its like are characters to DWARF and small numbers to people: only plain `char` is shown as text. */
static bool is_text_char(const char *type)
{
	if (strncmp(type, "const ", 6) == 0)
		type += 6;
	return strcmp(type, "char") == 0 || type[0] == '\0';
}

static void print_char(const struct shape *s, const msgpack_object *v, struct buf *out)
{
	char c;

	if (v->type != MSGPACK_OBJECT_POSITIVE_INTEGER || v->via.u64 > 0x7f || !is_text_char(s->type)) {
		print_int(s, v, out);
		return;
	}
	c = (char)v->via.u64;
	buf_char(out, '\'');
	text_escape(out, &c, 1, '\'');
	buf_char(out, '\'');
}

static void print_bool(const struct shape *s, const msgpack_object *v, struct buf *out)
{
	if (v->type == MSGPACK_OBJECT_BOOLEAN)
		buf_str(out, v->via.boolean ? "true" : "false");
	else
		print_int(s, v, out);   /* a byte that is neither 0 nor 1 */
}

static void print_float(const struct shape *s, const msgpack_object *v, struct buf *out)
{
	if (value_is_float(v))
		text_double(out, v->via.f64, v->type == MSGPACK_OBJECT_FLOAT32);
	else
		malformed(out);
}

static void print_enum(const struct shape *s, const msgpack_object *v, struct buf *out)
{
	const char *name = value_is_integer(v) ? enum_name(s, v) : NULL;

	if (name)
		buf_str(out, name);
	else
		print_int(s, v, out);
}

static void print_string(const struct shape *s, const msgpack_object *v, struct buf *out)
{
	const msgpack_object *part = v->via.array.ptr;

	if (!value_is_string(v)) {
		malformed(out);
		return;
	}
	buf_char(out, '"');
	text_escape(out, part[0].via.bin.ptr, part[0].via.bin.size, '"');
	buf_str(out, part[1].via.boolean ? "\"..." : "\"");
}

static void print_pointer(const struct shape *s, const msgpack_object *v, struct buf *out)
{
	const msgpack_object *pointee;
	uint64_t address = 0;

	if (!value_pointer(s, v, &address, &pointee)) {
		malformed(out);
	} else if (address == 0) {
		buf_str(out, s->type[0] ? "NULL" : "0x0"); /* a register without a type may be a number */
	} else if (!pointee) {
		text_hex(out, address);
	} else if (pointee->type == MSGPACK_OBJECT_NIL) {
		text_hex(out, address);   /* a wild pointer: where it points is what helps */
		buf_str(out, " <unread>");
	} else {
		shape_print(s->child[0].shape, pointee, out);
	}
}

static void print_members(const struct shape *s, const msgpack_object *v, struct buf *out)
{
	if (!value_parts(s, v)) {
		malformed(out);
		return;
	}
	buf_char(out, '{');
	for (uint32_t i = 0; i < s->n_children; i++) {
		if (i)
			buf_add(out, ", ", 2);
		if (s->child[i].name[0]) {
			buf_str(out, s->child[i].name);
			buf_char(out, '=');
		}
		shape_print(s->child[i].shape, &v->via.array.ptr[i], out);
	}
	buf_char(out, '}');
}

static void print_array(const struct shape *s, const msgpack_object *v, struct buf *out)
{
	uint32_t n = v->type == MSGPACK_OBJECT_ARRAY ? v->via.array.size : 0;

	if (!value_parts(s, v)) {
		malformed(out);
		return;
	}
	buf_char(out, '[');
	for (uint32_t i = 0; i < n; i++) {
		if (i)
			buf_add(out, ", ", 2);
		shape_print(s->child[0].shape, &v->via.array.ptr[i], out);
	}
	if (n < s->count)
		buf_str(out, n ? ", ..." : "...");
	buf_char(out, ']');
}

static void print_bytes(const struct shape *s, const msgpack_object *v, struct buf *out)
{
	static const char digits[] = "0123456789abcdef";

	if (v->type != MSGPACK_OBJECT_BIN) {
		malformed(out);
		return;
	}
	buf_char(out, '<');
	for (uint32_t i = 0; i < v->via.bin.size; i++) {
		unsigned char c = (unsigned char)v->via.bin.ptr[i];
		char pair[3] = { ' ', digits[c >> 4], digits[c & 15] };

		buf_add(out, i ? pair : pair + 1, i ? 3 : 2);
	}
	buf_char(out, '>');
}

static void print_unreadable(const struct shape *s, const msgpack_object *v, struct buf *out)
{
	buf_char(out, '<');
	buf_str(out, s->reason && s->reason[0] ? s->reason : "unreadable");
	buf_char(out, '>');
}

static printer *const printers[SHAPE_KINDS] = {
	[SHAPE_INT] = print_int,
	[SHAPE_UINT] = print_int,
	[SHAPE_CHAR] = print_char,
	[SHAPE_BOOL] = print_bool,
	[SHAPE_FLOAT] = print_float,
	[SHAPE_ENUM] = print_enum,
	[SHAPE_STRING] = print_string,
	[SHAPE_POINTER] = print_pointer,
	[SHAPE_STRUCT] = print_members,
	[SHAPE_UNION] = print_members,
	[SHAPE_ARRAY] = print_array,
	[SHAPE_BYTES] = print_bytes,
	[SHAPE_UNREADABLE] = print_unreadable,
};

void shape_print(const struct shape *s, const msgpack_object *value, struct buf *out)
{
	if (value->type == MSGPACK_OBJECT_NIL && s->kind != SHAPE_UNREADABLE)
		buf_str(out, "<unread>");
	else
		printers[s->kind](s, value, out);
}
