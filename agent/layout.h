/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where each captured value lies in an event, and what it is: a tree, flattened in pre-order.  It comes out of the
 * resolver (a child process that reads hostile files), goes to the agent over a pipe, and drives decode.
 */
#ifndef PLUMB_LAYOUT_H
#define PLUMB_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "plumb/error.h"
#include "plumb/event.h"

enum {
	LAYOUT_NODES_MAX = 2048,
	LAYOUT_ENUMS_MAX = 4096,
	LAYOUT_STRINGS_MAX = 256 * 1024,
	LAYOUT_DEPTH_MAX = 12,
	LAYOUT_BIT_NONE = 0xff,
	LAYOUT_RECORD_MAX = 512 << 10, /* bytes of one record: some of them must fit into a frame */
};

enum layout_base { BASE_DATA, BASE_RET };       /* which part of the event `off` counts from */
enum layout_role { ROLE_ENTRY, ROLE_RETURN };

struct layout_node {
	uint8_t kind;          /* enum shape_kind */
	uint8_t base;          /* enum layout_base; ignored below an array, where off counts from the element */
	uint8_t role;          /* enum layout_role, of fields */
	uint8_t bit;           /* the value is unread if this bit is set in event.unread */
	uint8_t bit_offset, bit_size; /* bit-field; bit_size 0: none */
	uint8_t in_place;      /* STRING: char array of `total` bytes, text lies at off; else struct event_string there */
	uint8_t is_signed;     /* ENUM, CHAR */
	uint16_t next;         /* index of the node after this one's subtree */
	uint16_t pad;
	uint32_t name, type, reason; /* offsets in the strings; reason: UNREADABLE */
	uint32_t off, size;    /* bytes; of an array's element: how far apart they are */
	uint32_t count;        /* ARRAY: elements in the event */
	uint32_t total;        /* ARRAY, STRING in place: elements that the type has, not fewer than the event */
	uint32_t first_enum, n_enums;
};

struct layout_enum { int64_t value; uint32_t name; uint32_t pad; };

/* Owns its arrays. Fields (one per capture) are the nodes at the top level. */
struct layout {
	struct layout_node *node;
	uint32_t n_nodes, cap_nodes;
	struct layout_enum *enums;
	uint32_t n_enums, cap_enums;
	char *strings;         /* offset 0 is "" */
	uint32_t n_strings, cap_strings;
	uint32_t record_max;   /* layout_check: bytes that the values of one record take at most (decode.c) */
};

/* Adds a copy of text; equal texts may share one place. -> offset; 0 ("") when the table is full or memory is short. */
uint32_t layout_string(struct layout *l, const char *text);
const char *layout_text(const struct layout *l, uint32_t offset);
/* Adds a zeroed node and returns its index, or -ENOSPC / -ENOMEM. Close its subtree with layout_close. */
int layout_add(struct layout *l, uint8_t kind, const char *name, const char *type);
void layout_close(struct layout *l, int index);
int layout_add_enum(struct layout *l, int64_t value, const char *name);
void layout_free(struct layout *l);

/* Checks a layout that came from outside: every index, offset and size lies inside its bounds. Sets record_max.
 * -EPROTO; -EMSGSIZE: a record could exceed LAYOUT_RECORD_MAX. */
int layout_check(struct layout *l, uint32_t data_bytes, struct error *err);

/* One line per node: "o: POINTER struct order * @0 bit 0" with children indented. A stage print. */
struct buf;
void layout_dump(const struct layout *l, struct buf *out);

#endif
