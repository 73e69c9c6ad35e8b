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

static int check_tree(const struct layout *l, uint32_t from, uint32_t to, uint64_t data_room, int64_t element_room,
		      int depth)
{
	uint32_t i = from;

	if (depth > LAYOUT_DEPTH_MAX)
		return -EPROTO;
	while (i < to) {
		const struct layout_node *n = &l->node[i];
		uint64_t room = element_room >= 0 ? (uint64_t)element_room : n->base == BASE_RET ? 16 : data_room;
		uint32_t children = 0;

		if (n->kind >= SHAPE_KINDS || n->base > BASE_RET || n->next <= i || n->next > to || !fits(n, room))
			return -EPROTO;
		if ((uint64_t)n->first_enum + n->n_enums > l->n_enums)
			return -EPROTO;
		for (uint32_t c = i + 1; c < n->next && l->node[c].next > c; c = l->node[c].next)
			children++;
		if (n->kind == SHAPE_ARRAY && children) {
			uint32_t size = l->node[i + 1].size;

			if (children != 1 || !size || (uint64_t)n->off + (uint64_t)size * n->count > room ||
			    check_tree(l, i + 1, n->next, data_room, (int64_t)l->node[i + 1].off + size, depth + 1))
				return -EPROTO;
		} else if (children && check_tree(l, i + 1, n->next, data_room, element_room, depth + 1)) {
			return -EPROTO;
		}
		i = n->next;
	}
	return 0;
}

int layout_check(const struct layout *l, uint32_t data_bytes, struct error *err)
{
	if (l->n_nodes > LAYOUT_NODES_MAX || l->n_enums > LAYOUT_ENUMS_MAX || l->n_strings > LAYOUT_STRINGS_MAX ||
	    (l->n_strings && l->strings[l->n_strings - 1] != '\0') ||
	    check_tree(l, 0, l->n_nodes, data_bytes, -1, 0))
		return error_set(err, EPROTO, "the resolver's answer is malformed");
	for (uint32_t i = 0; i < l->n_nodes; i++)
		if (l->node[i].name > l->n_strings || l->node[i].type > l->n_strings)
			return error_set(err, EPROTO, "the resolver's answer is malformed");
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
		buf_printf(out, ", %u elements", n->count);
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
