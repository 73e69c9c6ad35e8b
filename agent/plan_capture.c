/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values -> bytes in the event + nodes in the layout.  A struct is read in one piece and taken apart by the receiver;
 * what its pointers lead to is read by further operations as long as depth, bytes, operations and read bits last.
 * Nothing here fails for want of room: a value that is too much is named unreadable.
 */
#include "plan_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "shape.h"

enum { FOLLOW_OPS = 4, ARRAY_SHOWN = 64 };

/* Where a value lies in the event and what may still be done with it. */
struct view {
	uint8_t base;         /* enum layout_base */
	uint8_t bit;
	uint8_t depth;        /* pointers to structs that may still be followed */
	bool in_array;        /* elements share their nodes: nothing can be followed */
	uint32_t off;
	uint32_t room;        /* bytes from off that were captured */
	int level;
};

static int describe(struct builder *b, struct type *t, const char *name, struct view v, const struct member *bits);

static int add_unreadable(struct builder *b, const char *name, const struct type *t, const char *reason)
{
	int i = layout_add(&b->out->layout, SHAPE_UNREADABLE, name, t ? t->name : "");

	if (i >= 0)
		b->out->layout.node[i].reason = layout_string(&b->out->layout, reason);
	return i < 0 ? i : 0;
}

static int add_node(struct builder *b, uint8_t kind, const char *name, const struct type *t, struct view v, uint32_t size)
{
	int i = layout_add(&b->out->layout, kind, name, t->name);
	struct layout_node *n;

	if (i < 0)
		return i;
	n = &b->out->layout.node[i];
	n->base = v.base;
	n->off = v.off;
	n->size = size;
	n->bit = v.bit;
	n->is_signed = t->is_signed;
	return i;
}

static int describe_scalar(struct builder *b, uint8_t kind, struct type *t, const char *name, struct view v,
			   const struct member *bits)
{
	struct layout_node *n;
	int i;

	if (bits && bits->bit_size) {
		uint32_t end = bits->bit_offset + bits->bit_size;
		uint32_t bytes = end <= 8 ? 1 : end <= 16 ? 2 : end <= 32 ? 4 : 8;

		if (end > 64)
			return add_unreadable(b, name, t, "a bit-field over nine bytes");
		if (bytes > v.room) /* the rest of the struct ends earlier: read what is there */
			bytes = v.room;
		i = add_node(b, kind, name, t, v, bytes);
		if (i < 0)
			return i;
		n = &b->out->layout.node[i];
		n->bit_offset = bits->bit_offset;
		n->bit_size = bits->bit_size;
		return 0;
	}
	if (!t->size || t->size > 8)
		return add_unreadable(b, name, t, "wider than 8 bytes");
	i = add_node(b, kind, name, t, v, (uint32_t)t->size);
	return i < 0 ? i : 0;
}

static int describe_enum(struct builder *b, struct type *t, const char *name, struct view v, const struct member *bits)
{
	struct layout *l = &b->out->layout;
	uint32_t node = l->n_nodes, first = l->n_enums, n = 0;
	int err;

	type_complete(b->rq->di, t);
	if (t->kind != TYPE_ENUM)
		return add_unreadable(b, name, t, "an enum that is only declared");
	err = describe_scalar(b, SHAPE_ENUM, t, name, v, bits);
	if (err)
		return err;
	while (n < t->n_enumerators && layout_add_enum(l, t->enumerators[n].value, t->enumerators[n].name) >= 0)
		n++;
	l->node[node].first_enum = first;
	l->node[node].n_enums = n;
	return 0;
}

/* Puts the pointer of this view into machine register 0. */
static int load_pointer(struct builder *b, struct view v)
{
	struct plan_op op = { .code = OP_DATA, .dst = 0, .size = 8, .off = v.off, .bit = v.bit };

	if (v.base == BASE_RET)
		op = (struct plan_op){ .code = OP_SPECIAL, .b = SPECIAL_RET, .size = 8, .bit = LAYOUT_BIT_NONE };
	return plan_emit(b, op);
}

static bool can_follow(struct builder *b, struct view v)
{
	return !v.in_array && v.level + 2 < LAYOUT_DEPTH_MAX && plan_ops_left(b) >= FOLLOW_OPS && plan_bits_left(b) > 0;
}

static int follow_text(struct builder *b, struct type *t, struct view v)
{
	uint32_t room = b->limits.string;
	int64_t at = plan_reserve(b, sizeof(struct event_string) + room);
	struct view text = { .base = BASE_DATA, .off = (uint32_t)at, .bit = plan_bit(b) };
	int err, i;

	if (at < 0)
		return 0;
	err = load_pointer(b, v);
	if (!err)
		err = plan_emit(b, (struct plan_op){ .code = OP_STRING, .size = room, .off = text.off, .bit = text.bit });
	if (err)
		return err;
	i = add_node(b, SHAPE_STRING, "", t->target, text, sizeof(struct event_string) + room);
	return i < 0 ? i : 0;
}

static int follow_struct(struct builder *b, struct type *t, struct view v)
{
	struct type *target = t->target;
	uint32_t bytes = target->size < b->limits.bytes ? (uint32_t)target->size : b->limits.bytes;
	int64_t at = plan_reserve(b, bytes);
	struct view inner = { .base = BASE_DATA, .off = (uint32_t)at, .bit = plan_bit(b), .room = bytes,
			      .depth = v.depth - 1, .level = v.level + 1 };
	int err;

	if (at < 0)
		return 0;
	err = load_pointer(b, v);
	if (!err)
		err = plan_emit(b, (struct plan_op){ .code = OP_READ, .size = bytes, .off = inner.off, .bit = inner.bit });
	return err ? err : describe(b, target, "", inner, NULL);
}

static int describe_pointer(struct builder *b, struct type *t, const char *name, struct view v)
{
	int i = add_node(b, SHAPE_POINTER, name, t, v, 8), err = 0;

	if (i < 0)
		return i;
	if (can_follow(b, v) && t->target) {
		if (t->target->kind == TYPE_STRUCT || t->target->kind == TYPE_UNION || t->target->kind == TYPE_INCOMPLETE)
			type_complete(b->rq->di, t->target);
		if (type_is_text(b->rq->di, t))
			err = follow_text(b, t, v);
		else if ((t->target->kind == TYPE_STRUCT || t->target->kind == TYPE_UNION) && v.depth && t->target->size)
			err = follow_struct(b, t, v);
	}
	layout_close(&b->out->layout, i);
	return err;
}

static int describe_member(struct builder *b, const struct member *m, struct view v)
{
	struct view at = v;
	uint64_t size = m->bit_size ? (m->bit_offset + m->bit_size + 7U) / 8 : m->type->size;

	if (m->offset > v.room || size > v.room - m->offset) {
		if (m->type->kind != TYPE_ARRAY || m->offset >= v.room)
			return add_unreadable(b, m->name, m->type, "beyond the bytes captured");
	}
	at.off += (uint32_t)m->offset;
	at.room -= (uint32_t)m->offset;
	at.level++;
	return describe(b, m->type, m->name, at, m);
}

/* Anonymous structs and unions: their members count as the parent's, as in C. */
static int describe_members(struct builder *b, struct type *t, struct view v)
{
	int err = 0;

	type_complete(b->rq->di, t);
	for (uint32_t i = 0; !err && i < t->n_members; i++) {
		const struct member *m = &t->members[i];

		if (m->offset >= v.room && t->size > v.room) {
			char why[64];

			snprintf(why, sizeof(why), "beyond the %u bytes captured", v.room);
			return add_unreadable(b, "...", NULL, why);
		}
		if (!*m->name && (m->type->kind == TYPE_STRUCT || m->type->kind == TYPE_UNION) &&
		    v.level + 1 < LAYOUT_DEPTH_MAX) {
			struct view at = v;

			at.off += (uint32_t)m->offset;
			at.room -= (uint32_t)m->offset;
			at.level++;
			err = describe_members(b, m->type, at);
		} else {
			err = describe_member(b, m, v);
		}
	}
	return err;
}

static int describe_struct(struct builder *b, struct type *t, const char *name, struct view v)
{
	uint32_t size = t->size < v.room ? (uint32_t)t->size : v.room;
	int i, err;

	if (v.level + 1 >= LAYOUT_DEPTH_MAX)
		return add_unreadable(b, name, t, "nested too deeply");
	i = add_node(b, t->kind == TYPE_UNION ? SHAPE_UNION : SHAPE_STRUCT, name, t, v, size);
	if (i < 0)
		return i;
	err = describe_members(b, t, v);
	layout_close(&b->out->layout, i);
	return err;
}

static int describe_array(struct builder *b, struct type *t, const char *name, struct view v)
{
	struct view element = v;
	uint32_t shown;
	int i, err;

	if (!t->target || v.level + 1 >= LAYOUT_DEPTH_MAX)
		return add_unreadable(b, name, t, "nested too deeply");
	type_complete(b->rq->di, t->target);
	if (!t->count || !t->target->size)
		return add_unreadable(b, name, t, "an array of unknown length");
	shown = v.room / t->target->size < t->count ? (uint32_t)(v.room / t->target->size) : (uint32_t)t->count;
	if (t->target->kind == TYPE_CHAR) {
		i = add_node(b, SHAPE_STRING, name, t, v, shown);
		if (i >= 0)
			b->out->layout.node[i].in_place = 1;
		return i < 0 ? i : 0;
	}
	if (shown > ARRAY_SHOWN)
		shown = ARRAY_SHOWN;
	i = add_node(b, SHAPE_ARRAY, name, t, v, shown * (uint32_t)t->target->size);
	if (i < 0)
		return i;
	b->out->layout.node[i].count = shown;
	element.off = 0;
	element.room = (uint32_t)t->target->size;
	element.in_array = true;
	element.level++;
	err = describe(b, t->target, "", element, NULL);
	if (!err && b->out->layout.node[i + 1].kind == SHAPE_UNREADABLE) /* no element has a size then */
		b->out->layout.node[i + 1].size = (uint32_t)t->target->size;
	layout_close(&b->out->layout, i);
	return err;
}

static int describe_float(struct builder *b, struct type *t, const char *name, struct view v)
{
	int i;

	if (t->size != 4 && t->size != 8 && t->size != 16)
		return add_unreadable(b, name, t, "a floating point format that is not known");
	i = add_node(b, SHAPE_FLOAT, name, t, v, (uint32_t)t->size);
	return i < 0 ? i : 0;
}

static int describe(struct builder *b, struct type *t, const char *name, struct view v, const struct member *bits)
{
	if (b->out->layout.n_nodes >= LAYOUT_NODES_MAX - 8)
		return add_unreadable(b, name, t, "too many values");
	switch (t->kind) {
	case TYPE_SIGNED:
		return describe_scalar(b, SHAPE_INT, t, name, v, bits);
	case TYPE_UNSIGNED:
		return describe_scalar(b, SHAPE_UINT, t, name, v, bits);
	case TYPE_CHAR:
		return describe_scalar(b, SHAPE_CHAR, t, name, v, bits);
	case TYPE_BOOL:
		return describe_scalar(b, SHAPE_BOOL, t, name, v, bits);
	case TYPE_ENUM:
		return describe_enum(b, t, name, v, bits);
	case TYPE_FLOAT:
		return describe_float(b, t, name, v);
	case TYPE_POINTER:
		return describe_pointer(b, t, name, v);
	case TYPE_STRUCT: case TYPE_UNION:
		return describe_struct(b, t, name, v);
	case TYPE_ARRAY:
		return describe_array(b, t, name, v);
	case TYPE_INCOMPLETE:
		return add_unreadable(b, name, t, "only declared in the debug info");
	default:
		return add_unreadable(b, name, t, "a type that cannot be shown");
	}
}

/* ---- from an operand to bytes in the event ---- */

static int store_reg(struct builder *b, const struct operand *o, struct view *v)
{
	int64_t at = plan_reserve(b, 8);

	if (at < 0)
		return (int)at;
	v->off = (uint32_t)at;
	v->room = 8;
	/* The value of a register itself is always there; one that was computed or loaded may be bad. */
	v->bit = plan_bit(b);
	return plan_emit(b, (struct plan_op){ .code = OP_STORE, .a = o->reg, .size = 8, .off = v->off, .bit = v->bit });
}

static int read_memory(struct builder *b, const struct operand *o, uint64_t size, struct view *v)
{
	uint32_t bytes = size < b->limits.bytes ? (uint32_t)size : b->limits.bytes;
	int64_t at = plan_reserve(b, bytes);

	if (at < 0)
		return (int)at;
	v->off = (uint32_t)at;
	v->room = bytes;
	v->bit = plan_bit(b);
	return plan_emit(b, (struct plan_op){ .code = OP_READ, .a = o->reg, .imm = o->value, .size = bytes,
					      .off = v->off, .bit = v->bit });
}

/* A return value in memory (a large struct): its address is what the call returns. */
static int return_in_memory(struct builder *b, struct operand *o)
{
	*o = (struct operand){ .kind = OPERAND_MEMORY, .reg = 0, .type = o->type, .bit = LAYOUT_BIT_NONE };
	return plan_emit(b, (struct plan_op){ .code = OP_SPECIAL, .b = SPECIAL_RET, .size = 8, .bit = LAYOUT_BIT_NONE });
}

static int materialise(struct builder *b, struct operand *o, struct view *v)
{
	uint64_t size = o->type->size;
	int err;

	if (o->kind == OPERAND_RET && b->rq->fn && b->rq->fn->ret_where.kind == LOCATION_MEMORY) {
		err = return_in_memory(b, o);
		if (err)
			return err;
	}
	switch (o->kind) {
	case OPERAND_RET:
		v->base = BASE_RET;
		v->room = 16;
		return 0;
	case OPERAND_DATA:
		v->off = (uint32_t)o->value;
		v->room = size > 16 ? (uint32_t)size : 16;
		if (v->off + v->room > b->data)
			v->room = b->data > v->off ? b->data - v->off : 0;
		v->bit = o->bit;
		return 0;
	case OPERAND_MEMORY:
		if (o->bit_size)
			size = (o->bit_offset + o->bit_size + 7) / 8;
		return read_memory(b, o, size, v);
	default:
		err = plan_load(b, o);
		return err ? err : store_reg(b, o, v);
	}
}

/* The top-level node gets the label that the user knows the value by. */
static int named(struct builder *b, uint32_t node, uint8_t role, int err)
{
	if (!err && node < b->out->layout.n_nodes)
		b->out->layout.node[node].role = role;
	if (err == -ENOSPC)
		return error_set(b->err, E2BIG, "the probe captures more values or names than fit; capture fewer");
	if (err == -ENOMEM)
		return error_set(b->err, ENOMEM, "out of memory");
	return err;
}

int plan_capture(struct builder *b, const char *label, uint8_t role, struct operand *o)
{
	struct view v = { .bit = LAYOUT_BIT_NONE, .depth = (uint8_t)b->limits.depth };
	struct member bits = { .bit_offset = o->bit_offset, .bit_size = o->bit_size };
	uint32_t node = b->out->layout.n_nodes;
	const struct function *fn = b->rq->fn;
	int err;

	if (o->kind == OPERAND_RET && fn && fn->ret_where.kind == LOCATION_NONE)
		return named(b, node, role, add_unreadable(b, label, o->type, fn->ret_where.reason));
	if (o->kind == OPERAND_NONE)
		return named(b, node, role, add_unreadable(b, label, o->type, o->reason));
	if (!o->type || o->type->kind == TYPE_VOID)
		return error_set(b->err, EINVAL, "'%s' has no value", label);
	type_complete(b->rq->di, o->type);
	if (!o->type->size || (o->type->kind == TYPE_INCOMPLETE))
		return named(b, node, role, add_unreadable(b, label, o->type, "its size is not known"));
	/* Pieces and small reads come without room for everything else in the event: that is worth a clear word. */
	err = materialise(b, o, &v);
	if (err == -ENOSPC)
		return error_set(b->err, E2BIG, "'%s' does not fit: an event holds at most %d bytes", label, PLAN_DATA_MAX);
	if (!err)
		err = describe(b, o->type, label, v, bits.bit_size ? &bits : NULL);
	return named(b, node, role, err);
}
