/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shape of a captured value: what a receiver must know to print it.  Sent once per probe (PROBE frame);
 * records then carry bare values.  A shape owns its children and strings.
 *
 *   shape on the wire: [kind, type name, extra]
 *     STRUCT, UNION: extra = [[member name, shape], ...]
 *     ARRAY:         extra = [count, element shape]
 *     ENUM:          extra = [[value, name], ...]
 *     POINTER:       extra = pointee shape, or nil if it is not followed
 *     UNREADABLE:    extra = reason
 *     others:        extra = nil
 *
 *   value on the wire, by kind:
 *     INT, CHAR: integer   UINT: integer   BOOL: bool   FLOAT: float   ENUM: integer
 *     STRING: [bytes as bin, cut(bool)]
 *     POINTER: integer (the address), or [address, value of the pointee] if it was followed
 *     STRUCT, UNION: array of the members' values     ARRAY: array of the elements' values (may be fewer than count: cut)
 *     BYTES: bin          UNREADABLE: nil
 *     any kind: nil = could not be read at run time (counted as unread)
 */
#ifndef PLUMB_SHAPE_H
#define PLUMB_SHAPE_H

#include <msgpack.h>
#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "plumb/error.h"

enum shape_kind {
	SHAPE_INT, SHAPE_UINT, SHAPE_CHAR, SHAPE_BOOL, SHAPE_FLOAT, SHAPE_ENUM, SHAPE_STRING, SHAPE_POINTER,
	SHAPE_STRUCT, SHAPE_UNION, SHAPE_ARRAY, SHAPE_BYTES, SHAPE_UNREADABLE,
	SHAPE_KINDS
};

enum {
	SHAPE_DEPTH_MAX = 16,
	SHAPE_CHILDREN_MAX = 4096,
	SHAPE_NAME_MAX = 1024,
};

struct shape {
	enum shape_kind kind;
	char *type;                 /* type name as the source has it, "" if none */
	char *reason;               /* UNREADABLE */
	uint64_t count;             /* ARRAY */
	struct shape_child {        /* STRUCT, UNION: members; ARRAY, POINTER: one child without name; ENUM: enumerators */
		char *name;
		int64_t value;          /* ENUM */
		struct shape *shape;    /* not ENUM */
	} *child;
	uint32_t n_children;
};

/* Unpacks a shape from hostile input. The caller frees *out with shape_free. */
int shape_unpack(const msgpack_object *o, struct shape **out, struct error *err);
void shape_free(struct shape *s);

/* How a value is printed for people: strace-like, "{id=42, qty=0, user={name=\"bob\"}}".  Values are hostile: control
 * characters, invalid UTF-8 and ANSI escapes are shown as \xNN.  A value that does not fit its shape is shown as
 * "<malformed>". Unreadable values: "<reason>"; nil: "<unread>". NULL pointers: "NULL"; a followed pointer: its pointee,
 * a not followed one: 0x7f.... Enum without a name for the value: the number. */
void shape_print(const struct shape *s, const msgpack_object *value, struct buf *out);

/* The same as JSON text (valid UTF-8 always): numbers, strings (invalid bytes as U+FFFD), objects by member name,
 * arrays; unread: null; UNREADABLE: {"unreadable":"reason"}; enum: "NAME" or the number; a pointer not followed: "0x7f..";
 * NULL: null is for unread, so a NULL pointer is "0x0"; a cut string ends in an ellipsis U+2026. Integers beyond
 * +-2^53 stay exact decimal numbers. */
void shape_json(const struct shape *s, const msgpack_object *value, struct buf *out);

#endif
