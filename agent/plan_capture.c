/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values -> bytes in the event + nodes in the layout.  A struct is read in one piece and taken apart by the receiver;
 * what its pointers lead to is read by further operations as long as depth, bytes, operations and read bits last.
 * Nothing here fails for want of room: a value that is too much is named unreadable.
 */
#include "plan_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shape.h"

enum { FOLLOW_OPS = 2, ARRAY_SHOWN = 64 };

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
		if (end > bytes * 8)
			return add_unreadable(b, name, t, "beyond the bytes captured");
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
	if (t->size > v.room)
		return add_unreadable(b, name, t, "beyond the bytes captured");
	i = add_node(b, kind, name, t, v, (uint32_t)t->size);
	return i < 0 ? i : 0;
}

/* Adds the names of an enum to the layout, once. */
static void enum_names(struct builder *b, const struct type *t, uint32_t *first, uint32_t *n)
{
	struct layout *l = &b->out->layout;
	uint32_t i = 0;

	while (i < b->n_enums && b->enums[i].type != t)
		i++;
	if (i == b->n_enums) {
		*first = l->n_enums;
		for (*n = 0; *n < t->n_enumerators; ++*n)
			if (layout_add_enum(l, t->enumerators[*n].value, t->enumerators[*n].name) < 0)
				break;
		if (i == sizeof(b->enums) / sizeof(b->enums[0]))
			return;
		b->enums[i].type = t;
		b->enums[i].first = *first;
		b->enums[i].n = *n;
		b->n_enums++;
	}
	*first = b->enums[i].first;
	*n = b->enums[i].n;
}

static int describe_enum(struct builder *b, struct type *t, const char *name, struct view v, const struct member *bits)
{
	struct layout *l = &b->out->layout;
	uint32_t node = l->n_nodes;
	int err;

	type_complete(b->rq->di, t);
	if (t->kind != TYPE_ENUM)
		return add_unreadable(b, name, t, "an enum that is only declared");
	err = describe_scalar(b, SHAPE_ENUM, t, name, v, bits);
	if (!err && l->node[node].kind == SHAPE_ENUM)
		enum_names(b, t, &l->node[node].first_enum, &l->node[node].n_enums);
	return err;
}

/* Puts the pointer of this view into machine register 0. */
static int load_pointer(struct builder *b, struct view v)
{
	struct plan_op op = { .code = OP_DATA, .dst = 0, .size = 8, .off = v.off, .bit = v.bit };

	if (v.base == BASE_RET && v.off == 0)
		op = (struct plan_op){ .code = OP_SPECIAL, .b = SPECIAL_RET, .size = 8, .bit = LAYOUT_BIT_NONE };
	else if (v.base == BASE_RET) /* the second word of a struct */
		op = (struct plan_op){ .code = OP_REG, .b = GPR_DX, .size = 8, .bit = LAYOUT_BIT_NONE };
	return plan_emit(b, op);
}

static bool can_follow(struct builder *b, struct view v)
{
	if (v.base == BASE_RET && v.off % 8)
		return false;
	return !v.in_array && v.level + 2 < LAYOUT_DEPTH_MAX && plan_ops_left(b) >= FOLLOW_OPS && plan_bits_left(b) > 0;
}

static int follow_text(struct builder *b, struct type *t, struct view v)
{
	uint32_t room = b->limits.string;
	int64_t at = plan_reserve(b, sizeof(struct event_string) + room);
	struct view text = { .base = BASE_DATA, .off = (uint32_t)at };
	int err, i;

	if (at < 0)
		return 0;
	text.bit = plan_bit(b);
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
	struct view inner = { .base = BASE_DATA, .off = (uint32_t)at, .room = bytes, .depth = v.depth - 1,
			      .level = v.level + 1 };
	int err;

	if (at < 0)
		return 0;
	inner.bit = plan_bit(b);
	err = load_pointer(b, v);
	if (!err)
		err = plan_emit(b, (struct plan_op){ .code = OP_READ, .size = bytes, .off = inner.off, .bit = inner.bit });
	return err ? err : describe(b, target, "", inner, NULL);
}

static int describe_pointer(struct builder *b, struct type *t, const char *name, struct view v)
{
	int i, err = 0;

	if (v.room < 8)
		return add_unreadable(b, name, t, "beyond the bytes captured");
	i = add_node(b, SHAPE_POINTER, name, t, v, 8);
	if (i < 0)
		return i;
	if (can_follow(b, v) && t->target) {
		if (t->target->kind == TYPE_STRUCT || t->target->kind == TYPE_UNION || t->target->kind == TYPE_INCOMPLETE)
			type_complete(b->rq->di, t->target);
		if (type_is_text(t))
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

	if (m->offset >= v.room && (m->type->size || m->offset > v.room))
		return add_unreadable(b, m->name, m->type, "beyond the bytes captured");
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

			if (m->offset > v.room)
				return add_unreadable(b, "...", NULL, "beyond the bytes captured");
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

static uint32_t total_of(const struct type *array)
{
	return array->count < UINT32_MAX ? (uint32_t)array->count : UINT32_MAX;
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
	if (!shown)
		return add_unreadable(b, name, t, "beyond the bytes captured");
	if (type_is_text(t)) {
		i = add_node(b, SHAPE_STRING, name, t, v, shown);
		if (i < 0)
			return i;
		b->out->layout.node[i].in_place = 1;
		b->out->layout.node[i].total = total_of(t);
		return 0;
	}
	if (shown > ARRAY_SHOWN)
		shown = ARRAY_SHOWN;
	i = add_node(b, SHAPE_ARRAY, name, t, v, shown * (uint32_t)t->target->size);
	if (i < 0)
		return i;
	b->out->layout.node[i].count = shown;
	b->out->layout.node[i].total = total_of(t);
	element.off = 0;
	element.room = (uint32_t)t->target->size;
	element.in_array = true;
	element.level++;
	err = describe(b, t->target, "", element, NULL);
	if (!err) /* the step from one to the next, also where less of an element is shown, or nothing */
		b->out->layout.node[i + 1].size = (uint32_t)t->target->size;
	layout_close(&b->out->layout, i);
	return err;
}

static int describe_float(struct builder *b, struct type *t, const char *name, struct view v)
{
	int i;

	if (t->size != 4 && t->size != 8 && t->size != 16)
		return add_unreadable(b, name, t, "a floating point format that is not known");
	if (t->size > v.room)
		return add_unreadable(b, name, t, "beyond the bytes captured");
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

/* Room for a value that may turn out to be unreadable. */
static int place(struct builder *b, uint32_t bytes, struct view *v)
{
	int64_t at = plan_reserve(b, bytes);

	v->off = (uint32_t)at;
	v->room = bytes;
	v->bit = plan_bit(b);
	if (at < 0)
		return error_set(b->err, E2BIG, "the probe captures too much: an event holds at most %d bytes", PLAN_DATA_MAX);
	if (v->bit == LAYOUT_BIT_NONE)
		return error_set(b->err, E2BIG, "the probe captures more than %d values", PLAN_READ_BITS);
	return 0;
}

static int store_reg(struct builder *b, const struct operand *o, struct view *v)
{
	int err = place(b, 8, v);

	return err ? err : plan_emit(b, (struct plan_op){ .code = OP_STORE, .a = o->reg, .size = 8, .off = v->off, .bit = v->bit });
}

static int read_memory(struct builder *b, const struct operand *o, struct view *v)
{
	uint64_t size = o->bit_size ? (o->bit_offset + o->bit_size + 7U) / 8 : o->type->size;
	uint32_t bytes = size < b->limits.bytes ? (uint32_t)size : b->limits.bytes;
	int err = place(b, bytes, v);

	return err ? err : plan_emit(b, (struct plan_op){ .code = OP_READ, .a = o->reg, .imm = o->value, .size = bytes,
							  .off = v->off, .bit = v->bit });
}

static void view_data(const struct operand *o, struct view *v)
{
	bool inside = o->value >= 0 && o->value < o->end;

	v->off = inside ? (uint32_t)o->value : 0;
	v->room = inside ? (uint32_t)(o->end - o->value) : 0;
	v->bit = o->bit;
}

static int materialise(struct builder *b, struct operand *o, struct view *v)
{
	int err = 0;

	if (o->kind == OPERAND_RET && b->rq->fn && b->rq->fn->ret_where.kind == LOCATION_MEMORY)
		err = plan_return_place(b, o);
	if (err)
		return err;
	switch (o->kind) {
	case OPERAND_RET:
		v->base = BASE_RET;
		v->room = 16;
		return 0;
	case OPERAND_DATA:
		view_data(o, v);
		return 0;
	case OPERAND_MEMORY:
		return read_memory(b, o, v);
	default:
		err = plan_load(b, o);
		return err ? err : store_reg(b, o, v);
	}
}

static const char *why_unreadable(const struct builder *b, const struct operand *o)
{
	const struct function *fn = b->rq->fn;

	if (o->kind == OPERAND_NONE)
		return o->reason;
	if (o->kind == OPERAND_RET && fn && fn->ret_where.kind == LOCATION_NONE)
		return fn->ret_where.reason;
	return !o->type->size || o->type->kind == TYPE_INCOMPLETE ? "its size is not known" : NULL;
}

static struct captured *add_captured(struct builder *b)
{
	size_t cap = b->cap_captured ? b->cap_captured * 2 : 16;
	struct captured *bigger;

	if (b->n_captured == b->cap_captured) {
		bigger = reallocarray(b->captured, cap, sizeof(*bigger));
		if (!bigger)
			return NULL;
		b->captured = bigger;
		b->cap_captured = cap;
	}
	return &b->captured[b->n_captured++];
}

int plan_capture(struct builder *b, const char *label, uint8_t role, struct operand *o)
{
	struct captured *c;
	int err = 0;

	if (!o->type || o->type->kind == TYPE_VOID)
		return error_set(b->err, EINVAL, "'%s' has no value", label);
	c = add_captured(b);
	if (!c)
		return error_set(b->err, ENOMEM, "out of memory");
	type_complete(b->rq->di, o->type);
	*c = (struct captured){ .label = label, .role = role, .type = o->type, .unreadable = why_unreadable(b, o),
				.bit_offset = o->bit_offset, .bit_size = o->bit_size,
				.view = { .bit = LAYOUT_BIT_NONE, .depth = (uint8_t)b->limits.depth } };
	if (!c->unreadable)
		err = materialise(b, o, &c->view);
	return err;
}

/* The top-level node gets the label that the user knows the value by. */
static int describe_captured(struct builder *b, const struct captured *c)
{
	struct member bits = { .bit_offset = c->bit_offset, .bit_size = c->bit_size };
	uint32_t node = b->out->layout.n_nodes;
	int err;

	b->at_return = c->role == ROLE_RETURN;
	if (c->unreadable)
		err = add_unreadable(b, c->label, c->type, c->unreadable);
	else
		err = describe(b, c->type, c->label, c->view, bits.bit_size ? &bits : NULL);
	if (!err)
		b->out->layout.node[node].role = c->role;
	return err;
}

int plan_describe(struct builder *b)
{
	int err = 0;

	for (size_t i = 0; !err && i < b->n_captured; i++)
		err = describe_captured(b, &b->captured[i]);
	if (err == -ENOSPC)
		return error_set(b->err, E2BIG, "the probe captures more values or names than fit; capture fewer");
	return err == -ENOMEM ? error_set(b->err, ENOMEM, "out of memory") : err;
}
