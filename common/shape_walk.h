/* SPDX-License-Identifier: Apache-2.0 */
/* What the two printers of values share: telling a value that fits its shape from one that does not. */
#ifndef PLUMB_SHAPE_WALK_H
#define PLUMB_SHAPE_WALK_H

#include "shape.h"

static inline bool value_is_integer(const msgpack_object *v)
{
	return v->type == MSGPACK_OBJECT_POSITIVE_INTEGER || v->type == MSGPACK_OBJECT_NEGATIVE_INTEGER;
}

static inline bool value_is_float(const msgpack_object *v)
{
	return v->type == MSGPACK_OBJECT_FLOAT32 || v->type == MSGPACK_OBJECT_FLOAT64;
}

/* [bytes, cut] of a STRING. */
static inline bool value_is_string(const msgpack_object *v)
{
	return v->type == MSGPACK_OBJECT_ARRAY && v->via.array.size == 2 && v->via.array.ptr[0].type == MSGPACK_OBJECT_BIN &&
	       v->via.array.ptr[1].type == MSGPACK_OBJECT_BOOLEAN;
}

/* The address of a POINTER, followed ([address, pointee]: then *pointee is set) or not. */
static inline bool value_pointer(const struct shape *s, const msgpack_object *v, uint64_t *address,
				 const msgpack_object **pointee)
{
	*pointee = NULL;
	if (v->type == MSGPACK_OBJECT_ARRAY && v->via.array.size == 2 && s->n_children) {
		*pointee = &v->via.array.ptr[1];
		v = &v->via.array.ptr[0];
	}
	if (v->type != MSGPACK_OBJECT_POSITIVE_INTEGER)
		return false;
	*address = v->via.u64;
	return true;
}

/* The values of a STRUCT, UNION (as many as members) or ARRAY (at most its count). */
static inline bool value_parts(const struct shape *s, const msgpack_object *v)
{
	if (v->type != MSGPACK_OBJECT_ARRAY)
		return false;
	if (s->kind == SHAPE_ARRAY)
		return s->n_children == 1 && v->via.array.size <= s->count;
	return v->via.array.size == s->n_children;
}

static inline const char *enum_name(const struct shape *s, const msgpack_object *v)
{
	int64_t value = v->via.i64;

	for (uint32_t i = 0; i < s->n_children; i++)
		if (s->child[i].value == value)
			return s->child[i].name;
	return NULL;
}

#endif
