/* SPDX-License-Identifier: Apache-2.0 */
/* Layouts made by hand, with no kernel and no debug info behind them. */
#ifndef TEST_LAYOUTS_H
#define TEST_LAYOUTS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "layout.h"
#include "shape.h"

#define MAYBE_UNUSED __attribute__((unused))

/* Adds a node. The pointer is valid until the next one. */
MAYBE_UNUSED static struct layout_node *add(struct layout *l, uint8_t kind, const char *name, uint32_t off, uint32_t size)
{
	int i = layout_add(l, kind, name, kind == SHAPE_POINTER ? "void *" : "");
	struct layout_node *n;

	assert_true(i >= 0);
	n = &l->node[i];
	n->off = off;
	n->size = size;
	n->total = n->count;
	return n;
}

/* Ends the subtree of the latest node with this name. */
MAYBE_UNUSED static void end(struct layout *l, const char *name)
{
	for (uint32_t i = l->n_nodes; i-- > 0; ) {
		if (!strcmp(layout_text(l, l->node[i].name), name)) {
			layout_close(l, (int)i);
			return;
		}
	}
	fail_msg("no node %s", name);
}

MAYBE_UNUSED static void add_array(struct layout *l, const char *name, uint32_t off, uint32_t bytes, uint32_t count,
				   uint32_t total)
{
	struct layout_node *n = add(l, SHAPE_ARRAY, name, off, bytes);

	n->count = count;
	n->total = total;
}

/* A pointer at 0 that is followed to a struct at 8 with an array of structs, a text and a bit-field; 64 bytes in all. */
MAYBE_UNUSED static void sample_layout(struct layout *l)
{
	struct layout_node *n;
	int value;

	memset(l, 0, sizeof(*l));
	n = add(l, SHAPE_POINTER, "o", 0, 8);
	n->bit = 0;
	n = add(l, SHAPE_STRUCT, "s", 8, 40);
	n->bit = 1;
	add_array(l, "list", 8, 16, 2, 3);
	add(l, SHAPE_STRUCT, "element", 0, 8);
	add(l, SHAPE_INT, "x", 0, 4);
	n = add(l, SHAPE_STRING, "c", 4, 4);
	n->in_place = 1;
	n->total = 4;
	end(l, "element");
	end(l, "list");
	n = add(l, SHAPE_UINT, "bits", 24, 2);
	n->bit_offset = 3;
	n->bit_size = 10;
	value = layout_add_enum(l, 7, "SEVEN");
	n = add(l, SHAPE_ENUM, "kind", 28, 4);
	n->first_enum = (uint32_t)value;
	n->n_enums = 1;
	n = add(l, SHAPE_UNREADABLE, "gone", 0, 0);
	n->reason = layout_string(l, "optimised out");
	end(l, "s");
	end(l, "o");
	n = add(l, SHAPE_STRING, "text", 40, 24);
	n->bit = 2;
	n = add(l, SHAPE_INT, "ret", 8, 8);
	n->base = BASE_RET;
	n->role = ROLE_RETURN;
}

enum { SAMPLE_BYTES = 64 };

#endif
