/* SPDX-License-Identifier: Apache-2.0 */
/* Shapes from the wire.  The printers are shape_print.c and shape_json.c. */
#include "shape.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "frame.h"
#include "text.h"

/* [kind, type, [[name, shape], ...]] opens three containers a level, inside of the frame's array, map, field list and
 * field: the deepest shape must pass the frame's limit. */
_Static_assert(SHAPE_DEPTH_MAX * 3 + 4 <= FRAME_DEPTH_MAX, "a deepest shape must fit into a PROBE frame");

enum { SHAPE_NODES_MAX = 1 << 16 };   /* of one tree */

struct unpack {
	struct error *err;
	unsigned depth, nodes;
};

static int unpack_shape(struct unpack *u, const msgpack_object *o, struct shape **out);

static int bad(struct unpack *u, const char *why)
{
	return error_set(u->err, EPROTO, "malformed shape: %s", why);
}

/* A name from a hostile binary, made safe to print once, here, instead of at each print. */
static char *safe_name(const msgpack_object *o)
{
	struct buf safe = { 0 };
	char *raw = object_text(o, SHAPE_NAME_MAX);

	if (!raw)
		return NULL;
	text_safe(&safe, raw);
	free(raw);
	if (safe.failed) {
		buf_free(&safe);
		return NULL;
	}
	return safe.data ? safe.data : strdup("");
}

static struct shape_child *add_children(struct shape *s, uint32_t n)
{
	s->child = calloc(n ? n : 1, sizeof(*s->child));
	if (s->child)
		s->n_children = n;
	return s->child;
}

/* The pairs of a STRUCT, UNION or ENUM. */
static int unpack_pairs(struct unpack *u, struct shape *s, const msgpack_object *extra)
{
	const msgpack_object_array *list = &extra->via.array;

	if (extra->type != MSGPACK_OBJECT_ARRAY || list->size > SHAPE_CHILDREN_MAX)
		return bad(u, "members");
	if (!add_children(s, list->size))
		return error_set(u->err, ENOMEM, "no memory for a shape");
	for (uint32_t i = 0; i < list->size; i++) {
		const msgpack_object_array *pair = &list->ptr[i].via.array;
		bool is_enum = s->kind == SHAPE_ENUM;
		int rc = 0;

		if (list->ptr[i].type != MSGPACK_OBJECT_ARRAY || pair->size != 2)
			return bad(u, "member");
		s->child[i].name = safe_name(&pair->ptr[is_enum ? 1 : 0]);
		if (!s->child[i].name)
			return bad(u, "member name");
		if (!is_enum)
			rc = unpack_shape(u, &pair->ptr[1], &s->child[i].shape);
		else if (!object_i64(&pair->ptr[0], &s->child[i].value))
			return bad(u, "enumerator");
		if (rc)
			return rc;
	}
	return 0;
}

static int unpack_only_child(struct unpack *u, struct shape *s, const msgpack_object *o)
{
	if (!add_children(s, 1))
		return error_set(u->err, ENOMEM, "no memory for a shape");
	return unpack_shape(u, o, &s->child[0].shape);
}

static int unpack_array(struct unpack *u, struct shape *s, const msgpack_object *extra)
{
	if (extra->type != MSGPACK_OBJECT_ARRAY || extra->via.array.size != 2)
		return bad(u, "array");
	if (!object_u64(&extra->via.array.ptr[0], &s->count))
		return bad(u, "array count");
	return unpack_only_child(u, s, &extra->via.array.ptr[1]);
}

static int unpack_pointer(struct unpack *u, struct shape *s, const msgpack_object *extra)
{
	return extra->type == MSGPACK_OBJECT_NIL ? 0 : unpack_only_child(u, s, extra);
}

static int unpack_reason(struct unpack *u, struct shape *s, const msgpack_object *extra)
{
	s->reason = safe_name(extra);
	return s->reason ? 0 : bad(u, "reason");
}

static int (*const unpack_extra[SHAPE_KINDS])(struct unpack *, struct shape *, const msgpack_object *) = {
	[SHAPE_ENUM] = unpack_pairs,
	[SHAPE_STRUCT] = unpack_pairs,
	[SHAPE_UNION] = unpack_pairs,
	[SHAPE_ARRAY] = unpack_array,
	[SHAPE_POINTER] = unpack_pointer,
	[SHAPE_UNREADABLE] = unpack_reason,
};

static int fill(struct unpack *u, const msgpack_object *o, struct shape *s)
{
	const msgpack_object *items = o->via.array.ptr;
	uint64_t kind;

	if (!object_u64(&items[0], &kind) || kind >= SHAPE_KINDS)
		return bad(u, "kind");
	s->kind = (enum shape_kind)kind;
	s->type = items[1].type == MSGPACK_OBJECT_NIL ? strdup("") : safe_name(&items[1]);
	if (!s->type)
		return bad(u, "type name");
	return unpack_extra[kind] ? unpack_extra[kind](u, s, &items[2]) : 0;
}

static int unpack_shape(struct unpack *u, const msgpack_object *o, struct shape **out)
{
	int rc;

	if (o->type != MSGPACK_OBJECT_ARRAY || o->via.array.size != 3)
		return bad(u, "not [kind, type, extra]");
	if (u->depth == SHAPE_DEPTH_MAX)
		return bad(u, "nested too deep");
	if (u->nodes == SHAPE_NODES_MAX)
		return bad(u, "too many parts");
	*out = calloc(1, sizeof(**out));
	if (!*out)
		return error_set(u->err, ENOMEM, "no memory for a shape");
	u->nodes++;
	u->depth++;
	rc = fill(u, o, *out);
	u->depth--;
	return rc;
}

int shape_unpack(const msgpack_object *o, struct shape **out, struct error *err)
{
	struct unpack u = { .err = err };
	struct shape *s = NULL;
	int rc = unpack_shape(&u, o, &s);

	if (rc) {
		shape_free(s);
		s = NULL;
	}
	*out = s;
	return rc;
}

void shape_free(struct shape *s)
{
	if (!s)
		return;
	for (uint32_t i = 0; i < s->n_children; i++) {
		free(s->child[i].name);
		shape_free(s->child[i].shape);
	}
	free(s->child);
	free(s->type);
	free(s->reason);
	free(s);
}
