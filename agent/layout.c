/* SPDX-License-Identifier: Apache-2.0 */
#include "layout.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "shape.h"

static const char *const kind_names[SHAPE_KINDS] = {
	[SHAPE_INT] = "int", [SHAPE_UINT] = "uint", [SHAPE_CHAR] = "char", [SHAPE_BOOL] = "bool",
	[SHAPE_FLOAT] = "float", [SHAPE_ENUM] = "enum", [SHAPE_STRING] = "string", [SHAPE_POINTER] = "pointer",
	[SHAPE_STRUCT] = "struct", [SHAPE_UNION] = "union", [SHAPE_ARRAY] = "array", [SHAPE_BYTES] = "bytes",
	[SHAPE_UNREADABLE] = "unreadable",
};

/* Room for one more element. `max` bounds what hostile types can make us hold. */
static int grow(void *array, uint32_t *cap, uint32_t need, uint32_t max, size_t size)
{
	uint32_t want = *cap ? *cap : 64;
	void *bigger;

	if (need > max)
		return -ENOSPC;
	if (need <= *cap)
		return 0;
	while (want < need)
		want *= 2;
	bigger = realloc(*(void **)array, want * size);
	if (!bigger)
		return -ENOMEM;
	*(void **)array = bigger;
	*cap = want;
	return 0;
}

uint32_t layout_string(struct layout *l, const char *text)
{
	size_t len = text ? strlen(text) : 0;
	uint32_t at;

	if (l->n_strings == 0) {
		if (grow(&l->strings, &l->cap_strings, 1, LAYOUT_STRINGS_MAX, 1))
			return 0;
		l->strings[0] = '\0';
		l->n_strings = 1;
	}
	if (!len || len > LAYOUT_STRINGS_MAX)
		return 0;
	for (at = 1; at + len < l->n_strings && l->n_strings < 4096; at += strlen(l->strings + at) + 1)
		if (!strcmp(l->strings + at, text))
			return at;
	at = l->n_strings;
	if (grow(&l->strings, &l->cap_strings, at + len + 1, LAYOUT_STRINGS_MAX, 1))
		return 0;
	memcpy(l->strings + at, text, len + 1);
	l->n_strings += len + 1;
	return at;
}

const char *layout_text(const struct layout *l, uint32_t offset)
{
	return offset < l->n_strings ? l->strings + offset : "";
}

int layout_add(struct layout *l, uint8_t kind, const char *name, const char *type)
{
	struct layout_node *n;
	int err = grow(&l->node, &l->cap_nodes, l->n_nodes + 1, LAYOUT_NODES_MAX, sizeof(*l->node));

	if (err)
		return err;
	n = &l->node[l->n_nodes];
	memset(n, 0, sizeof(*n));
	n->kind = kind;
	n->bit = LAYOUT_BIT_NONE;
	n->name = layout_string(l, name);
	n->type = layout_string(l, type);
	n->next = l->n_nodes + 1;
	return l->n_nodes++;
}

void layout_close(struct layout *l, int index)
{
	l->node[index].next = l->n_nodes;
}

int layout_add_enum(struct layout *l, int64_t value, const char *name)
{
	int err = grow(&l->enums, &l->cap_enums, l->n_enums + 1, LAYOUT_ENUMS_MAX, sizeof(*l->enums));

	if (err)
		return err;
	l->enums[l->n_enums] = (struct layout_enum){ .value = value, .name = layout_string(l, name) };
	return l->n_enums++;
}

void layout_free(struct layout *l)
{
	free(l->node);
	free(l->enums);
	free(l->strings);
	memset(l, 0, sizeof(*l));
}

/* The bytes that a node reads, counted from its base. */
static uint64_t node_end(const struct layout_node *n)
{
	return (uint64_t)n->off + n->size;
}

static bool fits(const struct layout_node *n, uint64_t room)
{
	switch (n->kind) {
	case SHAPE_UNREADABLE:
		return true;
	case SHAPE_BOOL: case SHAPE_CHAR: case SHAPE_INT: case SHAPE_UINT: case SHAPE_ENUM:
		return n->size >= 1 && n->size <= 8 && n->bit_offset < 64 && n->bit_size <= 64 && node_end(n) <= room;
	case SHAPE_POINTER:
		return n->size == 8 && node_end(n) <= room;
	case SHAPE_FLOAT:
		return (n->size == 4 || n->size == 8 || n->size == 16) && node_end(n) <= room;
	case SHAPE_STRING:
		return node_end(n) <= room && (n->in_place || n->size > sizeof(struct event_string));
	default:
		return node_end(n) <= room;
	}
}

/* Bytes that nodes may lie in: of the event, and, below an array, of one element. */
struct rooms {
	uint64_t data, element;
	bool in_array;
};

static int check_tree(const struct layout *l, uint32_t from, uint32_t to, struct rooms rooms, int depth);

static uint64_t room_of(const struct layout_node *n, const struct rooms *rooms)
{
	if (rooms->in_array)
		return rooms->element;
	return n->base == BASE_RET ? sizeof(((struct event *)0)->ret) : rooms->data;
}

static int check_array(const struct layout *l, uint32_t i, struct rooms rooms, int depth)
{
	const struct layout_node *n = &l->node[i], *element = n + 1;
	uint64_t room = room_of(n, &rooms);

	if (n->next == i + 1 || element->next != n->next || element->off != 0 || element->size == 0 ||
	    n->off + (uint64_t)element->size * n->count > room || n->count > n->total)
		return -EPROTO;
	rooms = (struct rooms){ .data = rooms.data, .element = element->size, .in_array = true };
	return check_tree(l, i + 1, n->next, rooms, depth + 1);
}

static int check_node(const struct layout *l, uint32_t i, uint32_t to, struct rooms rooms, int depth)
{
	const struct layout_node *n = &l->node[i];

	if (n->kind >= SHAPE_KINDS || n->base > BASE_RET || n->role > ROLE_RETURN || n->next <= i || n->next > to ||
	    !fits(n, room_of(n, &rooms)) || (uint64_t)n->first_enum + n->n_enums > l->n_enums)
		return -EPROTO;
	switch (n->kind) {
	case SHAPE_ARRAY:
		return check_array(l, i, rooms, depth);
	case SHAPE_POINTER: /* what is pointed to lies elsewhere in the event, once: not for each element */
		if (n->next > i + 1 && (rooms.in_array || l->node[i + 1].next != n->next))
			return -EPROTO;
		return check_tree(l, i + 1, n->next, rooms, depth + 1);
	case SHAPE_STRUCT: case SHAPE_UNION:
		return check_tree(l, i + 1, n->next, rooms, depth + 1);
	default:
		return n->next == i + 1 ? 0 : -EPROTO;
	}
}

static int check_tree(const struct layout *l, uint32_t from, uint32_t to, struct rooms rooms, int depth)
{
	if (depth > LAYOUT_DEPTH_MAX)
		return -EPROTO;
	for (uint32_t i = from; i < to; i = l->node[i].next)
		if (check_node(l, i, to, rooms, depth))
			return -EPROTO;
	return 0;
}

/* Bytes that a node itself takes at most in a record, in msgpack's shortest form (decode.c), without what is inside it. */
static uint64_t own_max(const struct layout_node *n)
{
	uint32_t bits = n->bit_size ? n->bit_size : n->size * 8;

	switch (n->kind) {
	case SHAPE_BOOL: case SHAPE_CHAR: case SHAPE_INT: case SHAPE_UINT: case SHAPE_ENUM:
		return bits <= 8 ? 2 : bits <= 16 ? 3 : bits <= 32 ? 5 : 9;
	case SHAPE_FLOAT:
		return 9;
	case SHAPE_POINTER: /* the address, and when it is followed an array of that and what is there */
		return 1 + 9;
	case SHAPE_STRING: case SHAPE_BYTES: /* an array of the text and whether it is cut */
		return 1 + 5 + n->size + 1;
	default:
		return 5;
	}
}

/* Members of a union share their place in the event, not in the record. */
static uint64_t value_max(const struct layout *l, uint32_t i)
{
	const struct layout_node *n = &l->node[i];
	uint64_t inside = 0, most;

	for (uint32_t c = i + 1; c < n->next; c = l->node[c].next)
		inside += value_max(l, c);
	most = own_max(n) + inside * (n->kind == SHAPE_ARRAY ? n->count : 1);
	return most < LAYOUT_RECORD_MAX ? most : LAYOUT_RECORD_MAX;
}

int layout_check(struct layout *l, uint32_t data_bytes, struct error *err)
{
	struct rooms rooms = { .data = data_bytes };
	uint64_t most = 0;

	if (l->n_nodes > LAYOUT_NODES_MAX || l->n_enums > LAYOUT_ENUMS_MAX || l->n_strings > LAYOUT_STRINGS_MAX ||
	    (l->n_strings && l->strings[l->n_strings - 1] != '\0') || check_tree(l, 0, l->n_nodes, rooms, 0))
		return error_set(err, EPROTO, "the resolver's answer is malformed");
	for (uint32_t i = 0; i < l->n_nodes; i = l->node[i].next)
		most += value_max(l, i);
	if (most >= LAYOUT_RECORD_MAX) {
		error_set(err, EMSGSIZE, "one call's values would take up to %d KiB as they are sent", LAYOUT_RECORD_MAX >> 10);
		return error_hint(err, "capture fewer of them, or with a smaller --depth or --bytes");
	}
	l->record_max = (uint32_t)most;
	return 0;
}

static void dump_node(const struct layout *l, uint32_t i, int depth, struct buf *out)
{
	const struct layout_node *n = &l->node[i];

	buf_printf(out, "%*s%s: %s", depth * 2, "", *layout_text(l, n->name) ? layout_text(l, n->name) : "-",
		   kind_names[n->kind]);
	if (*layout_text(l, n->type))
		buf_printf(out, " '%s'", layout_text(l, n->type));
	if (n->kind == SHAPE_UNREADABLE) {
		buf_printf(out, ": %s\n", layout_text(l, n->reason));
		return;
	}
	buf_printf(out, " %s+%u, %u bytes", n->base == BASE_RET ? "ret" : "data", n->off, n->size);
	if (n->bit_size)
		buf_printf(out, ", bits %u..%u", n->bit_offset, n->bit_offset + n->bit_size - 1);
	if (n->kind == SHAPE_ARRAY)
		buf_printf(out, ", %u of %u elements", n->count, n->total);
	if (n->bit != LAYOUT_BIT_NONE)
		buf_printf(out, ", read bit %u", n->bit);
	buf_char(out, '\n');
	for (uint32_t c = i + 1; c < n->next; c = l->node[c].next)
		dump_node(l, c, depth + 1, out);
}

void layout_dump(const struct layout *l, struct buf *out)
{
	for (uint32_t i = 0; i < l->n_nodes; i = l->node[i].next)
		dump_node(l, i, 1, out);
}
